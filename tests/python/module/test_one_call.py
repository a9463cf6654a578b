"""etseg.segment(): one call, and the models that it keeps."""

from __future__ import annotations

import concurrent.futures
import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import etseg
from conftest import Image
from etseg import _one_call
from programs import picture, program


@pytest.fixture(autouse=True)
def nothing_kept() -> Iterator[None]:
    """Before and after each test."""
    etseg.unload()
    yield
    etseg.unload()


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What was loaded, in order."""
    loaded: list[Any] = []

    class Counting(etseg.ImageSegmentationModule):
        def load(self, model: Any, *rest: Any) -> None:
            loaded.append(model)
            super().load(model, *rest)

    monkeypatch.setattr(_one_call, "ImageSegmentationModule", Counting)
    return loaded


def test_it_is_a_forward_of_the_photos_size(photo_path: Path, selfie: Any) -> None:
    result = etseg.segment(photo_path, classes=["PERSON"])
    expected = selfie.forward(photo_path, ["PERSON"], resize=True)
    assert list(result) == list(expected)
    for key, value in expected.items():
        np.testing.assert_array_equal(result[key], value)
    assert result.overlay().shape == (512, 512, 3)


def test_the_order_of_channels_is_heeded(astronaut: Image) -> None:
    bgr = np.ascontiguousarray(astronaut[..., ::-1])
    result = etseg.segment(bgr, classes=[0], channel_order="bgr")
    np.testing.assert_array_equal(result[0], etseg.segment(astronaut, classes=[0])[0])


def test_a_model_is_loaded_once_for_all_who_name_it(loads: list[Any]) -> None:
    for model in (
        "selfie-segmentation",
        etseg.SELFIE_SEGMENTATION,
        {"model_source": program("logits_c3")},
        str(program("logits_c3")),
        program("logits_c3"),
        etseg.ModelSpec(model_source=program("logits_c3")),
    ):
        etseg.segment(picture(), model)
    assert len(loads) == 2
    etseg.segment(picture(), argmax_dtype="uint8")
    result = etseg.segment(picture(), argmax_dtype="uint8")
    assert result.argmax.dtype == np.uint8
    assert len(loads) == 3
    etseg.segment(picture(), {"model_source": program("logits_c3"), "labels": ["A", "B", "C"]})
    assert len(loads) == 4


def test_a_name_that_no_model_has(photo_path: Path) -> None:
    with pytest.raises(etseg.FileMissingError, match=r"nor has .*; known: .*fcn-resnet50"):
        etseg.segment(photo_path, "person")
    with pytest.raises(etseg.FileMissingError, match="did you mean 'selfie-segmentation' or"):
        etseg.segment(photo_path, "selfie_segmentation")


def test_a_relative_path_is_that_of_its_time(
    loads: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, of in (("one", "logits_c3"), ("two", "logits_c21")):
        (tmp_path / name).mkdir()
        shutil.copy(program(of), tmp_path / name / "own.pte")
    for name, count in (("one", 3), ("two", 21), ("one", 3)):
        monkeypatch.chdir(tmp_path / name)
        assert len(etseg.segment(picture(), "own.pte").labels) - 1 == count
    assert len(loads) == 2


def test_threads_wait_for_the_one_that_loads(
    loads: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    del loads
    entered, gate = threading.Semaphore(0), threading.Event()
    load = _one_call.ImageSegmentationModule.load
    count = []

    def held(module: Any, *arguments: Any) -> None:
        count.append(1)
        gate.wait(60)
        load(module, *arguments)

    asked = _one_call._loading

    def asking(key: Any) -> Any:
        entered.release()
        return asked(key)

    monkeypatch.setattr(_one_call.ImageSegmentationModule, "load", held)
    monkeypatch.setattr(_one_call, "_loading", asking)
    with ThreadPoolExecutor(8) as pool:
        calls = [pool.submit(etseg.segment, picture()) for _ in range(8)]
        for _ in calls:
            assert entered.acquire(timeout=60)
        gate.set()
        sizes = {call.result(60).image_size for call in calls}
    assert sizes == {(24, 40)}
    assert len(count) == 1


def test_after_an_error_the_next_call_tries_again(loads: list[Any], tmp_path: Path) -> None:
    for _ in range(2):
        with pytest.raises(etseg.FileReadError):
            etseg.segment(picture(), tmp_path / "own.pte")
    shutil.copy(program("logits_c3"), tmp_path / "own.pte")
    assert etseg.segment(picture(), tmp_path / "own.pte").image_size == (24, 40)
    assert len(loads) == 3
    with pytest.raises(etseg.InvalidConfigError, match="concurrency"):
        etseg.segment(picture(), concurrency=0)
    with pytest.raises(etseg.InvalidModelSourceError):
        etseg.segment(picture(), None)  # type: ignore[arg-type]
    with pytest.raises(etseg.LabelError, match="PERSON, BACKGROUND"):
        etseg.segment(picture(), classes=["CAT"])


def test_after_ctrl_c_who_waits_loads_himself(
    loads: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    load = _one_call.ImageSegmentationModule.load
    begun, gate = threading.Event(), threading.Event()
    count = []

    def struck(module: Any, *arguments: Any) -> None:
        count.append(1)
        if len(count) == 1:
            begun.set()
            gate.wait(60)
            raise KeyboardInterrupt
        load(module, *arguments)

    monkeypatch.setattr(_one_call.ImageSegmentationModule, "load", struck)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(etseg.segment, picture())
        assert begun.wait(60)
        (loading,) = _one_call._kept.values()
        second = pool.submit(etseg.segment, picture())
        gate.set()
        with pytest.raises(KeyboardInterrupt):
            first.result(60)
        assert second.result(60).image_size == (24, 40)
    assert loading.cancelled()
    assert len(count) == 2
    assert len(loads) == 1


def test_unload_frees(loads: list[Any]) -> None:
    etseg.segment(picture())
    (loading,) = _one_call._kept.values()
    module = loading.result()
    etseg.unload()
    assert not module.is_loaded
    etseg.segment(picture())
    assert len(loads) == 2
    etseg.unload()
    etseg.unload()


def test_unload_before_a_calls_turn_loads_again(
    loads: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The call has its module, and unload() comes before forward()."""
    forward = _one_call.ImageSegmentationModule.forward
    calls = []

    def late(module: Any, *arguments: Any, **options: Any) -> Any:
        calls.append(module)
        if len(calls) == 1:
            etseg.unload()
        return forward(module, *arguments, **options)

    monkeypatch.setattr(_one_call.ImageSegmentationModule, "forward", late)
    assert etseg.segment(picture()).image_size == (24, 40)
    assert len(calls) == len(loads) == 2


def test_who_waits_for_a_load_that_fails_after_unload(monkeypatch: pytest.MonkeyPatch) -> None:
    """unload() takes it out of what is kept; it ends all the same for all who wait for it."""
    begun, gate, waits = threading.Event(), threading.Event(), threading.Event()

    def failing(*_: Any) -> None:
        begun.set()
        gate.wait(60)
        raise etseg.FileReadError("not today")

    class Awaited(Future[Any]):
        def result(self, timeout: float | None = None) -> Any:
            waits.set()
            return super().result(timeout)

    monkeypatch.setattr(_one_call.ImageSegmentationModule, "load", failing)
    monkeypatch.setattr(concurrent.futures, "Future", Awaited)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(etseg.segment, picture())
        assert begun.wait(60)
        second = pool.submit(etseg.segment, picture())
        assert waits.wait(60)
        etseg.unload()
        gate.set()
        for call in (first, second):
            with pytest.raises(etseg.FileReadError, match="not today"):
                call.result(60)


def test_it_takes_what_a_module_takes(loads: list[Any]) -> None:
    result = etseg.segment(picture(), packed_weights="memory", concurrency=2)
    assert result.image_size == (24, 40)
    etseg.segment(picture(), concurrency=2)
    assert len(loads) == 1
    with pytest.raises(etseg.InvalidConfigError, match="packed_weights is 'disk'"):
        etseg.segment(picture(), packed_weights="disk")  # type: ignore[arg-type]
