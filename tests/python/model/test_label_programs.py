"""Programs that return labels: maps at both sizes, what is refused, what results do."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import pickle
from typing import Any

import numpy as np
import pytest

import commands
import etseg
from programs import Image, logits, picture, program

#: Each with the distance of the pixels that it looks at.
PROGRAMS = {"int64_output": 1, "labels_int32": 4, "labels_uint8": 4}


def loaded(name: str, **spec: Any) -> etseg.ImageSegmentationModule:
    module = etseg.ImageSegmentationModule()
    module.load({"model_source": program(name), **spec})
    return module


def labels_of(image: Image, stride: int) -> np.ndarray[Any, Any]:
    return logits(image, 3, stride=stride).argmax(axis=0)


def slow_nearest(plane: np.ndarray[Any, Any], height: int, width: int) -> np.ndarray[Any, Any]:
    """Each pixel by itself: the one of the plane in which its centre lies."""
    rows, columns = plane.shape
    return np.array(
        [
            [plane[(2 * y + 1) * rows // (2 * height), (2 * x + 1) * columns // (2 * width)]
             for x in range(width)]
            for y in range(height)
        ]
    )  # fmt: skip


@pytest.mark.parametrize(("name", "stride"), PROGRAMS.items())
@pytest.mark.parametrize("dtype", ["int32", "uint8"])
def test_argmax_is_what_the_program_returns(name: str, stride: int, dtype: Any) -> None:
    module = etseg.ImageSegmentationModule(argmax_dtype=dtype)
    module.load(program(name))
    image = picture()
    expected = labels_of(image, stride)
    result = module.forward(image)
    assert module.output_size == result.output_size == result.size == expected.shape
    assert result.argmax.dtype == dtype
    np.testing.assert_array_equal(result.argmax, expected)
    assert len(np.unique(expected)) == 2  # the first class never wins


@pytest.mark.parametrize(("name", "stride"), PROGRAMS.items())
@pytest.mark.parametrize("size", [(24, 40), (96, 160), (57, 31), (5, 7)])
def test_at_the_image_size_pixels_are_the_nearest(
    name: str, stride: int, size: tuple[int, int]
) -> None:
    module = loaded(name)
    image = picture(*size)
    own = module.forward(image)
    result = module.forward(image, resize=True)
    assert result.size == size
    assert result.output_size == (24 // stride, 40 // stride)
    np.testing.assert_array_equal(result.argmax, slow_nearest(own.argmax, *size))


def test_probabilities_are_refused_before_anything_is_read() -> None:
    module = loaded("labels_int32")
    assert not module.has_probabilities
    with pytest.raises(etseg.InvalidUserInputError, match=r"ROAD.*returns labels.*classes_of"):
        module.forward("no such file.jpg", ["road"])
    with pytest.raises(etseg.InvalidUserInputError, match="returns labels"):
        module.map([picture()], [0])
    with pytest.raises(etseg.LabelError, match="not a label"):
        module.forward(picture(), ["sea"])
    result = module.forward(picture(), ["ARGMAX"])
    assert list(result) == [module.labels.ARGMAX]  # type: ignore[attr-defined]
    assert not result.has_probabilities
    with pytest.raises(etseg.LabelError, match=r"no probability of ROAD.*labels"):
        result["road"]
    with pytest.raises(etseg.LabelError, match="no probability of ROAD"):
        result.mask("road", threshold=0.5)


def test_a_program_of_scores_says_so() -> None:
    module = loaded("stride4_c3")
    result = module.forward(picture(), resize=True)
    assert module.has_probabilities
    assert result.has_probabilities
    assert result.output_size == (6, 10)
    assert "from labels" not in repr(result)


def test_the_result_says_how_fine_it_is() -> None:
    module = loaded("labels_int32")
    assert ": " in repr(module.forward(picture()))
    assert "40x24 pixels in maps of 10x6: " in repr(module.forward(picture()))
    assert "40x24 pixels, from labels of 10x6: " in repr(module.forward(picture(), resize=True))


def test_labels_that_the_model_does_not_have() -> None:
    module = loaded("labels_below_zero")
    with pytest.raises(etseg.InvalidModelError, match=r"the label -1 at row \d+, column \d+"):
        module.forward(picture())
    module = loaded("labels_uint8", labels=["one", "two"])
    with pytest.raises(etseg.InvalidModelError, match=r"the label 2 .* labels 0 to 1"):
        module.forward(picture())


def test_what_is_assumed_of_labels_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "etseg"):
        module = loaded("labels_uint8")
        module.forward(picture())
        module.forward(picture())
    (message,) = [r.getMessage() for r in caplog.records if "assumed" in r.getMessage()]
    assert "256" in message
    assert "CLASS_0" in message
    assert len(module.labels) == 257
    assert "activation" not in message  # there is none


def test_what_does_not_fit_labels() -> None:
    with pytest.raises(etseg.InvalidConfigError, match=r"'softmax'.*returns labels"):
        loaded("labels_uint8", activation="softmax")
    assert loaded("labels_uint8", activation="none").spec.activation == "none"
    grid = {"kind": "align-corners", "size": (9, 9)}
    with pytest.raises(etseg.InvalidConfigError, match=r"labels.*half-pixel"):
        loaded("labels_uint8", logits_grid=grid)


@pytest.mark.parametrize("resize", [False, True])
def test_everything_that_needs_no_probability(resize: bool) -> None:
    module = loaded("labels_int32", background="tree")
    image = picture().repeat(2, axis=0).repeat(2, axis=1)
    result = module.forward(image, resize=resize)
    there = slow_nearest(module.forward(image).argmax, 48, 80)
    road = there == 1
    assert result.areas()["road"].pixels == road.sum()
    x0, y0, x1, y1 = result.boxes()["road"]
    rows, columns = np.nonzero(road)
    assert (x0, y0, x1, y1) == (
        columns.min(), rows.min(), columns.max() + 1, rows.max() + 1,
    )  # fmt: skip
    assert result.contours("road")
    assert result.to_coco_rle("road")["size"] == [48, 80]
    np.testing.assert_array_equal(result.mask("road"), result.argmax == 1)
    assert result.overlay(outline=True, legend=True).shape == (48, 80, 3)
    np.testing.assert_array_equal(result.colorize()[..., 3] == 255, road)
    np.testing.assert_array_equal(result.cutout("road")[..., 3], np.where(road, 255, 0))
    replaced = result.replace_background("white", "road")
    np.testing.assert_array_equal(replaced[road], image[road])
    file = io.BytesIO()
    result.save(file, kind="arrays")
    file.seek(0)
    np.testing.assert_array_equal(np.load(file)["ARGMAX"], result.argmax)
    again = pickle.loads(pickle.dumps(result))
    assert again.output_size == result.output_size
    assert repr(again) == repr(result)
    assert result._repr_html_() is not None


def test_streams_and_the_event_loop() -> None:
    module = loaded("int64_output")
    images = [picture(seed=seed) for seed in range(4)]
    expected = [labels_of(image, 1) for image in images]
    for result, labels in zip(module.map(images), expected, strict=True):
        np.testing.assert_array_equal(result.argmax, labels)
    result = asyncio.run(module.forward_async(images[0]))
    np.testing.assert_array_equal(result.argmax, expected[0])
    reused = module.forward(images[1], out=result)
    assert reused is result
    np.testing.assert_array_equal(result.argmax, expected[1])


def test_many_instances() -> None:
    module = etseg.ImageSegmentationModule(concurrency=2)
    module.load(program("labels_uint8"))
    images = [picture(seed=seed) for seed in range(6)]
    for image, result in zip(images, module.map(images), strict=True):
        np.testing.assert_array_equal(result.argmax, labels_of(image, 4))


def test_batches() -> None:
    from etseg.batch import Segmenter

    image = picture()
    (row,) = Segmenter(program("labels_int32"), ["ROAD"], ["areas", "mask_png"]).rows([image])
    assert row["error"] is None
    there = slow_nearest(labels_of(image, 4), 24, 40)
    assert [area["pixels"] for area in row["areas"]] == [int((there == 1).sum())]


def test_the_command(tmp_path: Any) -> None:
    import cv2

    image = picture().repeat(2, axis=0).repeat(2, axis=1)
    cv2.imwrite(str(tmp_path / "photo.png"), image[..., ::-1])
    done = commands.run(
        tmp_path, "segment", "photo.png", "--model", program("labels_int32"), "--classes", "road",
        "--cutout", "cut.png", "--npz", "maps.npz", "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (label,) = json.loads(done.stdout)["labels"]
    assert label["label"] == "ROAD"
    assert label["pixels"] > 0
    assert label["mean_probability"] is None
    assert "ARGMAX" in np.load(tmp_path / "maps.npz")
