"""Who imports whom in the package, by layer; and what breaks the rules of docs/architecture.md.

    python tests/tools/layers.py              # the sources as they are: a table, then each breach
    python tests/tools/layers.py 21df813      # those of a commit, by the names they have today

Every import counts: lazy ones in functions and those for type checkers too.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = "python/etseg"

#: From the bottom up. A module imports from lower layers and its own; layers that share a floor
#: do not know each other.
FLOORS: tuple[tuple[str, ...], ...] = (
    ("vocabulary",),
    ("_download",),
    ("_images", "_weights"),
    ("_model", "_results"),
    ("_running",),
    ("_module",),
    ("_one_call",),
    ("surface",),
    ("batch", "export", "serve"),
    ("_cli",),
)
#: What is not in a folder of that name.
_LAYERS = {
    **dict.fromkeys(
        (
            *("_errors", "_labels", "_label_enums", "_limits", "_uris", "_options"),
            *("_cpus", "_threads", "_opencv", "_reading", "_writing", "_native", "_messages"),
            *("_logs", "_openvino"),
        ),
        "vocabulary",
    ),
    **dict.fromkeys(("_holder", "_module", "_compact"), "_module"),
    "_one_call": "_one_call",
    "": "surface",
    "resources": "surface",
}
_FOLDERS = {
    *("_download", "_images", "_model", "_results", "_running", "_weights"),
    *("batch", "export", "serve", "_cli"),
}
#: Not private, in spite of the underscore: namedtuple's.
_PUBLIC = {"_replace", "_fields", "_asdict", "_make"}


@dataclass(frozen=True)
class Import:
    """One module named by another; modules by their path in the package, "" the package itself."""

    source: str
    target: str
    line: int


def layer_of(module: str) -> str:
    """The layer that a module belongs to; what is new at the top stands above all others."""
    head = module.partition(".")[0]
    return head if head in _FOLDERS else _LAYERS.get(head, "_cli")


def sources() -> dict[str, str]:
    """The text of each module of the package."""
    folder = ROOT / PACKAGE
    paths = sorted(path for path in folder.rglob("*.py") if "__pycache__" not in path.parts)
    return {
        _module_of(path.relative_to(folder).as_posix()): path.read_text("utf-8") for path in paths
    }


def sources_at(commit: str) -> tuple[dict[str, str], dict[str, str]]:
    """Likewise of a commit; and what its modules are called today, where git knows."""
    names = _git("ls-tree", "-r", "--name-only", commit, PACKAGE).splitlines()
    texts = {
        _module_of(name.removeprefix(f"{PACKAGE}/")): _git("show", f"{commit}:{name}")
        for name in names
        if name.endswith(".py")
    }
    # Step by step: what is moved and then rewritten is not recognised otherwise.
    today: dict[str, str] = {}
    steps = _git("log", "--reverse", "--format=", "--name-status", "-M40", f"{commit}..", PACKAGE)
    for line in steps.splitlines():
        if line.startswith("R") and line.endswith(".py"):
            old, new = (_module_of(n.removeprefix(f"{PACKAGE}/")) for n in line.split("\t")[1:])
            first = next((name for name, now in today.items() if now == old), old)
            today[first] = new
    return texts, today


def imports(texts: Mapping[str, str]) -> list[Import]:
    """All imports among the modules."""
    return [
        Import(module, target, line)
        for module, text in texts.items()
        for target, line in sorted(set(_imported(module, text, texts)))
        if target != module
    ]


def circles(found: list[Import]) -> list[list[str]]:
    """Groups of modules each of which reaches all of the others."""
    targets: dict[str, set[str]] = {}
    for one in found:
        targets.setdefault(one.source, set()).add(one.target)

    def reached(start: str) -> set[str]:
        seen: set[str] = set()
        todo = [start]
        while todo:
            new = targets.get(todo.pop(), set()) - seen
            seen |= new
            todo += new
        return seen

    reach = {module: reached(module) for module in targets}
    groups = {
        tuple(sorted({module, *(n for n in reach[module] if module in reach.get(n, ()))}))
        for module in targets
        if module in reach[module]
    }
    return sorted(map(list, groups))


def upward(found: list[Import]) -> list[Import]:
    """Imports from a higher floor, or from another layer of the same."""
    floor = {layer: number for number, layers in enumerate(FLOORS) for layer in layers}
    return [
        one
        for one in found
        if (source := layer_of(one.source)) != (target := layer_of(one.target))
        and floor[target] >= floor[source]
    ]


def intrusions(texts: Mapping[str, str]) -> list[str]:
    """Underscore names of other modules and their objects, as "module:line: name"."""
    trees = {module: ast.parse(text) for module, text in texts.items()}
    ours = {name for tree in trees.values() for name in _defined(tree)}
    return [
        f"{module}:{line}: {name}"
        for module, tree in trees.items()
        for line, name in sorted(set(_intrusions(tree, module, texts, ours)))
    ]


def _intrusions(
    tree: ast.Module, module: str, texts: Mapping[str, str], ours: set[str]
) -> Iterator[tuple[int, str]]:
    """Of one module; `ours` are all names of the package. Those of other libraries are theirs."""
    others = ours - set(_defined(tree))
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (base := _base(module, node, texts)) is not None:
            for alias in node.names:
                is_module = _joined(base, alias.name) in texts or alias.name == "_native"
                if _is_private(alias.name) and not is_module:
                    yield node.lineno, f"from {base} import {alias.name}"
        elif (
            isinstance(node, ast.Attribute)
            and _is_private(node.attr)
            and node.attr in others
            # of a base class in another module: its own all the same
            and not (isinstance(node.value, ast.Name) and node.value.id in ("self", "cls"))
        ):
            yield node.lineno, ast.unparse(node)


def _defined(tree: ast.Module) -> Iterator[str]:
    """Names that the module gives to functions, variables and attributes of its own."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield node.name
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif (
            isinstance(node, ast.Attribute)
            and isinstance(node.ctx, ast.Store)
            and isinstance(node.value, ast.Name)
            and node.value.id in ("self", "cls")
        ):
            yield node.attr


def _is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__") and name not in _PUBLIC


def _imported(module: str, text: str, texts: Mapping[str, str]) -> Iterator[tuple[str, int]]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                head, _, rest = alias.name.partition(".")
                if head == "etseg":
                    yield rest if rest in texts else "", node.lineno
        elif isinstance(node, ast.ImportFrom) and (base := _base(module, node, texts)) is not None:
            for alias in node.names:
                full = _joined(base, alias.name)
                if full in texts:
                    yield full, node.lineno
                elif base in texts and (base, alias.name) != ("", "_native"):
                    yield base, node.lineno


def _base(module: str, node: ast.ImportFrom, texts: Mapping[str, str]) -> str | None:
    """The module of the package that a from-import names; None if it is of none."""
    name = node.module or ""
    if node.level == 0:
        head, _, rest = name.partition(".")
        return rest if head == "etseg" else None
    is_package = any(other.startswith(f"{module}.") for other in texts) or module == ""
    parts = module.split(".") if module else []
    up = node.level - is_package
    return _joined(".".join(parts[: len(parts) - up]), name)


def _joined(base: str, name: str) -> str:
    return f"{base}.{name}".strip(".")


def _module_of(path: str) -> str:
    module = path.removesuffix(".py").replace("/", ".")
    return "" if module == "__init__" else module.removesuffix(".__init__")


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(ROOT), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def _renamed(found: list[Import], today: Mapping[str, str]) -> list[Import]:
    return [
        Import(today.get(one.source, one.source), today.get(one.target, one.target), one.line)
        for one in found
    ]


def table(found: list[Import]) -> str:
    """Imports from layer (row) to layer (column)."""
    layers = [layer for floor in FLOORS for layer in floor]
    counts = Counter((layer_of(one.source), layer_of(one.target)) for one in found)
    lines = [f"{'from, to':12}" + "".join(f"{layer:>11}" for layer in layers)]
    for source in layers:
        row = (counts[source, target] or "." for target in layers)
        lines.append(f"{source:12}" + "".join(f"{count:>11}" for count in row))
    return "\n".join(lines)


def main() -> int:
    """Prints the table; the status says whether the rules hold."""
    if len(sys.argv) > 1:
        texts, today = sources_at(sys.argv[1])
    else:
        texts, today = sources(), {}
    found = imports(texts)
    moved = _renamed(found, today)
    print(table(moved))
    breaches = [f"upward: {one.source} -> {one.target} (line {one.line})" for one in upward(moved)]
    breaches += [f"circle: {', '.join(circle)}" for circle in circles(moved)]
    breaches += [f"private: {name}" for name in intrusions(texts)]
    print(f"{len(found)} imports of {len(texts)} modules, {len(breaches)} breaches")
    print("\n".join(breaches))
    return bool(breaches)


if __name__ == "__main__":
    sys.exit(main())
