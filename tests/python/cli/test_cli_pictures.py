"""What `etseg segment` paints, cuts out and writes, as its options say."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from click.testing import CliRunner, Result
from PIL import Image

import commands
import etseg
from etseg._cli import main
from etseg._results.legend import add_legend
from programs import picture, program

Array = npt.NDArray[Any]


@pytest.fixture
def photo(tmp_path: Path, photo_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A copy of the photograph in the working directory."""
    (tmp_path / "a.jpg").write_bytes(photo_path.read_bytes())
    monkeypatch.chdir(tmp_path)
    return "a.jpg"


def segment(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["segment", *map(str, arguments)])


def done(*arguments: object) -> str:
    ended = segment(*arguments)
    assert (ended.exit_code, ended.stderr) == (0, ""), ended.output
    return ended.stdout


def read(path: str) -> Array:
    with Image.open(path) as image:
        return np.asarray(image)


@pytest.fixture
def many(photo: str) -> etseg.SegmentationResult:
    """What a program with 21 labels makes of the photo."""
    with etseg.ImageSegmentationModule() as module:
        module.load(program("logits_c21"))
        return module.forward(read(photo), resize=True)  # in full, as for a picture


#: The options for that program.
MANY = ("--model", program("logits_c21"))


# --classes.


def test_classes_are_painted_written_and_listed_alone(
    photo: str, many: etseg.SegmentationResult
) -> None:
    ranked = sorted(many.areas().items(), key=lambda item: -item[1].pixels)
    chosen = [label for label, _ in ranked if label != 0][:2]
    names = ",".join(label.name for label in chosen)
    text = done(photo, *MANY, "--classes", names, "-o", "o.png", "--mask", "m.png", "--json")
    listed = json.loads(text)["labels"]
    assert [item["label"] for item in listed] == [label.name for label in chosen]
    assert [item["pixels"] for item in listed] == [many.areas()[one].pixels for one in chosen]
    there = np.isin(many.argmax, chosen)
    np.testing.assert_array_equal(read("m.png"), np.where(there, many.argmax, 0))
    overlay, image = read("o.png").astype(int), read(photo).astype(int)
    away = Image.fromarray(there).filter(_near())
    np.testing.assert_array_equal(overlay[~np.asarray(away)], image[~np.asarray(away)])
    assert (overlay[there] != image[there]).any(axis=1).mean() > 0.9


def _near() -> Any:
    from PIL import ImageFilter

    return ImageFilter.MaxFilter(9)  # outlines are on both sides


def test_where_there_is_no_background_the_rest_is_255(photo: str, tmp_path: Path) -> None:
    model = ("--model", program("logits_c3"))
    done(photo, *model, "--mask", "all.png")
    whole = read("all.png")
    (label,) = np.unique(whole)[:1]
    done(photo, *model, "--classes", f"CLASS_{label}", "--mask", "m.png", "-o", "o.png")
    np.testing.assert_array_equal(read("m.png"), np.where(whole == label, label, 255))
    wide = ("--model", program("logits_c300"))
    done(photo, *wide, "--mask", "all16.png")
    whole = read("all16.png")
    label = np.bincount(whole.ravel()).argmax()
    done(photo, *wide, "--classes", f"CLASS_{label}", "--mask", "m16.png")
    np.testing.assert_array_equal(read("m16.png"), np.where(whole == label, label, 65535))
    assert tmp_path.is_dir()


def test_a_class_that_is_nowhere_is_listed(photo: str) -> None:
    (item,) = json.loads(done(photo, *MANY, "--classes", "TVMONITOR", "--json"))["labels"]
    assert (item["pixels"], item["box"], item["rle"]) == (0, None, None)
    assert item["mean_probability"] > 0


# --mask-of.


def test_a_mask_of_one_label_is_black_and_white(photo: str, selfie: Any) -> None:
    done(photo, "--mask", "m.png", "--mask-of", "person")
    mask = read("m.png")
    there = selfie.forward(photo, resize=True).mask("PERSON")
    np.testing.assert_array_equal(mask, np.where(there, 255, 0))
    np.testing.assert_array_equal(mask > 0, there)


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["--mask-of", "PERSON"], 2, ("--mask-of needs --mask",)),
        (["--mask", "m.png", "--mask-of", "CAT"], 1, ("'CAT'", "PERSON, BACKGROUND")),
        (["--mask", "m.png", "--mask-of", "ARGMAX"], 2, ("--mask-of", "'ARGMAX'")),
        (["--mask", "m.png", "--mask-of", "PERSON", "--classes", "BACKGROUND"], 2, ("--classes",)),
        (["--background", "white"], 2, ("--background needs --cutout",)),
        (["-o", "o.png", "--foreground", "image"], 2, ("--foreground needs --cutout",)),
        (["-o", "o.png", "--haze", "0.1"], 2, ("--haze needs --cutout",)),
        (["--mask", "m.png", "--alpha", "0.5"], 2, ("--alpha needs --output",)),
        (["--cutout", "c.png", "--legend"], 2, ("--legend needs --output",)),
        (["--cutout", "c.jpg"], 2, ("'c.jpg'", ".png or .webp", "transparent")),
        (["--cutout", "c.jpg", "--background", "nowhere.png"], 1, ("nowhere.png",)),
        (["--cutout", "c.png", "--background", "whte"], 1, ("'whte' is no colour", "white")),
        (["--cutout", "a.jpg", "--background", "white"], 2, ("'a.jpg'", "written over")),
        (["--cutout", "c.png", "--background", "b.png", "--mask", "b.png"], 2, ("'b.png'",)),
        (["-o", "o.png", "--palette", "loud"], 2, ("--palette", "'loud'", "colorblind")),
        (["-o", "o.png", "--palette", "PERSON=loud"], 1, ("'PERSON'", "'loud'")),
        (["-o", "o.png", "--palette", "CAT=red"], 1, ("'CAT'",)),
        (["-o", "o.png", "--alpha", "1.5"], 2, ("--alpha", "1.5")),
        (["--cutout", "c.png", "--foreground", "mine"], 2, ("--foreground", "'mine'", "estimate")),
        (["--cutout", "c.png", "--haze", "0.5"], 2, ("--haze", "0.5", "0.45")),
    ],
)
def test_what_cannot_be_meant(
    arguments: list[str], status: int, words: tuple[str, ...], photo: str
) -> None:
    Image.fromarray(picture()).save("b.png")
    before = {path.name: path.read_bytes() for path in Path().iterdir()}
    ended = segment(photo, *arguments)
    assert (ended.exit_code, ended.stdout) == (status, ""), ended.output
    assert all(word in " ".join(ended.stderr.split()) for word in words), ended.stderr
    assert {path.name: path.read_bytes() for path in Path().iterdir()} == before


# --cutout and --background.


def test_a_cutout_is_the_results(photo: str, selfie: Any, many: etseg.SegmentationResult) -> None:
    done(photo, "--cutout", "c.png")
    result = selfie.forward(read(photo), ["BACKGROUND"], resize=True)
    np.testing.assert_array_equal(read("c.png"), result.cutout())
    label = next(one for one in many.present_labels() if one != 0)
    done(photo, *MANY, "--cutout", "l.png", "--classes", label.name)
    with etseg.ImageSegmentationModule() as module:
        module.load(program("logits_c21"))
        expected = module.forward(read(photo), [label], resize=True).cutout(label)
    np.testing.assert_array_equal(read("l.png"), expected)


@pytest.mark.parametrize("background", ["white", "#102030", "blur", "b.png"])
def test_a_cutout_on_a_background(background: str, photo: str, selfie: Any) -> None:
    Image.fromarray(picture()).save("b.png")
    done(photo, "--cutout", "c.png", "--background", background)
    result = selfie.forward(read(photo), ["BACKGROUND"], resize=True)
    np.testing.assert_array_equal(read("c.png"), result.replace_background(background))


@pytest.mark.parametrize("place", ["c.png", "o.jpg"])
def test_soft_edges_of_a_cutout(place: str, photo: str, selfie: Any) -> None:
    """--foreground and --haze are the methods' own."""
    behind = [] if place == "c.png" else ["--background", "white"]
    done(photo, "--cutout", place, *behind, "--foreground", "image", "--haze", "0")
    result = selfie.forward(read(photo), ["BACKGROUND"], resize=True)
    how: dict[str, Any] = {"foreground": "image", "haze": 0}
    if place == "c.png":
        np.testing.assert_array_equal(read(place), result.cutout(**how))
        assert (result.cutout(**how) != result.cutout()).any()
    else:
        expected = result.replace_background("white", **how).astype(int)
        assert np.abs(read(place) - expected).mean() < 4  # JPEG's own


def test_cutouts_of_many_photos(photo: str) -> None:
    Path("in").mkdir()
    Path(photo).rename("in/a.jpg")
    assert "in/a.jpg" in done("in", "--cutout", "out")
    assert read("out/a.png").shape == (512, 512, 4)
    text = done("in", "--cutout", "out", "--background", "white", "--json")
    assert json.loads(text)["written"] == {"cutout": "out/a.jpg"}
    assert read("out/a.jpg").shape == (512, 512, 3)


# --palette, --alpha, --legend.


def test_paint(photo: str, selfie: Any) -> None:
    result = selfie.forward(read(photo), resize=True)
    for arguments, options in (
        (["--palette", "colorblind"], {"palette": "colorblind"}),
        (["--palette", "PERSON=#ff0000", "--alpha", "0.8"],
         {"palette": {"PERSON": "#ff0000"}, "alpha": 0.8}),
        (["--palette", "BACKGROUND=white, PERSON=red"],
         {"palette": {"BACKGROUND": "white", "PERSON": "red"}}),
        (["--legend"], {"legend": True}),
    ):  # fmt: skip
        done(photo, "-o", "o.png", *arguments)
        expected = result.overlay(outline=True, **options)  # type: ignore[arg-type]
        np.testing.assert_array_equal(read("o.png"), expected)


def test_a_mask_has_the_palettes_colours(photo: str) -> None:
    done(photo, "--mask", "m.png", "--palette", "PERSON=#0a141e")
    with Image.open("m.png") as mask:
        assert mask.getpalette()[:6] == [10, 20, 30, 0, 0, 0]


def test_a_legend_names_what_is_painted(selfie: Any, photo_path: Path) -> None:
    result = selfie.forward(photo_path, resize=True)
    plain, named = result.overlay(), result.overlay(legend=True)
    changed = np.argwhere((plain != named).any(axis=2))
    assert len(changed) > 200
    assert changed.max(axis=0)[0] < 60  # one line, at the top left
    assert changed.max(axis=0)[1] < 256
    colour = result.colorize()[result.mask("PERSON")][0, :3]
    assert (named[:60, :60] == colour).all(axis=2).any()


@pytest.mark.parametrize("size", [(1, 1), (5, 300), (300, 5), (40, 40), (2000, 3000)])
def test_a_legend_fits_into_any_picture(size: tuple[int, int]) -> None:
    image = np.zeros((*size, 3), np.uint8)
    colour = np.array([200, 100, 0], np.uint8)
    add_legend(image, [("\u00e4 long name of a label", colour)] * 40)
    assert image.shape == (*size, 3)
    assert image.any() == (min(size) >= 40 or size == (300, 5))


# stdin and stdout.


def piped(*arguments: object, given: bytes = b"") -> Result:
    return CliRunner().invoke(main, ["segment", *map(str, arguments)], input=given)


@pytest.mark.parametrize(
    ("option", "name"),
    [("-o", "f.png"), ("--mask", "f.png"), ("--cutout", "f.png"), ("--npz", "f.npz")],
)
def test_stdin_and_stdout(option: str, name: str, photo: str) -> None:
    """What comes out is what a file would hold."""
    ended = piped("-", option, "-", given=Path(photo).read_bytes())
    assert (ended.exit_code, ended.stderr) == (0, "")
    done(photo, option, name)
    if option == "--npz":
        Path("stdout.npz").write_bytes(ended.stdout_bytes)
        with np.load("stdout.npz") as one, np.load(name) as other:
            np.testing.assert_array_equal(one["ARGMAX"], other["ARGMAX"])
    else:
        assert ended.stdout_bytes == Path(name).read_bytes()


def test_stdin_among_photos(photo: str) -> None:
    ended = piped("-", photo, "-", "-o", "out", "--json", given=Path(photo).read_bytes())
    assert ended.exit_code == 0, ended.output
    items = [json.loads(line) for line in ended.stdout.splitlines()]
    assert [item["image"] for item in items] == ["-", photo]
    assert [item["written"]["overlay"] for item in items] == ["out/stdin.png", "out/a.jpg"]
    assert items[0]["labels"] == items[1]["labels"]


def test_a_file_called_dash_is_a_file(photo: str) -> None:
    Path(photo).rename("-")
    assert piped("./-").stdout.startswith("512x512")
    assert piped("./-", "--npz", "./-.npz").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "given", "status", "words"),
    [
        (["-"], b"", 1, ("empty",)),
        (["-"], b"no image", 1, ("no image",)),
        (["a.jpg", "-", "-o", "-"], b"", 2, ("--output -: stdout takes one",)),
        (["a.jpg", "-o", "-", "--mask", "-"], b"", 2, ("--output -: stdout takes one",)),
        (["a.jpg", "-o", "-", "--json"], b"", 2, ("--json", "choose one")),
        (["-", "--mask", "-", "--model", "./nowhere.pte"], b"", 1, ("nowhere.pte",)),
    ],
)
@pytest.mark.usefixtures("photo")
def test_what_cannot_be_piped(
    arguments: list[str], given: bytes, status: int, words: tuple[str, ...]
) -> None:
    ended = piped(*arguments, given=given)
    assert (ended.exit_code, ended.stdout) == (status, ""), ended.output
    assert all(word in " ".join(ended.stderr.split()) for word in words), ended.stderr


def test_pipes_of_the_shell(photo: str, tmp_path: Path) -> None:
    """In a process of its own: redirected files, a closed stdin, a terminal, a full disk."""

    def shell(line: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            ["sh", "-c", line.replace("etseg", f"'{commands.COMMAND}'")],
            cwd=tmp_path,
            capture_output=True,
            timeout=commands.PATIENCE,
            check=False,
        )

    ended = shell(f"etseg segment - -o - < {photo} | etseg segment - --mask - > m.png")
    assert (ended.returncode, ended.stderr) == (0, b"")
    assert read("m.png").shape == (512, 512)
    # The file behind stdin is an input like any other.
    before = Path(photo).read_bytes()
    ended = shell(f"etseg segment - -o {photo} < {photo}")
    assert ended.returncode == 2
    assert b"'-' would be written over by --output 'a.jpg'" in ended.stderr
    assert Path(photo).read_bytes() == before
    ended = shell("etseg segment - <&-")
    assert (ended.returncode, ended.stderr) == (
        1,
        b"Error: there is no stdin to read a photo from\n",
    )
    ended = shell("etseg segment - < /dev/null")
    assert (ended.returncode, ended.stderr) == (1, b"Error: cannot decode stdin: it is empty\n")
    ended = shell(f"etseg segment {photo} -o - > /dev/full")
    assert ended.returncode == 1
    assert b"Error: cannot write the answer: No space left on device" in ended.stderr
    shown = commands.on_terminal(tmp_path, "segment", photo, "-o", "-")
    assert shown.status == 2
    assert "redirect it" in shown.terminal
