"""A result as a file: label indices, arrays, JSON, pictures."""

from __future__ import annotations

import io
import os
import struct
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from etseg._errors import FileWriteError, InvalidUserInputError
from etseg._writing import write_whole

from .encoding import PICTURE_ENDINGS, PNG_MARK, encoded, png_chunk
from .kinds import TRANSPARENT, check_label, mask_of, picture_of
from .made import Made
from .pictures import blue_first
from .records import record_of

#: The most that the index of a pixel of a PNG with a palette can tell apart.
MAX_COLOURS = 256

#: The endings that a file of each kind may have.
_ENDINGS: dict[str, tuple[str, ...]] = {
    "mask": (".png",),  # other formats may change the label indices
    "arrays": (".npz",),
    "json": (".json",),
    "overlay": PICTURE_ENDINGS,
    **dict.fromkeys(sorted(TRANSPARENT), (".png", ".webp")),
}
#: What is meant where nobody says it; of a PNG, a mask.
_MEANT = {
    ending: kind for kind in ("overlay", "json", "arrays", "mask") for ending in _ENDINGS[kind]
}


def save(made: Made, target: object, palette: object, kind: object, label: object) -> None:
    """What a result's save() does, and raises."""
    found, ending = _kind_of(target, kind)
    check_label(found, label, frozenset({"mask", "cutout"}))
    if found == "arrays":
        arrays = {member.name: array for member, array in made.probabilities.items()}
        extra = {
            "__labels__": np.array([member.name for member in made.labels.members]),
            "__image_size__": np.array(made.image_size),
        }
        _write_to(target, lambda f: write_npz(f, {"ARGMAX": made.argmax, **arrays, **extra}))
    elif found == "json":
        import json

        text = json.dumps(record_of(made, None, boxes=True, masks=True), allow_nan=False)
        _write_to(target, lambda file: file.write(f"{text}\n".encode()))
    elif found == "mask" and label is None:
        _save_indices(made, target, palette)
    else:
        parts = encoded(Path(f"picture{ending}"), _pixels(made, found, palette, label))
        _write_to(target, lambda file: file.writelines(parts))


def _pixels(made: Made, kind: str, palette: object, label: object) -> npt.NDArray[np.uint8]:
    """Of a picture, blue first as the encoders have it, or of one label's mask."""
    if kind == "mask":
        return mask_of(made, label)
    return blue_first(picture_of(made, kind, palette, label))


def _save_indices(made: Made, target: object, palette: object) -> None:
    if len(made.labels) > MAX_COLOURS:
        raise InvalidUserInputError(
            f"the model has {len(made.labels)} labels, and a PNG with a palette holds "
            f"{MAX_COLOURS}; save as .npz"
        )
    table = made.colours(palette)
    indices = made.indices()
    _write_to(target, lambda file: write_palette_png(file, indices, table.rgb))


def _kind_of(target: object, kind: object) -> tuple[str, str]:
    """What to save, as `kind` says, or where it is None the path's ending; and that ending.

    Of an open file, which has none, ".png".

    Raises:
        InvalidUserInputError: it cannot be known, or the two contradict each other.
    """
    asked = kind if isinstance(kind, str) and kind in _ENDINGS else None
    is_open = callable(getattr(target, "write", None))
    if isinstance(target, io.TextIOBase):
        raise InvalidUserInputError("path is a file of text; open it with mode 'wb'")
    if asked is None and (kind is not None or is_open):
        kinds = ", ".join(map(repr, _ENDINGS))
        where = ", and an open file has no ending" if is_open else ""
        raise InvalidUserInputError(f"kind is {kind!r}{where}; expected one of {kinds}")
    if is_open and asked is not None:
        return asked, ".png"
    if not isinstance(target, (str, os.PathLike)):
        raise InvalidUserInputError(
            f"path is a {type(target).__name__}; expected a path, or a file opened for writing "
            "bytes"
        )
    path = Path(os.fsdecode(target))
    ending = path.suffix.lower()
    expected = tuple(_MEANT) if asked is None else _ENDINGS[asked]
    if ending not in expected:
        of_kind = "" if asked is None else f" for kind={asked!r}"
        raise InvalidUserInputError(
            f"cannot write {str(path)!r}: its ending is {path.suffix!r}; expected "
            f"{' or '.join(expected)}{of_kind}"
        )
    return asked or _MEANT[ending], ending


def _write_to(target: Any, write: Callable[[BinaryIO], object]) -> None:
    """Writes to a path, whole or not at all; or to an open file.

    Raises:
        FileWriteError: the file cannot be written.
    """
    if not callable(getattr(target, "write", None)):
        write_whole(Path(os.fsdecode(target)), write)
        return
    try:
        write(target)
    except OSError as error:
        why = error.strerror or error
        raise FileWriteError(f"cannot write to the {type(target).__name__} given: {why}") from error


def write_palette_png(
    file: BinaryIO, indices: npt.NDArray[np.uint8], palette: npt.NDArray[np.uint8]
) -> None:
    """Writes an 8-bit PNG with a palette (PNG specification, third edition: colour type 3).

    OpenCV writes none, and Pillow is not required.

    Args:
        file: opened for writing bytes.
        indices: (H, W), each below the number of colours.
        palette: (N, 3), red first, at most 256.
    """
    height, width = indices.shape
    # Each row begins with the number of its filter; 0, none, is the one for indices.
    rows = np.zeros((height, width + 1), np.uint8)
    rows[:, 1:] = indices
    # Of label maps this is as fast as level 1, and smaller than level 6.
    packer = zlib.compressobj(1, zlib.DEFLATED, zlib.MAX_WBITS, 9, zlib.Z_RLE)
    data = packer.compress(rows.data) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    file.write(b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + PNG_MARK)
    file.write(png_chunk(b"PLTE", palette.tobytes()))
    file.write(png_chunk(b"IDAT", data))
    file.write(png_chunk(b"IEND", b""))


def write_npz(file: BinaryIO, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    """Writes arrays under their names, as numpy.savez does; it takes no array named "file"."""
    import zipfile

    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as entry:
                np.lib.format.write_array(entry, array, allow_pickle=False)
