"""to_pil() and show(): what people look at, on whatever screen they have."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import ModuleType, SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import ImageShow

import etseg
from eyes import eyes, smooth
from programs import picture, program


@pytest.fixture(scope="module")
def module() -> Iterator[Any]:
    with eyes() as module:
        yield module


@pytest.fixture
def result(module: Any) -> Any:
    return module.forward(smooth(48, 80), ["B"])


class TestToPil:
    def test_each_kind_is_what_its_method_makes(self, result: Any) -> None:
        assert result.to_pil().mode == "RGB"
        np.testing.assert_array_equal(result.to_pil(), result.overlay())
        np.testing.assert_array_equal(result.to_pil("colorize"), result.colorize())
        cut = result.to_pil("cutout", label="B")
        assert cut.mode == "RGBA"
        np.testing.assert_array_equal(cut, result.cutout("B"))
        np.testing.assert_array_equal(
            result.to_pil(palette="colorblind"), result.overlay(palette="colorblind")
        )

    def test_masks(self, result: Any) -> None:
        image = result.to_pil("mask")
        assert (image.mode, image.size) == ("P", (40, 24))
        np.testing.assert_array_equal(np.asarray(image), result.argmax)
        painted = np.asarray(image.convert("RGB")).repeat(2, axis=0).repeat(2, axis=1)
        np.testing.assert_array_equal(painted, result.colorize()[..., :3])
        one = result.to_pil("mask", label="G")
        assert one.mode == "L"
        np.testing.assert_array_equal(np.asarray(one), result.mask("G") * 255)

    def test_more_labels_than_a_palette_holds(self) -> None:
        with etseg.ImageSegmentationModule(program("logits_c300")) as module:
            result = module.forward(picture(31, 57))
        result.argmax[0, 0] = 299
        assert result.to_pil("mask").getpixel((0, 0)) == 299

    def test_red_is_red_whatever_the_order_was(self, module: Any) -> None:
        rgb = smooth(48, 80)
        plain = module.forward(rgb, ["B"])
        turned = module.forward(rgb[..., ::-1], ["B"], channel_order="bgr")
        for kind in ("overlay", "colorize", "cutout"):
            options = {"label": "B"} if kind == "cutout" else {}
            np.testing.assert_array_equal(
                turned.to_pil(kind, **options), plain.to_pil(kind, **options)
            )

    @pytest.mark.parametrize("kind", ["", "arrays", None, 3, ["overlay"]])
    def test_other_kinds(self, kind: Any, result: Any) -> None:
        with pytest.raises(etseg.InvalidUserInputError, match=r"kind is .*'overlay', 'colorize'"):
            result.to_pil(kind)

    def test_a_label_of_what_is_of_all(self, result: Any) -> None:
        with pytest.raises(etseg.InvalidUserInputError, match="cutout or mask"):
            result.to_pil("overlay", label="B")

    def test_without_pillow(self, result: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "PIL", None)
        with pytest.raises(etseg.InvalidStateError, match="pip install pillow"):
            result.to_pil()


class TestShow:
    @pytest.fixture(autouse=True)
    def no_notebook(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delitem(sys.modules, "IPython", raising=False)
        monkeypatch.setattr(sys, "platform", "linux")

    @pytest.fixture
    def shown(self, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
        """What Pillow was given to show."""
        images: list[Any] = []

        def show(image: Any) -> bool:
            images.append(image)
            return True

        monkeypatch.setattr(ImageShow, "show", show)
        return images

    @pytest.mark.parametrize("variable", ["DISPLAY", "WAYLAND_DISPLAY"])
    def test_on_a_screen(
        self, variable: str, result: Any, shown: list[Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("DISPLAY", "WAYLAND_DISPLAY"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv(variable, "x")
        result.show()
        (image,) = shown
        np.testing.assert_array_equal(image, result.overlay())

    def test_without_a_screen(
        self, result: Any, shown: list[Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("DISPLAY", "WAYLAND_DISPLAY"):
            monkeypatch.delenv(name, raising=False)
        with pytest.raises(etseg.InvalidStateError, match=r"no display .*save\('overlay.jpg'\)"):
            result.show()
        assert shown == []

    def test_without_a_program_that_shows_pictures(
        self, result: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("DISPLAY", "x")
        monkeypatch.setattr(ImageShow, "show", lambda _: False)
        with pytest.raises(etseg.InvalidStateError, match="no program was found"):
            result.show()

    def test_in_a_notebook(
        self, result: Any, shown: list[Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        displayed: list[object] = []
        display = ModuleType("IPython.display")
        display.display = displayed.append  # type: ignore[attr-defined]
        ipython: Any = ModuleType("IPython")
        ipython.get_ipython = lambda: SimpleNamespace(kernel=1)
        monkeypatch.setitem(sys.modules, "IPython", ipython)
        monkeypatch.setitem(sys.modules, "IPython.display", display)
        result.show()
        assert displayed == [result]
        assert shown == []
        # IPython in a terminal has no kernel, and no pictures.
        ipython.get_ipython = lambda: SimpleNamespace()
        monkeypatch.setenv("DISPLAY", "x")
        result.show()
        assert len(displayed) == len(shown) == 1


class TestOrder:
    """Pictures come in the order in which the image was given."""

    @pytest.fixture
    def pair(self, module: Any) -> tuple[Any, Any]:
        rgb = smooth(48, 80)
        return (
            module.forward(rgb, ["B"]),
            module.forward(np.ascontiguousarray(rgb[..., ::-1]), ["B"], channel_order="bgr"),
        )

    def test_of_every_method(self, pair: tuple[Any, Any]) -> None:
        plain, turned = pair
        np.testing.assert_array_equal(turned.image, plain.image[..., ::-1])
        np.testing.assert_array_equal(turned.image, smooth(48, 80)[..., ::-1])
        calls: list[Any] = [
            lambda r: r.overlay(outline=True, legend=True),
            lambda r: r.replace_background("blur", "B"),
            lambda r: r.replace_background((10, 20, 30), "B"),
            lambda r: r.replace_background("red", "B"),
        ]
        for call in calls:
            np.testing.assert_array_equal(call(turned), call(plain)[..., ::-1])
        for call in (lambda r: r.colorize(), lambda r: r.cutout("B")):
            np.testing.assert_array_equal(call(turned), call(plain)[..., [2, 1, 0, 3]])

    def test_of_a_background_that_is_an_array(self, pair: tuple[Any, Any]) -> None:
        plain, turned = pair
        behind = smooth(60, 30)[:, ::-1]
        expected = plain.replace_background(behind, "B")
        there = turned.replace_background(behind[..., ::-1], "B")
        np.testing.assert_array_equal(there[..., ::-1], expected)

    def test_opencv_writes_what_it_was_given(self, pair: tuple[Any, Any], tmp_path: Any) -> None:
        plain, turned = pair
        cv2.imwrite(str(tmp_path / "a.png"), turned.overlay())
        plain.save(tmp_path / "b.png", kind="overlay")
        turned.save(tmp_path / "c.png", kind="overlay")
        a, b, c = (cv2.imread(str(tmp_path / f"{name}.png")) for name in "abc")
        np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(c, b)

    def test_of_a_file(self, module: Any, photo_path: Any) -> None:
        """Whose order is known; what comes back is the caller's."""
        plain, turned = (module.forward(photo_path, channel_order=each) for each in ("rgb", "bgr"))
        np.testing.assert_array_equal(turned.image, plain.image[..., ::-1])
        np.testing.assert_array_equal(turned.argmax, plain.argmax)
