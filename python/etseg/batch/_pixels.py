"""Memory by pixels: how many an image has, and how many may be in hand at once."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from etseg._images.formats import BadHeader, View, read_header
from etseg._uris import scheme_of

#: Of a file: all that most headers need. A size that lies behind it is not known before decoding.
_HEADER_BYTES = 1 << 16
#: What an image whose size cannot be told beforehand is taken for: a camera's.
_UNKNOWN = 24_000_000


class PixelBudget:
    """Lets images in while those that are inside have no more than `most` pixels together.

    In the order in which they ask, so that a large one is not passed for ever. One that is larger
    than the budget goes in alone.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._inside = 0
        self._turn = threading.Lock()
        self._left = threading.Condition()

    @contextmanager
    def room_for(self, pixels: int) -> Iterator[None]:
        """Waits for room, and holds it."""
        with self._turn, self._left:
            while self._inside and self._inside + pixels > self._most:
                self._left.wait()
            self._inside += pixels
        try:
            yield
        finally:
            with self._left:
                self._inside -= pixels
                self._left.notify_all()


def pixels_of(image: Any) -> int:
    """The pixels of what forward() takes, as far as that can be told without decoding it.

    Raises nothing: what is no image is forward()'s to refuse.
    """
    shape = getattr(image, "shape", None)
    if isinstance(shape, tuple) and len(shape) >= 2:
        return int(np.prod(shape[:2]))
    try:
        if isinstance(image, (bytes, bytearray, memoryview)):
            head = memoryview(image)
        elif isinstance(image, (str, os.PathLike)) and scheme_of(os.fspath(image)) is None:
            with open(image, "rb") as file:  # noqa: PTH123  # str too
                head = memoryview(file.read(_HEADER_BYTES))
        else:
            return _UNKNOWN
        header = read_header(View(head))
    except (OSError, ValueError, TypeError, BadHeader):
        return _UNKNOWN
    return header.height * header.width if header else _UNKNOWN
