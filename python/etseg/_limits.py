"""Limits: how large an image may be, and how long and far a download may go."""

from __future__ import annotations

import math
import operator
from dataclasses import dataclass

from ._errors import InvalidConfigError
from ._messages import brief

_LEAST = {"max_pixels": 1, "max_file_bytes": 1, "max_download_bytes": 1, "max_redirects": 0}


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What :meth:`ImageSegmentationModule.forward` accepts from whoever chose the image.

    Arrays are already in memory, and are not limited.

    Attributes:
        max_pixels: of an encoded image, width times height, read from its header before anything
            is decoded. A larger one is an :class:`InvalidUserInputError`.
        max_file_bytes: of an image file, one opened for reading included. A longer one is an
            :class:`InvalidUserInputError`, too.
        max_download_bytes: of the body of one URL; as :class:`DownloadError`, and so are the
            following.
        connect_timeout: seconds until a connection stands, TLS included.
        read_timeout: seconds until the head of an answer is there, and in which its body has to
            bring 1,024 bytes a second on average. A server that asks to be left alone for longer is
            not asked again.
        total_timeout: seconds for one URL of an image, all counted: names, connections, redirects,
            further attempts and the pauses before them, and every byte. The download of a model
            has no such end.
        max_redirects: how often a URL may lead to another.

    Raises:
        InvalidConfigError: a field is no number of that kind; the message says which.
    """

    max_pixels: int = 200_000_000
    max_file_bytes: int = 1 << 30
    max_download_bytes: int = 128 << 20
    connect_timeout: float = 10.0
    read_timeout: float = 30.0
    total_timeout: float = 120.0
    max_redirects: int = 5

    def __post_init__(self) -> None:
        for field, least in _LEAST.items():
            value = getattr(self, field)
            try:
                fits = operator.index(value) >= least and not isinstance(value, bool)
            except TypeError:
                fits = False
            if not fits:
                raise InvalidConfigError(
                    f"{field} is {brief(value)}; expected an integer, {least} or more"
                )
        for field in ("connect_timeout", "read_timeout", "total_timeout"):
            value = getattr(self, field)
            if not _is_seconds(value):
                raise InvalidConfigError(f"{field} is {brief(value)}; expected seconds, above 0")


def _is_seconds(value: object) -> bool:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(value) and value > 0
    except OverflowError:  # an int beyond all floats
        return False
