"""ImageSegmentationModule: what is loaded, what a call returns, whose memory it is."""

from __future__ import annotations

import gc
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import etseg
from etseg import DeeplabLabel, ImageSegmentationModule, SelfieSegmentationLabel
from programs import picture, program


@pytest.fixture
def module() -> ImageSegmentationModule:
    """A module with three classes; 24x40."""
    module = ImageSegmentationModule()
    module.load(program("logits_c3"))
    return module


class RefusalError(Exception):
    """What a caller's own callback may raise."""


def test_says_what_is_loaded(module: ImageSegmentationModule) -> None:
    assert module.is_loaded
    assert module.input_size == module.output_size == (24, 40)
    assert [label.name for label in module.labels] == ["CLASS_0", "CLASS_1", "CLASS_2", "ARGMAX"]
    spec = module.spec
    assert (spec.mean, spec.std) == ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    assert (spec.activation, spec.resample, spec.background) == ("softmax", "antialias", None)
    assert Path(spec.model_source) == program("logits_c3")
    assert "24x40" in repr(module)
    assert "3 labels" in repr(module)


@pytest.mark.parametrize("attribute", ["labels", "input_size", "output_size", "spec"])
def test_says_that_nothing_is_loaded(attribute: str) -> None:
    module = ImageSegmentationModule()
    assert not module.is_loaded
    assert "not loaded" in repr(module)
    with pytest.raises(etseg.ModuleNotLoadedError, match=r"load\(\)"):
        getattr(module, attribute)


@pytest.mark.parametrize(
    "model",
    [
        program("logits_c3"),
        str(program("logits_c3")),
        program("logits_c3").as_uri(),
        {"model_source": program("logits_c3")},
        {"model_source": str(program("logits_c3")), "labels": ["CLASS_0", "CLASS_1", "CLASS_2"]},
        etseg.ModelSpec(model_source=program("logits_c3")),
    ],
    ids=["PathLike", "path", "URI", "mapping", "mapping with labels", "spec"],
)
def test_whatever_names_a_model_loads_it(model: Any, module: ImageSegmentationModule) -> None:
    other = ImageSegmentationModule()
    other.load(model)
    image = picture()
    np.testing.assert_array_equal(
        other.forward(image, ["CLASS_1"])["CLASS_1"], module.forward(image, ["CLASS_1"])["CLASS_1"]
    )


@pytest.mark.parametrize(
    ("name", "labels"),
    [("logits_c21", DeeplabLabel), ("sigmoid_c1", SelfieSegmentationLabel)],
)
def test_labels_by_channel_count(name: str, labels: type[Any]) -> None:
    module = ImageSegmentationModule()
    module.load(program(name))
    assert module.labels is labels
    assert module.spec.background == labels.BACKGROUND


def test_loading_over_a_model_replaces_it(module: ImageSegmentationModule) -> None:
    module.load(program("stride4_c21"))
    assert module.output_size == (6, 10)
    assert module.labels is DeeplabLabel
    assert module.forward(picture()).size == (6, 10)


@pytest.mark.parametrize("bad", ["missing_operator", "classifier", "bad_delegate", "nowhere"])
def test_a_failed_load_keeps_the_old_model(bad: str, module: ImageSegmentationModule) -> None:
    expected = module.forward(picture()).argmax
    with pytest.raises(etseg.EtsegError):
        module.load(program(bad))
    assert module.is_loaded
    np.testing.assert_array_equal(module.forward(picture()).argmax, expected)


def test_a_failed_first_load_leaves_nothing() -> None:
    module = ImageSegmentationModule()
    with pytest.raises(etseg.InvalidModelError):
        module.load(program("classifier"))
    assert not module.is_loaded


def test_progress_of_a_local_file_is_its_end() -> None:
    progress: list[float] = []
    ImageSegmentationModule().load(program("logits_c3"), progress.append)
    ImageSegmentationModule().load(
        etseg.SELFIE_SEGMENTATION, on_download_progress_callback=progress.append
    )
    assert progress == [1.0, 1.0]


def test_an_error_in_the_progress_callback_cancels_the_load(
    module: ImageSegmentationModule,
) -> None:
    def refuse(_: float) -> None:
        raise RefusalError

    with pytest.raises(RefusalError):
        module.load(program("logits_c21"), refuse)
    assert len(module.labels) == 4


def test_delete_is_final_until_the_next_load(module: ImageSegmentationModule) -> None:
    module.delete()
    module.delete()
    assert not module.is_loaded
    with pytest.raises(etseg.ModuleNotLoadedError):
        module.forward(picture())
    with pytest.raises(etseg.ModuleNotLoadedError):
        module.warmup()
    module.load(program("logits_c3"))
    assert module.forward(picture()).size == (24, 40)


def test_context_manager_deletes() -> None:
    with ImageSegmentationModule() as module:
        module.load(program("logits_c3"))
    assert not module.is_loaded
    module.load(program("logits_c3"))
    with pytest.raises(RefusalError), module:
        raise RefusalError
    assert not module.is_loaded


@pytest.mark.parametrize("resize", [False, True])
def test_size_of_the_maps(resize: bool, module: ImageSegmentationModule) -> None:
    result = module.forward(picture(31, 17), [2], resize=resize)
    assert (
        result.size == result.argmax.shape == result[2].shape == ((31, 17) if resize else (24, 40))
    )


def test_result_is_a_read_only_mapping(module: ImageSegmentationModule) -> None:
    labels = module.labels
    result = module.forward(picture(), [labels(2), "class_0", "ARGMAX", 2])
    assert isinstance(result, Mapping)
    assert list(result) == [labels["ARGMAX"], labels(2), labels(0)]
    assert len(result) == 3
    assert result.labels is labels
    for key in (labels(2), "CLASS_2", "class_2", 2, np.int64(2)):
        assert result[key] is result[labels(2)]
        assert key in result
    for key in (labels["ARGMAX"], "ARGMAX", "argmax"):
        assert result[key] is result.argmax
    for key in (1, "CLASS_1", labels(1), 3, -1, "CAT", None, True):
        assert key not in result
    assert result.get(1) is None
    with pytest.raises(TypeError):
        result["CLASS_2"] = result.argmax  # type: ignore[index]
    with pytest.raises(etseg.LabelError, match=r"CLASS_1.*classes_of_interest"):
        result[1]
    assert "40x24 pixels" in repr(result)


def test_arrays_are_the_callers(module: ImageSegmentationModule) -> None:
    """Neither another call nor the end of the module changes them."""
    result = module.forward(picture(), [0, 1])
    kept = {key: result[key].copy() for key in result}
    for array in result.values():
        assert array.base is None
        assert array.flags.owndata
        assert array.flags.writeable
        assert array.flags.c_contiguous
    assert result.argmax.dtype == np.int32
    assert result[0].dtype == np.float32
    module.forward(picture(seed=1), [0, 1])
    module.delete()
    del module
    gc.collect()
    for key, array in kept.items():
        np.testing.assert_array_equal(result[key], array)


def test_the_image_is_only_read(module: ImageSegmentationModule) -> None:
    image = picture(33, 44)
    before = image.copy()
    image.setflags(write=False)
    module.forward(image, [0], resize=True)
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize("make", [list, tuple, set, iter, lambda labels: (x for x in labels)])
def test_classes_may_be_any_iterable(make: Any, module: ImageSegmentationModule) -> None:
    result = module.forward(picture(), make([0, 2]))
    assert {int(key) for key in result} == {0, 2, 3}


def test_asking_for_fewer_classes_changes_nothing(module: ImageSegmentationModule) -> None:
    everything = module.forward(picture(), [0, 1, 2], resize=True)
    for labels in ([], [1], [2, 0]):
        result = module.forward(picture(), labels, resize=True)
        for key in result:
            np.testing.assert_array_equal(result[key], everything[key])


def test_argmax_as_bytes(module: ImageSegmentationModule) -> None:
    small = ImageSegmentationModule(argmax_dtype="uint8")
    small.load(program("logits_c3"))
    argmax = small.forward(picture(), resize=True).argmax
    assert argmax.dtype == np.uint8
    np.testing.assert_array_equal(argmax, module.forward(picture(), resize=True).argmax)
    with pytest.raises(etseg.InvalidConfigError, match=r"'int64'.*'int32' or 'uint8'"):
        ImageSegmentationModule(argmax_dtype="int64")  # type: ignore[arg-type]


def test_out_is_written_over(module: ImageSegmentationModule) -> None:
    out = module.forward(picture(), [1])
    arrays = [out.argmax, out[1]]
    expected = module.forward(picture(seed=1), [1])
    again = module.forward(picture(seed=1), [1], out=out)
    assert again is out
    assert again.argmax is arrays[0]
    assert again[1] is arrays[1]
    np.testing.assert_array_equal(arrays[0], expected.argmax)
    np.testing.assert_array_equal(arrays[1], expected[1])


@pytest.mark.parametrize(
    ("image", "classes", "resize", "word"),
    [
        (picture(), [0], False, "classes"),
        (picture(), [], False, "classes"),
        (picture(25, 40), [1], True, "size"),
    ],
)
def test_out_that_does_not_fit(
    image: Any, classes: list[int], resize: bool, word: str, module: ImageSegmentationModule
) -> None:
    out = module.forward(picture(), [1])
    with pytest.raises(etseg.InvalidUserInputError, match=f"out cannot be reused: its {word}"):
        module.forward(image, classes, resize, out=out)


def test_out_of_another_kind(module: ImageSegmentationModule) -> None:
    out = module.forward(picture())
    with pytest.raises(etseg.InvalidUserInputError, match=r"out is a dict.*forward\(\)"):
        module.forward(picture(), out={})  # type: ignore[arg-type]
    small = ImageSegmentationModule(argmax_dtype="uint8")
    small.load(program("logits_c3"))
    with pytest.raises(etseg.InvalidUserInputError, match="ARGMAX"):
        small.forward(picture(), out=out)
    module.load({"model_source": program("logits_c3"), "labels": ["a", "b", "c"]})
    with pytest.raises(etseg.InvalidUserInputError, match="labels"):
        module.forward(picture(), out=out)


def test_timings_add_up(module: ImageSegmentationModule) -> None:
    timings = module.forward(picture(), [0], resize=True).timings
    stages = (timings.decode, timings.preprocess, timings.inference, timings.postprocess)
    assert min(stages) >= 0
    assert timings.inference > 0
    assert sum(stages) <= timings.total


def test_warmup_changes_nothing(module: ImageSegmentationModule) -> None:
    before = module.forward(picture()).argmax
    assert module.warmup() is None  # type: ignore[func-returns-value]
    np.testing.assert_array_equal(module.forward(picture()).argmax, before)
