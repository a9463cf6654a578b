"""The image that a result came from: what the caller gave, to be read again for a picture."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from etseg._errors import InvalidUserInputError
from etseg._limits import Limits
from etseg._uris import scheme_of

from .decode import Pixels
from .source import _is_file, read_pixels


class KeptImage:
    """A reference to what the caller gave to forward(), and how it is read. Never a copy.

    Args:
        image: as for forward(); None for no image. A file is not kept: it was read to its end.
        bgr: whether arrays are blue first.
        limits: for reading it again.
    """

    def __init__(self, image: object, bgr: bool, limits: Limits) -> None:
        if isinstance(image, os.PathLike) or (
            isinstance(image, str) and scheme_of(image) is None and _is_file(image)
        ):
            image = Path(os.fsdecode(image)).absolute()  # wherever the process goes
        self._image = image
        self._bgr = bgr
        self._limits = limits
        self._missing = "no image is known" if image is None else ""
        if not isinstance(image, (np.ndarray, str, os.PathLike, bytes, bytearray, memoryview)):
            is_array = hasattr(image, "__array_interface__") or hasattr(image, "__array__")
            if not is_array and callable(getattr(image, "read", None)):
                self._forget("the image came from an open file, which was read to its end")

    def read(
        self, image: object, size: tuple[int, int], input_size: tuple[int, int] | None = None
    ) -> Pixels:
        """The pixels of `image`, or of the image kept where it is None.

        Args:
            image: as for forward(); arrays are read in the order that forward() was told.
            size: height and width that the image has to have.
            input_size: as for read_pixels().

        Raises:
            InvalidUserInputError: no image is at hand, or one of another size.
            EtsegError: whatever reading it raises.
        """
        if image is None:
            image = self._image
            if isinstance(image, str) and scheme_of(image) in ("http", "https"):
                self._forget("the image came from a URL, which is not downloaded again")
            if self._missing:
                raise InvalidUserInputError(f"{self._missing}; give it: image=...")
        pixels = read_pixels(image, bgr=self._bgr, limits=self._limits, input_size=input_size)
        if pixels.size != size:
            raise InvalidUserInputError(
                f"the image has {pixels.size[1]}x{pixels.size[0]} pixels, but the one that was "
                f"segmented had {size[1]}x{size[0]}; give that one: image=..."
            )
        return pixels

    def _forget(self, why: str) -> None:
        self._image, self._missing = None, why

    def __deepcopy__(self, memo: dict[int, Any]) -> KeptImage:
        """A copy of a result is of the same image."""
        return self

    def __getstate__(self) -> dict[str, Any]:
        """Of paths and file URIs: themselves. Pixels and bytes stay where they are."""
        state = self.__dict__.copy()
        image = self._image
        keep = isinstance(image, Path) or (isinstance(image, str) and scheme_of(image) is not None)
        if not keep and not self._missing:
            state["_image"] = None
            state["_missing"] = "the image did not come along when the result was pickled"
        return state
