"""scikit-build-core, given executorch's libraries without what the package executorch declares.

A PEP 517 backend in the tree ([build-system] of pyproject.toml). obtain.py says where the libraries
come from. Of our own is one setting, `executorch=PATH`; all others are scikit-build-core's.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from scikit_build_core import build as _skbuild

# Frontends find this file by `backend-path`, but need not put its folder on sys.path.
sys.path.insert(0, str(Path(__file__).parent))
import obtain

Settings = dict[str, Any] | None

_SETTING = "executorch"
_ROOT = "cmake.define.ETSEG_EXECUTORCH_ROOT"

# Where CMake looks for a compiler of its own accord, and what tells it another.
_COMPILERS = ("c++", "g++", "clang++", "icpx")
_CHOICES = ("CMAKE_CXX_COMPILER", "CMAKE_TOOLCHAIN_FILE")


def _theirs(settings: Settings) -> dict[str, Any]:
    return {name: value for name, value in (settings or {}).items() if name != _SETTING}


def _require_compiler(settings: Settings) -> None:
    if os.environ.get("CXX") or os.environ.get("CMAKE_TOOLCHAIN_FILE"):
        return
    said = f"{settings} {os.environ.get('CMAKE_ARGS')} {os.environ.get('SKBUILD_CMAKE_ARGS')}"
    if any(choice in said for choice in _CHOICES) or any(map(shutil.which, _COMPILERS)):
        return
    sys.exit(
        f"etseg: no C++ compiler is on PATH (looked for {', '.join(_COMPILERS)}). Install GCC 11 "
        "or Clang 16, or newer (apt install g++, dnf install gcc-c++, xcode-select --install), or "
        "name one: CXX=/path/to/c++"
    )


@contextmanager
def _prepared(settings: Settings) -> Iterator[dict[str, Any]]:
    """The settings for scikit-build-core, with executorch's folder among them."""
    if _ROOT in (settings or {}):
        yield _theirs(settings)
        return
    _require_compiler(settings)
    with tempfile.TemporaryDirectory(prefix="etseg-executorch-") as folder:
        try:
            root = obtain.provide(Path(folder), (settings or {}).get(_SETTING))
        except obtain.ObtainError as error:
            sys.exit(f"etseg: {error}")
        yield {**_theirs(settings), _ROOT: str(root)}


def _pip(settings: Settings) -> list[str]:
    # uv and build make environments without pip.
    given = (settings or {}).get(_SETTING) or (settings or {}).get(_ROOT)
    return ["pip>=23.1"] if obtain.needs_pip(given) else []


def get_requires_for_build_sdist(config_settings: Settings = None) -> list[str]:
    return _skbuild.get_requires_for_build_sdist(_theirs(config_settings))


def get_requires_for_build_wheel(config_settings: Settings = None) -> list[str]:
    theirs = _skbuild.get_requires_for_build_wheel(_theirs(config_settings))
    return theirs + _pip(config_settings)


def get_requires_for_build_editable(config_settings: Settings = None) -> list[str]:
    theirs = _skbuild.get_requires_for_build_editable(_theirs(config_settings))
    return theirs + _pip(config_settings)


def prepare_metadata_for_build_wheel(
    metadata_directory: str, config_settings: Settings = None
) -> str:
    return _skbuild.prepare_metadata_for_build_wheel(metadata_directory, _theirs(config_settings))


def prepare_metadata_for_build_editable(
    metadata_directory: str, config_settings: Settings = None
) -> str:
    theirs = _theirs(config_settings)
    return _skbuild.prepare_metadata_for_build_editable(metadata_directory, theirs)


def build_sdist(sdist_directory: str, config_settings: Settings = None) -> str:
    return _skbuild.build_sdist(sdist_directory, _theirs(config_settings))


def build_wheel(
    wheel_directory: str, config_settings: Settings = None, metadata_directory: str | None = None
) -> str:
    with _prepared(config_settings) as settings:
        return _skbuild.build_wheel(wheel_directory, settings, metadata_directory)


def build_editable(
    wheel_directory: str, config_settings: Settings = None, metadata_directory: str | None = None
) -> str:
    with _prepared(config_settings) as settings:
        return _skbuild.build_editable(wheel_directory, settings, metadata_directory)
