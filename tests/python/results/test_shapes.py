"""Areas, boxes, masks and contours: of the image, whatever the size of the maps."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from dataclasses import FrozenInstanceError
from fractions import Fraction
from typing import Any

import cv2
import numpy as np
import pytest

import etseg
from conftest import Image
from etseg import DeeplabLabel, SelfieSegmentationLabel
from eyes import encoded, eyes, smooth, stored_for
from programs import picture, program

#: Of images; the maps of `eyes` are 24x40 unless resized.
SIZES = [(24, 40), (48, 80), (120, 200), (31, 57), (97, 40), (24, 39), (7, 5), (1, 1), (3, 500)]

Labels = Callable[[etseg.SegmentationResult], Any]


@pytest.fixture(scope="module")
def module() -> Any:
    with eyes() as module:
        yield module


def rectangle(height: int, width: int, x0: int, y0: int, x1: int, y1: int) -> Image:
    """Blue on red."""
    image = np.zeros((height, width, 3), np.uint8)
    image[..., 0] = 255
    image[y0:y1, x0:x1] = (0, 0, 255)
    return image


def with_labels(module: Any, labels: Any, **options: Any) -> etseg.SegmentationResult:
    """A result whose ARGMAX is this, of the image's size."""
    labels = np.asarray(labels)
    result = module.forward(np.zeros((*labels.shape, 3), np.uint8), resize=True, **options)
    result.argmax[:] = labels
    return result


def filled(contour: etseg.Contour, size: tuple[int, int]) -> Any:
    """The region that a contour and its holes enclose."""
    canvas = np.zeros(size, np.uint8)
    outlines = [contour.exterior, *contour.holes]
    integers = [outline.astype(np.int32)[:, None] for outline in outlines]
    for outline, exact in zip(outlines, integers, strict=True):
        np.testing.assert_array_equal(exact[:, 0], outline)
    cv2.drawContours(canvas, integers, -1, 1, cv2.FILLED)
    return canvas > 0


class TestEveryShapeIsOfTheImage:
    @pytest.mark.parametrize("size", SIZES)
    def test_at_any_size(self, size: tuple[int, int], module: Any, image_labels: Labels) -> None:
        """Against each pixel of the image, asked one by one."""
        result = module.forward(smooth(*size))
        assert result.size == (24, 40)
        assert result.image_size == size
        rng = np.random.default_rng(sum(size))
        for labels in (rng.integers(0, 3, (24, 40)), rng.integers(0, 40, (24, 40)) // 39, 1):
            result.argmax[:] = labels
            expected = image_labels(result)
            areas, boxes = result.areas(), result.boxes()
            present = []
            for member in result.labels:
                if member.name == "ARGMAX":
                    continue
                y, x = np.nonzero(expected == member)
                assert areas[member].pixels == len(x)
                assert areas[member].share == pytest.approx(len(x) / expected.size, rel=1e-12)
                if len(x):
                    present.append(member)
                    assert boxes[member] == (x.min(), y.min(), x.max() + 1, y.max() + 1)
                regions = [filled(c, size) for c in result.contours(member)]
                drawn = np.logical_or.reduce(regions) if regions else np.zeros(size, bool)
                np.testing.assert_array_equal(drawn, expected == member)
            assert result.present_labels() == tuple(present) == tuple(boxes)
            assert sum(area.pixels for area in areas.values()) == expected.size

    @pytest.mark.parametrize("times", [1, 2, 5])
    def test_a_mirrored_image_has_mirrored_shapes(self, times: int, module: Any) -> None:
        """Half-pixel centres: whoever maps corners, or rounds one way, is off to one side."""
        height, width = 24 * times, 40 * times
        result, mirrored = (module.forward(smooth(height, width)) for _ in range(2))
        result.argmax[:] = np.random.default_rng(5).integers(0, 30, (24, 40)) // 29
        mirrored.argmax[:] = result.argmax[::-1, ::-1]
        x0, y0, x1, y1 = result.boxes()[result.labels(1)]
        box = (width - x1, height - y1, width - x0, height - y0)
        assert mirrored.boxes()[result.labels(1)] == box
        there = np.concatenate([c.exterior for c in result.contours(1)])
        back = np.concatenate([c.exterior for c in mirrored.contours(1)])
        turned = np.array([width - 1, height - 1], np.float32) - back
        assert set(map(tuple, there)) == set(map(tuple, turned))

    @pytest.mark.parametrize("size", [(240, 400), (301, 377), (1200, 600)])
    def test_agrees_with_the_maps_of_the_images_size(
        self, size: tuple[int, int], module: Any
    ) -> None:
        """A rectangle of whole pixels of the image, found from maps of either size."""
        height, width = size
        truth = (width // 5, height // 3, width * 3 // 4, height * 7 // 8)
        image = rectangle(height, width, *truth)
        small, full = (module.forward(image, resize=resize) for resize in (False, True))
        cell = (width / 40, height / 24)
        for result, most in ((small, 0.5), (full, 0.1)):
            box = result.boxes()[result.labels["B"]]
            edges = result.contours("B")[0].exterior
            (left, top), (right, bottom) = edges.min(0), edges.max(0)
            assert (left, top, right + 1, bottom + 1) == box
            for axis, (have, want) in enumerate(zip(box, truth, strict=True)):
                assert abs(have - want) <= most * cell[axis % 2] + 1
        share = [result.areas()[result.labels["B"]].share for result in (small, full)]
        exact = (truth[2] - truth[0]) * (truth[3] - truth[1]) / (height * width)
        assert share[1] == pytest.approx(exact, rel=0.01)
        assert share[0] == pytest.approx(exact, rel=0.06)

    @pytest.mark.parametrize("resize", [False, True])
    @pytest.mark.parametrize("orientation", range(1, 9))
    def test_of_the_image_as_a_person_sees_it(
        self, orientation: int, resize: bool, module: Any
    ) -> None:
        upright = rectangle(60, 90, 10, 20, 25, 50)
        data = encoded(stored_for(upright, orientation), "PNG", orientation)
        turned, plain = (module.forward(image, resize=resize) for image in (data, upright))
        assert turned.image_size == (60, 90)
        assert turned.boxes() == plain.boxes()
        assert turned.areas() == plain.areas()
        assert turned.to_coco_rle("B") == plain.to_coco_rle("B")
        np.testing.assert_array_equal(turned.overlay(alpha=0.2), plain.overlay(alpha=0.2))

    def test_a_jpeg_that_is_decoded_in_part(self, module: Any) -> None:
        """The image's size is that of the file, not of what was decoded."""
        image = rectangle(480, 800, 200, 160, 400, 240)
        result = module.forward(encoded(image, "JPEG", quality=95))
        assert result.image_size == (480, 800)
        assert result.boxes()[result.labels["B"]] == (200, 160, 400, 240)
        assert result.areas()[result.labels["B"]].pixels == 200 * 80


class TestAreas:
    def test_of_every_label(self, module: Any) -> None:
        result = with_labels(module, [[0, 0, 2], [0, 0, 0]])
        r, g, b = list(result.labels)[:3]
        assert result.areas() == {
            r: etseg.Area(5, 5 / 6),
            g: etseg.Area(0, 0.0),
            b: etseg.Area(1, 1 / 6),
        }
        for key in (b, "B", "b", 2, np.int64(2)):
            assert result.areas()[key].pixels == 1
            assert result.boxes()[key] == (2, 0, 3, 1)
        assert list(result.boxes()) == [r, b]
        assert "G" in result.areas()
        assert "G" not in result.boxes()
        with pytest.raises(etseg.LabelError, match=r"nothing for G\. There is for: R, B"):
            result.boxes()["G"]
        for wrong in ("X", 3, "ARGMAX", True):
            with pytest.raises(etseg.LabelError):
                result.areas()[wrong]
        assert repr(result.boxes()) == "{'R': (0, 0, 3, 2), 'B': (2, 0, 3, 1)}"
        with pytest.raises(FrozenInstanceError):
            result.areas()[2].pixels = 2  # type: ignore[misc]

    def test_of_hundreds_of_labels(self) -> None:
        with etseg.ImageSegmentationModule() as module:
            module.load(program("logits_c300"))
            result = module.forward(smooth(16, 24))
        result.argmax[:] = np.arange(96).reshape(8, 12) * 3
        areas = result.areas()
        assert [areas[i].pixels for i in range(300)] == [
            4 * (i % 3 == 0 and i < 288) for i in range(300)
        ]
        assert result.boxes()[result.labels(39)] == (2, 2, 4, 4)
        assert len(result.present_labels()) == 96


class TestMask:
    def test_by_argmax(self, module: Any) -> None:
        result = with_labels(module, [[0, 1, 2], [1, 1, 0]])
        mask = result.mask("G")
        assert mask.dtype == bool
        assert mask.tolist() == [[False, True, False], [True, True, False]]
        result.argmax[:] = 0
        assert mask.any()  # a new array, no view

    def test_by_probability(self, module: Any) -> None:
        result = module.forward(smooth(), ["G"])
        probability = result["G"]
        probability[0, :3] = (0.25, np.nextafter(np.float32(0.25), np.float32(0)), np.nan)
        mask = result.mask("G", 0.25)
        assert mask[0, :3].tolist() == [True, False, False]
        np.testing.assert_array_equal(mask, probability >= 0.25)
        assert mask.dtype == bool
        assert result.mask(1, threshold=np.float32(1.0)).sum() == (probability == 1).sum()

    def test_has_the_maps_size(self, module: Any) -> None:
        assert module.forward(smooth(11, 13)).mask(0).shape == (24, 40)
        assert module.forward(smooth(11, 13), resize=True).mask(0).shape == (11, 13)

    @pytest.mark.parametrize("size", SIZES)
    def test_can_have_the_images_size(
        self, size: tuple[int, int], module: Any, image_labels: Labels
    ) -> None:
        image = smooth(*size)
        result = module.forward(image, ["G"])
        result.argmax[:] = np.random.default_rng(1).integers(0, 3, (24, 40))
        mask = result.mask("G", size="image")
        np.testing.assert_array_equal(mask, image_labels(result) == 1)
        assert mask.dtype == bool
        assert image[mask].ndim == 2
        sure = result.mask("G", 0.5, size="image")
        result.argmax[:] = result["G"] >= 0.5
        np.testing.assert_array_equal(sure, image_labels(result) == 1)
        np.testing.assert_array_equal(result.mask("G", size="maps"), np.asarray(result.argmax) == 1)

    @pytest.mark.parametrize("size", ["", "model", None, (3, 4)])
    def test_has_no_other_size(self, size: Any, module: Any) -> None:
        with pytest.raises(etseg.InvalidUserInputError, match=r"size is .*'maps' or 'image'"):
            module.forward(smooth()).mask("G", size=size)

    def test_a_threshold_wants_the_map(self, module: Any) -> None:
        with pytest.raises(etseg.LabelError, match=r"no probability map of G.*classes_of_interest"):
            module.forward(smooth(), ["R"]).mask("G", 0.5)

    @pytest.mark.parametrize("threshold", [-0.1, 1.5, math.nan, math.inf, True, "0.5", [0.5]])
    def test_a_threshold_is_a_probability(self, threshold: Any, module: Any) -> None:
        with pytest.raises(etseg.InvalidUserInputError, match=r"threshold is .* from 0 to 1"):
            module.forward(smooth(), ["R"]).mask("R", threshold)

    @pytest.mark.parametrize(
        ("name", "activation"), [("sigmoid_c1", "none"), ("logits_c1", "sigmoid")]
    )
    def test_of_one_channel(self, name: str, activation: str) -> None:
        """Label 1 is what label 0 is not."""
        with etseg.ImageSegmentationModule() as module:
            module.load(
                {"model_source": program(name), "activation": activation, "mean": (0.5, 0.5, 0.5)}
            )
            result = module.forward(255 * (picture() // 128), [0, 1])
        selfie, background = SelfieSegmentationLabel.SELFIE, SelfieSegmentationLabel.BACKGROUND
        assert result.mask(selfie).any()
        assert result.mask(background).any()
        np.testing.assert_array_equal(result.mask(selfie), ~result.mask(background))
        np.testing.assert_array_equal(result.mask(selfie), result.mask(selfie, 0.5))
        areas = result.areas()
        assert areas[selfie].pixels == result.mask(selfie).sum()
        assert areas[selfie].pixels + areas[background].pixels == 24 * 40
        assert result.present_labels() == (selfie, background)


class TestContours:
    def test_a_square_with_a_hole_and_an_island(self, module: Any) -> None:
        labels = np.zeros((40, 50), int)
        labels[5:35, 10:40] = 1
        labels[12:25, 15:30] = 2
        labels[16:20, 18:25] = 1  # an island in the hole: a region of its own
        square, island = with_labels(module, labels).contours("G")
        assert square.exterior.dtype == np.float32
        assert set(map(tuple, square.exterior)) == {(10, 5), (39, 5), (39, 34), (10, 34)}
        (hole,) = square.holes
        assert hole.dtype == np.float32
        # On the label's own pixels, around the hole; its corners belong to two sides.
        assert (hole.min(0).tolist(), hole.max(0).tolist()) == ([14, 11], [30, 25])
        assert set(map(tuple, island.exterior)) == {(18, 16), (24, 16), (24, 19), (18, 19)}
        assert island.holes == ()
        with pytest.raises(FrozenInstanceError):
            square.holes = ()  # type: ignore[misc]

    def test_the_largest_first(self, module: Any) -> None:
        labels = np.zeros((30, 90), int)
        for x, side in ((0, 5), (20, 25), (50, 1), (60, 12)):
            labels[2 : 2 + side, x : x + side] = 2
        contours = with_labels(module, labels).contours("B")
        assert [np.ptp(c.exterior[:, 0]) + 1 for c in contours] == [25, 12, 5, 1]
        assert contours[-1].exterior.tolist() == [[50, 2]]

    def test_touching_corners_are_one_region(self, module: Any) -> None:
        assert len(with_labels(module, np.eye(6, dtype=int)).contours("G")) == 1

    def test_of_a_label_that_is_everywhere_or_nowhere(self, module: Any) -> None:
        result = with_labels(module, np.zeros((6, 9), int))
        (whole,) = result.contours("R")
        assert set(map(tuple, whole.exterior)) == {(0, 0), (8, 0), (8, 5), (0, 5)}
        assert result.contours("B") == ()

    @pytest.mark.parametrize("resize", [False, True])
    def test_simplify_is_in_pixels_of_the_image(self, resize: bool, module: Any) -> None:
        """No point that is left out lies farther from the simplified outline than that."""
        image = np.zeros((480, 800, 3), np.uint8)
        cv2.ellipse(image, (400, 240), (300, 150), 20, 0, 360, (0, 0, 255), -1)
        image[..., 0] = 255 - image[..., 2]
        result = module.forward(image, resize=resize)
        (exact,) = result.contours("B")
        before = len(exact.exterior)
        for pixels in (1.0, 5, np.float32(25)):
            (simple,) = result.contours("B", simplify=pixels)
            assert len(simple.exterior) <= before
            before = len(simple.exterior)
            corners = set(map(tuple, exact.exterior))
            assert set(map(tuple, simple.exterior)) <= corners
            outline = simple.exterior.reshape(-1, 1, 2)
            away = [
                abs(cv2.pointPolygonTest(outline, (float(x), float(y)), True)) for x, y in corners
            ]
            assert max(away) <= pixels + 1e-3
        assert before < len(exact.exterior) / 4

    @pytest.mark.parametrize(
        "simplify", [1e5, 1e300, sys.float_info.max, 10**400, Fraction(10**400, 3)]
    )
    def test_simplify_beyond_the_image_is_as_far_as_the_image(
        self, simplify: Any, module: Any
    ) -> None:
        result = module.forward(smooth())
        for far, image in zip(
            result.contours("R", simplify),
            result.contours("R", sum(result.image_size)),
            strict=True,
        ):
            np.testing.assert_array_equal(far.exterior, image.exterior)

    @pytest.mark.parametrize("simplify", [-1, -(10**400), math.nan, math.inf, True, "2", None])
    def test_simplify_is_a_number_of_pixels(self, simplify: Any, module: Any) -> None:
        with pytest.raises(etseg.InvalidUserInputError, match=r"simplify is .*expected a"):
            module.forward(smooth()).contours("R", simplify)


CALLS: dict[str, Callable[[etseg.SegmentationResult, Any], object]] = {
    "mask": lambda result, label: result.mask(label),
    "mask of a threshold": lambda result, label: result.mask(label, 0.5),
    "contours": lambda result, label: result.contours(label),
    "to_coco_rle": lambda result, label: result.to_coco_rle(label),
    "cutout": lambda result, label: result.cutout(label),
}


class TestLabels:
    @pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
    def test_argmax_is_none(self, call: Any, module: Any) -> None:
        result = module.forward(smooth())
        for label in ("ARGMAX", "argmax", result.labels["ARGMAX"]):
            with pytest.raises(
                etseg.LabelError, match="not a label; expected one of them, such as 'R'"
            ):
                call(result, label)

    @pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
    @pytest.mark.parametrize("label", ["CAT", 3, -1, True, None, 1.0, DeeplabLabel.BACKGROUND])
    def test_unknown_ones_are_named(self, call: Any, label: Any, module: Any) -> None:
        if label is None and call is CALLS["cutout"]:
            return  # all but the background
        with pytest.raises(etseg.LabelError, match=r"is not a label of this model.*R, G, B"):
            call(module.forward(smooth()), label)

    @pytest.mark.parametrize("value", [3, -1, 255, 256])
    def test_an_argmax_that_was_changed_is_said_to_be(self, value: int, module: Any) -> None:
        """Not counted as another label: 256 is 0 in a byte."""
        result = module.forward(smooth())
        result.argmax[3, 4] = value
        for call in (
            result.areas,
            result.boxes,
            result.present_labels,
            result.colorize,
            result.overlay,
        ):
            with pytest.raises(etseg.InvalidUserInputError, match=f"ARGMAX holds {value}.* 0 to 2"):
                call()


def test_a_reused_result_is_that_of_its_last_image(module: Any) -> None:
    """Nothing of the image before is remembered: the maps have the same size, the images not."""
    first, second = rectangle(240, 400, 0, 0, 100, 100), rectangle(48, 120, 30, 12, 60, 24)
    result = module.forward(first, ["R"])
    assert result.boxes()[result.labels["B"]] == (0, 0, 100, 100)
    result.areas(), result.overlay(), result.contours("B")
    module.forward(second, ["R"], out=result)
    new = module.forward(second, ["R"])
    assert result.image_size == (48, 120)
    assert (
        result.boxes()
        == new.boxes()
        == {result.labels(0): (0, 0, 120, 48), result.labels(2): (30, 12, 60, 24)}
    )
    assert result.areas() == new.areas()
    assert result.to_coco_rle("B") == new.to_coco_rle("B")
    np.testing.assert_array_equal(result.overlay(), new.overlay())
    np.testing.assert_array_equal(result.cutout("R"), new.cutout("R"))


@pytest.mark.parametrize("size", [(1, 40000), (40000, 1)])
def test_an_image_that_is_a_line(size: tuple[int, int], module: Any) -> None:
    """OpenCV takes no side longer than 32767 here and there."""
    image = np.zeros((*size, 3), np.uint8)
    image[..., 0] = 255
    long = max(size)
    image.reshape(long, 3)[long // 4 : long // 2] = (0, 0, 255)
    for resize in (False, True):
        result = module.forward(image, ["B"], resize=resize)
        box = result.boxes()[result.labels["B"]]
        expected = (long // 4, 0, long // 2, 1) if size[0] == 1 else (0, long // 4, 1, long // 2)
        assert np.abs(np.subtract(box, expected)).max() <= long / 48 + 1
        (contour,) = result.contours("B")
        assert np.ptp(contour.exterior, axis=0).max() == max(box[2] - box[0], box[3] - box[1]) - 1
        assert result.overlay(outline=True).shape == (*size, 3)
        assert result.cutout("B").shape == result.colorize().shape == (*size, 4)
        assert result._repr_png_() is not None
        assert result._repr_html_() is not None
