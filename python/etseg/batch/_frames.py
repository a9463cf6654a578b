"""The kinds of batches that data engines pass, behind one face."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from etseg._errors import InvalidUserInputError

from ._rows import Row, arrow_fields, columns_of

#: Where images are looked for, in this order: what is read already comes first.
_COLUMNS = ("bytes", "image", "path")


class Frame(Protocol):
    """A batch."""

    def names(self) -> Sequence[str]:
        """Of its columns."""

    def images(self, column: str | None) -> Iterable[Any]:
        """The images, row by row."""

    def with_rows(self, rows: Sequence[Row], outputs: Sequence[str], prefix: str) -> Any:
        """A batch of the same kind with the columns of `rows` added."""


def of(batch: Any) -> Frame:
    """The face of a batch.

    Raises:
        InvalidUserInputError: it is of no known kind.
    """
    # By name: neither package is imported for a batch that is not its own.
    kind = f"{type(batch).__module__.partition('.')[0]}.{type(batch).__name__}"
    if kind == "pyarrow.Table":
        return _Table(batch)
    if kind == "pandas.DataFrame":
        return _DataFrame(batch)
    if isinstance(batch, Mapping):
        return _Arrays(batch)
    raise InvalidUserInputError(
        f"the batch is a {kind}; expected a dict of arrays, a pyarrow.Table or a pandas.DataFrame"
    )


class _Arrays:
    """A dict of numpy arrays or lists."""

    def __init__(self, batch: Mapping[str, Any]) -> None:
        self._batch = batch

    def names(self) -> Sequence[str]:
        return list(self._batch)

    def images(self, column: str | None) -> Iterable[Any]:
        return (_plain(image) for image in self._batch[_image_column(self.names(), column)])

    def with_rows(self, rows: Sequence[Row], outputs: Sequence[str], prefix: str) -> Any:
        added = {}
        for name in columns_of(outputs):
            values = np.empty(len(rows), object)
            for index, row in enumerate(rows):
                values[index] = row[name]
            added[prefix + name] = values
        return {**self._batch, **added}


class _DataFrame:
    """Of pandas."""

    def __init__(self, batch: Any) -> None:
        self._batch = batch

    def names(self) -> Sequence[str]:
        return [str(name) for name in self._batch.columns]

    def images(self, column: str | None) -> Iterable[Any]:
        return (_plain(image) for image in self._batch[_image_column(self.names(), column)])

    def with_rows(self, rows: Sequence[Row], outputs: Sequence[str], prefix: str) -> Any:
        series = type(self._batch.index.to_series())
        added = {
            prefix + name: series([row[name] for row in rows], self._batch.index, object)
            for name in columns_of(outputs)
        }
        return self._batch.assign(**added)


class _Table:
    """Of pyarrow. The columns added have the types that Arrow files of a job have."""

    def __init__(self, batch: Any) -> None:
        self._batch = batch

    def names(self) -> Sequence[str]:
        return list(self._batch.column_names)

    def images(self, column: str | None) -> Iterable[Any]:
        for chunk in self._batch.column(_image_column(self.names(), column)).chunks:
            if hasattr(chunk.type, "shape") or hasattr(chunk.type, "ndim"):  # tensors
                yield from chunk.to_numpy(zero_copy_only=False)
            else:
                yield from (value.as_py() for value in chunk)

    def with_rows(self, rows: Sequence[Row], outputs: Sequence[str], prefix: str) -> Any:
        import pyarrow as pa

        table = self._batch
        for field in arrow_fields(outputs):
            values = pa.array([row[field.name] for row in rows], field.type)
            table = table.append_column(field.with_name(prefix + field.name), values)
        return table


def _image_column(names: Sequence[str], asked: str | None) -> str:
    found = [name for name in ((asked,) if asked is not None else _COLUMNS) if name in names]
    if not found:
        wanted = repr(asked) if asked is not None else f"one of {list(_COLUMNS)}"
        raise InvalidUserInputError(f"the batch has no column {wanted}; it has {list(names)}")
    return found[0]


def _plain(image: Any) -> Any:
    """numpy's strings and bytes are Python's; all else is as it is."""
    return image.item() if isinstance(image, np.generic) else image
