"""The documentation: its Python code runs, and it leaves no public name out."""

from __future__ import annotations

import re
import shlex
import sys
import warnings
from collections.abc import Iterator, Mapping
from doctest import ELLIPSIS
from pathlib import Path
from shutil import copyfile

import click
import pytest

import etseg
from children import PATIENCE, finished
from etseg._cli import main

pytest.importorskip("sybil", reason="needs sybil, of the test group")

from sybil import Document, Example, Sybil
from sybil.parsers.markdown import PythonCodeBlockParser, SkipParser

ROOT = Path(__file__).resolve().parents[3]
DOCS = ROOT / "docs"
PAGES = sorted([ROOT / "README.md", *DOCS.rglob("*.md")])

if not DOCS.is_dir():
    pytest.skip("needs a checkout", allow_module_level=True)

SYBIL = Sybil(
    parsers=[PythonCodeBlockParser(doctest_optionflags=ELLIPSIS), SkipParser()], encoding="utf-8"
)


def blocks(document: Document) -> Iterator[list[Example]]:
    """What belongs together: a fence with its prompts, and the comments above it."""
    block: list[Example] = []
    for example in document.examples():
        if block:
            since = document.text[block[-1].start : example.start]
            if not since.startswith("<!--") and "```" in since:
                yield block
                block = []
        block.append(example)
    if block:
        yield block


def all_blocks() -> list[object]:
    found: list[object] = []
    for page in PAGES:
        for block in blocks(SYBIL.parse(page)):
            name = f"{page.relative_to(ROOT).as_posix()}:{block[-1].line}"
            found.append(pytest.param(page, block, id=name))
    return found


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[Path, Path]:
    """A directory for each page, with the photo that the examples read."""
    made = {}
    for page in PAGES:
        made[page] = tmp_path_factory.mktemp(page.stem)
        copyfile(ROOT / "tests" / "data" / "astronaut.jpg", made[page] / "photo.jpg")
        (made[page] / "tests").symlink_to(ROOT / "tests")
    return made


def run_as_script(example: Example) -> None:
    """What starts processes has to be a file."""
    script = Path("script.py")
    script.write_text(str(example.parsed), encoding="utf-8")
    done = finished(sys.executable, script, patience=3 * PATIENCE)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize(("page", "block"), all_blocks())
def test_code_runs(
    page: Path,
    block: list[Example],
    folders: dict[Path, Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The blocks of a page share their names, in their order."""
    monkeypatch.chdir(folders[page])
    monkeypatch.setenv("ETSEG_OFFLINE", "1")
    with warnings.catch_warnings():
        if any("torch" in str(example.parsed) for example in block):
            warnings.simplefilter("ignore")  # of the exporters, about themselves
        # Of pycocotools, about itself.
        warnings.filterwarnings("ignore", "__array__ implementation", DeprecationWarning)
        for example in block:
            if 'if __name__ == "__main__":' in str(example.parsed):
                example.region.evaluator = run_as_script  # unless a comment above says to skip it
            example.evaluate()


def shell_commands(page: Path) -> list[list[str]]:
    """The calls of etseg in a page's console blocks, word by word."""
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    lines = "\n".join(re.findall(r"```console\n(.*?)```", text, re.DOTALL)).splitlines()
    calls = []
    for line in lines:
        words = shlex.split(line, comments=True)
        for word in ("&&", "|", "docker"):
            words = words[words.index(word) + 1 :] if word in words else words
        if "etseg" in words and not words[0].startswith(("pip", "uvicorn")):
            calls.append(words[words.index("etseg") + 1 :])
    return [call for call in calls if call]


def options_of(call: list[str]) -> tuple[set[str], list[str]]:
    """Those that the command has, and those that it is given."""
    command: click.Command = main
    for word in call:
        if not isinstance(command, click.Group):
            break
        command = command.get_command(click.Context(command), word) or command
    known = {name for param in command.params for name in (*param.opts, *param.secondary_opts)}
    given = [word.partition("=")[0] for word in call if re.match("-+[a-z]", word)]
    return known | {"--help", "-h", "--version"}, given


def test_the_commands_options_are_there() -> None:
    calls = [(page, call) for page in PAGES for call in shell_commands(page)]
    assert len(calls) > 20
    for page, call in calls:
        known, given = options_of(call)
        assert set(given) <= known, (page.name, call)
        assert all(word.strip() for word in call), (page.name, "a line ends in two backslashes")


def test_every_public_name_is_in_the_reference() -> None:
    pages = "\n".join(path.read_text(encoding="utf-8") for path in (DOCS / "api").iterdir())
    named = re.findall(r"^\.\. (?:auto\w+|py:\w+):: ([\w.]+)", pages, re.MULTILINE)
    assert sorted(set(etseg.__all__) - set(named)) == []
    assert [name for name in named if named.count(name) > 1] == []


def test_the_gallery_shows_all_that_a_result_can_do() -> None:
    """Its methods and what it knows; not what every mapping has."""
    page = (DOCS / "gallery.md").read_text(encoding="utf-8")
    public = {name for name in dir(etseg.SegmentationResult) if not name.startswith("_")}
    missing = public - set(dir(Mapping)) - set(re.findall(r"result\.(\w+)", page))
    assert missing <= {"has_probabilities", "labels", "output_size"}


def test_the_readme_is_read_elsewhere_too() -> None:
    """PyPI shows it without the checkout: all links are absolute, and ours lead to what is here."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)\s]+)\)", text)
    assert len(links) > 10
    for link in links:
        assert link.startswith("https://"), link
        if link.startswith("https://etseg.github.io/etseg/"):
            page = link.removeprefix("https://etseg.github.io/etseg/").partition("#")[0]
            assert (DOCS / (page or "index.html")).with_suffix(".md").is_file(), link
        elif "/etseg/etseg/" in link:
            inside = re.sub(r".*/etseg/etseg/((blob|tree)/)?main/", "", link)
            assert (ROOT / inside).exists(), link
