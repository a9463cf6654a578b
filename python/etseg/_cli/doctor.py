"""`etseg doctor`: what a bug report should say, a function for each section of it.

A section more is a function more in _SECTIONS, and its fields in the epilogue.
"""

from __future__ import annotations

import platform
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

import etseg
from etseg import _native, _openvino
from etseg._cpus import count_cpus
from etseg._options import ModuleOptions

from .arguments import Command
from .common import json_option, print_json, readable

_EPILOG = """\
\b
Fields of --json:
  version, package     of etseg, and where it is installed
  python, platform     likewise, of the interpreter and the system
  dependencies         version by package
  opencv               package (whose files cv2 has), version, packages (that
                       are installed), failure (of its import, or null),
                       advice (what to do, or null)
  isa, supported_isas  the kernels in use, and those this CPU can run
  threads              that one forward runs on
  cpus                 machine (logical CPUs), allowed (to this process),
                       cores (physical), quota (of the cgroup, in CPUs, or
                       null), threads (that follow), reason
  runtime              version, operators (how many), backends (their names)
  packed_weights       mode (of modules that do not say), folder, shared
                       (whether they can be), why_not, files, size and limit
                       in bytes
  openvino             version and library of the installed package openvino,
                       for programs delegated to it; null without
  libraries            path and size in bytes of the runtime's own libraries
  sizes                bytes on disk, of package (by kind) and dependencies
"""

_DEPENDENCIES = (
    *("numpy", "opencv-python-headless", "opencv-python", "simplejpeg"),
    *("click", "urllib3", "platformdirs", "filelock"),
)


@dataclass(frozen=True)
class Section:
    """A part of the answer.

    Attributes:
        rows: for people: what a line is about, and what it says.
        fields: for programs: those of --json.
    """

    rows: list[tuple[str, str]]
    fields: dict[str, Any]


@click.command(cls=Command, epilog=_EPILOG)
@json_option("the same")
def doctor(as_json: bool) -> None:
    """Print what this installation runs on.

    A bug report is a good place for it.
    """
    sections = [section() for section in _SECTIONS]
    if as_json:
        print_json({name: field for one in sections for name, field in one.fields.items()})
        return
    for name, value in (row for one in sections for row in one.rows):
        click.echo(f"{click.style(f'{name:<10}', bold=True)} {value}")


def _package() -> Section:
    package = str(Path(etseg.__file__).parent)
    return Section(
        [("etseg", f"{_native.__version__}, {package}")],
        {"version": _native.__version__, "package": package},
    )


def _python() -> Section:
    version, system = platform.python_version(), platform.platform()
    return Section([("python", f"{version}, {system}")], {"python": version, "platform": system})


def _dependencies() -> Section:
    found = {name: has for name in _DEPENDENCIES if (has := _version(name))}
    line = ", ".join(f"{name} {has}" for name, has in found.items())
    return Section([("packages", line)], {"dependencies": found})


def _opencv() -> Section:
    from . import opencv  # with what finds packages

    found = opencv.look()
    advice = opencv.advice(found)
    here = " ".join((found.owner or "not installed", found.version or "")).strip()
    return Section(
        [("opencv", here if advice is None else f"{here}. {advice}")],
        {
            "opencv": {
                "package": found.owner,
                "version": found.version,
                "packages": dict(found.packages),
                "failure": found.failure,
                "advice": advice,
            }
        },
    )


def _kernels() -> Section:
    info = _native.runtime_info()
    isa, supported = info["isa"], list(info["supported_isas"])
    line = f"{isa} (this CPU can run: {', '.join(supported)})"
    return Section([("kernels", line)], {"isa": isa, "supported_isas": supported})


def _threads() -> Section:
    count, cpus = etseg.get_num_threads(), count_cpus()
    quota = "no quota" if cpus.quota is None else f"a quota of {cpus.quota:g} CPUs"
    found = (
        f"{cpus.machine} CPUs in the machine, {cpus.allowed} for this process, "
        f"{cpus.cores} cores, {quota}"
    )
    return Section(
        [("threads", f"{count} ({cpus.reason})"), ("cpus", found)],
        {"threads": count, "cpus": cpus._asdict()},
    )


def _runtime() -> Section:
    info = _native.runtime_info()
    version, operators, backends = info["version"], info["operators"], list(info["backends"])
    return Section(
        [
            ("runtime", f"ExecuTorch {version}, {operators} operators"),
            ("backends", ", ".join(backends)),
        ],
        {"runtime": {"version": version, "operators": operators, "backends": backends}},
    )


def _packed_weights() -> Section:
    from etseg._weights import entries, places

    mode = ModuleOptions().packed_weights
    limit, sizes = places.limit(), [entry.size() or 0 for entry in entries.entries()]
    folder = why_not = None
    try:
        folder = str(places.usable())
        line = f"can be shared in {folder}: {len(sizes)} files, {readable(sum(sizes))} of at most "
        line += readable(limit)
    except places.CannotShareError as error:
        why_not = str(error)
        line = f"cannot be shared: {why_not}"
    fields: dict[str, Any] = {
        "mode": mode,
        "folder": folder,
        "shared": why_not is None,
        "why_not": why_not,
    }
    fields |= {"files": len(sizes), "size": sum(sizes), "limit": limit}
    return Section([("weights", f"{mode!r}; {line}")], {"packed_weights": fields})


def _openvino_found() -> Section:
    library = _openvino.find_library()
    if library is None:
        return Section(
            [("openvino", f"not installed; programs delegated to it need {_openvino.INSTALL}")],
            {"openvino": None},
        )
    version = _version("openvino")
    return Section(
        [("openvino", f"{version or 'of unknown version'}, {library}")],
        {"openvino": {"version": version, "library": str(library)}},
    )


def _libraries() -> Section:
    found = sorted((Path(etseg.__file__).parent / "_vendor").iterdir())
    sizes = {str(library): library.stat().st_size for library in found}
    return Section(
        [("library", f"{path} ({readable(size)})") for path, size in sizes.items()],
        {"libraries": [{"path": path, "size": size} for path, size in sizes.items()]},
    )


def _sizes() -> Section:
    package = _package_sizes()
    dependencies = {name: size for name in _DEPENDENCIES if (size := _installed_size(name))}
    parts = ", ".join(f"{kind} {readable(size)}" for kind, size in package.items())
    others = ", ".join(f"{name} {readable(size)}" for name, size in dependencies.items())
    return Section(
        [
            ("size", f"{readable(sum(package.values()))}: {parts}"),
            ("beside it", others or "nothing that has a record of its files"),
        ],
        {"sizes": {"package": package, "dependencies": dependencies}},
    )


def _package_sizes() -> dict[str, int]:
    """Bytes of our own files by kind; what the interpreter compiled counts as Python."""
    folder = Path(etseg.__file__).parent
    sizes = dict.fromkeys(("runtime", "models", "extension", "python"), 0)
    for path in folder.rglob("*"):
        if not path.is_file():
            continue
        part = path.relative_to(folder).parts[0]
        kind = {"_vendor": "runtime", "_bundled": "models"}.get(part, "python")
        if part.startswith("_native."):
            kind = "python" if path.suffix == ".pyi" else "extension"
        sizes[kind] += path.stat().st_size
    return sizes


_SECTIONS: tuple[Callable[[], Section], ...] = (
    _package,
    _python,
    _dependencies,
    _opencv,
    _kernels,
    _threads,
    _runtime,
    _packed_weights,
    _openvino_found,
    _libraries,
    _sizes,
)


def _version(package: str) -> str | None:
    from importlib.metadata import PackageNotFoundError, version  # `etseg --help` needs it not

    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _installed_size(package: str) -> int | None:
    """Bytes of what an installer recorded of a package; None without a record."""
    from importlib.metadata import PackageNotFoundError, files

    try:
        listed = files(package)
    except PackageNotFoundError:
        return None
    paths = [Path(str(file.locate())) for file in listed or []]
    return sum(path.stat().st_size for path in paths if path.is_file()) or None
