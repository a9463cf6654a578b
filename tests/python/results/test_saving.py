"""save(): PNGs with a palette, as Pillow and OpenCV read them; archives of all maps."""

from __future__ import annotations

import errno
import io
import os
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from enum import IntEnum
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image as Pil
from test_palettes import VOC  # type: ignore[import-not-found]

import etseg
from etseg import DeeplabLabel
from etseg._results.saving import write_palette_png
from eyes import encoded, eyes, smooth
from programs import picture, program


class Awkward(IntEnum):
    """Names that numpy.savez has arguments of, and one beyond ASCII."""

    file = 0
    allow_pickle = 1
    ÉTÉ = 2


@pytest.fixture
def result() -> etseg.SegmentationResult:
    """Maps of 24x40 of an image of 31x57: R, G and B, of which B's probability is there."""
    with eyes() as module:
        return module.forward(picture(31, 57), ["B"])


def saved(result: etseg.SegmentationResult, path: Path, **options: Any) -> Path:
    result.save(path, **options)
    return path


class TestPng:
    def test_is_read_by_pillow(self, tmp_path: Path) -> None:
        with etseg.ImageSegmentationModule() as module:
            module.load(program("logits_c21"))
            result = module.forward(picture(61, 47), resize=True)
        result.argmax.flat[:21] = range(21)
        with Pil.open(saved(result, tmp_path / "a.png", palette="voc")) as image:
            assert (image.mode, image.size, image.format) == ("P", (47, 61), "PNG")
            np.testing.assert_array_equal(np.asarray(image), result.argmax)
            expected = [VOC[label.name] for label in DeeplabLabel if label.name != "ARGMAX"]
            assert np.reshape(image.getpalette()[: 3 * 21], (-1, 3)).tolist() == [
                list(colour) for colour in expected
            ]
            colours = np.asarray(image.convert("RGB"))
        np.testing.assert_array_equal(colours, result.colorize("voc")[..., :3])
        with Pil.open(saved(result, tmp_path / "b.png")) as image:
            colours = np.asarray(image.convert("RGB"))
        np.testing.assert_array_equal(colours, result.colorize()[..., :3])

    def test_is_read_by_opencv_and_by_etseg(
        self, result: etseg.SegmentationResult, tmp_path: Path
    ) -> None:
        """As a picture."""
        path = saved(result, tmp_path / "a.png", palette="colorblind")
        colours = np.array([[0xE6, 0x9F, 0], [0x56, 0xB4, 0xE9], [0, 0x9E, 0x73]])
        expected = colours[result.argmax]
        np.testing.assert_array_equal(cv2.imread(str(path))[..., ::-1], expected)
        with eyes() as module:
            np.testing.assert_array_equal(module.forward(path).overlay(alpha=0), expected)

    @pytest.mark.parametrize("shape", [(1, 1), (1, 300), (300, 1), (17, 33), (512, 512)])
    @pytest.mark.parametrize("colours", [1, 2, 256])
    def test_any_size_and_palette(self, shape: tuple[int, int], colours: int) -> None:
        rng = np.random.default_rng(4)
        indices = rng.integers(0, colours, shape).astype(np.uint8)
        palette = rng.integers(0, 256, (colours, 3)).astype(np.uint8)
        file = io.BytesIO()
        write_palette_png(file, indices, palette)
        with Pil.open(file) as image:
            image.load()  # checks the checksums
            assert image.mode == "P"
            np.testing.assert_array_equal(np.asarray(image), indices)
            assert image.getpalette()[: 3 * colours] == palette.ravel().tolist()

    def test_of_the_maps_size_and_any_type(self, tmp_path: Path) -> None:
        for dtype in ("int32", "uint8"):
            with eyes(argmax_dtype=dtype) as module:
                result = module.forward(smooth(100, 100))
            with Pil.open(saved(result, tmp_path / f"{dtype}.PNG")) as image:
                np.testing.assert_array_equal(np.asarray(image), result.argmax)

    def test_holds_no_more_than_256_labels(self, tmp_path: Path) -> None:
        with etseg.ImageSegmentationModule() as module:
            module.load(program("logits_c300"))
            result = module.forward(picture(8, 12))
        with pytest.raises(etseg.InvalidUserInputError, match=r"300 labels.*256.*\.npz"):
            result.save(tmp_path / "a.png")
        assert list(tmp_path.iterdir()) == []
        with np.load(saved(result, tmp_path / "a.npz")) as archive:
            assert len(archive["__labels__"]) == 300


class TestNpz:
    def test_has_every_map(self, result: etseg.SegmentationResult, tmp_path: Path) -> None:
        with np.load(saved(result, tmp_path / "a.npz"), allow_pickle=False) as archive:
            assert list(archive) == ["ARGMAX", "B", "__labels__", "__image_size__"]
            assert archive["ARGMAX"].dtype == np.int32
            np.testing.assert_array_equal(archive["ARGMAX"], result.argmax)
            assert archive["B"].dtype == np.float32
            np.testing.assert_array_equal(archive["B"], result["B"])
            assert archive["__labels__"].tolist() == ["R", "G", "B"]
            assert archive["__image_size__"].tolist() == [31, 57]

    def test_names_of_any_kind(self, tmp_path: Path) -> None:
        with etseg.ImageSegmentationModule() as module:
            module.load({"model_source": program("logits_c3"), "labels": Awkward})
            result = module.forward(picture(), Awkward)
        with np.load(saved(result, tmp_path / "a.npz")) as archive:
            assert archive["__labels__"].tolist() == [member.name for member in Awkward]
            for member in Awkward:
                np.testing.assert_array_equal(archive[member.name], result[member])


class FullFile(io.BytesIO):
    def write(self, _: Any) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class TestFiles:
    @pytest.mark.parametrize("kind", [str, Path, os.fspath])
    def test_paths(
        self, kind: Callable[[Any], Any], result: etseg.SegmentationResult, tmp_path: Path
    ) -> None:
        result.save(kind(tmp_path / "ä b.png"))
        assert [path.name for path in tmp_path.iterdir()] == ["ä b.png"]

    @pytest.mark.parametrize(
        ("name", "words"),
        [("a.txt", "'.txt'"), ("a", "''"), (".png", "''"), ("a.npz.gz", "'.gz'")],
    )
    def test_other_endings(
        self, name: str, words: str, result: etseg.SegmentationResult, tmp_path: Path
    ) -> None:
        with pytest.raises(etseg.InvalidUserInputError) as caught:
            result.save(tmp_path / name)
        assert all(word in str(caught.value) for word in (words, ".png", ".npz", name))
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("path", [None, 7, b"a.png"])
    def test_what_is_no_path(self, path: Any, result: etseg.SegmentationResult) -> None:
        with pytest.raises(etseg.InvalidUserInputError, match=r"path is a \w+; expected"):
            result.save(path)

    @pytest.mark.parametrize(("ending", "kind"), [(".png", "mask"), (".npz", "arrays")])
    def test_open_files(
        self, ending: str, kind: Any, result: etseg.SegmentationResult, tmp_path: Path
    ) -> None:
        """They have no ending; they get what a path would."""
        result.save(tmp_path / f"a{ending}", kind=kind)
        file = io.BytesIO()
        result.save(file, kind=kind)
        if kind == "mask":
            assert file.getvalue() == (tmp_path / "a.png").read_bytes()
        else:
            with np.load(tmp_path / "a.npz") as one, np.load(io.BytesIO(file.getvalue())) as other:
                assert list(one) == list(other)
                np.testing.assert_array_equal(one["ARGMAX"], other["ARGMAX"])
        with pytest.raises(etseg.FileWriteError, match="the FullFile given: No space"):
            result.save(FullFile(), kind=kind)

    @pytest.mark.parametrize(
        ("name", "kind", "words"),
        [
            ("a.png", "overlays", ("'overlays'", "'mask'", "'arrays'")),
            ("a.png", "arrays", ("'.png'", "expected .npz")),
            ("a.npz", "mask", ("'.npz'", "expected .png")),
            ("a.jpg", "cutout", ("'.jpg'", "expected .png or .webp")),
            ("a.jpg", "mask", ("'.jpg'", "expected .png for kind='mask'")),
            (io.BytesIO(), None, ("None", "open file", "'mask'")),
            (io.StringIO(), "mask", ("text", "'wb'")),
        ],
    )
    def test_other_kinds(
        self, name: Any, kind: Any, words: tuple[str, ...], result: etseg.SegmentationResult
    ) -> None:
        with pytest.raises(etseg.InvalidUserInputError) as caught:
            result.save(name, kind=kind)
        assert all(word in str(caught.value) for word in words)

    @pytest.mark.parametrize("ending", [".png", ".npz"])
    def test_places_that_cannot_be_written(
        self, ending: str, result: etseg.SegmentationResult, tmp_path: Path
    ) -> None:
        (tmp_path / "file").touch()
        (tmp_path / f"folder{ending}").mkdir()
        for place in (f"nowhere/a{ending}", f"file/a{ending}", f"folder{ending}", f"a\0{ending}"):
            with pytest.raises(etseg.FileWriteError, match="cannot write") as caught:
                result.save(tmp_path / place)
            assert isinstance(caught.value, OSError)
            no_folder = f"there is no folder {str(tmp_path / 'nowhere')!r}; make it"
            assert (no_folder in str(caught.value)) == place.startswith("nowhere")
        assert sorted(path.name for path in tmp_path.iterdir()) == ["file", f"folder{ending}"]

    @pytest.mark.parametrize("ending", [".png", ".npz"])
    def test_whole_or_not_at_all(
        self,
        ending: str,
        result: etseg.SegmentationResult,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """The disk is full after some bytes: what stood there before still does."""
        path = tmp_path / f"a{ending}"
        path.write_bytes(b"before")
        opened = Path.open

        class Full(io.RawIOBase):
            def __init__(self, file: Any) -> None:
                self._file = file

            def writable(self) -> bool:
                return True

            def write(self, data: Any) -> int:
                self._file.write(bytes(data)[:10])
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

            def close(self) -> None:
                self._file.close()
                super().close()

        with monkeypatch.context() as patch:
            patch.setattr(Path, "open", lambda self, mode: Full(opened(self, mode)))
            with pytest.raises(etseg.FileWriteError, match=r"No space left"):
                result.save(path)
        assert path.read_bytes() == b"before"
        assert list(tmp_path.iterdir()) == [path]
        result.save(path)
        assert path.read_bytes() != b"before"

    def test_rights_are_the_users(self, result: etseg.SegmentationResult, tmp_path: Path) -> None:
        """The umask decides, and many threads may write at once without touching it."""
        umask = os.umask(0o027)
        try:
            with ThreadPoolExecutor(8) as pool:
                list(pool.map(result.save, [tmp_path / f"{i}.png" for i in range(100)]))
            assert os.umask(0o027) == 0o027
        finally:
            os.umask(umask)
        assert {stat.S_IMODE(p.stat().st_mode) for p in tmp_path.iterdir()} == {0o640}
        assert len(list(tmp_path.iterdir())) == 100


class TestPictures:
    @pytest.mark.parametrize("ending", [".jpg", ".JPEG", ".webp", ".bmp", ".tif", ".avif", ".gif"])
    def test_an_overlay_by_its_ending(
        self, ending: str, selfie: etseg.ImageSegmentationModule, photo_path: Path, tmp_path: Path
    ) -> None:
        result = selfie.forward(photo_path)
        with Pil.open(saved(result, tmp_path / f"a{ending}")) as image:
            there = np.asarray(image.convert("RGB")).astype(int)
        overlay = result.overlay()
        assert there.shape == overlay.shape
        # Nearer to it than the photo is, or than blue would be to red; a GIF has 256 colours.
        assert np.abs(there - overlay).mean() < (25 if ending == ".gif" else 6)

    @pytest.mark.parametrize("kind", ["overlay", "colorize", "cutout"])
    @pytest.mark.parametrize("opened", [False, True])
    def test_each_kind_exactly(
        self, kind: Any, opened: bool, result: etseg.SegmentationResult, tmp_path: Path
    ) -> None:
        target: Any = io.BytesIO() if opened else tmp_path / "a.png"
        label = "B" if kind == "cutout" else None
        result.save(target, "colorblind", kind=kind, label=label)
        expected = {
            "overlay": lambda: result.overlay(palette="colorblind"),
            "colorize": lambda: result.colorize("colorblind"),
            "cutout": lambda: result.cutout("B"),
        }[kind]()
        with Pil.open(target) as image:
            assert image.format == "PNG"
            np.testing.assert_array_equal(np.asarray(image), expected)

    def test_the_mask_of_a_label(self, result: etseg.SegmentationResult, tmp_path: Path) -> None:
        with Pil.open(saved(result, tmp_path / "a.png", label="G")) as image:
            assert image.mode == "L"
            np.testing.assert_array_equal(np.asarray(image), result.mask("G") * 255)

    def test_the_mask_of_a_person_is_white_where_the_person_is(
        self, selfie: etseg.ImageSegmentationModule, photo_path: Path, tmp_path: Path
    ) -> None:
        """Of label 0, for which the map of indices says the opposite."""
        found = selfie.forward(photo_path, resize=True)
        found.save(tmp_path / "person.png", label="PERSON")
        mask = cv2.imread(str(tmp_path / "person.png"), cv2.IMREAD_UNCHANGED)
        np.testing.assert_array_equal(mask > 0, found.mask("PERSON"))

    def test_json(self, result: etseg.SegmentationResult, tmp_path: Path) -> None:
        text = saved(result, tmp_path / "a.json").read_text(encoding="ascii")
        assert text == result.to_json() + "\n"

    @pytest.mark.parametrize("name", ["a.npz", "a.json", "a.jpg"])
    def test_a_label_of_what_is_of_all(
        self, name: str, result: etseg.SegmentationResult, tmp_path: Path
    ) -> None:
        with pytest.raises(etseg.InvalidUserInputError, match="cutout or mask"):
            result.save(tmp_path / name, label="B")
        with pytest.raises(etseg.LabelError):
            result.save(tmp_path / "a.png", label="X")
        assert list(tmp_path.iterdir()) == []

    def test_without_the_image(self, tmp_path: Path) -> None:
        """A picture of it cannot be made; what needs no image can."""
        with eyes() as module:
            result = module.forward(io.BytesIO(encoded(smooth(), "PNG")))
        with pytest.raises(etseg.InvalidUserInputError, match="open file, which was read"):
            result.save(tmp_path / "a.jpg")
        assert list(tmp_path.iterdir()) == []
        result.save(tmp_path / "a.png", kind="colorize")
