"""No output of `etseg segment` ever replaces what is read, or another output."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from PIL import Image

from etseg._cli import main
from etseg._cli.guard import file_ids, keep_apart
from etseg._cli.segmenting import outputs, work
from etseg._results.encoding import is_marked
from programs import program

Tree = dict[str, tuple[int, bytes]]


def tree_of(folder: Path) -> Tree:
    """Every file and link below a folder: which it is, and what is in it."""
    return {
        str(path.relative_to(folder)): (
            path.lstat().st_ino,
            os.fsencode(path.readlink()) if path.is_symlink() else path.read_bytes(),
        )
        for path in folder.rglob("*")
        if path.is_symlink() or path.is_file()
    }


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with t.jpg and u.png, and photos/ with a.jpg, b.png, in/c.jpg."""
    picture = Image.effect_noise((40, 30), 50).convert("RGB")
    for name in ("t.jpg", "u.png", "photos/a.jpg", "photos/b.png", "photos/in/c.jpg"):
        path = tmp_path / "work" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        picture.save(path)
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "work"


def segment(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["segment", *map(str, arguments)])


def link(target: str, name: str) -> None:
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Path(name).symlink_to(Path(target).absolute())


def hard_link(target: str, name: str) -> None:
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Path(name).hardlink_to(target)


#: What stands there before, the arguments, and the words of the refusal.
CASES: dict[str, tuple[Callable[[], object], str, tuple[str, ...]]] = {
    "itself": (lambda: None, "t.jpg -o t.jpg", ("'t.jpg'", "--output")),
    "itself by another path": (lambda: None, "t.jpg -o photos/../t.jpg", ("'t.jpg'", "--output")),
    "itself, absolute": (lambda: None, "t.jpg -o {cwd}/t.jpg", ("'t.jpg'",)),
    "itself, by URI": (lambda: None, "file://{cwd}/t.jpg -o t.jpg", ("'t.jpg'", "--output")),
    "mask of itself": (lambda: None, "u.png --mask u.png", ("'u.png'", "--mask")),
    "arrays of itself": (
        lambda: shutil.copy("t.jpg", "t.npz"), "t.npz --npz t.npz", ("'t.npz'", "--npz")
    ),
    "link to it": (lambda: link("t.jpg", "l.jpg"), "t.jpg -o l.jpg", ("'t.jpg'", "'l.jpg'")),
    "given by a link": (lambda: link("t.jpg", "l.jpg"), "l.jpg -o t.jpg", ("'l.jpg'", "'t.jpg'")),
    "the link given": (lambda: link("t.jpg", "l.jpg"), "l.jpg -o l.jpg", ("'l.jpg'",)),
    "a link on the way": (
        lambda: (link("m.jpg", "l.jpg"), link("t.jpg", "m.jpg")),
        "l.jpg -o m.jpg",
        ("'l.jpg'", "'m.jpg'"),
    ),
    "hard link": (
        lambda: hard_link("u.png", "h.png"), "u.png --mask h.png", ("'u.png'", "'h.png'")
    ),
    "folder of it": (lambda: None, "t.jpg -o .", ("'t.jpg'",)),
    "linked folder of it": (lambda: link(".", "l"), "t.jpg -o l", ("'t.jpg'",)),
    "another photo": (
        lambda: shutil.copy("t.jpg", "photos/t.jpg"), "t.jpg photos/t.jpg -o photos",
        ("'photos/t.jpg'", "--output"),
    ),
    "any other photograph": (lambda: None, "t.jpg -o photos/a.jpg", ("'photos/a.jpg'", "image")),
    "any other, in a folder": (
        lambda: shutil.copytree("photos", "out"), "photos --mask out", ("'out/b.png'", "image")
    ),
    "a link to any other": (lambda: link("u.png", "l.png"), "t.jpg --mask l.png", ("'l.png'",)),
    "another photo's target": (
        lambda: (link("out/x.jpg", "photos/x.jpg"), Path("out").mkdir(),
                 shutil.copy("t.jpg", "out/x.jpg")),
        "photos -o out",
        ("'photos/x.jpg'", "'out/x.jpg'"),
    ),
    "another photo's hard link": (
        lambda: hard_link("photos/b.png", "out/a.png"),
        "photos --mask out",
        ("'photos/b.png'", "'out/a.png'"),
    ),
    "output links to a photo": (
        lambda: link("photos/a.jpg", "out/b.png"), "photos -o out", ("'photos/a.jpg'", "out/b.png")
    ),
    "a photo in the folder of the results": (
        lambda: shutil.copy("t.jpg", "photos/in/a.jpg"),
        "-r photos -o photos/in",
        ("'photos/in/a.jpg'", "written over"),
    ),
    "a photo named there": (
        lambda: shutil.copytree("photos", "out/photos"),
        "photos/a.jpg out/photos/a.jpg -o out",
        ("'out/photos/a.jpg'", "written over"),
    ),
    "the model": (
        lambda: shutil.copy(program("logits_c3"), "own.png"),
        "t.jpg --model ./own.png --mask own.png",
        ("'own.png'", "written over"),
    ),
    "two outputs": (lambda: None, "t.jpg -o x.png --mask {cwd}/x.png", ("--output and --mask",)),
    "two outputs by a link": (
        lambda: link("x.png", "l.png"), "t.jpg -o x.png --mask l.png", ("--output and --mask",)
    ),
    "two outputs by a linked folder": (
        lambda: (Path("out").mkdir(), link("out", "l")),
        "photos -o out --mask l",
        ("--output and --mask", "b.png"),
    ),
    "two outputs by a folder that links to nothing": (
        lambda: link("out", "l"), "photos/a.jpg -o out/a.png --mask l/a.png",
        ("--output and --mask",),
    ),
    "two outputs, but for capitals": (
        lambda: None, "photos -o out --mask OUT", ("--output and --mask",)
    ),
    "a file where a folder is needed": (
        lambda: None, "t.jpg -o x.png --mask x.png/", ("'{cwd}/x.png'", "--mask needs a folder")
    ),
}  # fmt: skip


@pytest.mark.parametrize(("before", "arguments", "words"), CASES.values(), ids=list(CASES))
def test_what_is_read_or_written_is_not_written_over(
    before: Callable[[], object], arguments: str, words: tuple[str, ...], folder: Path
) -> None:
    before()
    there = tree_of(folder)
    ended = segment(*arguments.format(cwd=folder).split())
    assert (ended.exit_code, ended.stdout) == (2, ""), ended.output
    for word in words:
        assert word.format(cwd=folder) in " ".join(ended.stderr.split())
    assert tree_of(folder) == there


@pytest.mark.parametrize(
    ("before", "arguments", "written"),
    [
        (lambda: None, "t.jpg -o T.jpg", "T.jpg"),
        (lambda: link("v.png", "l.png"), "t.jpg -o l.png", "l.png"),
        (lambda: Path("v.png").write_text("no image"), "t.jpg -o v.png", "v.png"),
        (lambda: hard_link("t.jpg", "photos/z.jpg"), "t.jpg -o x.jpg", "x.jpg"),
        (lambda: link("photos", "l"), "l -o out", "out/a.jpg"),
        (lambda: Path("X.png").touch(), "t.jpg -o X.png --mask x.png", "x.png"),
        (lambda: [Path(name).mkdir() for name in "oO"], "photos -o o --mask O", "O/a.png"),
    ],
)  # fmt: skip
def test_other_files_are_written(
    before: Callable[[], object], arguments: str, written: str, folder: Path
) -> None:
    if (folder / "T.JPG").exists():
        pytest.skip("this file system knows no capitals")
    before()
    there = tree_of(folder)
    ended = segment(*arguments.split())
    assert ended.exit_code == 0, ended.output
    made = tree_of(folder)
    assert is_marked(folder / written)
    assert not (folder / written).is_symlink()
    assert {name: made[name] for name in there if (folder / name).samefile(name)}
    for name, content in there.items():
        assert made[name] == content or name in (written, "X.png", "v.png")


@pytest.mark.usefixtures("folder")
def test_on_a_file_system_without_capitals_it_is_one_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """There T.JPG is found, and is t.jpg."""
    lstat = os.lstat
    monkeypatch.setattr(os, "lstat", lambda path: lstat(str(path).replace("T.JPG", "t.jpg")))
    ended = segment("t.jpg", "-o", "T.JPG")
    assert (ended.exit_code, ended.stdout) == (2, "")
    assert "'T.JPG'" in ended.stderr


# What earlier runs have written.


@pytest.mark.parametrize("output", ["-o", "--mask"])
def test_only_marked_images_are_results(output: str, folder: Path) -> None:
    """A photograph that lies in the folder of the results is segmented like any other."""
    shutil.copy("t.jpg", "photos/in/d.jpg")
    arguments = ("-r", "photos", output, "photos/in")
    for _ in range(2):
        ended = segment(*arguments)
        assert ended.exit_code == 0, ended.output
        names = [line.partition(":")[0] for line in ended.stdout.splitlines()]
        assert names == ["photos/a.jpg", "photos/b.png", "photos/in/c.jpg", "photos/in/d.jpg"]
    suffix = ".jpg" if output == "-o" else ".png"
    assert is_marked(folder / "photos" / "in" / f"a{suffix}")
    assert not is_marked(folder / "photos" / "in" / "d.jpg")


@pytest.mark.usefixtures("folder")
def test_a_result_that_is_named_is_a_photo() -> None:
    assert segment("photos", "-o", "photos/out").exit_code == 0
    ended = segment("photos/a.jpg", "photos/out/a.jpg", "-o", "photos/out")
    assert ended.exit_code == 2
    assert "'photos/out/a.jpg' would be written over" in " ".join(ended.stderr.split())


@pytest.mark.parametrize("name", ["o.png", "o.jpg", "o.webp"])
def test_marked_images_are_whole_images(name: str, folder: Path) -> None:
    assert segment("t.jpg", "-o", name).exit_code == 0
    with Image.open(folder / name) as image:
        image.load()
        assert image.size == (40, 30)
    assert is_marked(folder / name) == (name != "o.webp")
    assert not is_marked(folder / "t.jpg")
    assert not is_marked(folder / "u.png")
    assert not is_marked(folder / "nowhere")
    os.mkfifo(folder / "fifo")
    assert not is_marked(folder / "fifo")


# What becomes a link between the plan and the writing.


@pytest.mark.parametrize("way", ["linked folder", "link", "hard link"])
def test_what_becomes_a_photo_meanwhile_is_kept(
    way: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = tree_of(folder)
    work_of = work.Work

    def late(*arguments: Any) -> work.Work:
        """All is planned; nothing is written yet."""
        if way == "linked folder":
            (folder / "out").symlink_to(folder / "photos")
        else:
            (folder / "out").mkdir()
            target = folder / "out" / "a.jpg"
            if way == "link":
                target.symlink_to(folder / "photos" / "a.jpg")
            else:
                target.hardlink_to(folder / "photos" / "a.jpg")
        return work_of(*arguments)

    monkeypatch.setattr(work, "Work", late)
    ended = segment("photos/a.jpg", "-o", "out/a.jpg")
    assert ended.exit_code == 1
    assert ended.stderr == (
        "Error: cannot write 'out/a.jpg': it is one of the files that are read or written here "
        "already; choose another place\n"
    )
    made = tree_of(folder)
    assert {name: made[name] for name in there} == there
    assert not [name for name in made if ".etseg-" in name]


def test_what_becomes_another_output_meanwhile_is_kept(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work_of = work.Work

    def late(*arguments: Any) -> work.Work:
        (folder / "out").mkdir()
        (folder / "masks").symlink_to(folder / "out")
        return work_of(*arguments)

    monkeypatch.setattr(work, "Work", late)
    ended = segment("photos/b.png", "photos/a.jpg", "-o", "out", "--mask", "masks")
    assert ended.exit_code == 1
    assert "1 of 2 photos done, 1 failed" in ended.stderr
    assert "cannot write 'masks/b.png': it is one of the files" in ended.stderr
    with Image.open(folder / "out" / "b.png") as image:
        assert image.mode == "RGB"  # the picture, and not the mask


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_what_is_no_regular_file_is_not_replaced(make: Callable[[str], None], folder: Path) -> None:
    make("o.png")
    Path("l.png").symlink_to("o.png")
    kind = os.lstat("o.png").st_mode
    for name in ("o.png", "l.png"):
        if make is os.mkdir:
            link("o.png", "photos/a.png")  # in a folder: a folder's name alone means what is in it
            ended = segment("photos/a.jpg", "--mask", "photos/")
        else:
            ended = segment("t.jpg", "-o", name)
        assert ended.exit_code == 1, ended.output
        assert "it is a folder" in ended.stderr or "it is no regular file" in ended.stderr
        assert os.lstat("o.png").st_mode == kind
        Path("photos/a.png").unlink(missing_ok=True)
    assert (folder / "l.png").is_symlink()


# The two halves of it.


@pytest.mark.usefixtures("folder")
def test_the_identities_of_a_file_are_those_of_all_its_links() -> None:
    link("photos/a.jpg", "one")
    Path("photos/two").symlink_to("../one")
    link("photos", "there")
    ids = [os.lstat(name) for name in ("photos/two", "one", "photos/a.jpg")]
    assert file_ids("there/two") == {(status.st_dev, status.st_ino) for status in ids}
    assert file_ids("nowhere") == file_ids("a\0b") == set()
    Path("loop").symlink_to("loop")
    assert len(file_ids("loop")) == 1


@pytest.mark.usefixtures("folder")
def test_many_outputs_are_looked_at_once_each(monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps, not seconds: of n outputs, what is asked of the system grows as n."""
    asked = 0
    lstat = os.lstat

    def counting(*arguments: Any, **options: Any) -> os.stat_result:
        nonlocal asked
        asked += 1
        return lstat(*arguments, **options)

    monkeypatch.setattr(os, "lstat", counting)
    counts = []
    for size in (100, 200):
        asked = 0
        keep_apart({}, {"--mask": [Path(f"out/{i}.png") for i in range(size)]})
        counts.append(asked)
    assert counts[1] <= 2 * counts[0]


def test_the_plan_names_what_is_read(folder: Path) -> None:
    from etseg._cli.segmenting.inputs import collect

    planned = outputs.plan(collect(["t.jpg", "photos"], False), {"mask": "out"}, ["u.png"])
    ids = {
        (folder / name).stat().st_ino for name in ("t.jpg", "photos/a.jpg", "photos/b.png", "u.png")
    }
    assert {inode for _, inode in planned.inputs} == ids
