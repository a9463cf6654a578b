"""What autodoc does not know of the package's docstrings.

Constants are documented by a comment where they are defined; names of ``etseg`` stand in docstrings
without the package; a property's first sentence may have a colon in it. Public names that no page
describes are warned of.
"""

from __future__ import annotations

from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.pycode import ModuleAnalyzer
from sphinx.util import logging

import etseg

#: Types of arguments that have a name in signatures, and an entry in the reference.
_ALIASES = ("Label", "Labelled", "Labels", "Model", "Palette", "Source")

#: Stands for a colon while Napoleon looks; in no docstring.
_NO_COLON = "\N{RATIO}"

logger = logging.getLogger(__name__)


def _describe_constant(
    _app: Sphinx, what: str, name: str, _obj: object, _options: object, lines: list[str]
) -> None:
    """Constants are documented by a comment where they are defined, not where they are exported."""
    if what != "data" or not name.startswith("etseg."):
        return
    comments = ModuleAnalyzer.for_module("etseg._model.catalogue").find_attr_docs()
    lines[:] = comments.get(("", name.removeprefix("etseg.")), [])


def _hide_colon(
    _app: Sphinx, what: str, _name: str, _obj: object, _options: object, lines: list[str]
) -> None:
    """Napoleon takes what a property's first line has before a colon for its type."""
    if what == "property" and lines:
        lines[0] = lines[0].replace(": ", f"{_NO_COLON} ")


def _show_colon(
    _app: Sphinx, what: str, _name: str, _obj: object, _options: object, lines: list[str]
) -> None:
    if what == "property":
        lines[:] = [line.replace(_NO_COLON, ":") for line in lines]


def _resolve(
    app: Sphinx, env: BuildEnvironment, node: Any, content: nodes.Element
) -> nodes.Element | None:
    """Docstrings of submodules name what ``etseg`` exports without saying so.

    Signatures refer to type aliases as if they were classes; Sphinx finds those from 8.2 on.
    """
    target = node["reftarget"]
    if node.get("refdomain") != "py" or target.partition(".")[0] not in (*etseg.__all__, *_ALIASES):
        return None
    domain = env.domains["py"]
    role = "type" if target in _ALIASES else node["reftype"]
    found: nodes.Element | None = domain.resolve_xref(
        env, node["refdoc"], app.builder, role, f"etseg.{target}", node, content
    )
    return found


def _complain(_app: Sphinx, env: BuildEnvironment) -> None:
    described: Any = env.domains["py"].data["objects"]
    for name in etseg.__all__:
        if f"etseg.{name}" not in described:
            logger.warning("etseg.%s is public, but no page describes it", name)


def setup(app: Sphinx) -> dict[str, Any]:
    """Called by Sphinx."""
    app.connect("autodoc-process-docstring", _describe_constant)
    app.connect("autodoc-process-docstring", _hide_colon, priority=100)  # Napoleon's is 500
    app.connect("autodoc-process-docstring", _show_colon, priority=900)
    app.connect("missing-reference", _resolve)
    app.connect("env-check-consistency", _complain)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
