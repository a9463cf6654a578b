"""The result of a forward: a read-only mapping from labels to maps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from ._errors import InvalidUserInputError, LabelError
from ._labels import LabelSet

Map = npt.NDArray[Any]


@dataclass(frozen=True)
class Timings:
    """Wall-clock time of each stage of one forward, in nanoseconds.

    Attributes:
        decode: reading and decoding the image; next to nothing for an array.
        preprocess: resize, normalisation, layout.
        inference: the program.
        postprocess: upsampling, activation, argmax.
        total: the whole call, waiting for its turn included.
    """

    decode: int
    preprocess: int
    inference: int
    postprocess: int
    total: int


class SegmentationResult(Mapping[IntEnum | str, Map]):
    """Maps of one image, by label. The arrays are the caller's.

    ``result[ARGMAX]`` is the index of the most probable label of each pixel, int32 (or uint8, if
    the module was made so), shape (H, W). ``result[label]`` is the probability of that label,
    float32 in 0..1, shape (H, W), for each label that was asked for. A key is a member of the
    model's labels, a name, or an index; ARGMAX goes by member or name only.
    """

    def __init__(
        self,
        labels: LabelSet,
        argmax: Map,
        probabilities: dict[IntEnum, Map],
    ) -> None:
        self._labels = labels
        self._argmax = argmax
        self._probabilities = probabilities
        self._timings = Timings(0, 0, 0, 0, 0)  # forward() sets them when it is done

    @property
    def argmax(self) -> Map:
        """Index of the most probable label of each pixel, int32 or uint8, (H, W)."""
        return self._argmax

    @property
    def labels(self) -> type[IntEnum]:
        """The labels of the model that made this."""
        return self._labels.enum

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of every map."""
        return self._argmax.shape[0], self._argmax.shape[1]

    @property
    def timings(self) -> Timings:
        """How long each stage took."""
        return self._timings

    def __getitem__(self, key: object) -> Map:
        """The map of a label.

        Raises:
            LabelError: (a KeyError) there is no such label, or its map was not asked for.
        """
        member = self._labels.find(key)
        if member is None:
            return self._argmax
        try:
            return self._probabilities[member]
        except KeyError:
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
        yield self._labels.argmax
        yield from self._probabilities

    def __len__(self) -> int:
        return 1 + len(self._probabilities)

    def __repr__(self) -> str:
        keys = ", ".join(getattr(key, "name", str(key)) for key in self)
        height, width = self.size
        return f"<SegmentationResult {height}x{width}: {keys}>"

    def _reused(
        self,
        size: tuple[int, int],
        dtype: npt.DTypeLike,
        labels: LabelSet,
        members: tuple[IntEnum, ...],
    ) -> SegmentationResult:
        """This result, if its arrays fit another forward.

        Raises:
            InvalidUserInputError: they do not; the message says in what.
        """
        for what, have, need in (
            ("size", self.size, size),
            ("type of ARGMAX", self._argmax.dtype, np.dtype(dtype)),
            ("labels", self._labels.enum, labels.enum),
            ("classes", tuple(self._probabilities), members),
        ):
            if have != need:
                raise InvalidUserInputError(
                    f"out cannot be reused: its {what} is {have}, this call needs {need}"
                )
        return self
