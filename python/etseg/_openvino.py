"""OpenVINO, for programs that are delegated to it: where its library lies, if it is installed."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

from . import _native

#: What installs it in a version that etseg is tried with.
INSTALL = 'pip install "etseg[openvino]"'

#: Says where the library is instead; executorch's own delegate heeds it, too.
_VARIABLE = "OPENVINO_LIB_PATH"


def find_library() -> Path | None:
    """OpenVINO's C library in the package ``openvino``, which is not imported; None without it."""
    told = os.environ.get(_VARIABLE)
    if told:
        return Path(told)
    try:
        spec = find_spec("openvino")
    except (ImportError, ValueError):  # somebody has put something else in its place
        return None
    for folder in () if spec is None else spec.submodule_search_locations or ():
        for library in sorted(Path(folder, "libs").glob("libopenvino_c.*")):
            return library
    return None


def prepare() -> None:
    """Before a program is loaded: tells the runtime where the library is. It is not opened."""
    library = find_library()
    _native.set_openvino_library(b"" if library is None else os.fsencode(library))
