"""Pickles and copies of modules: the options, the spec, and the model opened again."""

from __future__ import annotations

import copy
import hashlib
import os
import pickle
import shutil
from collections.abc import Callable
from enum import IntEnum
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import etseg
from etseg import ImageSegmentationModule
from http_server import Server
from programs import picture
from programs import program as path_of


class Sky(IntEnum):
    """Found again by its name."""

    ABOVE = 0
    BELOW = 1
    BETWEEN = 2


def by_pickle(module: ImageSegmentationModule) -> ImageSegmentationModule:
    """What another process gets."""
    loaded = pickle.loads(pickle.dumps(module))
    assert isinstance(loaded, ImageSegmentationModule)
    return loaded


WAYS = pytest.mark.parametrize("again", [by_pickle, copy.copy, copy.deepcopy])

Again = Callable[[ImageSegmentationModule], ImageSegmentationModule]


@WAYS
def test_what_is_carried(again: Again) -> None:
    limits = etseg.Limits(max_pixels=24 * 40)
    module = ImageSegmentationModule(
        concurrency=2, argmax_dtype="uint8", scaled_decode=False, limits=limits
    )
    module.load(etseg.ModelSpec(model_source=path_of("logits_c3"), mean=(0.1, 0.2, 0.3), name="it"))
    other = again(module)
    assert other.concurrency == 2
    assert other._options == module._options
    assert other._options.limits == limits
    assert other.spec == module.spec
    assert other.labels is module.labels
    expected, result = (each.forward(picture(), [0, 1], resize=True) for each in (module, other))
    assert result.argmax.dtype == np.uint8
    for key in expected:
        np.testing.assert_array_equal(result[key], expected[key])
    # Each has a model of its own, and whatever else it takes to live.
    module.delete()
    assert other.forward(picture()).size == (24, 40)
    other.delete()
    with pytest.raises(etseg.ModuleNotLoadedError):
        other.forward(picture())


@WAYS
def test_without_a_model(again: Again) -> None:
    other = again(ImageSegmentationModule(concurrency=3))
    assert not other.is_loaded
    assert other.concurrency == 3
    with pytest.raises(etseg.ModuleNotLoadedError):
        other.forward(picture())
    other.load(path_of("logits_c3"))
    assert other.forward(picture()).size == (24, 40)
    other.delete()
    assert not again(other).is_loaded


@WAYS
@pytest.mark.parametrize(
    "labels",
    [None, Sky, ["sky", "land", "sea"], {"0": "sky", "1": "land", "2": "sea"}],
    ids=["generated", "IntEnum", "names", "id2label"],
)
def test_labels(again: Again, labels: Any) -> None:
    with ImageSegmentationModule() as module:
        module.load({"model_source": path_of("logits_c3"), "labels": labels, "background": 2})
        with again(module) as other:
            assert other.labels is module.labels
            assert other.spec == module.spec
            result = other.forward(picture(), list(module.labels)[:3])
            assert list(result) == list(module.forward(picture(), [0, 1, 2]))


def test_a_model_of_the_wheel() -> None:
    """By its name: the wheel may be elsewhere in the other process."""
    with ImageSegmentationModule() as module:
        module.load(etseg.SELFIE_SEGMENTATION)
        assert by_pickle(module).spec.model_source == etseg.SELFIE_SEGMENTATION.model_source


@pytest.mark.usefixtures("cache")
def test_a_model_of_the_cache(server: Server, program: bytes) -> None:
    """By its URL, and with no further download where the cache has it."""
    url = server.add("/m.pte", program)
    with ImageSegmentationModule() as module:
        module.load({"model_source": url, "activation": "none"})
        asked = len(server.requests)
        with by_pickle(module) as other:
            assert other.spec.model_source == url
            assert other.forward(picture()).size == (256, 256)
    assert len(server.requests) == asked


@pytest.mark.parametrize("kind", [str, Path])
def test_a_relative_path_is_that_of_the_load(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: type
) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "elsewhere").mkdir()
    shutil.copy(path_of("logits_c3"), tmp_path / "there" / "m.pte")
    shutil.copy(path_of("logits_c2"), tmp_path / "elsewhere" / "m.pte")
    monkeypatch.chdir(tmp_path / "there")
    with ImageSegmentationModule() as module:
        module.load(kind("m.pte"))
        assert module.spec.model_source == kind("m.pte")
        monkeypatch.chdir(tmp_path / "elsewhere")
        with by_pickle(module) as other, by_pickle(other) as third:
            for each in (other, third):
                assert Path(each.spec.model_source) == tmp_path / "there" / "m.pte"
                assert len(each.labels) == 4  # ARGMAX is one


@pytest.mark.skipif(os.name != "posix", reason="names are bytes on POSIX alone")
def test_a_path_that_is_no_text(tmp_path: Path) -> None:
    path = os.fsdecode(os.fsencode(tmp_path) + b"/m\xff.pte")
    shutil.copy(path_of("logits_c3"), path)
    with ImageSegmentationModule() as module:
        module.load(path)
        assert by_pickle(module).forward(picture()).size == (24, 40)


@WAYS
def test_what_cannot_be_opened_again(again: Again, tmp_path: Path) -> None:
    """The first use says why. (Raised while unpickling, it would hang multiprocessing.Pool.)"""
    path = tmp_path / "m.pte"
    shutil.copy(path_of("logits_c3"), path)
    with ImageSegmentationModule() as module:
        module.load(path)
        path.unlink()
        other = again(module)
        assert module.forward(picture()).size == (24, 40)  # it needs the file no more
    assert not other.is_loaded
    uses: list[Callable[[ImageSegmentationModule], object]] = [
        lambda other: other.forward(picture()),
        lambda other: other.map([]),
        lambda other: other.spec,
        lambda other: again(other).labels,  # a copy of it fares no better
    ]
    for use in uses:
        with pytest.raises(etseg.FileReadError, match="no such file"):
            use(other)
    assert "not loaded" in repr(other)
    shutil.copy(path_of("logits_c3"), path)
    assert again(other).forward(picture()).size == (24, 40)
    other.load(path_of("logits_c2"))
    assert len(other.labels) == 3
    other.delete()
    with pytest.raises(etseg.ModuleNotLoadedError):
        other.forward(picture())


@WAYS
def test_a_file_that_changed(again: Again, tmp_path: Path) -> None:
    """Is refused where its SHA-256 is known."""
    path = tmp_path / "m.pte"
    content = path_of("logits_c3").read_bytes()
    path.write_bytes(content)
    with ImageSegmentationModule() as module:
        module.load({"model_source": path, "sha256": hashlib.sha256(content).hexdigest()})
        other_path = tmp_path / "other.pte"
        shutil.copy(path_of("logits_c2"), other_path)
        other_path.replace(path)
        with pytest.raises(etseg.InvalidModelError, match="SHA-256"):
            again(module).forward(picture())


class Named(ImageSegmentationModule):
    """A subclass with an attribute, and a constructor of another kind."""

    def __init__(self, name: str) -> None:
        super().__init__(argmax_dtype="uint8")
        self.name = name


@WAYS
def test_subclasses(again: Again) -> None:
    with Named("it") as module:
        module.load(path_of("logits_c3"))
        other = again(module)
        assert isinstance(other, Named)
        assert other.name == "it"
        assert other.forward(picture()).argmax.dtype == np.uint8
