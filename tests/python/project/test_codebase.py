"""Rules about the sources that a reader may rely on. They look at the checkout, not the package."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
CPP = ROOT / "cpp"

pytestmark = pytest.mark.skipif(not CPP.is_dir(), reason="needs a checkout")

# What each stage may include, directly or through others: design, "One way through the house".
BASE = {"status", "image", "parallel", "log"}
REACHES = {
    "status": set[str](),
    "image": {"status"},
    "parallel": {"status"},
    "log": {"status"},
    "kernels": {"status", "image"},
    "preprocess": BASE | {"kernels"},
    "postprocess": BASE | {"kernels"},
    "cutout": BASE | {"kernels"},
    "summary": {"status", "image"},
    "model": {"status", "image"},
    "runtime": BASE | {"model"},
    "segmenter": BASE | {"kernels", "preprocess", "postprocess", "model"},
    "bindings": BASE
    | {"kernels", "preprocess", "postprocess", "cutout", "summary"}
    | {"model", "runtime", "segmenter"},
}


def sources(folder: Path = CPP) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix in {".h", ".cpp"})


def relative(paths: list[Path]) -> list[str]:
    return [path.relative_to(ROOT).as_posix() for path in paths]


def stage(path: Path) -> str | None:
    """The stage whose folder a file is in, or that it is named after; None for a helper, which
    belongs to those who use it."""
    for folder in path.relative_to(CPP).parts[:-1]:
        if folder in REACHES:
            return folder
    return path.stem if path.stem in REACHES else None


def includes(path: Path) -> list[Path]:
    """Our own files that one includes."""
    found = []
    for name in re.findall(r'^#include "([^"]+)"', path.read_text(encoding="utf-8"), re.MULTILINE):
        (target,) = {
            folder / name
            for folder in (CPP / "include", CPP / "src", path.parent)
            if (folder / name).is_file()
        }
        found.append(target)
    return found


def reach(path: Path) -> set[str]:
    seen, todo = {path}, [path]
    while todo:
        for target in includes(todo.pop()):
            if target not in seen:
                seen.add(target)
                todo.append(target)
    return {name for name in map(stage, seen) if name is not None}


def folders(paths: list[Path]) -> set[str]:
    return {path.parent.relative_to(CPP).as_posix() for path in paths}


def test_one_folder_names_pybind11() -> None:
    naming = [path for path in sources() if "pybind11" in path.read_text(encoding="utf-8")]
    assert folders(naming) == {"bindings"}


def test_one_folder_includes_executorch() -> None:
    pattern = re.compile(r'^#include [<"](executorch|c10|torch)/', re.MULTILINE)
    including = [path for path in sources() if pattern.search(path.read_text(encoding="utf-8"))]
    assert folders(including) == {"src/runtime"}


def test_the_core_does_not_know_python() -> None:
    knowing = [path for path in sources() if "Python.h" in path.read_text(encoding="utf-8")]
    assert knowing == []


@pytest.mark.parametrize("path", sources(), ids=lambda path: path.relative_to(CPP).as_posix())
def test_includes_go_one_way(path: Path) -> None:
    reached = reach(path)
    name = stage(path)
    if name is not None:
        assert reached <= REACHES[name] | {name}
    else:
        # A helper must fit into one stage at least.
        assert any(reached <= allowed | {owner} for owner, allowed in REACHES.items())


def test_every_file_is_in_one_folder_of_the_design() -> None:
    assert folders(sources()) == {
        "include/etseg",
        "src",
        "src/cutout",
        "src/kernels",
        "src/kernels/common",
        "src/kernels/cutout",
        "src/kernels/postprocess",
        "src/kernels/resize",
        "src/postprocess",
        "src/preprocess",
        "src/runtime",
        "src/summary",
        "bindings",
    }


def test_kernels_of_one_stage_do_not_know_those_of_the_other() -> None:
    kernels = CPP / "src" / "kernels"
    for path in sources(kernels):
        room = path.parent
        if room == kernels:
            continue
        rooms = {target.parent for target in includes(path)} - {CPP / "include" / "etseg"}
        assert rooms <= {room, kernels / "common"}, path


def test_instruction_sets_are_told_apart_in_one_file() -> None:
    pattern = re.compile(r"\bavx(?:2|512)::")
    naming = [path for path in sources() if pattern.search(path.read_text(encoding="utf-8"))]
    assert relative(naming) == ["cpp/src/kernels/dispatch.cpp"]
