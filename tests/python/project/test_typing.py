"""What type checkers make of calls: a wrong keyword is an error, a right one is none."""

from __future__ import annotations

import json
import re
import shutil
import sys
import typing
from importlib.util import find_spec
from pathlib import Path

import pytest

import etseg
from children import finished
from etseg._model.spec import SpecKeywords
from etseg._options import ModuleKeywords, ModuleOptions

TYPING = Path(__file__).resolve().parents[2] / "data" / "typing"
#: Calls with mistakes, which are marked; a user's program without any, in strict mode.
PROGRAMS = {"calls.py": "standard", "user.py": "strict"}


def marked(name: str) -> list[int]:
    lines = (TYPING / name).read_text(encoding="utf-8").splitlines()
    return [number for number, line in enumerate(lines, 1) if line.endswith("# wrong")]


def search_path() -> str:
    """Where the package is that these tests run with."""
    return str(Path(etseg.__file__).parents[1])


@pytest.mark.skipif(find_spec("mypy") is None, reason="mypy is not installed")
@pytest.mark.parametrize("name", PROGRAMS)
def test_mypy(name: str, tmp_path: Path) -> None:
    # Where the package lies in the environment of the interpreter, mypy has it from there.
    path = search_path()
    done = finished(
        *(sys.executable, "-m", "mypy", "--strict", "--config-file=", TYPING / name),
        *("--cache-dir", tmp_path, "--python-executable", sys.executable),
        patience=600,
        MYPYPATH=None if "site-packages" in path else path,
    )
    found = re.findall(rf"{name}:(\d+): error", done.stdout)
    assert sorted(set(map(int, found))) == marked(name), done


@pytest.mark.skipif(find_spec("pyright") is None, reason="pyright is not installed")
@pytest.mark.parametrize(("name", "mode"), PROGRAMS.items())
def test_pyright(name: str, mode: str, tmp_path: Path) -> None:
    shutil.copy(TYPING / name, tmp_path)  # what it is to include is relative to the project
    configuration = {
        "include": [name],
        "extraPaths": [search_path()],
        "typeCheckingMode": mode,
    }
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(configuration), encoding="utf-8")
    done = finished(
        *(sys.executable, "-m", "pyright", "--outputjson", "--level", "error"),
        *("--project", tmp_path, "--pythonpath", sys.executable),
        patience=600,
    )
    told = json.loads(done.stdout)
    assert told["summary"]["filesAnalyzed"] == 1, done
    lines = {1 + each["range"]["start"]["line"] for each in told["generalDiagnostics"]}
    assert sorted(lines) == marked(name), done


@pytest.mark.parametrize(
    ("record", "keywords", "others"),
    [(ModuleOptions, ModuleKeywords, set()), (etseg.ModelSpec, SpecKeywords, {"model_source"})],
)
def test_keywords_are_those_of_the_record(record: type, keywords: type, others: set[str]) -> None:
    """Said twice, as type checkers need it: the same names, and what the record keeps fits."""
    kept, given = typing.get_type_hints(record), typing.get_type_hints(keywords)
    assert set(given) == set(kept) - others
    for name, hint in given.items():
        # Given as any iterable or mapping, and kept as a tuple or record; labels of a module too.
        if name not in ("mean", "std", "labels", "logits_grid"):
            assert hint == kept[name]
