"""The kinds of images that a caller can give, each read in its own way."""

from __future__ import annotations

from abc import ABC, abstractmethod
from copy import copy
from pathlib import Path
from typing import Any

import numpy as np

from etseg._errors import (
    EtsegError,
    FileReadError,
    InvalidUserInputError,
    OutOfMemoryError,
)
from etseg._limits import Limits
from etseg._messages import shown, source_for_people
from etseg._reading import read_regular, too_long

from .arrays import as_array, is_pil, pil_array, pixels_of
from .decode import Pixels, decode
from .text import is_data_uri, of_base64, of_data_uri

_Bytes = bytes | bytearray | memoryview
#: So many bytes are asked of a stream at a time.
_PIECE = 1 << 20


class ImageSource(ABC):
    """An image, once it is clear what it is: its pixels now, and what is kept to read it again.

    Attributes:
        forgotten: why it cannot be read again; empty where it can.
        travels: whether a copy in another process can be read: it is a path or a URI.
        name: what people call it: a path as given, or a URL without secrets; None of what has none.
    """

    forgotten = ""
    travels = False
    name: str | None = None

    @abstractmethod
    def pixels(self, for_size: tuple[int, int] | None) -> Pixels:
        """The pixels; read at the first call, and decoded at every one.

        Args:
            for_size: height and width that they are for; less may be decoded then. None: all.

        Raises:
            FileReadError: the file cannot be read or decoded.
            DownloadError: the URL cannot be had within the limits.
            InvalidUserInputError: the array is no image, or it is larger than the limits allow.
            OutOfMemoryError: the file or its pixels do not fit into memory.
        """

    def unread(self) -> ImageSource:
        """The same image, without what was read of it."""
        return self


class ArraySource(ImageSource):
    """An array, a PIL image, or what becomes an array. Kept by reference, and looked at again."""

    def __init__(self, image: object, bgr: bool, limits: Limits) -> None:
        self._image = image
        self._bgr = bgr
        self._limits = limits
        self._pixels: Pixels | None = None

    def pixels(self, for_size: tuple[int, int] | None) -> Pixels:  # noqa: ARG002  # all are there
        if self._pixels is None:
            image = self._image
            if is_pil(image):
                self._pixels = pixels_of(pil_array(image, self._limits.max_pixels), bgr=False)
            else:
                array = image if isinstance(image, np.ndarray) else as_array(image)
                self._pixels = pixels_of(array, self._bgr)
        return self._pixels

    def unread(self) -> ImageSource:
        return ArraySource(self._image, self._bgr, self._limits)


class EncodedSource(ImageSource):
    """The bytes of an image file, from somewhere.

    Args:
        origin: how messages call it.
    """

    def __init__(self, origin: str, limits: Limits) -> None:
        self._origin = origin
        self._limits = limits
        self._data: memoryview | None = None

    def pixels(self, for_size: tuple[int, int] | None) -> Pixels:
        if self._data is None:
            self._data = _flat(self._read())
        return decode(self._data, self._origin, self._limits.max_pixels, for_size)

    @abstractmethod
    def _read(self) -> _Bytes:
        """All of the file."""

    def unread(self) -> ImageSource:
        other = copy(self)
        other._data = None
        return other


class FileSource(EncodedSource):
    """A file on this machine, wherever the process goes."""

    travels = True

    def __init__(self, path: Path, limits: Limits) -> None:
        super().__init__(repr(str(path)), limits)
        self.name = str(path)
        self._given = path
        try:
            self._absolute = path.absolute()
        except OSError:  # the working directory is gone
            self._absolute = path

    def _read(self) -> bytes:
        return read_regular(self._given, "image", self._limits.max_file_bytes)

    def unread(self) -> ImageSource:
        return FileSource(self._absolute, self._limits)


class UrlSource(EncodedSource):
    """Downloaded once."""

    forgotten = "the image came from a URL, which is not downloaded again"
    travels = True

    def __init__(self, url: str, limits: Limits) -> None:
        super().__init__(shown(url), limits)
        self.name = source_for_people(url)
        self._url = url

    def _read(self) -> bytes:
        from etseg._download.http import read_url  # with an HTTP library behind it

        return read_url(self._url, self._limits)


class TextSource(EncodedSource):
    """A data URI, or base64."""

    def __init__(self, text: str, limits: Limits) -> None:
        is_uri = is_data_uri(text)
        super().__init__("the data URI" if is_uri else "the base64 string", limits)
        self._text = text
        self._is_uri = is_uri

    def _read(self) -> bytes:
        return of_data_uri(self._text) if self._is_uri else of_base64(self._text) or b""


class BytesSource(EncodedSource):
    """Bytes in memory."""

    def __init__(self, data: _Bytes, origin: str, limits: Limits) -> None:
        super().__init__(origin, limits)
        self._given = data

    def _read(self) -> _Bytes:
        return self._given


class StreamSource(EncodedSource):
    """A file opened for reading, from where it stands to its end."""

    forgotten = "the image came from an open file, which was read to its end"

    def __init__(self, stream: Any, limits: Limits) -> None:
        name = getattr(stream, "name", None)  # of a descriptor, a number
        origin = "stdin" if name == "<stdin>" else f"the {type(stream).__name__} given"
        super().__init__(origin, limits)
        self.name = name if isinstance(name, str) else None
        self._stream = stream

    def _read(self) -> _Bytes:
        limit = self._limits.max_file_bytes
        parts, length = [], 0
        try:
            while part := self._part(limit + 1 - length):
                parts.append(part)
                length += len(part)
        except MemoryError as error:
            raise OutOfMemoryError(f"no memory to read {self._origin}") from error
        except EtsegError:
            raise
        except UnicodeDecodeError as error:
            raise InvalidUserInputError(
                f"{self._origin} reads text, and an image is none; open files with mode 'rb'"
            ) from error
        except (OSError, ValueError) as error:  # ValueError: it is closed
            raise FileReadError(f"cannot read {self._origin}: {error}") from error
        if length > limit:
            raise too_long(self._origin, None, limit)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _part(self, most: int) -> _Bytes:
        """The next bytes, none at the end. In pieces: a reader makes room for all it is asked."""
        part = self._stream.read(min(most, _PIECE))
        if not isinstance(part, (bytes, bytearray, memoryview)):
            raise InvalidUserInputError(
                f"read() of {self._origin} returned a {type(part).__name__}; expected bytes: open "
                "files with mode 'rb'"
            )
        return part

    def unread(self) -> ImageSource:
        return StreamSource(None, self._limits)

    def close(self) -> None:
        """Closes the file, if it can be closed."""
        close = getattr(self._stream, "close", None)
        if callable(close):
            close()


def _flat(data: _Bytes) -> memoryview:
    """A view of single bytes; a copy only of a view that has gaps."""
    view = memoryview(data)
    return view.cast("B") if view.c_contiguous and view.nbytes else memoryview(view.tobytes())
