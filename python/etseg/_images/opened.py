"""Images that a function of the caller's opens, such as those of an object store."""

from __future__ import annotations

from collections.abc import Callable

from etseg._errors import EtsegError, FileMissingError, FileReadError, OutOfMemoryError
from etseg._messages import brief

from .decode import Pixels
from .kinds import ImageSource, StreamSource


class OpenedSource(ImageSource):
    """What a function of the caller's opens: called when it is to be read, and for each reading.

    Args:
        opener: takes nothing and returns an image of any other kind. A file that it opened is
            closed when it was read.
        source_of: says what that is.
    """

    def __init__(
        self, opener: Callable[[], object], source_of: Callable[[object], ImageSource]
    ) -> None:
        self._opener = opener
        self._source_of = source_of
        self._opened: ImageSource | None = None

    def pixels(self, for_size: tuple[int, int] | None) -> Pixels:
        if self._opened is None:
            self._opened = self._source_of(self._open())
            self.name = self._opened.name
        try:
            return self._opened.pixels(for_size)
        finally:
            if isinstance(self._opened, StreamSource):
                self._opened.close()

    def _open(self) -> object:
        """What the function returns.

        Raises:
            EtsegError: what it raises; whatever else that is, as an error of reading a file.
        """
        try:
            return self._opener()
        except EtsegError:
            raise
        except MemoryError as error:
            raise OutOfMemoryError("no memory for the image that a function opens") from error
        except Exception as error:  # of somebody's network, library, mistake
            kind = FileMissingError if isinstance(error, FileNotFoundError) else FileReadError
            name = getattr(self._opener, "__qualname__", type(self._opener).__name__)
            raise kind(f"{name}(), which opens the image, failed: {_told(error)}") from error

    def unread(self) -> ImageSource:
        return OpenedSource(self._opener, self._source_of)


def _told(error: Exception) -> str:
    """The kind of an error and what it says, which of somebody's class may fail itself."""
    try:
        text = str(error)[:300]
    except Exception:
        text = ""
    return f"{type(error).__name__}: {text}" if text else brief(error)
