"""The layers of the package: who may import whom, and that nobody reaches into another."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

TOOLS = Path(__file__).resolve().parents[2] / "tools"

pytestmark = pytest.mark.skipif(not TOOLS.is_dir(), reason="needs a checkout")

sys.path.append(str(TOOLS))

import layers  # noqa: E402


@pytest.fixture(scope="module")
def texts() -> dict[str, str]:
    return layers.sources()


@pytest.fixture(scope="module")
def imports(texts: dict[str, str]) -> list[layers.Import]:
    return layers.imports(texts)


def test_no_import_goes_up(imports: list[layers.Import]) -> None:
    assert layers.upward(imports) == []


def test_there_is_no_circle(imports: list[layers.Import]) -> None:
    """Not within a folder either; lazy imports and those for type checkers are counted."""
    assert layers.circles(imports) == []


def test_nobody_touches_underscore_names_of_another_module(texts: dict[str, str]) -> None:
    assert layers.intrusions(texts) == []


def test_each_module_is_of_a_layer_that_there_is(texts: dict[str, str]) -> None:
    known = {layer for floor in layers.FLOORS for layer in floor}
    assert {layers.layer_of(module) for module in texts} == known


#: A package that breaks each rule once.
BROKEN = {
    "": "from ._module import Module\n",
    "_errors": "def f():\n    from . import _limits\n",
    "_limits": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from ._errors import E\n",
    "_images.a": "import etseg._results.b\nfrom .c import _private, public\n",
    "_images.c": "class C:\n    def __init__(self): self._own = 1\n    def f(self, other: C):"
    " return other._own\n",
    "_results.b": "from etseg._images import c\nc.C()._own\n",
    "_model.d": "from etseg._results import b\n",
    "_module": "from ._results.b import x\n",
}


def test_what_breaks_the_rules_is_found() -> None:
    found = layers.imports(BROKEN)
    assert {(one.source, one.target) for one in layers.upward(found)} == {
        ("_images.a", "_results.b"),
        ("_model.d", "_results.b"),
    }
    assert layers.circles(found) == [["_errors", "_limits"]]
    assert layers.intrusions(BROKEN) == [
        "_images.a:2: from _images.c import _private",
        "_results.b:2: c.C()._own",
    ]
