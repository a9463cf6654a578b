"""Which package OpenCV's module is of, and what to do where several put theirs into one place.

Four packages on PyPI have a module ``cv2``. pip installs one over another and knows nothing of it:
whose files stand there is what the one installed last has written, and who uninstalls one takes
the files of the others along.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

#: The packages, by whether they have OpenCV's further modules, and lack windows.
PACKAGES = {
    (False, True): "opencv-python-headless",
    (False, False): "opencv-python",
    (True, True): "opencv-contrib-python-headless",
    (True, False): "opencv-contrib-python",
}
#: As pyproject.toml asks for, and says why.
_OLDEST = (4, 12)
_REINSTALL = "pip install --force-reinstall --no-deps"


@dataclass(frozen=True)
class OpenCV:
    """What is installed.

    Attributes:
        packages: versions, by package.
        owner: the package whose files stand there, as they say; None if there are none.
        version: of those files.
        failure: what its import says; None where it can be imported.
    """

    packages: Mapping[str, str]
    owner: str | None
    version: str | None
    failure: str | None


def look(path: Sequence[str] | None = None) -> OpenCV:
    """What is installed on a path of folders, by default Python's own.

    OpenCV is imported by a process of its own: what is broken may crash.
    """
    folders = sys.path if path is None else path
    names = {_normal(name): name for name in PACKAGES.values()}
    packages: dict[str, str] = {}
    for one in metadata.distributions(path=list(folders)):
        known = names.get(_normal(one.metadata["Name"] or ""))
        if known is not None:
            packages.setdefault(known, one.version)
    owner, version = _owner(folders)
    return OpenCV(packages, owner, version, _failure(folders))


def advice(found: OpenCV) -> str | None:
    """What is wrong, and the command that mends it; None where nothing is."""
    others = [name for name in found.packages if name != found.owner]
    windows = next((name for name in others if not name.endswith("-headless")), None)
    if not found.packages and found.failure is not None:
        return f"{_because(found)}: pip install opencv-python-headless"
    if found.failure is not None and "libGL" in found.failure:
        return (
            f"{_because(found)}: {found.owner or 'OpenCV'} shows windows, and the system has no "
            f"libraries for that. Install them (Debian: apt install libgl1 libglib2.0-0), or: "
            f"{_REINSTALL} opencv-python-headless"
        )
    if found.failure is not None:
        name = windows or next(iter(found.packages))
        return f"{_because(found)}: {_REINSTALL} {_pinned(found, name)}"
    if found.version is not None and _is_old(found.version):
        name = found.owner or "opencv-python-headless"
        return (
            f"OpenCV {found.version} is older than {_OLDEST[0]}.{_OLDEST[1]}, and damaged images "
            f"can crash it: pip install --upgrade {name}"
        )
    if windows is not None and found.owner is not None and found.owner.endswith("-headless"):
        return (
            f"{found.owner} was installed over {windows}, so cv2.imshow does not work; etseg does "
            f"not mind. If you need windows: {_REINSTALL} {_pinned(found, windows)}"
        )
    return None


def _because(found: OpenCV) -> str:
    return f"OpenCV cannot be imported ({found.failure})"


def _pinned(found: OpenCV, name: str) -> str:
    return f"{name}=={found.packages[name]}"


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _is_old(version: str) -> bool:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:2]) < _OLDEST


def _owner(folders: Sequence[str]) -> tuple[str | None, str | None]:
    """Of the files that Python would find first: package and version, as they say."""
    for folder in folders:
        try:
            text = Path(folder, "cv2", "version.py").read_text(encoding="utf-8")
        except (OSError, ValueError):
            continue
        said = dict(re.findall(r"^(\w+)\s*=\s*(.+?)\s*$", text, re.MULTILINE))
        kind = said.get("contrib") == "True", said.get("headless") == "True"
        return PACKAGES[kind], said.get("opencv_version", "").strip("\"'") or None
    return None, None


def _failure(folders: Sequence[str]) -> str | None:
    script = f"import sys; sys.path[:] = {list(folders)!r}; import cv2; cv2.imdecode"
    done = subprocess.run(
        [sys.executable, "-I", "-c", script], capture_output=True, text=True, check=False
    )
    if done.returncode == 0:
        return None
    return next(reversed(done.stderr.strip().splitlines()), f"exit status {done.returncode}")
