"""`etseg doctor`: what a bug report should say."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Any

import click

import etseg
from etseg import _native

from .common import json_option, print_json, readable, reported

_EPILOG = """\
\b
Fields of --json:
  version, package     of etseg, and where it is installed
  python, platform     likewise, of the interpreter and the system
  isa, supported_isas  the kernels in use, and those this CPU can run
  threads              that one forward runs on
  runtime              version, operators (how many), backends (their names)
  dependencies         version by package
  libraries            path and size in bytes of the runtime's own libraries
"""

_DEPENDENCIES = ("numpy", "opencv-python-headless", "opencv-python", "simplejpeg", "click")


@click.command(epilog=_EPILOG)
@json_option("the same")
def doctor(as_json: bool) -> None:
    """Print what this installation runs on.

    A bug report is a good place for it.
    """
    with reported():
        found = _found()
    if as_json:
        print_json(found)
        return
    runtime = found["runtime"]
    rows = [
        ("etseg", f"{found['version']}, {found['package']}"),
        ("python", f"{found['python']}, {found['platform']}"),
        ("packages", ", ".join(f"{name} {has}" for name, has in found["dependencies"].items())),
        ("kernels", f"{found['isa']} (this CPU can run: {', '.join(found['supported_isas'])})"),
        ("threads", str(found["threads"])),
        ("runtime", f"ExecuTorch {runtime['version']}, {runtime['operators']} operators"),
        ("backends", ", ".join(runtime["backends"])),
        *(("library", f"{lib['path']} ({readable(lib['size'])})") for lib in found["libraries"]),
    ]
    for name, value in rows:
        click.echo(f"{click.style(f'{name:<10}', bold=True)} {value}")


def _found() -> dict[str, Any]:
    package = Path(etseg.__file__).parent
    info = _native.runtime_info()
    return {
        "version": _native.__version__,
        "package": str(package),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "isa": info["isa"],
        "supported_isas": list(info["supported_isas"]),
        "threads": _native.thread_count(),
        "runtime": {
            "version": info["version"],
            "operators": info["operators"],
            "backends": list(info["backends"]),
        },
        "dependencies": {name: has for name in _DEPENDENCIES if (has := _version(name))},
        "libraries": [
            {"path": str(library), "size": library.stat().st_size}
            for library in sorted((package / "_vendor").iterdir())
        ],
    }


def _version(package: str) -> str | None:
    from importlib.metadata import PackageNotFoundError, version  # `etseg --help` needs it not

    try:
        return version(package)
    except PackageNotFoundError:
        return None
