"""The image that a result came from: what the caller gave, to be read again for a picture."""

from __future__ import annotations

from typing import Any

from etseg._errors import InvalidUserInputError
from etseg._limits import Limits

from .decode import Pixels
from .kinds import ImageSource
from .source import source_of


class KeptImage:
    """A reference to what the caller gave to forward(), and how it is read. Never a copy.

    Args:
        source: the image; None for no image. Kept without what was read of it.
        bgr: whether arrays are blue first.
        limits: for an image that is given in its place.
    """

    def __init__(
        self,
        source: ImageSource | None = None,
        bgr: bool = False,
        limits: Limits = Limits(),  # noqa: B008  # frozen
    ) -> None:
        #: What people call it, see ``ImageSource.name``.
        self.name = None if source is None else source.name
        self._missing = "no image is known" if source is None else source.forgotten
        self._source = None if source is None or self._missing else source.unread()
        #: Whether arrays are blue first.
        self.bgr = bgr
        self._limits = limits

    def read(
        self, image: object, size: tuple[int, int], input_size: tuple[int, int] | None = None
    ) -> Pixels:
        """The pixels of `image`, or of the image kept where it is None.

        Args:
            image: as for forward(); arrays are read in the order that forward() was told.
            size: height and width that the image has to have.
            input_size: height and width that the pixels are for; None for all of them.

        Raises:
            InvalidUserInputError: no image is at hand, or one of another size.
            EtsegError: whatever reading it raises.
        """
        if image is not None:
            source = source_of(image, bgr=self.bgr, limits=self._limits)
        elif self._source is not None:
            source = self._source.unread()
        else:
            raise InvalidUserInputError(f"{self._missing}; give it: image=...")
        pixels = source.pixels(input_size)
        if pixels.size != size:
            raise InvalidUserInputError(
                f"the image has {pixels.size[1]}x{pixels.size[0]} pixels, but the one that was "
                f"segmented had {size[1]}x{size[0]}; give that one: image=..."
            )
        return pixels

    def __deepcopy__(self, memo: dict[int, Any]) -> KeptImage:
        """A copy of a result is of the same image."""
        return self

    def __getstate__(self) -> dict[str, Any]:
        """Of paths: themselves. Pixels and bytes stay where they are."""
        state = self.__dict__.copy()
        if self._source is not None and not self._source.travels:
            state["_source"] = None
            state["_missing"] = "the image did not come along when the result was pickled"
        return state
