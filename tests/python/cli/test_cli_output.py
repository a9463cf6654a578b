"""What the command says, and to whom: stdout and stderr, people and programs."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import threading
from pathlib import Path
from typing import Any

import click
import pytest

import commands
import etseg
from children import PATIENCE
from etseg._cli import main
from http_server import Fault, Server
from result_schema import check_record

ESCAPE = "\x1b"
#: Of colours and of the like; a progress bar has others.
STYLE = re.compile(r"\x1b\[[0-9;]*m")


@pytest.fixture
def photos(tmp_path: Path, photo_path: Path) -> Path:
    """A folder with photos/a.jpg, b.jpg, c.jpg; the second is broken."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in "ac":
        shutil.copy(photo_path, folder / f"{name}.jpg")
    (folder / "b.jpg").write_bytes(b"none")
    return tmp_path


def parsed(text: str) -> Any:
    """One line of ASCII, one JSON value."""
    assert text.isascii()
    assert text.endswith("\n")
    assert text.count("\n") == 1
    return json.loads(text)


# --json.


def test_json_of_one_photo(photos: Path, selfie: Any) -> None:
    ended = commands.run(
        photos, "segment", "photos/a.jpg", "--json", "--classes", "background", "--mask", "m.png"
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    item = parsed(ended.stdout)
    check_record(item)
    assert list(item) == [
        "schema", "image", "model", "width", "height", "map_width", "map_height", "labels",
        "timings_ms", "error", "written",
    ]  # fmt: skip
    assert item["image"] == "photos/a.jpg"
    assert item["error"] is None
    assert item["model"] == "selfie-segmentation"
    assert (item["width"], item["height"]) == (512, 512)
    assert item["written"] == {"mask": "m.png"}
    assert list(item["timings_ms"]) == [
        "decode", "preprocess", "inference", "postprocess", "total",
    ]  # fmt: skip
    assert 0 < item["timings_ms"]["inference"] < item["timings_ms"]["total"]
    result = selfie.forward(photos / "photos" / "a.jpg", ["BACKGROUND"], resize=True)
    area = result.areas()["BACKGROUND"]
    # Of the labels that were chosen alone.
    assert item["labels"] == [
        {
            "label": "BACKGROUND",
            "index": 1,
            "pixels": area.pixels,
            "share": area.share,
            "mean_probability": pytest.approx(float(result["BACKGROUND"].mean())),
            "box": list(result.boxes()["BACKGROUND"]),
            "rle": result.to_coco_rle("BACKGROUND"),
        }
    ]


def test_json_of_a_failure(photos: Path) -> None:
    """Also on stderr, for whoever only looks there."""
    ended = commands.run(photos, "segment", "photos/b.jpg", "--json")
    assert ended.returncode == 1
    item = parsed(ended.stdout)
    check_record(item)
    assert list(item) == ["image", "error"]
    assert item["image"] == "photos/b.jpg"
    assert item["error"].keys() == {"type", "code", "message"}
    assert item["error"]["type"] == "FileReadError"
    assert item["error"]["code"] == etseg.ErrorCode.FILE_READ_FAILED
    assert ended.stderr == f"Error: {item['error']['message']}\n"


def test_json_of_many_photos_is_a_line_each(photos: Path) -> None:
    ended = commands.run(photos, "segment", "photos", "-q", "--json", "-o", "out")
    assert ended.returncode == 1
    items = [json.loads(line) for line in ended.stdout.splitlines()]
    assert [item["image"] for item in items] == [f"photos/{name}.jpg" for name in "abc"]
    assert [bool(item["error"]) for item in items] == [False, True, False]
    assert items[2]["written"] == {"overlay": "out/c.jpg"}
    check_record(items[2])
    assert ended.stderr.startswith("Error: 2 of 3 photos done, 1 failed\n  ")


def test_json_lines_come_as_photos_are_done(photos: Path, server: Server) -> None:
    """Not at the end: the second photo waits for the test to have read of the first."""
    hold = threading.Event()
    url = server.add("/c.jpg", (photos / "photos" / "c.jpg").read_bytes())
    server.files["/c.jpg"].faults = [Fault(cut=0.5, hold=hold)]
    with subprocess.Popen(
        [str(commands.COMMAND), "segment", "photos/a.jpg", url, "--json"],
        cwd=photos,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        try:
            first = json.loads(process.stdout.readline())
        finally:
            hold.set()
        second, _ = process.communicate(timeout=PATIENCE)
    assert first["image"] == "photos/a.jpg"
    assert json.loads(second)["image"] == url
    assert process.returncode == 0


def test_json_of_the_other_commands(tmp_path: Path, cache: Path) -> None:
    def of(*arguments: object) -> Any:
        ended = commands.run(tmp_path, *arguments, "--json")
        assert (ended.returncode, ended.stderr) == (0, ""), ended
        return parsed(ended.stdout)

    models = of("models")
    assert [model["name"] for model in models] == list(etseg.CATALOGUE)
    for model in models:
        assert list(model) == ["name", "size", "labels", "where", "url"]
        assert model["size"] > 1000
        assert (model["url"] is None) == (model["where"] == "package")
    assert {model["where"] for model in models} == {"package", "internet"}
    (selfie,) = (model for model in models if model["name"] == "selfie-segmentation")
    assert selfie["labels"] == ["SELFIE", "BACKGROUND"]

    assert of("cache", "path") == {"path": str(cache)}
    assert of("cache", "list") == []
    assert of("cache", "clear", "--yes") == {"freed": 0}

    doctor = of("doctor")
    assert list(doctor) == [
        "version", "package", "python", "platform", "dependencies", "opencv", "isa",
        "supported_isas", "threads", "cpus", "runtime", "packed_weights", "openvino",
        "libraries", "sizes",
    ]  # fmt: skip
    assert doctor["version"] == etseg.__version__
    assert doctor["isa"] in doctor["supported_isas"]
    assert doctor["threads"] >= 1
    assert "XnnpackBackend" in doctor["runtime"]["backends"]
    assert {"numpy", "simplejpeg", "click", "urllib3", "filelock"} <= set(doctor["dependencies"])
    assert all(library["size"] > 1000 for library in doctor["libraries"])
    package = doctor["sizes"]["package"]
    assert package["runtime"] == sum(library["size"] for library in doctor["libraries"])
    assert set(package) == {"runtime", "models", "extension", "python"}
    assert all(size > 100_000 for size in package.values())
    compiled = sum(f.stat().st_size for f in Path(etseg.__file__).parent.rglob("*.pyc"))
    assert sum(package.values()) - compiled < 20_000_000  # what a wheel brings
    assert doctor["sizes"]["dependencies"]["numpy"] > 10_000_000


def test_json_of_the_cache(tmp_path: Path, server: Server, cache: Path, program: bytes) -> None:
    del cache
    url = server.add("/model.pte", program)
    path = commands.run(tmp_path, "fetch", url).stdout.strip()
    (model,) = parsed(commands.run(tmp_path, "cache", "list", "--json").stdout)
    assert list(model) == ["kind", "path", "size", "url", "sha256"]
    assert model["kind"] == "model"
    assert (model["url"], model["path"], model["size"]) == (url, path, len(program))
    freed = parsed(commands.run(tmp_path, "cache", "clear", url, "--json").stdout)
    assert freed["freed"] > len(program)


def test_doctor_for_people(tmp_path: Path) -> None:
    lines = commands.run(tmp_path, "doctor").stdout.splitlines()
    names = [line.split()[0] for line in lines]
    assert names[:9] == [
        "etseg", "python", "packages", "opencv", "kernels", "threads", "cpus", "runtime",
        "backends",
    ]  # fmt: skip
    assert set(names[9:]) == {"weights", "openvino", "library", "size", "beside"}
    assert etseg.__version__ in lines[0]


# Terminals and pipes.


def test_piped_there_are_no_colours_bars_and_notes(photos: Path) -> None:
    (photos / "photos" / "b.jpg").rename(photos / "photos" / "b.txt")
    for arguments in (["photos"], ["photos/a.jpg"], ["photos", "-o", "o"], ["photos", "--json"]):
        ended = commands.run(photos, "segment", *arguments, TERM="xterm-256color")
        assert (ended.returncode, ended.stderr) == (0, "")
        assert ESCAPE not in ended.stdout
        assert "\r" not in ended.stdout


def test_a_terminal_has_a_bar_and_colours(photos: Path) -> None:
    shown = commands.on_terminal(photos, "segment", "photos", "-o", "out")
    assert shown.status == 1
    assert "segmenting  [" in shown.terminal
    assert "0/3" in shown.terminal
    assert "3/3  1 failed" in STYLE.sub("", shown.terminal)
    assert shown.terminal.count(f"{ESCAPE}[?25h") >= 1  # the cursor is there again
    lines = STYLE.sub("", shown.terminal).replace(f"{ESCAPE}[K", "\n").splitlines()
    for name in "ac":
        assert any(line.startswith(f"photos/{name}.jpg: 512x512, PERSON 5") for line in lines)
    assert "Error: 2 of 3 photos done, 1 failed" in lines
    assert f"{ESCAPE}[31m" in shown.terminal
    for part in re.split(r"[\r\n]", shown.terminal.partition("Error")[0]):
        assert len(re.sub(r"\x1b\[[?0-9;]*[A-Za-z]", "", part)) <= 80


def test_a_terminal_is_told_of_success_and_of_what_was_left_out(photos: Path) -> None:
    (photos / "photos" / "b.jpg").rename(photos / "photos" / "b.heic")
    shown = commands.on_terminal(photos, "segment", "photos", "--mask", "photos/masks", "-r")
    assert shown.status == 0
    text = STYLE.sub("", shown.terminal)
    assert re.search(r"2 of 2 photos done in \d+\.\d s, [\d.]+ a second", text)
    assert "left out what is no image by its ending: 1 .heic" in text
    again = commands.on_terminal(photos, "segment", "photos", "--mask", "photos/masks", "-r")
    assert "left out 2 images in the folders of the results" in again.terminal
    one = commands.on_terminal(photos, "segment", "photos/a.jpg", "-o", "a.png")
    assert "wrote a.png" in one.terminal
    assert f"{ESCAPE}[1mlabel" in one.terminal


def test_the_answer_is_on_stdout_alone(photos: Path) -> None:
    """With the bar on a terminal and the answer on a pipe."""
    shown = commands.on_terminal(photos, "segment", "photos", "--json", stdout=False)
    assert [json.loads(line)["image"][7] for line in shown.piped.splitlines()] == ["a", "b", "c"]
    assert "3/3  1 failed" in shown.terminal
    assert "PERSON" not in shown.terminal
    shown = commands.on_terminal(photos, "segment", "photos", stdout=False)
    assert ESCAPE not in shown.piped
    assert len(shown.piped.splitlines()) == 2


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_who_wants_no_colours_gets_none(environment: dict[str, str], photos: Path) -> None:
    for arguments in (
        ["segment", "photos"],
        ["segment", "photos/a.jpg"],
        ["segment", "photos/b.jpg"],
        ["models"],
        ["doctor"],
    ):
        assert not STYLE.search(commands.on_terminal(photos, *arguments, **environment).terminal)  # type: ignore[arg-type]
        assert STYLE.search(commands.on_terminal(photos, *arguments, NO_COLOR="").terminal)
    dumb = commands.on_terminal(photos, "segment", "photos", TERM="dumb")
    assert ESCAPE not in dumb.terminal


def test_quiet_says_errors_only(photos: Path) -> None:
    good = commands.on_terminal(photos, "segment", "photos/a.jpg", "-q", "-o", "a.png")
    assert (good.status, good.terminal) == (0, "")
    assert (photos / "a.png").exists()
    many = commands.on_terminal(photos, "segment", "photos", "--quiet")
    assert many.status == 1
    summary, reason = STYLE.sub("", many.terminal).splitlines()
    assert summary == "Error: 2 of 3 photos done, 1 failed"
    assert "photos/b.jpg" in reason
    as_json = commands.run(photos, "segment", "photos/a.jpg", "-q", "--json")
    assert parsed(as_json.stdout)["image"] == "photos/a.jpg"


def test_a_download_has_a_bar_on_a_terminal(
    tmp_path: Path, server: Server, cache: Path, program: bytes
) -> None:
    del cache
    url = server.add("/model.pte", program)
    shown = commands.on_terminal(tmp_path, "fetch", url, stdout=False)
    assert shown.status == 0
    assert Path(shown.piped.strip()).read_bytes() == program
    assert "100%" in shown.terminal
    again = commands.on_terminal(tmp_path, "fetch", url, stdout=False)
    assert (again.terminal, again.piped) == ("", shown.piped)
    commands.run(tmp_path, "cache", "clear", "--yes")
    quiet = commands.on_terminal(tmp_path, "fetch", "--quiet", url, stdout=False)
    assert (quiet.terminal, quiet.piped) == ("", shown.piped)


def test_a_reader_that_goes_away_is_no_error(photos: Path) -> None:
    """As head -1 does: no traceback, and it does not go on for nobody."""
    for number in range(2000):
        (photos / "photos" / f"d{number}.jpg").symlink_to(photos / "photos" / "a.jpg")
    with subprocess.Popen(
        [str(commands.COMMAND), "segment", "photos", "--mask", "masks"],
        cwd=photos,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline().startswith("photos/a.jpg")
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait(PATIENCE) == 1
    assert len(list((photos / "masks").iterdir())) < 2000


# Help.


def every_command(group: click.Group = main, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """The words of each command."""
    found: list[tuple[str, ...]] = [path]
    context = click.Context(group)
    for name in group.list_commands(context):
        command, inner = group.get_command(context, name), (*path, name)
        found += every_command(command, inner) if isinstance(command, click.Group) else [inner]
    return found


@pytest.mark.parametrize("words", every_command(), ids=lambda words: " ".join(words) or "etseg")
def test_help_reads_well(words: tuple[str, ...], tmp_path: Path) -> None:
    """In 80 columns, every option explained, nothing cut off in the list of commands."""
    ended = commands.run(tmp_path, *words, "--help", COLUMNS="80")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert commands.run(tmp_path, *words, "-h", COLUMNS="80").stdout == ended.stdout
    lines = ended.stdout.splitlines()
    assert lines[0].startswith(" ".join(("Usage: etseg", *words)))
    assert lines[2].endswith(".")
    assert all(len(line) <= 80 for line in lines)
    assert "..." not in "\n".join(lines[2:]).replace('{"path": ...}', "")
    command: Any = main
    for word in words:
        command = command.get_command(click.Context(command), word)
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, parameter.name
            assert parameter.help.endswith((".", "]")), parameter.name


def test_help_lists_the_commands_in_order(tmp_path: Path) -> None:
    text = commands.run(tmp_path, "--help").stdout
    listed = re.findall(r"^  (\w+)  +[A-Z]", text.partition("Commands:")[2], re.M)
    assert listed == ["segment", "batch", "models", "export", "serve", "fetch", "cache", "doctor"]


@pytest.mark.parametrize(
    ("words", "completions"),
    [
        ("etseg se", {"plain,segment", "plain,serve"}),
        ("etseg cache cl", {"plain,clear"}),
        ("etseg segment a.jpg --mas", {"plain,--mask", "plain,--mask-of"}),
        (
            "etseg segment a.jpg --model selfie-segmentation-",
            {"plain,selfie-segmentation-landscape"},
        ),
        ("etseg segment a.jpg --model own", {"file,own"}),
        ("etseg segment pho", {"file,pho"}),
        ("etseg segment a.jpg -o ou", {"file,ou"}),
        ("etseg fetch fcn-resnet50-", {"plain,fcn-resnet50-quantized"}),
    ],
)
def test_the_shell_completes(words: str, completions: set[str], tmp_path: Path) -> None:
    ended = commands.run(
        tmp_path,
        _ETSEG_COMPLETE="bash_complete",
        COMP_WORDS=words,
        COMP_CWORD=str(words.count(" ")),
    )
    assert set(ended.stdout.splitlines()) == completions


def test_what_the_encoding_of_the_output_lacks_is_escaped(photos: Path) -> None:
    """It is no error."""
    shutil.copy(photos / "photos" / "a.jpg", photos / "\u2603.jpg")
    ended = commands.run(photos, "segment", "\u2603.jpg", "nowhere", PYTHONIOENCODING="latin-1")
    assert ended.returncode == 1
    assert ended.stdout.startswith("\\u2603.jpg: 512x512")
    assert "'nowhere'" in ended.stderr
