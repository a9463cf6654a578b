"""Pictures as files, with a mark by which the next run tells them from photographs."""

from __future__ import annotations

import stat
import struct
import zlib
from collections.abc import Container, Iterator
from pathlib import Path
from typing import Any

import numpy.typing as npt

from etseg._errors import FileWriteError, InvalidUserInputError
from etseg._images.quiet import quiet
from etseg._writing import FileId, write_whole

from .checks import needs_memory


def png_chunk(kind: bytes, payload: bytes) -> bytes:
    """A chunk of a PNG: length, kind, payload, checksum."""
    checksum = zlib.crc32(payload, zlib.crc32(kind))
    return struct.pack(">I", len(payload)) + kind + payload + struct.pack(">I", checksum)


#: What our images say of their origin, so that the next run knows them from photographs.
PNG_MARK = png_chunk(b"tEXt", b"Software\0etseg")
_PNG_HEAD = 33  # signature and IHDR, which has to be the first chunk
_JPEG_MARK = b"\xff\xfe\x00\x07etseg"  # a comment

#: How many pixels a side the formats can hold that we write, by ending.
_LARGEST = {
    ".png": 2**31 - 1,
    **dict.fromkeys([".jpg", ".jpeg", ".jpe", ".jfif"], 65_500),
    ".webp": 16_383,
    **dict.fromkeys([".tif", ".tiff"], 2**31 - 1),
    **dict.fromkeys([".bmp", ".dib", ".ppm", ".pnm"], 2**31 - 1),
    ".gif": 65_535,
    ".avif": 65_536,
}
PICTURE_ENDINGS = tuple(_LARGEST)


def write_image(path: Path, image: npt.NDArray[Any], keep: Container[FileId] = ()) -> FileId:
    """Writes an image in the format that the path's ending says.

    Whole or not at all, as :func:`write_whole` does, whose `keep` and result this has.

    Args:
        path: of the file.
        image: (H, W), (H, W, 3) or (H, W, 4), blue first.
        keep: see there.

    Raises:
        InvalidUserInputError: no format that we write has that ending.
        FileWriteError: the file cannot be written, the format holds no picture of that size, or
            the encoder failed.
        OutOfMemoryError: there is not enough memory to encode it.
    """
    parts = encoded(path, image)
    return write_whole(path, lambda file: file.writelines(parts), keep)


def encoded(path: Path, image: npt.NDArray[Any]) -> list[memoryview | bytes]:
    """What :func:`write_image` would write to the path, in parts; raises what that does."""
    return list(_marked(_encoded(path, image)))


@needs_memory("a picture's file")
def _encoded(path: Path, image: npt.NDArray[Any]) -> memoryview:
    from etseg._opencv import cv2

    ending = path.suffix.lower()
    largest = _LARGEST.get(ending)
    if largest is None:
        raise InvalidUserInputError(
            f"cannot write {str(path)!r}: no image format that is written here has the ending "
            f"{path.suffix!r}; expected one of {', '.join(_LARGEST)}"
        )
    if max(image.shape[:2]) > largest:
        raise FileWriteError(
            f"cannot write {str(path)!r}: the picture has {image.shape[1]}x{image.shape[0]} "
            f"pixels, and the format at most {largest} a side; use .png"
        )
    with quiet():  # where it has no memory, it prints so, and says no more than that it failed
        done, encoded = cv2.imencode(".jpg" if ending == ".jfif" else ending, image)
    if not done:
        raise FileWriteError(
            f"cannot write {str(path)!r}: the picture cannot be encoded, most likely for lack of "
            "memory"
        )
    return encoded.data


def is_marked(path: Path) -> bool:
    """Whether a file is a PNG or JPEG that :func:`write_image` or the like wrote."""
    head = _head(path)
    start = _mark_at(head)
    return head.startswith((PNG_MARK, _JPEG_MARK), start) if start else False


def is_photograph(path: Path) -> bool:
    """Whether a file is a PNG or JPEG that somebody else wrote."""
    return _mark_at(_head(path)) > 0 and not is_marked(path)


def _head(path: Path) -> bytes:
    try:
        # What is no regular file may make whoever opens it wait.
        if stat.S_ISREG(path.stat().st_mode):
            with path.open("rb") as file:
                return file.read(_PNG_HEAD + len(PNG_MARK))
    except (OSError, ValueError):  # ValueError: a NUL in the name
        pass
    return b""


def _marked(data: memoryview) -> Iterator[memoryview | bytes]:
    """An encoded image in parts, with our mark where its format has a place for it."""
    start = _mark_at(bytes(data[:_PNG_HEAD]))
    yield data[:start]
    if start:
        yield PNG_MARK if start == _PNG_HEAD else _JPEG_MARK
    yield data[start:]


def _mark_at(head: bytes) -> int:
    """Where the mark stands, or would; 0 in formats that have none."""
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return _PNG_HEAD
    if head.startswith(b"\xff\xd8\xff\xe0"):  # JFIF's segment has to be the first
        return 4 + int.from_bytes(head[4:6], "big")
    return 2 if head.startswith(b"\xff\xd8\xff") else 0
