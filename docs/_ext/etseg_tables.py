"""What the documentation takes from the code: errors, codes, models, docstrings.

Directives, for ``{eval-rst}`` blocks:

- ``error-table``: every error class, its builtin base, its code and what it means;
- ``code-table``: every error code, what it means and which class carries it;
- ``catalogue-table``: the models that go by name;
- ``command-help``: a section for each command, with its ``--help``;
- ``module-doc:: MODULE``: the docstring of a module; with ``:table:``, only the table in it.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import click
from click.testing import CliRunner
from docutils import nodes
from docutils.parsers.rst import directives
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

import etseg
from etseg import _cli, _errors
from etseg._model import catalogue

PACKAGE = Path(etseg.__file__).parent
STATUS_H = Path(__file__).parents[2] / "cpp" / "include" / "etseg" / "status.h"

Row = tuple[str, ...]


class _Generated(SphinxDirective):
    """A directive whose content is written by :meth:`lines`."""

    def run(self) -> list[nodes.Node]:
        container = nodes.container()
        self.state.nested_parse(StringList(list(self.lines()), self.name), 0, container)
        return container.children

    def lines(self) -> Iterable[str]:
        raise NotImplementedError


class ErrorTable(_Generated):
    def lines(self) -> Iterable[str]:
        return _table(("Class", "Is also a", "Code", "Meaning"), map(_error_row, _classes()))


class CodeTable(_Generated):
    def lines(self) -> Iterable[str]:
        meanings, carriers = _meanings(), _carriers()
        rows = []
        for code in _errors.ErrorCode:
            classes = sorted(carriers[code], key=lambda c: c.__name__)
            meaning = meanings.get(int(code)) or (_summary(classes[0]) if classes else "")
            rows.append(
                (
                    str(int(code)),
                    f"``{code.name}``",
                    ", ".join(f":class:`~etseg.{c.__name__}`" for c in classes) or "never raised",
                    meaning,
                )
            )
        return _table(("Code", "Name", "Raised as", "Meaning"), rows)


class CatalogueTable(_Generated):
    def lines(self) -> Iterable[str]:
        rows = []
        for constant, spec in _constants().items():
            labels: Any = spec.labels
            name = str(spec.name)
            if name != constant.lower().replace("_", "-"):  # the page says so
                raise self.error(f"{constant} is called {name!r}")
            rows.append(
                (
                    f":data:`~etseg.{constant}`",
                    f":class:`~etseg.{labels.__name__}`",
                    f"{catalogue.APPROXIMATE_SIZES[name] / 1e6:.3g} MB",
                    "wheel" if str(spec.model_source).startswith("bundled:") else "download",
                )
            )
        return _table(("Constant", "Labels", "Size", "Comes by"), rows)


class ModuleDoc(_Generated):
    required_arguments = 1
    option_spec = {"table": directives.flag}  # noqa: RUF012  # as docutils has it

    def lines(self) -> Iterable[str]:
        text = inspect.getdoc(importlib.import_module(self.arguments[0])) or ""
        if "table" not in self.options:
            return text.splitlines()
        found = re.search(r"^=+  .*^=+  [= ]+$", text, re.MULTILINE | re.DOTALL)
        if found is None:
            raise self.error(f"the docstring of {self.arguments[0]} has no table")
        return found[0].splitlines()


class CommandHelp(SphinxDirective):
    """A section for each command, with what its ``--help`` prints."""

    def run(self) -> list[nodes.Node]:
        return [self._section(words) for words in _commands((), _cli.main)]

    def _section(self, words: tuple[str, ...]) -> nodes.section:
        title = " ".join(("etseg", *words))
        done = CliRunner().invoke(
            _cli.main, [*words, "--help"], prog_name="etseg", terminal_width=88
        )
        if done.exit_code:
            raise self.error(f"{title} --help: {done.output}")
        text = nodes.literal_block(done.output, done.output, language="text")
        section = nodes.section("", nodes.title(title, title), text)
        section["names"].append(title)
        self.state.document.note_implicit_target(section, section)
        return section


def _commands(words: tuple[str, ...], command: click.Command) -> Iterator[tuple[str, ...]]:
    yield words
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            if inner is not None and not inner.hidden:
                yield from _commands((*words, name), inner)


def _table(head: Row, rows: Iterable[Row]) -> Iterator[str]:
    yield from (".. list-table::", "   :header-rows: 1", "   :class: names", "")
    for row in (head, *rows):
        for column, cell in enumerate(row):
            yield f"   {'  -' if column else '* -'} {cell}"
    yield ""


def _classes() -> list[type[_errors.EtsegError]]:
    """In the order of their definition."""
    found = vars(_errors).values()
    return [c for c in found if isinstance(c, type) and issubclass(c, _errors.EtsegError)]


def _error_row(error: type[_errors.EtsegError]) -> Row:
    bases = [
        f"``{base.__name__}``" if base.__module__ == "builtins" else f":class:`{base.__name__}`"
        for base in error.__bases__
        if base is not _errors.EtsegError
    ]
    code = error.default_code
    return (
        f":class:`~etseg.{error.__name__}`",
        ", ".join(bases),
        str(int(code)),
        _summary(error),
    )


def _summary(described: object) -> str:
    return (inspect.getdoc(described) or "").partition("\n\n")[0].replace("\n", " ")


def _meanings() -> dict[int, str]:
    """By the native core's own comments."""
    found = re.findall(r"^  k\w+ = (\d+), +// (.*)$", STATUS_H.read_text("utf-8"), re.MULTILINE)
    return {int(number): meaning[0].upper() + meaning[1:] + "." for number, meaning in found}


def _carriers() -> dict[_errors.ErrorCode, set[type[_errors.EtsegError]]]:
    """Which classes carry which codes: by default, from the native core, and as the sources say."""
    classes = {c.__name__: c for c in _classes()}
    found: dict[_errors.ErrorCode, set[type[_errors.EtsegError]]] = defaultdict(set)
    for error in _classes():
        if error is not _errors.EtsegError and error is not _errors.LabelError:
            found[error.default_code].add(error)
    for code, error in _errors._BY_CODE.items():
        found[code].add(error)
    for path in sorted(PACKAGE.rglob("*.py")):
        tree = ast.parse(path.read_text("utf-8"))
        # A call that passes a code: of an error class, or of a function that makes one.
        makers = {
            f.name: {n.id for n in ast.walk(f) if isinstance(n, ast.Name) and n.id in classes}
            for f in ast.walk(tree)
            if isinstance(f, ast.FunctionDef)
        }
        for call in (n for n in ast.walk(tree) if isinstance(n, ast.Call)):
            for code in filter(None, map(_code, call.args)):
                name = getattr(call.func, "id", "")
                made = {name} if name in classes else makers.get(name, set())
                found[code] |= {classes[made_name] for made_name in made}
    return found


def _code(argument: ast.expr) -> _errors.ErrorCode | None:
    if isinstance(argument, ast.Attribute) and getattr(argument.value, "id", "") == "ErrorCode":
        return _errors.ErrorCode[argument.attr]
    return None


def _constants() -> dict[str, etseg.ModelSpec]:
    """The catalogue's specs by the names of their constants, in the catalogue's order."""
    names = {id(value): name for name, value in vars(etseg).items() if name in etseg.__all__}
    return {names[id(spec)]: spec for spec in etseg.CATALOGUE.values()}


def setup(app: Sphinx) -> dict[str, Any]:
    """Called by Sphinx."""
    app.add_directive("error-table", ErrorTable)
    app.add_directive("code-table", CodeTable)
    app.add_directive("catalogue-table", CatalogueTable)
    app.add_directive("module-doc", ModuleDoc)
    app.add_directive("command-help", CommandHelp)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
