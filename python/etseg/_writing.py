"""Writing files, whole or not at all."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

import numpy.typing as npt

from ._errors import FileWriteError, InvalidUserInputError


def write_whole(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Writes a file: what stood at the path before stays until the new one is complete.

    Args:
        path: of the file; its folder has to be there.
        write: called with the file, opened for writing bytes.

    Raises:
        FileWriteError: the file cannot be written.
    """
    if "\0" in str(path):
        raise FileWriteError(f"cannot write {str(path)!r}: there is a NUL in it")
    # Not tempfile's: those are private to the user, and the umask, which says what this file's
    # rights are to be, cannot be asked for without changing it, for other threads too.
    temporary = path.with_name(f".etseg-{secrets.token_hex(8)}")
    try:
        with temporary.open("xb") as file:
            write(file)
        temporary.replace(path)
    except BaseException as error:
        with suppress(OSError):
            temporary.unlink()
        if isinstance(error, OSError):
            raise FileWriteError(f"cannot write {str(path)!r}: {error.strerror}") from error
        raise


def write_image(path: Path, image: npt.NDArray[Any]) -> None:
    """Writes an image (H, W) or (H, W, 3), blue first, in the format that the path's ending says.

    Whole or not at all: what stood at the path before stays until the new file is complete.

    Raises:
        InvalidUserInputError: OpenCV knows no format of that ending.
        FileWriteError: the file cannot be written.
    """
    import cv2

    try:
        done, encoded = cv2.imencode(path.suffix or "(none)", image)
    except cv2.error as error:
        raise InvalidUserInputError(
            f"cannot write {str(path)!r}: no image format has the ending {path.suffix!r}; use .png"
        ) from error
    if not done:
        raise FileWriteError(f"cannot encode {str(path)!r} as an image")
    write_whole(path, lambda file: file.write(encoded.data))
