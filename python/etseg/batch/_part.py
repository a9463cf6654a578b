"""One part of a job, by one worker: segmented, and written to the staging folder."""

from __future__ import annotations

from collections import Counter
from typing import Any, NamedTuple

from etseg._limits import Limits

from ._output import Output
from ._reading import Reader
from ._rows import Row
from ._segmenter import Segmenter


class Done(NamedTuple):
    """A part that lies in the staging folder."""

    part: int
    staged: str
    rows: int
    errors: dict[str, int]


class PartWriter:
    """Makes parts. Picklable; what it opens, it opens where it is used."""

    def __init__(
        self, segmenter: Segmenter, place: str, column: str | None, limits: Limits
    ) -> None:
        self._segmenter = segmenter
        self._place = place
        self._column = column
        self._limits = limits

    def rows(self, part: Any) -> list[Row]:
        """The rows of a table of inputs: key, source, row."""
        reader = Reader(self._column, self._limits)
        pairs = zip(part["source"].to_pylist(), part["row"].to_pylist(), strict=True)
        return self._segmenter.rows([reader.opener(source, row) for source, row in pairs])

    def write(self, part: Any) -> Done:
        """Segments a part and stages it.

        Raises:
            FileWriteError: the output cannot be written to.
            EtsegError: whatever loading the model raises.
        """
        rows = self.rows(part)
        staged = Output(self._place).stage(part["key"].to_pylist(), rows, self._segmenter.outputs)
        errors = Counter(row["error"]["name"] for row in rows if row["error"] is not None)
        return Done(part["part"][0].as_py(), staged, len(rows), dict(errors))
