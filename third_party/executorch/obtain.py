"""Obtain the one supported executorch, without what it declares.

The build needs headers and six libraries of executorch's wheel: 19 MB of the 740 that the package
takes with its dependencies, and PEP 517 cannot ask for a package without them. `provide` looks, in
this order,

1. where it is told to: a wheel or the package's folder,
2. at the executorch installed beside this Python, if it is of the pinned version,
3. in the cache of earlier downloads, and at last
4. downloads the wheel through pip, so that pip's own configuration (index, proxy, certificates)
   applies.

pin.json names version, tags and SHA-256. Between the wheels of one platform only the libraries'
build ids differ, so one wheel serves every version of Python. Needs nothing beyond the standard
library, and pip for a download.

    python obtain.py DIR    puts the libraries and headers into DIR and prints the package's folder
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import platform
import re
import subprocess
import sys
import sysconfig
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

VARIABLE = "ETSEG_EXECUTORCH"

_PIN = json.loads(Path(__file__).with_name("pin.json").read_text(encoding="utf-8"))
VERSION: str = _PIN["version"]

_PARTS = tuple(f"executorch/{part}/" for part in ("lib", "include", "share"))
_CONFIG = "lib/cmake/executorch/executorch-config-version.cmake"
_HOW = (
    f"Without a network, download executorch {VERSION}'s wheel elsewhere and name it, or an "
    f"installed executorch's folder: the environment variable {VARIABLE}=PATH, or the setting "
    "executorch=PATH (pip install -C executorch=PATH)."
)


class ObtainError(Exception):
    """There is no usable executorch; the message says what to do."""


@dataclass(frozen=True)
class Wheel:
    """A wheel of the pinned version: its platform tag and SHA-256."""

    tag: str
    sha256: str


def target() -> str:
    """The platform that is built for, as pin.json names it: a cross-build's, if this is one."""
    system, _, rest = sysconfig.get_platform().partition("-")
    machine = rest.rpartition("-")[2]
    if machine == "universal2":  # of python.org's Pythons for macOS
        machine = platform.machine()
    if system == "linux" and "musl" in (sysconfig.get_config_var("SOABI") or ""):
        system = "musllinux"
    return f"{system}-{machine}"


def pinned(name: str) -> Wheel:
    """The wheel for a platform. Raises ObtainError where executorch has none."""
    try:
        return Wheel(**_PIN["wheels"][name])
    except KeyError:
        known = ", ".join(_PIN["wheels"])
        raise ObtainError(
            f"executorch {VERSION} has no libraries for {name}, only for {known}. If you have "
            f"built it yourself, name its folder: {VARIABLE}=/path/to/site-packages/executorch."
        ) from None


def provide(into: Path, given: str | None = None) -> Path:
    """The folder of a package executorch of the pinned version: with lib/ and include/.

    `into` is an empty folder, used where a wheel has to be unpacked; `given` a wheel or a folder,
    else the environment variable ETSEG_EXECUTORCH. Raises ObtainError.
    """
    given = given or os.environ.get(VARIABLE)
    if given:
        path = Path(given).expanduser().absolute()
        if not path.exists():
            raise ObtainError(f"{given}, given as executorch's wheel or folder, does not exist.")
        return _checked(_unpacked(path, into) if path.is_file() else path, given)
    beside = installed()
    if beside and version_of(beside) == VERSION:
        return beside
    wheel = pinned(target())
    return _checked(_unpacked(_cached(wheel) or _downloaded(wheel, into), into), "its wheel")


def needs_pip(given: str | None = None) -> bool:
    """Whether `provide` would download."""
    if given or os.environ.get(VARIABLE):
        return False
    beside = installed()
    if beside and version_of(beside) == VERSION:
        return False
    return target() in _PIN["wheels"] and _cached(pinned(target())) is None


def version_of(package: Path) -> str | None:
    """As its CMake file has it; None for a folder that is no executorch with libraries."""
    config = package / _CONFIG
    if not config.is_file():
        return None
    found = re.search(r'PACKAGE_VERSION "([^"]+)"', config.read_text(encoding="utf-8"))
    return found and found.group(1)


def cache() -> Path:
    """Where downloaded wheels are kept; any file there may be deleted."""
    home = os.environ.get("XDG_CACHE_HOME")
    if not home:
        home = "~/Library/Caches" if sys.platform == "darwin" else "~/.cache"
    return Path(home).expanduser() / "etseg-build"


def installed() -> Path | None:
    """The folder of the package executorch that this Python would import, of whatever version."""
    # Looked up without importing it: executorch's own modules want torch.
    spec = importlib.util.find_spec("executorch")
    places = spec.submodule_search_locations if spec else None
    return Path(next(iter(places))) if places else None


def _checked(package: Path, called: str) -> Path:
    version = version_of(package)
    if version is None:
        raise ObtainError(
            f"{called} holds no executorch with libraries: {package / _CONFIG} is not there. "
            "A folder must be the package's own, such as site-packages/executorch."
        )
    if version != VERSION:
        raise ObtainError(
            f"{called} holds executorch {version}; etseg is built against {VERSION} exactly."
        )
    return package


def _unpacked(wheel: Path, into: Path) -> Path:
    try:
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(into, [n for n in archive.namelist() if n.startswith(_PARTS)])
    except zipfile.BadZipFile:
        raise ObtainError(f"{wheel} is no wheel: it is not a zip file.") from None
    return into / "executorch"


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _place(wheel: Wheel) -> Path:
    return cache() / f"executorch-{VERSION}-{wheel.tag}-{wheel.sha256[:16]}.whl"


def _cached(wheel: Wheel) -> Path | None:
    path = _place(wheel)
    try:
        return path if _sha256(path) == wheel.sha256 else None
    except OSError:
        return None


def _downloaded(wheel: Wheel, into: Path) -> Path:
    folder = into / "download"
    folder.mkdir(parents=True)
    pins = folder / "pins.txt"
    pins.write_text(f"executorch=={VERSION} --hash=sha256:{wheel.sha256}\n", encoding="utf-8")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-input"]
    command += ["--disable-pip-version-check", "--dest", str(folder), "--only-binary=:all:"]
    command += ["--implementation=cp", f"--python-version={_PIN['python']}"]
    command += [f"--platform={wheel.tag}", "--require-hashes", f"--requirement={pins}"]
    _say(f"downloading executorch {VERSION} ({wheel.tag}, 19 MB)")
    if subprocess.run(command, check=False).returncode != 0:
        raise ObtainError(
            f"could not download executorch {VERSION}'s wheel for {wheel.tag}; pip says why above "
            f"(its configuration applies: pip config list). {_HOW}"
        )
    (path,) = folder.glob("*.whl")
    if _sha256(path) != wheel.sha256:
        raise ObtainError(f"{path.name}: SHA-256 is {_sha256(path)}, expected {wheel.sha256}.")
    _keep(path, _place(wheel))
    return path


def _say(line: str) -> None:
    print(f"etseg: {line}", file=sys.stderr, flush=True)


def _keep(path: Path, place: Path) -> None:
    """Best effort: a build does not fail for want of a cache."""
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=place.parent, delete=False) as file:
            file.write(path.read_bytes())
        Path(file.name).replace(place)
    except OSError as error:
        _say(f"executorch's wheel is not kept for the next build: {error}")


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    into = Path(sys.argv[1])
    into.mkdir(parents=True, exist_ok=True)
    try:
        print(provide(into))
    except ObtainError as error:
        sys.exit(f"etseg: {error}")


if __name__ == "__main__":
    main()
