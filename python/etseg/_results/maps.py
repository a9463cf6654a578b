"""What a result is before anything is made of it: maps by label."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import IntEnum
from typing import TYPE_CHECKING, Any, TypeVar, cast, overload

import numpy as np
import numpy.typing as npt

from etseg._errors import InvalidUserInputError, LabelError
from etseg._labels import Label, LabelEnum, LabelSet

from .made import Made, Map, Timings

D = TypeVar("D")


class Maps(Mapping[IntEnum | str, Map]):
    """A read-only mapping from labels to the maps that a forward made."""

    if TYPE_CHECKING:  # a Mapping's own takes what it iterates over

        @overload
        def get(self, key: Label, default: None = None, /) -> Map | None: ...
        @overload
        def get(self, key: Label, default: D, /) -> Map | D: ...
        def get(self, key: Any, default: Any = None, /) -> Any: ...

    def __init__(self, made: Made) -> None:
        self._made = made

    @property
    def argmax(self) -> Map:
        """Index of the most probable label of each pixel, int32 or uint8, (H, W)."""
        return self._made.argmax

    @property
    def labels(self) -> LabelEnum:
        """The labels of the model that made this, an ``IntEnum``."""
        return cast("LabelEnum", self._made.labels.enum)

    @property
    def background(self) -> IntEnum | None:
        """The label that pictures leave unpainted, if there is one."""
        index = self._made.background
        return None if index is None else self._made.labels.members[index]

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of every map."""
        return self._made.argmax.shape[0], self._made.argmax.shape[1]

    @property
    def output_size(self) -> tuple[int, int]:
        """Height and width of what the program returned; all that is finer was made of it.

        Where maps are larger, scores were interpolated; of a program that returns labels, a pixel
        has the label of the program's pixel in which its centre lies.
        """
        return self._made.output.size

    @property
    def has_probabilities(self) -> bool:
        """Whether probabilities could be asked for; not of a program that returns labels."""
        return self._made.output.has_scores

    @property
    def image_size(self) -> tuple[int, int]:
        """Height and width of the image, as a person sees it (EXIF orientation applied)."""
        return self._made.image_size

    @property
    def source(self) -> str | None:
        """The path that the image was given as, or its URL without login and query.

        Of an open file the name, if it has one; None of pixels, bytes and base64, which have none.
        """
        return self._made.image.name

    @property
    def timings(self) -> Timings:
        """How long each stage took."""
        return self._made.timings

    def __getitem__(self, key: object) -> Map:
        """The map of a label.

        Raises:
            LabelError: (a KeyError) there is no such label, or its map was not asked for.
        """
        member = self._made.labels.find(key)
        if member is None:
            return self._made.argmax
        try:
            return self._made.probabilities[member]
        except KeyError:
            if not self.has_probabilities:
                raise LabelError(
                    f"there is no probability of {member.name}: the model's program returns labels "
                    "and no probabilities"
                ) from None
            raise LabelError(
                f"no probability map of {member.name} was asked for; add it to "
                "classes_of_interest. There are: "
                + ", ".join(getattr(k, "name", str(k)) for k in self)
            ) from None

    # Of mappings of arrays, equality would be ambiguous; a result is equal to itself.
    def __eq__(self, other: object) -> bool:
        return self is other

    __hash__ = object.__hash__

    def __iter__(self) -> Iterator[IntEnum | str]:
        yield self._made.labels.argmax
        yield from self._made.probabilities

    def __len__(self) -> int:
        return 1 + len(self._made.probabilities)


def remake(maps: Maps, made: Made) -> None:
    """From now on they are what another forward made."""
    maps._made = made


def maps_to_reuse(
    out: object,
    size: tuple[int, int],
    dtype: npt.DTypeLike,
    labels: LabelSet,
    members: tuple[IntEnum, ...],
) -> tuple[Map, Mapping[IntEnum, Map]]:
    """The arrays of an earlier result, if they fit another forward: ARGMAX, probabilities.

    Raises:
        InvalidUserInputError: they do not, or it is no result; the message says in what.
    """
    if not isinstance(out, Maps):
        raise InvalidUserInputError(
            f"out is a {type(out).__name__}; expected a result of forward()"
        )
    made = out._made
    for what, have, need in (
        ("size", out.size, size),
        ("type of ARGMAX", made.argmax.dtype, np.dtype(dtype)),
        ("labels", made.labels.enum, labels.enum),
        ("classes", tuple(made.probabilities), members),
    ):
        if have != need:
            raise InvalidUserInputError(
                f"out cannot be reused: its {what} is {have}, this call needs {need}"
            )
    return made.argmax, made.probabilities
