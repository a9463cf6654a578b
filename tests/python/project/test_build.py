"""How the build comes by executorch's libraries: third_party/executorch/obtain.py."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path
from types import ModuleType

import pytest

from children import PATIENCE

FOLDER = Path(__file__).resolve().parents[3] / "third_party" / "executorch"
CONFIG = "executorch/lib/cmake/executorch/executorch-config-version.cmake"
PIN = FOLDER / "pin.json"

pytestmark = pytest.mark.skipif(not PIN.is_file(), reason="needs a checkout")


@pytest.fixture
def obtain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module, with an empty cache, nothing given and no executorch beside it."""
    spec = importlib.util.spec_from_file_location("obtain", FOLDER / "obtain.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "obtain", module)
    spec.loader.exec_module(module)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("ETSEG_EXECUTORCH", raising=False)
    monkeypatch.setattr(module, "installed", lambda: None)
    return module


@pytest.fixture
def wheel(obtain: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small wheel for this platform, pinned; and pip's configuration knows its folder alone."""
    path = make_wheel(tmp_path / "index", obtain.VERSION)
    pin = {"tag": "any", "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    monkeypatch.setitem(obtain._PIN["wheels"], obtain.target(), pin)
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(path.parent))
    return path


def make_wheel(folder: Path, version: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"executorch-{version}-py3-none-any.whl"
    info = f"executorch-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(CONFIG, f'set(PACKAGE_VERSION "{version}")\n')
        archive.writestr("executorch/include/runtime.h", "")
        archive.writestr("executorch/exir/large.py", "")
        archive.writestr(f"{info}/METADATA", f"Name: executorch\nVersion: {version}\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return path


def make_package(folder: Path, version: str) -> Path:
    with zipfile.ZipFile(make_wheel(folder / "made", version)) as archive:
        archive.extractall(folder)
    return folder / "executorch"


def no_pip(*_: object, **__: object) -> None:
    raise AssertionError("must not be asked")


def test_every_wheel_is_pinned_by_its_hash() -> None:
    pin = json.loads(PIN.read_text(encoding="utf-8"))
    assert set(pin["wheels"]) == {"linux-x86_64", "linux-aarch64", "macosx-arm64"}
    for wheel in pin["wheels"].values():
        assert set(wheel) == {"tag", "sha256"}
        assert len(bytes.fromhex(wheel["sha256"])) == 32


def test_what_repeats_the_pin_agrees_with_it() -> None:
    root = FOLDER.parents[1]
    pin = json.loads(PIN.read_text(encoding="utf-8"))
    recipe = (root / "docs" / "packaging" / "recipe.yaml").read_text(encoding="utf-8")
    assert f"executorch: {pin['version']}\n" in recipe
    for wheel in pin["wheels"].values():
        assert wheel["tag"] in recipe
        assert wheel["sha256"] in recipe
    project = (root / "pyproject.toml").read_text(encoding="utf-8")
    version = project.split('\nversion = "')[1].split('"')[0]
    citation = (root / "CITATION.cff").read_text(encoding="utf-8")
    assert f"version: {version}\n" in citation


@pytest.mark.parametrize(
    ("python", "machine", "expected"),
    [
        ("linux-x86_64", "x86_64", "linux-x86_64"),
        ("linux-aarch64", "x86_64", "linux-aarch64"),  # a cross-build says so to sysconfig
        ("macosx-14.0-arm64", "arm64", "macosx-arm64"),
        ("macosx-11.0-universal2", "arm64", "macosx-arm64"),
    ],
)
def test_target(
    obtain: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    python: str,
    machine: str,
    expected: str,
) -> None:
    monkeypatch.setattr(sysconfig, "get_platform", lambda: python)
    monkeypatch.setattr(obtain.platform, "machine", lambda: machine)
    monkeypatch.setattr(sysconfig, "get_config_var", lambda _: "cpython-311-linux-gnu")
    assert obtain.target() == expected
    assert obtain.pinned(expected).sha256


def test_musl_is_not_taken_for_glibc(obtain: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sysconfig, "get_platform", lambda: "linux-x86_64")
    monkeypatch.setattr(sysconfig, "get_config_var", lambda _: "cpython-311-x86_64-linux-musl")
    with pytest.raises(obtain.ObtainError, match=r"no libraries for musllinux-x86_64.*only for"):
        obtain.pinned(obtain.target())


def test_downloaded_through_pip_and_kept(
    obtain: ModuleType, wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert obtain.needs_pip()
    package = obtain.provide(tmp_path / "one")
    assert obtain.version_of(package) == obtain.VERSION
    assert sorted(path.name for path in package.iterdir()) == ["include", "lib"]

    wheel.unlink()
    monkeypatch.setattr(subprocess, "run", no_pip)
    assert not obtain.needs_pip()
    assert obtain.version_of(obtain.provide(tmp_path / "two")) == obtain.VERSION


@pytest.mark.usefixtures("wheel")
def test_a_damaged_file_in_the_cache_is_not_used(obtain: ModuleType, tmp_path: Path) -> None:
    obtain.provide(tmp_path / "one")
    (kept,) = obtain.cache().iterdir()
    kept.write_bytes(b"x" + kept.read_bytes()[1:])
    assert obtain.needs_pip()
    assert obtain.version_of(obtain.provide(tmp_path / "two")) == obtain.VERSION


@pytest.mark.usefixtures("wheel")
def test_a_cache_that_cannot_be_written_stops_nothing(
    obtain: ModuleType, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    assert obtain.version_of(obtain.provide(tmp_path / "one")) == obtain.VERSION
    assert "not kept" in capfd.readouterr().err


def test_another_wheel_of_that_name_is_refused(
    obtain: ModuleType, wheel: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with zipfile.ZipFile(wheel, "a") as archive:
        archive.writestr("executorch/include/more.h", "")
    with pytest.raises(obtain.ObtainError, match="could not download"):
        obtain.provide(tmp_path / "one")
    assert "HASHES" in capfd.readouterr().err
    assert obtain.needs_pip()


def test_without_a_network(obtain: ModuleType, wheel: Path, tmp_path: Path) -> None:
    wheel.unlink()
    with pytest.raises(obtain.ObtainError, match=r"pip says why above.*ETSEG_EXECUTORCH=PATH"):
        obtain.provide(tmp_path / "one")


@pytest.mark.parametrize("by", ["argument", "environment"])
@pytest.mark.parametrize("kind", ["wheel", "folder"])
def test_a_given_path_comes_first(
    obtain: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by: str, kind: str
) -> None:
    monkeypatch.setattr(subprocess, "run", no_pip)
    monkeypatch.setattr(obtain, "installed", no_pip)
    make = make_wheel if kind == "wheel" else make_package
    path = make(tmp_path / "given", obtain.VERSION)
    argument = str(path) if by == "argument" else None
    if by == "environment":
        monkeypatch.setenv("ETSEG_EXECUTORCH", str(path))
    assert not obtain.needs_pip(argument)
    package = obtain.provide(tmp_path / "into", argument)
    assert package == (path if kind == "folder" else tmp_path / "into" / "executorch")


@pytest.mark.parametrize("make", [make_wheel, make_package])
def test_a_given_path_of_another_version(obtain: ModuleType, tmp_path: Path, make: object) -> None:
    assert callable(make)
    path = make(tmp_path / "given", "1.4.0")
    with pytest.raises(obtain.ObtainError, match=r"executorch 1\.4\.0; .*1\.5\.1 exactly"):
        obtain.provide(tmp_path / "into", str(path))


def test_a_given_path_that_is_no_executorch(obtain: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(obtain.ObtainError, match="does not exist"):
        obtain.provide(tmp_path / "into", str(tmp_path / "nowhere"))
    with pytest.raises(obtain.ObtainError, match="holds no executorch with libraries"):
        obtain.provide(tmp_path / "into", str(tmp_path))
    (tmp_path / "broken.whl").write_text("no zip")
    with pytest.raises(obtain.ObtainError, match="is no wheel"):
        obtain.provide(tmp_path / "into", str(tmp_path / "broken.whl"))


def test_an_installed_one_of_that_version_is_taken(
    obtain: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = make_package(tmp_path / "site", obtain.VERSION)
    monkeypatch.setattr(obtain, "installed", lambda: package)
    monkeypatch.setattr(subprocess, "run", no_pip)
    assert not obtain.needs_pip()
    assert obtain.provide(tmp_path / "into") == package


@pytest.mark.usefixtures("wheel")
def test_an_installed_one_of_another_version_is_left_alone(
    obtain: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = make_package(tmp_path / "site", "1.4.0")
    monkeypatch.setattr(obtain, "installed", lambda: other)
    assert obtain.needs_pip()
    assert obtain.provide(tmp_path / "into") == tmp_path / "into" / "executorch"


def test_it_finds_an_installed_package_without_importing_it(tmp_path: Path) -> None:
    package = make_package(tmp_path, "1.5.1")
    (package / "__init__.py").write_text("raise ImportError('wants torch')")
    code = (
        f"import sys; sys.path.insert(0, {str(FOLDER)!r}); import obtain; print(obtain.installed())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=True,
    )
    assert done.stdout.strip() == str(package)


class TestBackend:
    """What the PEP 517 hooks add to scikit-build-core's."""

    @pytest.fixture
    def backend(self, obtain: ModuleType, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
        pytest.importorskip("scikit_build_core", reason="the build backend is not installed")
        assert obtain
        monkeypatch.setattr(sys, "path", [*sys.path])
        spec = importlib.util.spec_from_file_location("build_backend", FOLDER / "build_backend.py")
        assert spec
        assert spec.loader
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        monkeypatch.setattr(module._skbuild, "build_wheel", lambda _, settings, __: settings)
        monkeypatch.setattr(module._skbuild, "get_requires_for_build_wheel", lambda _: ["theirs"])
        return module

    def test_pip_is_required_where_it_is_needed(self, backend: ModuleType, tmp_path: Path) -> None:
        assert backend.get_requires_for_build_wheel() == ["theirs", "pip>=23.1"]
        given = {"executorch": str(tmp_path)}
        assert backend.get_requires_for_build_wheel(given) == ["theirs"]

    def test_the_folder_becomes_a_definition(self, backend: ModuleType, tmp_path: Path) -> None:
        package = make_package(tmp_path, "1.5.1")
        settings = backend.build_wheel("out", {"executorch": str(package), "build-dir": "b"})
        assert settings == {
            "build-dir": "b",
            "cmake.define.ETSEG_EXECUTORCH_ROOT": str(package),
        }

    def test_what_fails_is_said_in_a_sentence(self, backend: ModuleType, tmp_path: Path) -> None:
        with pytest.raises(SystemExit, match=r"etseg: .*does not exist"):
            backend.build_wheel("out", {"executorch": str(tmp_path / "nowhere")})

    def test_without_a_compiler(
        self, backend: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        given = {"executorch": str(make_package(tmp_path, "1.5.1"))}
        for name in ("CXX", "CMAKE_ARGS", "SKBUILD_CMAKE_ARGS", "CMAKE_TOOLCHAIN_FILE"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("PATH", str(tmp_path))
        with pytest.raises(SystemExit, match=r"no C\+\+ compiler is on PATH.*apt install g\+\+"):
            backend.build_wheel("out", given)
        monkeypatch.setenv("CXX", "/opt/own/c++")
        assert backend.build_wheel("out", given)
