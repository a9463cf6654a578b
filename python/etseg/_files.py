"""Writing files, whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
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
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise FileWriteError(f"cannot write {str(path)!r}: {error.strerror}") from error
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            write(file)
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)  # mkstemp's files are private
        temporary.replace(path)
    except BaseException as error:
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
