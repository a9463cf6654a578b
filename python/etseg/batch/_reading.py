"""From an input of a job to what forward() takes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from etseg._errors import FileMissingError, FileReadError, InvalidUserInputError
from etseg._limits import Limits
from etseg._uris import scheme_of

from ._inputs import table_column
from ._places import file_system, is_local, local_path


class Reader:
    """Opens inputs, on whatever thread asks; keeps the last row group of a table that it read."""

    def __init__(self, column: str | None, limits: Limits) -> None:
        self._column = column
        self._most_bytes = limits.max_download_bytes
        self._lock = threading.Lock()
        self._group: tuple[str, int, Any] | None = None  # source, first row, its images

    def opener(self, source: str, row: int) -> Callable[[], Any]:
        """A function that returns the image, a path or bytes, and raises what is wrong with it."""
        return partial(self._of_row if row >= 0 else self._of_file, source, row)

    def _of_file(self, source: str, _row: int) -> Any:
        if scheme_of(source) in ("http", "https"):
            return source
        if is_local(source):
            return Path(local_path(source))
        system, path = file_system(source)
        try:
            with system.open_input_file(path) as file:
                size = file.size()
                if size > self._most_bytes:
                    raise InvalidUserInputError(
                        f"{source!r} has {size:,} bytes, more than the {self._most_bytes:,} of "
                        "Limits.max_download_bytes"
                    )
                return file.read()
        except FileNotFoundError:
            raise FileMissingError(f"no such file: {source!r}") from None
        except OSError as error:
            raise FileReadError(f"cannot read {source!r}: {error}") from error

    def _of_row(self, source: str, row: int) -> Any:
        import pyarrow as pa

        with self._lock:
            if (
                self._group is None
                or self._group[0] != source
                or not (self._group[1] <= row < self._group[1] + len(self._group[2]))
            ):
                try:
                    self._group = self._group_of(source, row)
                except (OSError, pa.ArrowException) as error:
                    raise FileReadError(f"cannot read the table {source!r}: {error}") from error
            _, first, images = self._group
        data = images[row - first].as_py()
        if data is None:
            raise InvalidUserInputError(f"row {row} of {source!r} is null")
        return data

    def _group_of(self, source: str, row: int) -> tuple[str, int, Any]:
        import pyarrow.parquet as pq

        system, path = file_system(source)
        with pq.ParquetFile(path, filesystem=system) as file:
            name, _ = table_column(file.schema_arrow, self._column, source)
            first = 0
            for group in range(file.metadata.num_row_groups):
                rows = file.metadata.row_group(group).num_rows
                if row < first + rows:
                    column = file.read_row_group(group, columns=[name]).column(0)
                    return source, first, column
                first += rows
        raise FileReadError(f"{source!r} has no row {row} any more: it changed since it was listed")
