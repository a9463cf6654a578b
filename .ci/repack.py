"""Compresses a wheel as well as deflate can: 3.5 % smaller for everybody who downloads it, for half
a minute here. What is in it, its names and its dates stay. python .ci/repack.py WHEEL..."""

import sys
import zipfile
from pathlib import Path

import zopfli


def repack(wheel: Path) -> None:
    packed = wheel.with_suffix(".packed")
    deflated = zipfile.ZIP_DEFLATED
    with zipfile.ZipFile(wheel) as before, zopfli.ZipFile(packed, "w", deflated) as after:
        for entry in before.infolist():
            after.writestr(entry, before.read(entry))
    with zipfile.ZipFile(wheel) as before, zipfile.ZipFile(packed) as after:
        if _contents(before) != _contents(after) or after.testzip():
            raise SystemExit(f"{wheel}: packed anew, it has other contents")
    sizes = f"{wheel.stat().st_size} -> {packed.stat().st_size} bytes"
    packed.replace(wheel)
    sys.stdout.write(f"{wheel.name}: {sizes}\n")


def _contents(wheel: zipfile.ZipFile) -> list[tuple[object, ...]]:
    return [(e.filename, e.CRC, e.date_time, e.external_attr) for e in wheel.infolist()]


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        repack(Path(argument))
