"""`etseg segment` on many photos: which ones, where the results go, and what stops it."""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
import threading
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import commands
from etseg._cli import main
from etseg._cli.segmenting.folders import natural
from etseg._cli.segmenting.outputs import distinct_names
from http_server import Fault, serving
from programs import program


def picture(path: Path, height: int = 30, width: int = 40) -> Path:
    """A small image file; of noise, so that no two are alike."""
    path.parent.mkdir(parents=True, exist_ok=True)
    seed = len(str(path))
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    assert cv2.imwrite(str(path), pixels)
    return path


def files(folder: Path) -> set[str]:
    """All files below a folder, the hidden ones too."""
    return {str(p.relative_to(folder)) for p in folder.rglob("*") if not p.is_dir()}


def done(folder: Path, *arguments: object) -> list[str]:
    """The photos it did, in its order; all went well, in silence."""
    ended = commands.run(folder, "segment", *arguments)
    assert (ended.returncode, ended.stderr) == (0, ""), ended
    return [line.rpartition(": ")[0] for line in ended.stdout.splitlines()]


def refused(folder: Path, status: int, *arguments: object) -> str:
    """Its error; nothing was done, and nothing printed as an answer."""
    before = files(folder)
    ended = commands.run(folder, "segment", *arguments)
    assert (ended.returncode, ended.stdout) == (status, ""), ended
    assert "Traceback" not in ended.stderr
    assert files(folder) == before
    return " ".join(ended.stderr.split())


# Which photos.


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A folder with photos, and with what is none."""
    for name in ("p10.jpg", "p2.PNG", "p1.jpeg", ".hidden.jpg", "in/b.png", "in/deep/c.bmp"):
        picture(tmp_path / "photos" / name)
    picture(tmp_path / "photos" / ".thumbs" / "d.png")
    (tmp_path / "photos" / "notes.txt").write_text("none")
    return tmp_path


def test_a_folder_is_its_image_files_by_name(tree: Path) -> None:
    names = ["photos/p1.jpeg", "photos/p2.PNG", "photos/p10.jpg"]
    assert done(tree, "photos") == names
    assert done(tree / "photos", ".") == [name.removeprefix("photos/") for name in names]
    assert done(tree, (tree / "photos").as_uri()) == [str(tree / name) for name in names]


def test_recursive_takes_the_folders_below(tree: Path) -> None:
    below = ["photos/in/b.png", "photos/in/deep/c.bmp"]
    assert done(tree, "photos", "-r")[3:] == below
    assert done(tree, "photos/in", "--recursive") == below


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("photos/p*", ["photos/p1.jpeg", "photos/p2.PNG", "photos/p10.jpg"]),
        ("photos/p1?.jpg", ["photos/p10.jpg"]),
        ("photos/**/*.[pb][nm][gp]", ["photos/in/b.png", "photos/in/deep/c.bmp"]),
        ("*/in/*", ["photos/in/b.png"]),
        ("photos/.*.jpg", ["photos/.hidden.jpg"]),
    ],
)
def test_a_pattern_is_expanded(pattern: str, names: list[str], tree: Path) -> None:
    assert done(tree, pattern) == names


def test_a_file_whose_name_is_a_pattern_is_that_file(tmp_path: Path) -> None:
    picture(tmp_path / "a[1].png")
    picture(tmp_path / "a1.png")
    assert "40x30 pixels" in commands.run(tmp_path, "segment", "a[1].png").stdout
    assert done(tmp_path, "a[1].png", "a1.png") == ["a[1].png", "a1.png"]


def test_what_is_given_twice_is_done_once(tree: Path) -> None:
    again = tree / "photos" / ".." / "photos" / "p10.jpg"
    assert done(tree, "photos/p10.jpg", again, "photos", "photos/*.jpg", "photos/p10.jpg") == [
        "photos/p10.jpg",
        "photos/p1.jpeg",
        "photos/p2.PNG",
    ]


def test_a_named_file_may_have_any_name(tmp_path: Path) -> None:
    picture(tmp_path / "a.png").rename(tmp_path / ".a")
    picture(tmp_path / "b.png").rename(tmp_path / "b.dat")
    assert done(tmp_path, ".a", "b.dat") == [".a", "b.dat"]


def test_names_need_not_be_utf8(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    name = b"photos/\xff.png"
    (tmp_path / "photos").mkdir()
    try:
        os.rename(os.fsencode(tmp_path / "a.png"), os.fsencode(tmp_path) + b"/" + name)  # noqa: PTH104
    except OSError:
        pytest.skip("this file system takes UTF-8 only")
    assert done(tmp_path, "photos", "-o", "out") == [os.fsdecode(name)]
    assert os.listdir(os.fsencode(tmp_path / "out")) == [b"\xff.png"]  # noqa: PTH208
    printed = commands.run(tmp_path, "segment", "photos", "--json").stdout
    assert os.fsencode(json.loads(printed)["image"]) == name


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["empty"], ("no images in the folder 'empty'", "-r")),
        (["empty", "-r"], ("no images in the folder 'empty'",)),
        (["photos", "empty"], ("no images in the folder 'empty'",)),
        (["text"], ("no images in the folder 'text'", "1 files without an image's ending")),
        (["*.jpg"], ("no image matches '*.jpg'",)),
        (["text/*"], ("no image matches 'text/*'", "1 files")),
    ],
)
def test_a_folder_without_images_is_an_error(
    arguments: list[str], words: tuple[str, ...], tree: Path
) -> None:
    (tree / "empty").mkdir()
    (tree / "text").mkdir()
    (tree / "text" / "a.txt").touch()
    message = refused(tree, 1, *arguments)
    assert message.startswith("Error: ")
    for word in words:
        assert word in message


def test_a_folder_that_cannot_be_read(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Below another one, it is a failure like that of a photo. Root can read everything: a fake."""
    scan = os.scandir

    def scandir(folder: Any) -> Any:  # others call it too, with strings
        if Path(folder).name == "in":
            raise PermissionError(13, "Permission denied")
        return scan(folder)

    monkeypatch.setattr("etseg._cli.segmenting.folders.os.scandir", scandir)
    monkeypatch.chdir(tree)
    ended = CliRunner().invoke(main, ["segment", "-r", "photos"])
    assert ended.exit_code == 1
    assert ended.output.count("40x30, BACKGROUND") == 3
    assert ended.output.endswith(
        "Error: 3 of 3 photos done, 1 failed\n  cannot read 'photos/in': Permission denied\n"
    )
    ended = CliRunner().invoke(main, ["segment", "photos/in"])
    assert ended.exit_code == 1
    assert ended.output == "Error: cannot read 'photos/in': Permission denied\n"


# Where the results go.


def test_the_folders_of_the_photos_are_kept(tree: Path) -> None:
    done(tree, "photos", "-r", "-o", "a/out", "--mask", "masks/", "--npz", "npz")
    places = ["p1", "p2", "p10", "in/b", "in/deep/c"]
    assert files(tree / "masks") == {f"{place}.png" for place in places}
    assert files(tree / "npz") == {f"{place}.npz" for place in places}
    painted = {"p1.jpg", "p2.png", "p10.jpg", "in/b.png", "in/deep/c.png"}
    assert files(tree / "a" / "out") == painted
    for path in (tree / "masks").rglob("*.png"):
        npz = tree / "npz" / path.relative_to(tree / "masks").with_suffix(".npz")
        with Image.open(path) as mask, np.load(npz) as arrays:
            np.testing.assert_array_equal(np.asarray(mask), arrays["ARGMAX"])
            assert mask.size == (40, 30)


def test_several_folders_keep_their_names(tree: Path) -> None:
    picture(tree / "more" / "in" / "b.png")
    done(tree, "photos/in", "more/in", "photos/p2.PNG", "-o", "out")
    assert files(tree / "out") == {"photos/in/b.png", "more/in/b.png", "photos/p2.png"}


def test_a_pattern_keeps_what_is_behind_its_first_wildcard(tree: Path) -> None:
    done(tree, "photos/**/*.[pb]*", "-o", "out")
    assert files(tree / "out") == {"in/b.png", "in/deep/c.png"}


def test_one_photo_goes_to_a_folder_that_is_one(tree: Path) -> None:
    (tree / "there").mkdir()
    for out in ("there", "new/"):
        ended = commands.run(tree, "segment", "photos/p10.jpg", "-o", out, "--mask", f"{out}/m.png")
        assert ended.returncode == 0, ended
        assert files(tree / out) == {"p10.jpg", "m.png"}


def test_photos_of_one_stem_keep_their_endings(tmp_path: Path) -> None:
    for name in ("a.jpg", "a.png", "b.jpg"):
        picture(tmp_path / "in" / name)
    done(tmp_path, "in", "--mask", "masks", "-o", "out")
    assert files(tmp_path / "masks") == {"a.jpg.png", "a.png", "b.png"}
    assert files(tmp_path / "out") == {"a.jpg", "a.png", "b.jpg"}


@pytest.mark.parametrize(
    ("kind", "places", "names"),
    [
        ("mask", "a.jpg b.png", "a.png b.png"),
        ("mask", "a.jpg a.png x/a.bmp", "a.jpg.png a.png x/a.png"),
        ("mask", "a.jpg A.bmp", "a.jpg.png A.bmp.png"),
        ("mask", "a.jpg a.bmp a.jpg.gif", "a.jpg.png a.bmp.png a.jpg.gif.png"),
        ("mask", "photo photo", "photo.png photo-2.png"),
        ("mask", "a.jpg a.jpg a.jpg-2.jpg a.jpg", "a.jpg.png a.jpg-3.png a.jpg-2.png a.jpg-4.png"),
        ("mask", "v1.5 v1.jpg", "v1.5.png v1.png"),
        ("arrays", "a.jpg a.png", "a.jpg.npz a.png.npz"),
        ("overlay", "a.jpg a.JPEG a.png", "a.jpg a.JPEG.jpg a.png"),
        ("overlay", "a.webp a.tif", "a.webp.png a.tif.png"),
    ],
)
def test_names_are_distinct(kind: str, places: str, names: str) -> None:
    made = distinct_names([Path(place) for place in places.split()], kind)
    assert [str(name) for name in made] == names.split()


def test_names_are_distinct_whatever_they_are() -> None:
    for places in itertools.product(("a.jpg", "a.png", "a", "A.jpg.png", "a-2.jpg"), repeat=4):
        for kind in ("mask", "overlay"):
            names = distinct_names([Path(place) for place in places], kind)
            assert len({str(name).casefold() for name in names}) == 4, (places, names)


def test_numbers_are_sorted_by_value() -> None:
    names = ["IMG_9.jpg", "img_10.jpg", "IMG_010.jpg", "a", "10", "9", "9a"]
    assert sorted(names, key=natural) == [
        "9", "9a", "10", "a", "IMG_9.jpg", "IMG_010.jpg", "img_10.jpg",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "arguments", [["photos", "-r"], ["photos/**/*"], ["photos/*", "photos/in"]]
)
def test_results_among_the_photos_are_no_photos(arguments: list[str], tree: Path) -> None:
    outputs = ("-o", "photos/out", "--mask", "photos/in/masks")
    first = done(tree, *arguments, *outputs)
    made = files(tree)
    assert done(tree, *arguments, *outputs) == first
    assert files(tree) == made


def test_results_may_go_above_the_photos(tree: Path) -> None:
    done(tree, "photos", "--mask", ".")
    assert {"p1.png", "p2.png", "p10.png"} <= files(tree)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["photos", "-o", "photos"], ("'photos'", "next run")),
        (["photos", "-o", "photos/"], ("'photos'", "next run")),
        (["photos", "--mask", "link"], ("'photos'", "next run")),
        (["photos/p2.PNG", "photos/p10.jpg", "-o", "photos"], ("p10.jpg", "written over")),
        (["photos/p10.jpg", "-o", "photos/"], ("p10.jpg", "written over")),
        (["photos/p10.jpg", "-o", "link"], ("p10.jpg", "written over")),
        (["photos", "-o", "out", "--mask", "out"], ("--output and --mask", "p2.png")),
        (["photos/p10.jpg", "-o", "a.png", "--mask", "a.png"], ("--output and --mask", "a.png")),
        (["photos", "-o", "a.png"], ("--output", "'a.png' looks like a file")),
        (["photos", "-o", "taken"], ("--output", "'taken' is a file")),
        (["photos", "--npz", "taken"], ("--npz", "'taken' is a file")),
        (["photos/p10.jpg", "--npz", "a.npy"], ("--npz", "does not end in .npz")),
        (["photos", "-o", ""], ("--output",)),
        (["photos/p10.jpg", "-o", ""], ("--output",)),
        (["photos", "--concurrency", "0"], ("--concurrency", "0")),
        (["photos", "--threads", "no"], ("--threads", "'no'")),
        ([], ("PHOTO",)),
    ],
)
def test_outputs_that_cannot_be_meant_are_2(
    arguments: list[str], words: tuple[str, ...], tree: Path
) -> None:
    (tree / "taken").touch()
    (tree / "link").symlink_to("photos")
    message = refused(tree, 2, *arguments)
    assert "Usage: etseg segment" in message
    for word in words:
        assert word in message


# What goes wrong on the way.


def test_a_broken_file_does_not_stop_the_rest(tree: Path) -> None:
    (tree / "photos" / "p3.jpg").write_bytes(b"\xff\xd8\xff\xe0broken")
    (tree / "photos" / "p4.png").touch()
    ended = commands.run(tree, "segment", "photos", "nowhere.jpg", "-o", "out")
    assert ended.returncode == 1
    assert [line.partition(":")[0] for line in ended.stdout.splitlines()] == [
        "photos/p1.jpeg", "photos/p2.PNG", "photos/p10.jpg",
    ]  # fmt: skip
    summary, *reasons = ended.stderr.splitlines()
    assert summary == "Error: 3 of 6 photos done, 3 failed"
    for name, reason in zip(("p3.jpg", "p4.png", "nowhere.jpg"), reasons, strict=True):
        assert name in reason
    assert "it is empty" in reasons[1]
    assert files(tree / "out") == {"p1.jpg", "p2.png", "p10.jpg"}


def test_an_image_over_the_limits_is_told_as_it_is(tmp_path: Path) -> None:
    """Its own words, and not those about arrays, where the whole photo is needed."""
    picture(tmp_path / "good.png")
    header = b"P6\n60000 60000\n255\n"
    (tmp_path / "huge.ppm").write_bytes(header + bytes(100))
    ended = commands.run(tmp_path, "segment", "good.png", "huge.ppm", "-o", "out")
    assert ended.returncode == 1
    assert "60000x60000" in ended.stderr
    assert "array" not in ended.stderr


def test_results_that_cannot_be_written_are_failures(tree: Path) -> None:
    (tree / "masks").mkdir()
    (tree / "masks" / "in").touch()  # where a folder is needed
    (tree / "masks" / "p10.png").mkdir()  # where a file is
    ended = commands.run(tree, "segment", "photos", "-r", "--mask", "masks")
    assert ended.returncode == 1
    assert "Error: 2 of 5 photos done, 3 failed" in ended.stderr
    for name in ("masks/in", "masks/in/deep", "masks/p10.png"):
        assert f"'{name}'" in ended.stderr
    assert files(tree / "masks") == {"in", "p1.png", "p2.png"}


def test_a_model_that_cannot_be_used_is_one_error(tree: Path) -> None:
    message = refused(tree, 1, "photos", "--model", program("missing_operator"), "-o", "out")
    assert message.count("Error") == 1
    assert "'CAT'" in refused(tree, 1, "photos", "--classes", "CAT", "-o", "out")


@pytest.mark.parametrize("options", ["--concurrency 3", "--concurrency 1", "--threads 1"])
def test_what_comes_out_does_not_depend_on_how_many_run(options: str, tree: Path) -> None:
    def figures(*arguments: object) -> list[Any]:
        ended = commands.run(tree, "segment", "photos", "-r", "--json", *arguments)
        items = [json.loads(line) for line in ended.stdout.splitlines()]
        return [(item["image"], item["labels"]) for item in items]

    assert figures(*options.split()) == figures()


def test_many_labels(tree: Path) -> None:
    shutil.copy(program("logits_c300"), tree / "own.pte")
    done(tree, "photos", "--model", "own.pte", "--mask", "masks", "-o", "out")
    mask = cv2.imread(str(tree / "masks" / "p1.png"), cv2.IMREAD_UNCHANGED)
    assert mask.dtype == np.uint16
    assert mask.max() > 0


# Ctrl-C.


def test_ctrl_c_ends_a_batch(tmp_path: Path, photo_path: Path) -> None:
    """Quickly, with 130 and a summary; what is there is whole."""
    count = 2000
    (tmp_path / "photos").mkdir()
    for number in range(count):
        (tmp_path / "photos" / f"{number}.jpg").symlink_to(photo_path)
    out = tmp_path / "out"
    status, printed, said = commands.interrupted(
        tmp_path, lambda: out.is_dir() and len(files(out)) > 5, "segment", "photos", "-o", "out"
    )
    assert status == 130
    made = files(out)
    told = re.search(rf"^Aborted: (\d+) of {count} photos done$", said, re.M)
    assert told is not None, said
    # The signal may come between a photo's end and the word of it.
    assert int(told[1]) <= len(made) <= int(told[1]) + 1
    assert abs(len(printed.splitlines()) - int(told[1])) <= 1
    assert 5 < len(made) < count
    assert "Traceback" not in said
    for name in made:
        assert not Path(name).name.startswith(".")
        assert cv2.imread(str(out / name)).shape == (512, 512, 3)


def test_ctrl_c_before_the_first_photo(tmp_path: Path) -> None:
    """While it waits for a model that does not come."""
    picture(tmp_path / "a.png")
    with serving() as server:
        url = server.add("/model.pte", bytes(1000))
        hold = threading.Event()
        server.files["/model.pte"].always = Fault(cut=0.5, hold=hold)
        status, printed, said = commands.interrupted(
            tmp_path, lambda: bool(server.requests), "segment", "a.png", "--model", url
        )
        hold.set()
    assert (status, printed) == (130, "")
    assert said.strip() == "Aborted."


@pytest.mark.parametrize("others", [[], ["a.png"]])
def test_ctrl_c_does_not_wait_for_a_download(others: list[str], tmp_path: Path) -> None:
    """Of a photo whose server has gone quiet: it would be tried again and again."""
    picture(tmp_path / "a.png")
    hold = threading.Event()
    with serving() as server:
        url = server.add("/b.png", (tmp_path / "a.png").read_bytes())
        server.files["/b.png"].always = Fault(cut=0.5, hold=hold)
        status, printed, said = commands.interrupted(
            tmp_path,
            lambda: bool(server.requests),
            *("segment", *others, url, "-o", "out/"),
            after_lines=len(others),
        )
        assert len(server.requests) == 1
        hold.set()
    assert status == 130
    assert len(printed.splitlines()) == len(others)
    assert said.strip() == ("Aborted: 1 of 2 photos done" if others else "Aborted.")
