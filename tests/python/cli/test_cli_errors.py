"""Whatever the command is given, and however it is ended: one error that says why, no traceback."""

from __future__ import annotations

import itertools
import os
import re
import shutil
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result
from PIL import Image

import commands
from children import PATIENCE
from etseg._cli import main

LONG = "x" * 300

#: What nobody means; as arguments, values of options and of environment variables.
HOSTILE = [
    "", " ", "\n", "\t,", ",,,", "-", "--", "-1", "0", "1e309", "nan", "inf", "-inf", "0x10", "1/3",
    "9" * 30, "9" * 5000, LONG, LONG + "*", LONG + ".png", "x" * 5000, "./" * 3000,
    "*", "[", "[!", "**", "**/" * 50 + LONG, "{a,b}", "?" * 300, "\U0001f4a9", "\udcff", "\x1b[2J",
    "../nowhere/a.png", "a.jpg/b.png", "nowhere/a.png", "loop.jpg", "loop.jpg/x.png",
    "gone.jpg", "fifo.png", "/dev/null", "/dev/full", "/dev/zero", "/proc/self/mem", "/dev/fd/9",
    "http://", "http://[", "http://[::1", "https://:99999/", "http://a:b:c/", "ftp://x/y",
    "file://", "file:///%00", "file://x/y", "file:///" + LONG, "data:", "data:,",
    "data:;base64,%%%", "bundled:", "bundled:../x.pte", "AAAA", "ARGMAX", "SELFIE,ARGMAX", "CAT",
    "None", "%s%n", "{}", "$HOME", "~",
]  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a.jpg, a link in a circle, one to nowhere, and a FIFO."""
    del cache  # nobody's real one
    work = tmp_path / "work"
    (work / "in").mkdir(parents=True)
    Image.effect_noise((40, 30), 50).convert("RGB").save(work / "a.jpg")
    shutil.copy(work / "a.jpg", work / "in" / "b.jpg")
    (work / "loop.jpg").symlink_to("loop.jpg")
    (work / "gone.jpg").symlink_to("nowhere.jpg")
    os.mkfifo(work / "fifo.png")
    monkeypatch.chdir(work)
    return work


def run(*arguments: str) -> Result:
    """In this process, for speed."""
    return CliRunner().invoke(main, arguments)


def said_why(ended: Result, what: object) -> None:
    """It ended as the help says, without an exception that nobody has turned into an error."""
    assert ended.exception is None or isinstance(ended.exception, SystemExit), (
        what,
        ended.exc_info,
    )
    assert ended.exit_code in (0, 1, 2), (what, ended.output)
    assert "Traceback" not in ended.output
    if ended.exit_code:
        assert "Error: " in ended.stderr or "Usage: " in ended.stderr, (what, ended.output)


#: Each argument and option that takes a value. What a number of threads does is another test's.
SLOTS = {
    "photo": ["segment", "{}"],
    "photos": ["segment", "a.jpg", "{}"],
    "photo, recursively": ["segment", "-r", "{}", "-o", "out"],
    "output": ["segment", "a.jpg", "-o", "{}"],
    "outputs": ["segment", "a.jpg", "in", "-o", "{}"],
    "mask": ["segment", "a.jpg", "--mask", "{}"],
    "masks": ["segment", "in", "--mask", "{}"],
    "npz": ["segment", "a.jpg", "--npz", "{}"],
    "mask of": ["segment", "a.jpg", "--mask", "out.png", "--mask-of", "{}"],
    "cutout": ["segment", "a.jpg", "--cutout", "{}"],
    "cutouts": ["segment", "in", "--cutout", "{}", "--background", "white"],
    "background": ["segment", "a.jpg", "--cutout", "out.png", "--background", "{}"],
    "foreground": ["segment", "a.jpg", "--cutout", "out.png", "--foreground", "{}"],
    "haze": ["segment", "a.jpg", "--cutout", "out.png", "--haze", "{}"],
    "palette": ["segment", "a.jpg", "-o", "out.png", "--palette", "{}"],
    "colour": ["segment", "a.jpg", "-o", "out.png", "--palette", "PERSON={}"],
    "alpha": ["segment", "a.jpg", "-o", "out.png", "--alpha", "{}"],
    "model": ["segment", "a.jpg", "--model", "{}"],
    "labels": ["segment", "a.jpg", "--json", "--labels", "{}"],
    "mean": ["segment", "a.jpg", "--mean", "{}"],
    "mean, in part": ["segment", "a.jpg", "--mean", "0,{},0"],
    "std": ["segment", "a.jpg", "--std", "{}"],
    "models": ["models", "{}"],
    "classes": ["segment", "a.jpg", "--json", "--classes", "{}"],
    "concurrency": ["segment", "a.jpg", "--concurrency", "{}"],
    "fetch": ["fetch", "-q", "{}"],
    "cache clear": ["cache", "clear", "-y", "{}"],
    "command": ["{}"],
    "option": ["segment", "a.jpg", "--{}"],
    "export": ["export", "{}", "-o", "out.pte"],
    "export labels": ["export", "./no.py:net", "-o", "out.pte", "--labels", "{}"],
    "export size": ["export", "./no.py:net", "-o", "out.pte", "--size", "{}"],
    "export mean": ["export", "./no.py:net", "-o", "out.pte", "--mean", "{}"],
}


@pytest.mark.parametrize("slot", SLOTS.values(), ids=list(SLOTS))
def test_hostile_values(slot: list[str], folder: Path) -> None:
    kept = {name: (folder / name).read_bytes() for name in ("a.jpg", "in/b.jpg")}
    for value in HOSTILE:
        said_why(run(*(word.replace("{}", value) for word in slot)), (slot, value[:80]))
        for name, content in kept.items():
            assert (folder / name).read_bytes() == content
        assert (folder / "fifo.png").is_fifo()
        assert not list(folder.rglob(".etseg-*"))
        shutil.rmtree(folder / "out", ignore_errors=True)


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    "words",
    [["cache", "path"], ["cache", "list"], ["cache", "clear", "-y"], ["models"], ["doctor"]],
)
def test_hostile_environment(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in itertools.product(("ETSEG_CACHE",), HOSTILE):
        if value in ("~", "./" * 3000, " "):
            continue  # a folder of somebody's
        monkeypatch.setenv(name, value)
        ended = run(*words)
        said_why(ended, (words, name, value[:80]))
        assert "cannot write the answer" not in ended.stderr  # it is not for lack of an output


def test_every_option_that_takes_a_value_is_tried() -> None:
    """So that the next option is not forgotten."""
    tried = {word for slot in SLOTS.values() for word in slot if word.startswith("-")}
    segment = main.get_command(click.Context(main), "segment")
    assert segment is not None
    for option in segment.params:
        if isinstance(option, click.Option) and not option.is_flag:
            assert tried & set(option.opts) or option.name == "threads", option.name


# Files and folders.


def test_links_in_circles_and_to_nowhere_are_failures_of_their_own(folder: Path) -> None:
    (folder / "notes.txt").symlink_to("nowhere")  # no image, and nobody's business
    ended = run("segment", ".", "--mask", "masks")
    assert ended.exit_code == 1
    assert ended.stdout.startswith("a.jpg: 40x30")
    assert ended.stderr == (
        "Error: 1 of 1 photos done, 2 failed\n"
        "  cannot read 'gone.jpg': No such file or directory\n"
        "  cannot read 'loop.jpg': Too many levels of symbolic links\n"
    ), ended.stderr
    (folder / "a.jpg").unlink()
    ended = run("segment", ".")
    assert ended.exit_code == 1
    assert "no images in the folder '.'" in ended.stderr
    assert "cannot read 'gone.jpg': No such file" in ended.stderr


def test_results_may_go_deep(folder: Path) -> None:
    """However deep the folders are that have to be made: Python's calls are not nested for it."""
    out = "/".join("d" * (sys.getrecursionlimit() + 100))
    try:
        for option in (["-o", f"{out}/"], ["--mask", f"{out}/x.png"]):
            assert run("segment", "a.jpg", *option).exit_code == 0
            (folder / out / ("x.png" if "x.png" in option[1] else "a.jpg")).unlink()
    finally:
        os.removedirs(folder / out)  # pytest's own way is recursive


@pytest.fixture
def deep(folder: Path) -> Iterator[int]:
    """deep/: folders in folders, more than Python calls can be nested, with a photo at the end."""
    depth = sys.getrecursionlimit() + 100
    path = folder / "deep" / "/".join("d" * depth)
    (folder / "deep").mkdir()
    for number in range(1, depth + 1):  # makedirs() is recursive
        (folder / "deep" / "/".join("d" * number)).mkdir()
    shutil.copy(folder / "a.jpg", path)
    yield depth
    (path / "a.jpg").unlink()
    os.removedirs(path)  # pytest's own way is recursive


def test_deep_folders(deep: int) -> None:
    ended = run("segment", "-r", "deep")
    assert ended.exit_code == 0, ended.output
    assert ended.stdout.count("d/") == deep
    ended = run("segment", "deep/**/*.jpg")
    said_why(ended, "deep pattern")
    assert ended.exit_code == 0 or "nested too deeply for a pattern" in ended.stderr


def test_a_huge_file_is_one_photos_failure(folder: Path) -> None:
    with (folder / "in" / "c.jpg").open("wb") as file:
        file.truncate(6 << 30)  # takes no room on the disk
    for output in ([], ["-o", "out"]):
        ended = run("segment", "in", *output)
        said_why(ended, "6 GB")
        assert ended.exit_code == 1
        assert ended.stdout.startswith("in/b.jpg: 40x30")
        assert "Error: 1 of 2 photos done, 1 failed" in ended.stderr
        assert "6,442,450,944 bytes" in ended.stderr


def test_a_missing_file_is_said_to_be_missing(folder: Path) -> None:
    for name in ("nope.jpg", "nope/nope.jpg", (folder / "nope.jpg").as_uri()):
        ended = run("segment", name)
        assert ended.exit_code == 1
        assert "no such file" in ended.stderr.lower()
        assert "base64" not in ended.stderr


# The output takes no more.


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize(
    "words",
    ["--help", "segment a.jpg", "segment a.jpg in --json", "models --json", "doctor"],
)
def test_a_full_disk_is_an_error(words: str, folder: Path) -> None:
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(
            [commands.COMMAND, *words.split()], cwd=folder, stdout=full, stderr=subprocess.PIPE,
            text=True, timeout=PATIENCE, check=False,
        )  # fmt: skip
    assert ended.returncode == 1
    assert ended.stderr == "Error: cannot write the answer: No space left on device\n"
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(
            [commands.COMMAND, *words.split()], cwd=folder, stdout=full, stderr=full,
            text=True, timeout=PATIENCE, check=False,
        )  # fmt: skip
    assert ended.returncode == 1


# Signals.

#: The command, where a file is half-written until somebody opens the FIFO `gate`.
HELD = """
import signal
import sys
from pathlib import Path
from etseg._cli import main

opened = Path.open

def slowly(path, mode="r", *rest, **options):
    file = opened(path, mode, *rest, **options)
    if path.name.startswith(".etseg-"):
        Path("begun").touch()
        opened(Path("gate"), "rb").close()
    return file

Path.open = slowly
sys.argv[0] = "etseg"
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # `nohup pytest` has it ignored
main()
"""


@pytest.mark.parametrize(("name", "status"), [("SIGTERM", 143), ("SIGHUP", 129), ("SIGINT", 130)])
@pytest.mark.parametrize("photos", [["a.jpg"], ["a.jpg", "in/b.jpg"]])
def test_a_signal_leaves_no_temporary_file(
    photos: list[str], name: str, status: int, folder: Path
) -> None:
    """It comes while a file is half-written: that one is finished, and no other begun."""
    os.mkfifo(folder / "gate")
    out = "out/" if len(photos) > 1 else "out.jpg"
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(HELD), "segment", *photos, "-o", out,
         "--concurrency", "1"],
        cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        while not (folder / "begun").exists() and process.poll() is None:
            os.sched_yield()
        assert list(folder.rglob(".etseg-*"))
        process.send_signal(getattr(signal, name))
        release(folder / "gate", process)
        _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == status, said
    assert "Aborted" in said
    assert "Traceback" not in said
    made = {path.name for path in folder.rglob("*") if path.is_file()} - {"begun"}
    assert not [path for path in made if path.startswith(".etseg-")]
    for path in folder.rglob("out*/*.jpg"):
        with Image.open(path) as image:
            image.load()


def release(gate: Path, process: subprocess.Popen[str]) -> None:
    """Lets everybody through who waits at a FIFO, until the process is gone."""
    while process.poll() is None:
        try:
            os.close(os.open(gate, os.O_WRONLY | os.O_NONBLOCK))
        except OSError:  # nobody reads
            os.sched_yield()


def test_nohup_is_heeded(folder: Path) -> None:
    """Who ignores SIGHUP goes on ignoring it: the command changes only what nobody has set."""
    script = """
        import signal, sys
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        from etseg._cli import main
        from etseg._cli.segmenting import work
        made = work.Work
        def hang_up(*arguments):
            signal.raise_signal(signal.SIGHUP)
            return made(*arguments)
        work.Work = hang_up
        main(["segment", "a.jpg"])
    """
    ended = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], cwd=folder, capture_output=True, text=True,
        timeout=PATIENCE, check=False,
    )  # fmt: skip
    assert (ended.returncode, ended.stderr) == (0, "")
    assert re.search(r"^BACKGROUND", ended.stdout, re.M)


def test_signals_are_as_they_were() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)]
    assert run("models").exit_code == 0
    after = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)]
    assert after == before
