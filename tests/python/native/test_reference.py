"""etseg against the plain reference in reference.py, stage by stage, without any other runtime.

What the network itself returned is had by loading the same program with the activation "none" and
asking for all maps at the program's own size: nothing is computed on them then. So everything
after the network is compared from the network's own numbers. What the network is given is had from
a program that returns its input.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest

import etseg
import reference
from conftest import MODELS, Image

Loaded = Callable[..., etseg.ImageSegmentationModule]
Measured = Callable[[str, object], None]

SIZES = {
    "1x1": (1, 1),
    "3x5": (3, 5),
    "vga": (480, 640),
    "1080p": (1080, 1920),
    "12mp": (3024, 4032),
}
# Maps are equal if they differ by no more than float32 arithmetic explains. Probabilities are at
# most 1 and one rounding is 6e-8; there are some ten of them and an exponential, 7e-7 was the most
# ever seen, and another processor's instructions may round otherwise. The promise is 1e-5.
TOLERANCE = 2e-6


def all_labels(module: etseg.ImageSegmentationModule) -> list[str]:
    return [member.name for member in module.labels if member.name != "ARGMAX"]


def network_output(loaded: Loaded, name: str, image: Image) -> npt.NDArray[np.float32]:
    """What the program returned for the image: float32 (channels, h, w)."""
    raw = loaded(name, activation="none")
    result = raw.forward(image, all_labels(raw))
    planes = np.stack([result[label] for label in all_labels(raw)])
    one_channel = raw.labels is etseg.SelfieSegmentationLabel  # the second map is 1 - the first
    return planes[:1] if one_channel else planes


def compare(
    results: Sequence[etseg.SegmentationResult],
    logits: npt.NDArray[np.float32],
    activation: str,
    every: int = 1,
) -> list[reference.Agreement]:
    """All maps of each result with the reference's."""
    pairs = [
        (result.argmax, {int(key): result[key] for key in list(result)[1:]}) for result in results
    ]
    return reference.compare(pairs, logits, activation, every)


class TestAfterTheNetwork:
    """Upsampling, activation, ARGMAX."""

    @pytest.mark.parametrize("resize", [False, True], ids=["native", "resized"])
    @pytest.mark.parametrize("size", list(SIZES))
    @pytest.mark.parametrize("name", MODELS)
    def test_maps_are_the_reference_s(
        self,
        name: str,
        size: str,
        resize: bool,
        loaded: Loaded,
        photo_of_size: Callable[[int, int], Image],
        measured: Measured,
    ) -> None:
        """For all, some and no classes: each may go through code of its own."""
        module = loaded(name)
        labels = all_labels(module)
        image = photo_of_size(*SIZES[size])
        logits = network_output(loaded, name, image)
        activation = module.spec.activation
        assert activation is not None
        # At 12 megapixels the reference looks at every 7th row: 7 meets every phase of the cells.
        every = 7 if resize and size == "12mp" else 1
        asked: tuple[Any, ...] = (labels, labels[-6::5], [])
        results = [module.forward(image, classes, resize) for classes in asked]
        found = compare(results, logits, activation, every)
        for classes, result, agreement in zip(asked, results, found, strict=True):
            measured(f"{len(classes)} classes", agreement)
            assert result.size == (SIZES[size] if resize else module.output_size)
            assert len(result) == 1 + len(classes)
            assert agreement.wrong == 0
            assert agreement.error <= TOLERANCE

    @pytest.mark.parametrize("size", [(37, 53), (256, 256), (1080, 1920)])
    def test_sigmoid(
        self,
        size: tuple[int, int],
        loaded: Loaded,
        photo_of_size: Callable[[int, int], Image],
        measured: Measured,
    ) -> None:
        """The selfie program's output taken for a logit: upsampled first, then the sigmoid."""
        module = loaded("selfie", activation="sigmoid")
        image = photo_of_size(*size)
        logits = network_output(loaded, "selfie", image)
        result = module.forward(image, ["SELFIE", "BACKGROUND"], resize=True)
        [found] = compare([result], logits, "sigmoid")
        measured("sigmoid", found)
        assert found.wrong == 0
        assert found.error <= TOLERANCE
        assert not result.argmax.any()  # sigmoid(0..1) is never below one half

    def test_the_background_of_one_channel_is_the_rest(self, selfie: Any, astronaut: Image) -> None:
        """And ARGMAX is 1 only where the foreground is below one half."""
        result = selfie.forward(astronaut, ["SELFIE", "BACKGROUND"], resize=True)
        np.testing.assert_array_equal(result["BACKGROUND"], np.float32(1.0) - result["SELFIE"])
        np.testing.assert_array_equal(result.argmax, (result["SELFIE"] < 0.5).astype(np.int32))


@pytest.fixture(scope="module")
def programs(data: Path) -> Path:
    """Programs of a few KB whose function is known; input and output are 24 x 40."""
    folder = data / "programs"
    if not (folder / "identity.pte").exists():
        pytest.skip(f"the test programs are not in {folder}")
    return folder


@pytest.fixture(scope="module")
def probe(programs: Path) -> Callable[..., etseg.ImageSegmentationModule]:
    """probe(name, **spec): one of those programs, loaded with red, green and blue as labels."""

    def load(name: str, **fields: Any) -> etseg.ImageSegmentationModule:
        module = etseg.ImageSegmentationModule()
        fields = {"labels": ("R", "G", "B"), "resample": "bilinear", **fields}
        module.load(etseg.ModelSpec(model_source=programs / f"{name}.pte", **fields))
        return module

    return load


RGB = ("R", "G", "B")
IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}


class TestBeforeTheNetwork:
    """Resize, normalise, layout: seen by a program that returns what it is given."""

    SOURCES = (*SIZES.values(), (24, 40), (12, 20), (25, 41), (240, 400), (5, 400), (300, 3))

    @pytest.mark.parametrize("normalised", [False, True], ids=["plain", "imagenet"])
    @pytest.mark.parametrize("resample", ["bilinear", "antialias"])
    @pytest.mark.parametrize("size", SOURCES, ids=lambda size: "x".join(map(str, size)))
    def test_input_is_the_reference_s(
        self,
        size: tuple[int, int],
        resample: str,
        normalised: bool,
        probe: Loaded,
        photo_of_size: Callable[[int, int], Image],
        measured: Measured,
    ) -> None:
        """Noise on top of the photograph: a smooth image forgives a wrong tap."""
        fields: dict[str, Any] = IMAGENET if normalised else {}
        noise = np.random.default_rng(7).integers(0, 256, (*size, 3), np.uint8)
        image = photo_of_size(*size) // 2 + noise // 2
        with probe("identity", activation="none", resample=resample, **fields) as module:
            result = module.forward(image, RGB)
        expected = reference.preprocess(image, result.size, resample=resample, **fields)
        error = max(float(np.abs(result[c] - expected[i]).max()) for i, c in enumerate(RGB))
        measured("input error", error)
        # In units of the input: 1/std is up to 4.5 and the values up to 2.7. One rounding of the
        # sum of taps (at most 255, so 1.5e-5 of it) is 6e-8 after scaling to 1.
        assert error <= (5e-6 if normalised else 1e-6)

    def test_exact_where_nothing_is_resized(
        self, probe: Loaded, photo_of_size: Callable[[int, int], Image]
    ) -> None:
        """Byte b becomes b / 255 to the last bit but one."""
        image = photo_of_size(24, 40)
        for resample in ("bilinear", "antialias"):
            with probe("identity", activation="none", resample=resample) as module:
                result = module.forward(image, RGB)
            for i, channel in enumerate(RGB):
                np.testing.assert_array_max_ulp(
                    result[channel], (image[..., i] / 255.0).astype(np.float32), 1
                )

    def test_grey_alpha_and_bgr_files(
        self, probe: Loaded, tmp_path: Path, photo_of_size: Callable[[int, int], Image]
    ) -> None:
        """The channels arrive red first, whatever the image's own order was."""
        image = photo_of_size(24, 40)
        path = tmp_path / "image.png"
        cv2.imwrite(str(path), image[..., ::-1])
        alpha = np.full((24, 40, 1), 9, np.uint8)
        with probe("identity", activation="none") as module:
            expected = module.forward(image, RGB)
            for same in (path, np.concatenate([image, alpha], axis=2)):
                for channel in RGB:
                    np.testing.assert_array_equal(
                        module.forward(same, RGB)[channel], expected[channel]
                    )
            grey = module.forward(image[..., 1], RGB)
            for channel in RGB:
                np.testing.assert_array_equal(grey[channel], expected["G"])


class TestRules:
    """Ties, NaN and infinity, through real programs."""

    def test_ties_go_to_the_lowest_index(self, probe: Loaded) -> None:
        """Equal logits at every pixel: exact in float32, at every size."""
        cases = {(0, 0, 0): 0, (9, 200, 200): 1, (200, 9, 200): 0, (200, 200, 9): 0, (1, 2, 3): 2}
        with probe("identity", activation="softmax") as module:
            for colour, label in cases.items():
                for size in ((24, 40), (55, 33), (480, 640)):
                    image = np.full((*size, 3), colour, np.uint8)
                    result = module.forward(image, RGB, resize=True)
                    assert set(np.unique(result.argmax)) == {label}, colour
                    equal = [c for i, c in enumerate(RGB) if colour[i] == max(colour)]
                    for channel in equal:
                        np.testing.assert_array_equal(result[channel], result[equal[0]])

    @pytest.mark.parametrize(("activation", "red_mean"), [("none", 0.875), ("sigmoid", 0.375)])
    def test_one_half_is_foreground(self, activation: str, red_mean: float, probe: Loaded) -> None:
        """One channel at exactly one half is label 0; a little less is label 1.

        The program's weight of red is -1 and its bias -3/8, so a black image minus the mean gives
        1/2, or the logit 0, without any rounding.
        """
        image = np.zeros((24, 40, 3), np.uint8)
        image[:, 20:, 0] = 1
        fields: dict[str, Any] = {"labels": None, "mean": (red_mean, 0, 0)}
        with probe("logits_c1", activation=activation, **fields) as module:
            result = module.forward(image, ["SELFIE"], resize=True)
        assert set(np.unique(result["SELFIE"][:, :20])) == {0.5}
        np.testing.assert_array_equal(result.argmax[:, :20], 0)
        np.testing.assert_array_equal(result.argmax[:, 20:], 1)

    @pytest.mark.parametrize("activation", ["softmax", "none"])
    @pytest.mark.parametrize("name", ["log_c3", "reciprocal_c3"])
    @pytest.mark.parametrize("size", [(24, 40), (48, 80), (101, 63), (1080, 1920), (13, 21)])
    def test_nan_and_infinity(
        self, name: str, activation: str, size: tuple[int, int], probe: Loaded, measured: Measured
    ) -> None:
        """Where any weighted source logit of any class is not finite: ARGMAX 0, all maps NaN.

        The programs return log(logits) and 1 / logits. With this mean, the logits of black are
        3/16, 0 and 5/64, all exact: one of them becomes -inf or +inf. The second of blue is
        negative: log makes it NaN. Those of green are all above 0.
        """
        black, blue, green = (0, 0, 0), (0, 0, 30), (0, 30, 0)
        pattern = (np.arange(6)[:, None] * 5 + np.arange(8) * 3) % 7
        blocks = np.minimum(pattern, 2)  # one in seven black, one blue, the rest green
        small = np.array([black, blue, green], np.uint8)[blocks.repeat(4, 0).repeat(5, 1)]
        rows, columns = (np.arange(n) * m // n for n, m in zip(size, (24, 40), strict=True))
        image = small[rows][:, columns]

        mean = (0.5, 0.25, 0.125)
        with probe(name, activation="none", mean=mean) as raw:
            planes = raw.forward(image, RGB)
            logits = np.stack([planes[channel] for channel in RGB])
        void = np.isnan(logits).any(axis=0)
        if size == (24, 40):
            colour = blocks.repeat(4, 0).repeat(5, 1)
            np.testing.assert_array_equal(void, (colour == 0) | (colour == 1) & (name == "log_c3"))

        with probe(name, activation=activation, mean=mean) as module:
            result = module.forward(image, RGB, resize=True)
        expected = reference.postprocess(logits, size, activation)
        void = np.isnan(expected.probabilities[0])
        measured("share of void pixels", float(void.mean()))
        assert 0.03 < void.mean() < 0.7
        for channel in RGB:
            np.testing.assert_array_equal(np.isnan(result[channel]), void)
        np.testing.assert_array_equal(result.argmax[void], 0)
        if name == "reciprocal_c3":
            assert result.argmax[~void].any()  # 0 is not simply everywhere
        [found] = compare([result], logits, activation)
        assert found.wrong == 0
        largest = float(np.nanmax(np.abs(logits))) if activation == "none" else 1.0
        assert found.error <= TOLERANCE * max(largest, 1.0)


class TestImagesWhereTheyLie:
    """Arrays of any strides are read in place: the same bytes must give the same bits."""

    VIEWS: tuple[tuple[str, Callable[[Image], Image]], ...] = (
        ("rows", lambda a: a[::3]),
        ("columns", lambda a: a[:, 1::2]),
        ("window", lambda a: a[100:301, 51:400]),
        ("upside down", lambda a: a[::-1]),
        ("mirrored", lambda a: a[:, ::-1]),
        ("channels reversed", lambda a: a[..., ::-1]),
        ("all reversed", lambda a: a[::-1, ::-1, ::-1]),
        ("transposed", lambda a: a.transpose(1, 0, 2)),
        ("planar", lambda a: np.ascontiguousarray(a.transpose(2, 0, 1)).transpose(1, 2, 0)),
        ("fortran", lambda a: np.asfortranarray(a)),
        ("one row repeated", lambda a: np.broadcast_to(a[7:8], (64, *a.shape[1:]))),
        ("grey plane", lambda a: a[..., 1]),
        ("grey mirrored", lambda a: a[:, ::-2, 2]),
        ("with alpha", lambda a: np.dstack([a, a[..., 0]])[::-1]),
        ("one pixel", lambda a: a[5:6, 9:10]),
        ("one column", lambda a: a[:, 9:10]),
    )

    @pytest.mark.parametrize("resample", ["bilinear", "antialias"])
    @pytest.mark.parametrize(("_name", "view"), VIEWS, ids=[name for name, _ in VIEWS])
    def test_view_equals_copy(
        self,
        _name: str,
        view: Callable[[Image], Image],
        resample: str,
        loaded: Loaded,
        astronaut: Image,
    ) -> None:
        module = loaded("selfie", resample=resample)
        image = view(astronaut)
        assert_same(
            module.forward(image, ["SELFIE"], resize=True),
            module.forward(np.array(image, order="C"), ["SELFIE"], resize=True),
        )

    @pytest.mark.parametrize("resample", ["bilinear", "antialias"])
    def test_alpha_is_ignored_and_grey_repeated(
        self, resample: str, loaded: Loaded, astronaut: Image
    ) -> None:
        module = loaded("selfie", resample=resample)
        noise = np.random.default_rng(3).integers(0, 256, astronaut.shape[:2], np.uint8)
        rgba = np.dstack([astronaut, noise])
        assert_same(
            module.forward(rgba, ["SELFIE"], resize=True),
            module.forward(astronaut, ["SELFIE"], resize=True),
        )
        grey = astronaut[..., 1]
        assert_same(
            module.forward(grey, ["SELFIE"], resize=True),
            module.forward(np.dstack([grey, grey, grey]), ["SELFIE"], resize=True),
        )

    def test_file_equals_array(self, selfie: Any, tmp_path: Path, astronaut: Image) -> None:
        """OpenCV reads and writes blue first; what the caller sees of that is nothing."""
        path = tmp_path / "lossless.png"
        cv2.imwrite(str(path), astronaut[..., ::-1])
        assert_same(
            selfie.forward(path, ["SELFIE"], resize=True),
            selfie.forward(astronaut, ["SELFIE"], resize=True),
        )

    def test_the_image_is_not_written(self, selfie: Any, astronaut: Image) -> None:
        image = astronaut.copy()
        selfie.forward(image, ["SELFIE"], resize=True)
        np.testing.assert_array_equal(image, astronaut)


def assert_same(one: etseg.SegmentationResult, other: etseg.SegmentationResult) -> None:
    """Bit for bit, in every map."""
    assert list(one) == list(other)
    for key in one:
        np.testing.assert_array_equal(one[key], other[key])


class TestMapsOfOneResult:
    """What the maps of one result promise about each other."""

    @pytest.mark.parametrize("name", MODELS)
    @pytest.mark.parametrize("size", [None, (480, 640), (1080, 1920)], ids=str)
    def test_probabilities_and_argmax_agree(
        self,
        name: str,
        size: tuple[int, int] | None,
        loaded: Loaded,
        astronaut: Image,
        photo_of_size: Callable[[int, int], Image],
        measured: Measured,
    ) -> None:
        """In 0..1, summing to 1, and ARGMAX the largest of them: on every pixel."""
        module = loaded(name)
        image = astronaut if size is None else photo_of_size(*size)
        labels = all_labels(module)
        result = module.forward(image, labels, resize=size is not None)
        total = np.zeros(result.size, np.float64)
        top = np.full(result.size, -1.0, np.float32)
        for label in labels:
            plane = result[label]
            assert plane.dtype == np.float32
            assert plane.min() >= 0.0
            assert plane.max() <= 1.0
            total += plane
            np.maximum(top, plane, out=top)
        measured("sum - 1", float(np.abs(total - 1.0).max()))
        np.testing.assert_allclose(total, 1.0, rtol=0, atol=2e-6)

        assert result.argmax.dtype == np.int32
        assert result.argmax.min() >= 0
        assert result.argmax.max() < len(labels)
        chosen = np.zeros_like(top)
        for index, label in enumerate(labels):
            np.copyto(chosen, result[label], where=result.argmax == index)
        measured("top - chosen", float((top - chosen).max()))
        # Rounding may part them where two logits are all but equal.
        np.testing.assert_allclose(chosen, top, rtol=0, atol=2e-7)

    @pytest.mark.parametrize("name", ["selfie", "deeplab-257"])
    def test_a_map_does_not_depend_on_what_else_was_asked(
        self, name: str, loaded: Loaded, astronaut: Image
    ) -> None:
        """Same ARGMAX with all, one and no maps; same map alone and among all; twice the same."""
        module = loaded(name)
        labels = all_labels(module)
        for resize in (False, True):
            every = module.forward(astronaut, labels, resize)
            for _ in range(2):
                assert_same(every, module.forward(astronaut, labels, resize))
            one = module.forward(astronaut, labels[-1:], resize)
            np.testing.assert_allclose(one[labels[-1]], every[labels[-1]], rtol=0, atol=TOLERANCE)
            for few in (one, module.forward(astronaut, [], resize)):
                np.testing.assert_array_equal(few.argmax, every.argmax)
