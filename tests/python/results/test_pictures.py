"""overlay, colorize, cutout; and the image that a result keeps for them."""

from __future__ import annotations

import base64
import copy
import gc
import io
import math
import os
import pickle
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image as Pil

import etseg
from children import output_of
from conftest import Image
from eyes import encoded, eyes, smooth
from http_server import Server
from programs import picture, program
from reference import resize_bilinear

Labels = Callable[[etseg.SegmentationResult], Any]
COLOURS = {"R": (250, 10, 30), "B": (0, 200, 100)}


@pytest.fixture(scope="module")
def module() -> Any:
    with eyes() as module:
        yield module


def painted_slowly(image: Image, labels: Any, colours: dict[int, Any], alpha: float) -> Any:
    """(1 - alpha) * image + alpha * colour, in double, not rounded."""
    expected = image.astype(np.float64)
    for index, colour in colours.items():
        there = labels == index
        expected[there] = (1 - alpha) * expected[there] + alpha * np.array(colour)
    return expected


class TestOverlay:
    @pytest.mark.parametrize("alpha", [0, 0.25, 0.5, 0.9, 1, np.float32(0.3)])
    @pytest.mark.parametrize("size", [(24, 40), (31, 57), (7, 90)])
    def test_is_the_sum_it_says(
        self, size: tuple[int, int], alpha: Any, module: Any, image_labels: Labels
    ) -> None:
        image = picture(*size)
        result = module.forward(image)
        overlay = result.overlay(alpha=alpha, palette=COLOURS)
        assert (overlay.dtype, overlay.shape) == (np.uint8, (*size, 3))
        labels = image_labels(result)
        assert set(np.unique(labels)) == {0, 1, 2}
        expected = painted_slowly(image, labels, {0: COLOURS["R"], 2: COLOURS["B"]}, float(alpha))
        assert np.abs(overlay - expected).max() <= 0.5 + 1e-4
        np.testing.assert_array_equal(overlay[labels == 1], image[labels == 1])  # G: unpainted
        assert not np.shares_memory(overlay, image)

    def test_the_background_stays_as_it_is(self, selfie: Any, astronaut: Image) -> None:
        result = selfie.forward(astronaut, resize=True)
        overlay = result.overlay()
        person = result.mask("SELFIE")
        np.testing.assert_array_equal(overlay[~person], astronaut[~person])
        expected = painted_slowly(astronaut, result.argmax, {0: (255, 0, 255)}, 0.5)
        assert np.abs(overlay - expected).max() <= 0.5

    def test_the_default_colours_are_those_of_colorize(self, module: Any) -> None:
        for palette in ("bright", "voc", "colorblind", [[1, 2, 3], [4, 5, 6], [7, 8, 9]]):
            result = module.forward(smooth(50, 50))
            colours = result.colorize(palette)
            assert (colours[..., 3] == 255).all()
            opaque = result.overlay(alpha=1, palette=palette)
            np.testing.assert_array_equal(opaque, colours[..., :3])

    def test_an_outline_runs_between_labels(self, module: Any) -> None:
        image = np.zeros((100, 100, 3), np.uint8)
        image[:, :50, 0] = 255
        image[:, 50:, 2] = 255
        result = module.forward(image, resize=True)
        plain, lined = result.overlay(), result.overlay(outline=True)
        line = (lined == 255).all(axis=-1)
        assert line.any(axis=1).all()
        assert set(np.nonzero(line)[1]) <= {48, 49, 50, 51}
        np.testing.assert_array_equal(lined[~line], plain[~line])

    def test_of_hundreds_of_labels(self) -> None:
        with etseg.ImageSegmentationModule() as module:
            module.load(program("logits_c300"))
            result = module.forward(picture(80, 120))
        result.argmax[:] = np.arange(96).reshape(8, 12) * 3
        palette = np.random.default_rng(1).integers(0, 256, (300, 3))
        expected = np.repeat(np.repeat(palette[result.argmax], 10, axis=0), 10, axis=1)
        np.testing.assert_array_equal(result.overlay(alpha=1, palette=palette), expected)
        np.testing.assert_array_equal(result.colorize(palette)[..., :3], expected)
        assert (result.overlay(outline=True) == 255).all(axis=-1).any()

    @pytest.mark.parametrize("alpha", [-0.1, 1.01, math.nan, True, "0.5", None])
    def test_alpha_is_a_share(self, alpha: Any, module: Any) -> None:
        with pytest.raises(etseg.InvalidUserInputError, match=r"alpha is .* from 0 to 1"):
            module.forward(smooth()).overlay(alpha=alpha)


class TestColorize:
    @pytest.mark.parametrize("size", [(24, 40), (31, 57), (7, 90)])
    def test_is_of_the_image(
        self, size: tuple[int, int], module: Any, image_labels: Labels
    ) -> None:
        result = module.forward(picture(*size))
        table = np.array([[*COLOURS["R"], 255], [0, 0, 0, 0], [*COLOURS["B"], 255]], np.uint8)
        colours = result.colorize(COLOURS)
        assert (colours.dtype, colours.shape) == (np.uint8, (*size, 4))
        np.testing.assert_array_equal(colours, table[image_labels(result)])

    @pytest.mark.parametrize("dtype", ["int32", "uint8"])
    def test_of_either_type_of_argmax(self, dtype: Any) -> None:
        """And leaves the map as it is."""
        with eyes(argmax_dtype=dtype) as module:
            result = module.forward(smooth(), resize=True)
        before = result.argmax.copy()
        colours = result.colorize(COLOURS)
        colours[:] = 7
        np.testing.assert_array_equal(result.argmax, before)
        assert result.argmax.dtype == dtype


def opacity_of(probability: Any, haze: float = 0.1) -> Any:
    """What a cutout makes of a probability, in full precision."""
    return 255 * np.clip((probability - haze) / (1 - 2 * haze), 0, 1)


class TestCutout:
    @pytest.mark.parametrize("size", [(24, 40), (31, 57), (7, 90)])
    def test_hard(self, size: tuple[int, int], module: Any, image_labels: Labels) -> None:
        image = picture(*size)
        result = module.forward(image)
        cutout = result.cutout("B")
        assert (cutout.dtype, cutout.shape) == (np.uint8, (*size, 4))
        np.testing.assert_array_equal(cutout[..., :3], image)
        np.testing.assert_array_equal(cutout[..., 3], np.where(image_labels(result) == 2, 255, 0))

    @pytest.mark.parametrize("size", [(24, 40), (48, 80), (31, 57), (12, 20), (7, 90)])
    def test_soft(self, size: tuple[int, int], module: Any) -> None:
        """By the probability, bilinearly at the image's size, by the slow reference."""
        image = smooth(*size)
        result = module.forward(image, ["G"])
        cutout = result.cutout("G", foreground="image")
        np.testing.assert_array_equal(cutout[..., :3], image)
        expected = opacity_of(resize_bilinear(result["G"], *size))
        assert np.abs(cutout[..., 3] - expected).max() <= 0.5 + 1e-3
        assert len(np.unique(cutout[..., 3])) > 5

    def test_soft_at_the_images_size(self, selfie: Any, astronaut: Image) -> None:
        result = selfie.forward(astronaut, ["SELFIE"], resize=True)
        opacity = result.cutout("SELFIE")[..., 3]
        assert np.abs(opacity - opacity_of(result["SELFIE"])).max() <= 0.5 + 1e-3
        assert ((opacity > 0) & (opacity < 255)).any()
        # Of a label whose map was not asked for: hard.
        assert set(np.unique(result.cutout("BACKGROUND")[..., 3])) == {0, 255}

    @pytest.mark.parametrize("size", [(24, 40), (48, 80)])
    def test_nan_is_not_there(self, size: tuple[int, int], module: Any) -> None:
        result = module.forward(np.full((*size, 3), 255, np.uint8), ["R"])
        assert (result.cutout("R")[..., 3] == 255).all()
        result["R"][5, 7] = np.nan
        opacity = result.cutout("R", haze=0)[..., 3]
        times = size[0] // 24
        assert opacity[5 * times, 7 * times] < 255
        assert opacity.min() == (0 if times == 1 else round(255 * 7 / 16))
        assert (opacity[: 4 * times] == 255).all()
        assert np.isnan(result["R"]).sum() == 1  # as it was

    @pytest.mark.parametrize("haze", [0, 0.1, np.float32(0.25), 0.45])
    def test_haze(self, haze: float, module: Any) -> None:
        """What a network is hardly sure of does not show; at 0 the opacity is the probability."""
        result = module.forward(picture(24, 40), ["G"])
        result["G"][:] = np.linspace(0, 1, 24 * 40).reshape(24, 40)
        opacity = result.cutout("G", haze=haze)[..., 3]
        assert np.abs(opacity - opacity_of(result["G"], haze)).max() <= 0.5 + 1e-3
        assert (opacity[result["G"] <= haze] == 0).all()
        assert (opacity[result["G"] >= 1 - haze] == 255).all()
        clear = result.replace_background((9, 8, 7), "G", haze=haze)[opacity == 0]
        np.testing.assert_array_equal(clear, np.broadcast_to((9, 8, 7), clear.shape))

    @pytest.mark.parametrize("haze", [-0.1, 0.46, np.nan, "0.1", None, True])
    def test_what_is_no_haze(self, haze: Any, module: Any) -> None:
        result = module.forward(smooth(), ["G"])
        for make in (result.cutout, lambda **how: result.replace_background("red", **how)):
            with pytest.raises(etseg.InvalidUserInputError, match=r"haze is .* from 0 to 0\.45"):
                make(label="G", haze=haze)

    def test_several_labels(self, module: Any, image_labels: Labels) -> None:
        """Hard, or the sum of their probabilities."""
        image = smooth(31, 57)
        result = module.forward(image)
        there = np.isin(image_labels(result), [0, 2])
        opacity = result.cutout(["R", "B"])[..., 3]
        np.testing.assert_array_equal(opacity, np.where(there, 255, 0))
        np.testing.assert_array_equal(result.cutout(["B", 2, "R"])[..., 3], opacity)
        soft = module.forward(image, ["R", "B"])
        expected = opacity_of(resize_bilinear(soft["R"] + soft["B"], 31, 57))
        assert np.abs(soft.cutout(["B", "R"])[..., 3] - expected).max() <= 0.5 + 1e-3
        one = module.forward(image, ["R"])  # of the other there is no map
        np.testing.assert_array_equal(one.cutout(["R", "B"])[..., 3], opacity)

    def test_all_but_the_background(self, selfie: Any, astronaut: Image, module: Any) -> None:
        for asked in (["PERSON"], ["BACKGROUND"], []):
            result = selfie.forward(astronaut, asked, resize=True)
            opacity = result.cutout()[..., 3]
            person = opacity_of(selfie.forward(astronaut, ["PERSON"], resize=True)["PERSON"])
            if not asked:
                person = np.where(result.mask("PERSON"), 255, 0)
            assert np.abs(opacity - person).max() <= 0.5 + 1e-2
        with pytest.raises(etseg.InvalidUserInputError, match=r"no background.*label=") as caught:
            module.forward(smooth()).cutout()
        assert not isinstance(caught.value, etseg.LabelError)

    @pytest.mark.parametrize("labels", [[], ["R", "CAT"], ["R", "ARGMAX"], [["R"]]])
    def test_what_are_no_labels(self, labels: Any, module: Any) -> None:
        with pytest.raises(etseg.InvalidUserInputError, match="label"):
            module.forward(smooth()).cutout(labels)


class Tensor:
    """What has only ``__array__``."""

    def __init__(self, array: Image) -> None:
        self._array = array

    def __array__(self, dtype: Any = None, copy: Any = None) -> Image:
        return self._array


IMAGE = smooth(31, 57)
PNG = encoded(IMAGE, "PNG")


def sources(folder: Path) -> dict[str, Any]:
    path = folder / "a b.png"
    path.write_bytes(PNG)
    text = base64.b64encode(PNG).decode()
    return {
        "a path": path,
        "a string": str(path),
        "a URI": path.as_uri(),
        "a data URI": f"data:image/png;base64,{text}",
        "base64": text,
        "bytes": PNG,
        "a bytearray": bytearray(PNG),
        "a memoryview": memoryview(PNG),
        "an array": IMAGE,
        "a view": np.ascontiguousarray(IMAGE[::-1, ::-1])[::-1, ::-1],
        "four channels": np.dstack([IMAGE, IMAGE[..., 0]]),
        "a PIL image": Pil.fromarray(IMAGE),
        "a PIL file": Pil.open(io.BytesIO(PNG)),
        "a tensor": Tensor(IMAGE),
    }


KINDS = (
    "a path", "a string", "a URI", "a data URI", "base64", "bytes", "a bytearray", "a memoryview",
    "an array", "a view", "four channels", "a PIL image", "a PIL file", "a tensor",
)  # fmt: skip


class TestReplaceBackground:
    @pytest.mark.parametrize("size", [(24, 40), (31, 57)])
    @pytest.mark.parametrize("colour", [(250, 10, 30), "#fa0a1e", np.array([250, 10, 30])])
    def test_a_colour(self, size: tuple[int, int], colour: Any, module: Any) -> None:
        image = smooth(*size)
        result = module.forward(image, ["G"])
        picture = result.replace_background(colour, "G")
        assert (picture.dtype, picture.shape) == (np.uint8, (*size, 3))
        cutout = result.cutout("G")
        opacity = cutout[..., 3:] / 255
        expected = opacity * cutout[..., :3] + (1 - opacity) * np.array([250, 10, 30])
        assert np.abs(picture - expected).max() <= 0.5 + 1e-2

    def test_names_of_colours(self, module: Any) -> None:
        result = module.forward(smooth())
        for name, colour in (("white", (255, 255, 255)), ("Navy", "#000080")):
            np.testing.assert_array_equal(
                result.replace_background(name, "R"), result.replace_background(colour, "R")
            )

    @pytest.mark.parametrize("size", [(24, 40), (240, 40), (5, 7), (300, 900)])
    def test_an_image_covers_all(
        self, size: tuple[int, int], module: Any, image_labels: Labels, tmp_path: Path
    ) -> None:
        """Its centre stays its centre, and it is not distorted."""
        behind = np.zeros((*size, 3), np.uint8)
        behind[:, : size[1] // 2] = 200  # half of it, on the left
        path = tmp_path / "behind.png"
        assert cv2.imwrite(str(path), behind)
        image = smooth(24, 40)
        result = module.forward(image)
        picture = result.replace_background(path, "R")
        np.testing.assert_array_equal(picture, result.replace_background(behind, "R"))
        kept = image_labels(result) == 0
        np.testing.assert_array_equal(picture[kept], image[kept])
        rest = picture[..., 0].astype(int)
        assert (rest[:, :12][~kept[:, :12]] == 200).all()
        assert (rest[:, 28:][~kept[:, 28:]] == 0).all()

    def test_blur_keeps_the_person_and_casts_no_halo(self, selfie: Any) -> None:
        """Of a white person before black, nothing white is in the background."""
        image = np.zeros((400, 600, 3), np.uint8)
        image[100:300, 200:400] = 255
        result = selfie.forward(image, resize=True)
        result.argmax[:] = np.where(image[..., 0] > 0, 0, 1)
        picture = result.replace_background("blur", "PERSON")
        assert (picture[150:250, 250:350] == 255).all()
        assert picture[:80].max() <= 3
        assert picture[:, :180].max() <= 3
        checks = np.indices((400, 600)).sum(0) % 2 * 255
        image[...] = checks[..., None]
        result = selfie.forward(image, resize=True)
        result.argmax[:] = 1
        assert np.ptp(result.replace_background("blur", "PERSON").astype(int)) <= 40

    def test_what_is_no_background(self, module: Any, tmp_path: Path) -> None:
        result = module.forward(smooth())
        for background in (None, 7, object(), (1, 2), (1, 2, 300), np.zeros((2, 2))):
            with pytest.raises(etseg.InvalidUserInputError):
                result.replace_background(background, "R")
        for numbers in ((0.5, 0.5, 0.5), (256, 0, 0), [1, 2]):
            with pytest.raises(etseg.InvalidUserInputError, match=r"background is .* no colour"):
                result.replace_background(numbers, "R")
        with pytest.raises(FileNotFoundError):
            result.replace_background(tmp_path / "nowhere.png", "R")
        for word in ("whte", "#ff00"):
            with pytest.raises(FileNotFoundError, match=rf"'{word}' is no colour \(black, .*white"):
                result.replace_background(word, "R")


class TestTheImage:
    @pytest.mark.parametrize("kind", KINDS)
    def test_is_whatever_forward_took(self, kind: str, module: Any, tmp_path: Path) -> None:
        image = sources(tmp_path)[kind]
        result = module.forward(image)
        np.testing.assert_array_equal(result.overlay(alpha=0), IMAGE)
        np.testing.assert_array_equal(result.cutout("R")[..., :3], IMAGE)
        other = module.forward(255 - IMAGE)
        np.testing.assert_array_equal(other.overlay(image, alpha=0), IMAGE)
        np.testing.assert_array_equal(other.cutout("R", image)[..., :3], IMAGE)

    def test_grey(self, module: Any) -> None:
        grey = IMAGE[..., 1]
        overlay = module.forward(grey).overlay(alpha=0)
        np.testing.assert_array_equal(overlay, np.dstack([grey] * 3))

    @pytest.mark.parametrize("channels", [3, 4])
    def test_blue_first(self, channels: int, module: Any) -> None:
        """An array that is given for a picture is read as forward's was, and so comes back."""
        bgr = np.dstack([IMAGE[..., ::-1], IMAGE[..., 0]])[..., :channels]
        result = module.forward(bgr, channel_order="bgr")
        np.testing.assert_array_equal(result.overlay(alpha=0), bgr[..., :3])
        np.testing.assert_array_equal(result.overlay(bgr, alpha=0), bgr[..., :3])
        np.testing.assert_array_equal(result.overlay(PNG, alpha=0), bgr[..., :3])

    def test_a_jpeg_is_decoded_in_full(self, module: Any, astronaut: Image) -> None:
        """Though the forward saw an eighth of it."""
        photo = encoded(astronaut, "JPEG", quality=90)
        overlay = module.forward(photo).overlay(alpha=0)
        whole = cv2.imdecode(np.frombuffer(photo, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
        assert np.abs(overlay.astype(int) - whole).max() <= 2  # two decoders

    def test_is_kept_by_reference(self, module: Any) -> None:
        """What was written into the array meanwhile is what is shown; nobody has a copy."""
        image = IMAGE.copy()
        result = module.forward(image)
        image[:] = 9
        assert (result.overlay(alpha=0) == 9).all()

    def test_is_let_go_with_the_result(self, module: Any) -> None:
        image, other = IMAGE.copy(), IMAGE.copy()
        alive = weakref.ref(image)
        result = module.forward(image)
        del image
        gc.collect()
        assert alive() is not None
        module.forward(other, out=result)
        gc.collect()
        assert alive() is None

    def test_a_file_is_not_read_twice(self, module: Any, tmp_path: Path) -> None:
        (tmp_path / "a.png").write_bytes(PNG)
        with (tmp_path / "a.png").open("rb") as file:
            results = [module.forward(file), module.forward(io.BytesIO(PNG))]
        for result in results:
            for call in (result.overlay, lambda r=result: r.cutout("R")):
                with pytest.raises(etseg.InvalidUserInputError, match=r"open file.*image=\.\.\."):
                    call()
            np.testing.assert_array_equal(result.overlay(PNG, alpha=0), IMAGE)

    def test_a_url_is_not_downloaded_again(self, module: Any, server: Server) -> None:
        url = server.add("/a.png", PNG)
        result = module.forward(url)
        requests = len(server.requests)
        with pytest.raises(etseg.InvalidUserInputError, match=r"URL.*again.*image=\.\.\."):
            result.overlay()
        assert len(server.requests) == requests > 0
        result.overlay(url)
        assert len(server.requests) > requests

    def test_a_file_that_is_gone_or_another(self, module: Any, tmp_path: Path) -> None:
        path = tmp_path / "a.png"
        path.write_bytes(PNG)
        result = module.forward(path)
        path.write_bytes(encoded(smooth(10, 20), "PNG"))
        with pytest.raises(etseg.InvalidUserInputError, match=r"20x10 pixels.* had 57x31.*image="):
            result.overlay()
        path.unlink()
        with pytest.raises(etseg.FileReadError, match=r"a\.png"):
            result.cutout("R")

    def test_of_another_size(self, module: Any) -> None:
        """Not stretched: it is another picture."""
        result = module.forward(IMAGE)
        for call in (result.overlay, lambda image: result.cutout("R", image)):
            with pytest.raises(etseg.InvalidUserInputError, match=r"40x24 pixels.* had 57x31"):
                call(smooth())

    def test_what_is_none(self, module: Any) -> None:
        result = module.forward(IMAGE)
        with pytest.raises(etseg.InvalidUserInputError, match="float32"):
            result.overlay(IMAGE.astype(np.float32))
        with pytest.raises(etseg.InvalidUserInputError, match="int"):
            result.overlay(7)

    def test_within_the_modules_limits(self) -> None:
        with eyes(limits=etseg.Limits(max_pixels=31 * 57)) as module:
            result = module.forward(PNG)
        result.overlay()
        with pytest.raises(etseg.InvalidUserInputError, match="max_pixels"):
            result.overlay(encoded(smooth(58, 57), "PNG"))


class TestKeptPath:
    def test_wherever_the_process_goes(
        self, module: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Another file of that name elsewhere is not painted over."""
        (tmp_path / "elsewhere").mkdir()
        (tmp_path / "a.png").write_bytes(encoded(IMAGE, "PNG"))
        (tmp_path / "elsewhere" / "a.png").write_bytes(encoded(IMAGE[::-1], "PNG"))
        monkeypatch.chdir(tmp_path)
        results = [module.forward("a.png"), module.forward(Path("a.png"))]
        with os.scandir(".") as entries:
            results.append(module.forward(next(e for e in entries if e.name == "a.png")))
        monkeypatch.chdir("elsewhere")
        for result in results:
            for same in (result, pickle.loads(pickle.dumps(result))):
                np.testing.assert_array_equal(same.overlay(alpha=0), IMAGE)

    def test_a_file_that_has_gone(self, module: Any, tmp_path: Path) -> None:
        path = tmp_path / "a.png"
        path.write_bytes(encoded(IMAGE, "PNG"))
        result = module.forward(str(path))
        path.unlink()
        with pytest.raises(etseg.FileReadError, match=r"a\.png"):
            result.overlay()

    def test_a_deep_copy_is_of_the_same_image(self, module: Any) -> None:
        """As one takes before out= writes the maps over."""
        result = module.forward(IMAGE, ["R"])
        snapshot = copy.deepcopy(result)
        result.argmax[:] = 0
        result["R"][:] = 0
        assert snapshot["R"].any()
        np.testing.assert_array_equal(snapshot.overlay(alpha=0), IMAGE)


class TestPickled:
    def test_a_path_comes_along(self, module: Any, tmp_path: Path) -> None:
        image = sources(tmp_path)
        for kind in ("a path", "a string", "a URI"):
            back = pickle.loads(pickle.dumps(module.forward(image[kind])))
            np.testing.assert_array_equal(back.overlay(alpha=0), IMAGE)

    @pytest.mark.parametrize("kind", ["an array", "bytes", "a data URI", "base64", "a PIL image"])
    def test_pixels_do_not(self, kind: str, module: Any, tmp_path: Path) -> None:
        result = module.forward(sources(tmp_path)[kind], ["R"])
        data = pickle.dumps(result)
        back = pickle.loads(data)
        with pytest.raises(etseg.InvalidUserInputError, match=r"did not come along.*image=\.\.\."):
            back.overlay()
        np.testing.assert_array_equal(back.overlay(IMAGE), result.overlay())
        np.testing.assert_array_equal(back.cutout("R", IMAGE), result.cutout("R"))
        assert (back.image_size, back.boxes()) == ((31, 57), result.boxes())
        assert back.areas() == result.areas()
        assert b"IHDR" not in data
        result.overlay()  # here it still is

    def test_into_another_process(self, selfie: Any, photo_path: Path, tmp_path: Path) -> None:
        """Which has loaded nothing."""
        result = selfie.forward(photo_path, ["SELFIE"])
        (tmp_path / "result").write_bytes(pickle.dumps(result))
        code = """
import pickle, sys
from pathlib import Path
result = pickle.loads(Path("result").read_bytes())
Path("overlay").write_bytes(result.overlay().tobytes() + result.cutout("SELFIE").tobytes())
"""
        assert output_of(code, cwd=tmp_path) == ""
        expected = result.overlay().tobytes() + result.cutout("SELFIE").tobytes()
        assert (tmp_path / "overlay").read_bytes() == expected
