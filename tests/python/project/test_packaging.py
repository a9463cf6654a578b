"""The package as it was installed: what is in it, what it asks for, what importing it does."""

from __future__ import annotations

import importlib.metadata
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import etseg

PACKAGE = Path(etseg.__file__).parent
LIBRARIES = (
    "libetseg_backend_xnnpack.so",
    "libetseg_executorch.so",
    "libetseg_kernels_optimized.so",
    "libetseg_kernels_quantized.so",
    "libetseg_threadpool.so",
)
# What a library may ask of the system: the names every manylinux platform has.
SYSTEM = re.compile(r"lib(c|m|dl|pthread|gcc_s|stdc\+\+)\.so\.\d+|ld-linux-[\w-]+\.so\.\d")

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into ELF files")


def run_python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True
    )


class Elf:
    """What the loader sees of a shared library."""

    def __init__(self, path: Path) -> None:
        elffile = pytest.importorskip("elftools.elf.elffile", reason="needs pyelftools")
        with path.open("rb") as file:
            elf = elffile.ELFFile(file)
            dynamic = list(elf.get_section_by_name(".dynamic").iter_tags())
            self.needed = [tag.needed for tag in dynamic if tag.entry.d_tag == "DT_NEEDED"]
            self.soname = [tag.soname for tag in dynamic if tag.entry.d_tag == "DT_SONAME"]
            self.runpath = [tag.runpath for tag in dynamic if tag.entry.d_tag == "DT_RUNPATH"]
            self.rpath = [tag.rpath for tag in dynamic if tag.entry.d_tag == "DT_RPATH"]
            symbols = list(elf.get_section_by_name(".dynsym").iter_symbols())[1:]
            self.defined = {
                symbol.name: symbol.entry.st_info.bind
                for symbol in symbols
                if symbol.entry.st_shndx != "SHN_UNDEF"
            }
            self.undefined = {
                symbol.name for symbol in symbols if symbol.entry.st_shndx == "SHN_UNDEF"
            }
            self.sections = {section.name for section in elf.iter_sections()}


def native_module() -> Path:
    (path,) = PACKAGE.glob("_native.*.so")
    return path


@linux
def test_the_vendored_libraries_are_these() -> None:
    assert tuple(sorted(path.name for path in (PACKAGE / "_vendor").iterdir())) == LIBRARIES


@linux
@pytest.mark.parametrize("name", LIBRARIES)
def test_a_vendored_library_is_private(name: str) -> None:
    elf = Elf(PACKAGE / "_vendor" / name)
    assert elf.soname == [name]
    assert elf.runpath == ["$ORIGIN"]
    assert elf.rpath == []
    assert {n for n in elf.needed if not SYSTEM.fullmatch(n)} <= set(LIBRARIES)
    assert {symbol for symbol, bind in elf.defined.items() if bind == "STB_LOOS"} == set()
    edges = {"_init", "_fini", "_edata", "_end", "__bss_start"}
    assert {
        symbol for symbol in elf.defined.keys() - edges if not symbol.endswith(".etseg")
    } == set()
    assert not any(section.startswith(".debug") for section in elf.sections)
    assert ".symtab" not in elf.sections


@linux
def test_the_extension_finds_them_beside_itself() -> None:
    elf = Elf(native_module())
    # The kernels and backends too, though nothing refers to a symbol of theirs.
    assert {n for n in elf.needed if n.startswith("libetseg")} == set(LIBRARIES)
    assert all(SYSTEM.fullmatch(n) for n in elf.needed if not n.startswith("libetseg"))
    assert elf.runpath == ["$ORIGIN/_vendor"]
    assert elf.rpath == []
    in_place_of_the_pools = "_ZN10executorch9extension7cpuinfo24get_num_performant_coresEv.etseg"
    in_place_of_xnnpacks = {"xnn_create_runtime_v4.etseg", "pthreadpool_destroy.etseg"}
    assert set(elf.defined) == {"PyInit__native", in_place_of_the_pools, *in_place_of_xnnpacks}
    assert not [s for s in elf.undefined if "executorch" in s and not s.endswith(".etseg")]


@linux
def test_the_extension_names_no_path_of_the_machine_that_built_it() -> None:
    image = native_module().read_bytes()
    assert b"site-packages" not in image
    assert b"/include/executorch" not in image


@linux
def test_every_symbol_has_a_provider() -> None:
    # All of them at once: a function nobody calls in the tests would otherwise go unnoticed.
    done = subprocess.run(
        [sys.executable, "-c", "import etseg"],
        env={"LD_BIND_NOW": "1", "PATH": ""},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_no_sources_in_the_package() -> None:
    """Code and data: photographs of the export, the page of the service, the schema of results."""
    files = [path for path in PACKAGE.rglob("*") if path.is_file()]
    kinds = {path.suffix for path in files if path.parent.name not in {"_photos", "_page"}}
    assert kinds <= {".py", ".pyi", ".pyc", ".so", ".dylib", ".pte", ".md", ".typed", ".json", ""}
    assert (PACKAGE / "py.typed").is_file()


def test_metadata() -> None:
    metadata = importlib.metadata.metadata("etseg")
    assert metadata["Version"] == etseg.__version__
    assert metadata["License-Expression"] == "BSD-3-Clause"
    required = {
        re.split(r"[^\w-]", requirement, maxsplit=1)[0]
        for requirement in importlib.metadata.requires("etseg") or []
        if "extra ==" not in requirement
    }
    assert {"numpy", "opencv-python-headless"} <= required
    assert not required & {"torch", "executorch", "opencv-python"}
    assert len(required) <= 8  # a few small packages


def test_the_notices_travel_along() -> None:
    licenses = {
        Path(file.name).stem: file.read_text(encoding="utf-8")
        for file in importlib.metadata.files("etseg") or []
        if "licenses" in file.parts
    }
    for name, phrase in {
        "LICENSE": "The etseg developers",
        "executorch": "ExecuTorch",
        "XNNPACK": "XNNPACK",
        "pthreadpool": "Georgia Institute of Technology",
        "cpuinfo": "Redistribution and use",
        "Eigen": "Mozilla Public License Version 2.0",
        "pocketfft": "Max-Planck-Society",
        "pytorch-c10": "From PyTorch",
        "flatbuffers": "Apache License",
        "FP16": "MIT License",
        "FXdiv": "MIT License",
        "KleidiAI": "Apache License",
        "NOTICE": "MediaPipe",
        "pybind11": "Wenzel Jakob",
    }.items():
        assert phrase in licenses[name]


def test_import_is_light_and_silent() -> None:
    heavy = ["cv2", "simplejpeg", "torch", "executorch", "click", "PIL", "urllib3", "filelock"]
    heavy.append("platformdirs")
    code = f"import json, sys, etseg; print(json.dumps([m for m in {heavy} if m in sys.modules]))"
    done = run_python(code)
    assert json.loads(done.stdout) == []
    assert done.stderr == ""
