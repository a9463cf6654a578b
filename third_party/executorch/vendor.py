"""Make private copies of ExecuTorch's shared libraries.

Called by vendor.cmake at configure time; README.md in this folder says why each step is needed.

    vendor.py --out DIR --patchelf PATCHELF --strip STRIP --redefine MAP libexecutorch.so ...

The copies are named libetseg_*, and every dynamic symbol they define gets the suffix ".etseg".
The old and new names are written to MAP, in the format of `objcopy --redefine-syms`, for the one
library of ours that calls them; but for those of the standard library, which are not called there.
Needs nothing beyond the standard library.
"""

from __future__ import annotations

import argparse
import re
import shutil
import struct
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

SUFFIX = ".etseg"

# The linker's own marks for the edges of a library: they are not calls between libraries.
_EDGES = frozenset({"_init", "_fini", "_edata", "_end", "__bss_start"})

# Instances of the standard library's templates. Our own objects have theirs, of which the linker
# keeps one by its old name: references to a new one would lead nowhere.
_STANDARD = re.compile(r"_Z(T[ISVT]|GV)?N?K?S[tabsiod]")

_SHT_DYNSYM = 11
_STB_GLOBAL = 1
_STB_GNU_UNIQUE = 10
_SHN_UNDEF = 0


@dataclass(frozen=True)
class Symbol:
    name: str
    binding: int
    defined: bool
    info_offset: int  # of st_info, in the file


def dynamic_symbols(image: bytes | bytearray) -> Iterator[Symbol]:
    """The dynamic symbols of a 64-bit little-endian ELF file, which is all we build for."""
    if image[:6] != b"\x7fELF\x02\x01":
        raise ValueError("not a 64-bit little-endian ELF file")
    (section_table,) = struct.unpack_from("<Q", image, 0x28)
    entry_size, count = struct.unpack_from("<HH", image, 0x3A)
    # Of each: name, type, flags, address, offset, size, link, info, alignment, entry size
    sections = [
        struct.unpack_from("<IIQQQQIIQQ", image, section_table + i * entry_size)
        for i in range(count)
    ]
    for _, kind, _, _, offset, size, link, _, _, symbol_size in sections:
        if kind != _SHT_DYNSYM:
            continue
        strings = sections[link][4]
        for at in range(offset + symbol_size, offset + size, symbol_size):
            name, info, _, section = struct.unpack_from("<IBBH", image, at)
            end = image.index(b"\0", strings + name)
            yield Symbol(
                name=bytes(image[strings + name : end]).decode(),
                binding=info >> 4,
                defined=section != _SHN_UNDEF,
                info_offset=at + 4,
            )


def make_unique_symbols_ordinary(library: Path) -> None:
    """STB_GNU_UNIQUE -> STB_GLOBAL: the loader no longer merges them across the process."""
    image = bytearray(library.read_bytes())
    for symbol in list(dynamic_symbols(image)):
        if symbol.binding == _STB_GNU_UNIQUE:
            image[symbol.info_offset] = (_STB_GLOBAL << 4) | (image[symbol.info_offset] & 0xF)
    library.write_bytes(image)


def verify(library: Path, renamed: set[str]) -> None:
    """Stop the build rather than ship a library that can be mixed up with somebody else's."""
    for symbol in dynamic_symbols(library.read_bytes()):
        if symbol.binding == _STB_GNU_UNIQUE:
            sys.exit(f"vendor.py: {library.name}: {symbol.name} is still unique in the process")
        if symbol.name in renamed:
            sys.exit(f"vendor.py: {library.name}: {symbol.name} has kept its public name")


def private_name(library: str) -> str:
    """libexecutorch.so -> libetseg_executorch.so, libexecutorch_x.so -> libetseg_x.so."""
    stem, dot, suffix = library.partition(".")
    part = stem.removeprefix("libexecutorch").removeprefix("_")
    return f"libetseg_{part or 'executorch'}{dot}{suffix}"


def write_mapping(path: Path, names: set[str]) -> None:
    """Old and new names, as patchelf and objcopy read them."""
    path.write_text("".join(f"{name} {name}{SUFFIX}\n" for name in sorted(names)))


def run(*command: str | Path) -> None:
    subprocess.run([str(word) for word in command], check=True)


def vendor_elf(sources: list[Path], out: Path, args: argparse.Namespace) -> None:
    names = {source.name: private_name(source.name) for source in sources}
    defined = {
        symbol.name
        for source in sources
        for symbol in dynamic_symbols(source.read_bytes())
        # The Arm libraries define some without a name.
        if symbol.defined and symbol.name and symbol.name not in _EDGES
    }
    mapping = out / "all-symbols.map"
    write_mapping(mapping, defined)
    write_mapping(Path(args.redefine), {name for name in defined if not _STANDARD.match(name)})

    for source in sources:
        library = out / names[source.name]
        shutil.copyfile(source, library)
        library.chmod(0o755)
        # First: strip does not understand the layout patchelf leaves behind.
        run(args.strip, "--strip-unneeded", library)
        edits = [word for old, new in names.items() for word in ("--replace-needed", old, new)]
        edits += ["--set-soname", library.name, "--set-rpath", "$ORIGIN"]
        edits += ["--rename-dynamic-symbols", str(mapping)]
        run(args.patchelf, *edits, library)
        make_unique_symbols_ordinary(library)
        verify(library, defined)
    mapping.unlink()


def vendor_mach_o(sources: list[Path], out: Path, args: argparse.Namespace) -> None:
    """UNTESTED: nobody has run this on a Mac yet.

    Mach-O records with every symbol which library it comes from, so new install names suffice.
    """
    names = {source.name: private_name(source.name) for source in sources}
    Path(args.redefine).write_text("")
    for source in sources:
        library = out / names[source.name]
        shutil.copyfile(source, library)
        library.chmod(0o755)
        run(args.strip, "-x", library)
        run("install_name_tool", "-id", f"@rpath/{library.name}", library)
        linked = subprocess.run(
            ["otool", "-L", str(library)], check=True, capture_output=True, text=True
        ).stdout
        for line in linked.splitlines()[1:]:
            old = line.split(" (compatibility")[0].strip()
            if new := names.get(Path(old).name):
                run("install_name_tool", "-change", old, f"@loader_path/{new}", library)
        # Editing breaks the signature, and arm64 refuses to load what is not signed.
        run("codesign", "--force", "--sign", "-", library)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--redefine", required=True, help="file for the old and new symbol names")
    parser.add_argument("--patchelf", default="patchelf")
    parser.add_argument("--strip", default="strip")
    parser.add_argument("libraries", nargs="+", type=Path)
    args = parser.parse_args()

    shutil.rmtree(args.out, ignore_errors=True)
    args.out.mkdir(parents=True)
    vendor = vendor_mach_o if sys.platform == "darwin" else vendor_elf
    vendor(args.libraries, args.out, args)


if __name__ == "__main__":
    main()
