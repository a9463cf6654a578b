"""What a job is to segment: from folders, patterns, lists, tables and object stores to a table.

Each input has a key, by which the output knows it: the absolute path or URI of a file; or, for
bytes that lie in a Parquet file, that file's and the number of the row.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from etseg._errors import FileMissingError, FileReadError, InvalidUserInputError
from etseg._images.endings import IMAGE_ENDINGS
from etseg._uris import scheme_of

from ._needs import needed
from ._places import file_system, is_local, local_path

#: Columns of a Parquet input, in the order of their preference.
_TABLE_COLUMNS = ("bytes", "path")
#: Of the files that are taken from folders.
_ENDINGS = IMAGE_ENDINGS | {".parquet"}

#: key, where it is read from, and its row there (-1 where it is a whole file)
Input = tuple[str, str, int]


def listed(inputs: Iterable[str | os.PathLike[str]], column: str | None = None) -> Any:
    """All inputs: a ``pyarrow.Table`` of key, source and row, each key once, in a stable order.

    Args:
        inputs: folders (searched through, for files with the ending of an image), files, patterns,
            ``.txt`` files that list paths, ``.parquet`` files with a column of paths or bytes, and
            the same under the URI of an object store.
        column: of a Parquet input; None for "bytes" or "path".

    Raises:
        FileReadError: there is no such place, or it cannot be read.
        InvalidUserInputError: there is no input at all, or a table without such a column.
    """
    pa = needed("pyarrow", "batch")
    import pyarrow.compute as pc

    schema = pa.schema([("key", pa.string()), ("source", pa.string()), ("row", pa.int64())])
    batches = []
    for given in inputs:
        place = os.fspath(given)
        for group in _grouped(_of_place(place, column)):
            batches.append(pa.record_batch(list(zip(*group, strict=True)), schema=schema))
    table = pa.Table.from_batches(batches, schema)
    if not len(table):
        raise InvalidUserInputError(f"nothing to segment in {[os.fspath(i) for i in inputs]}")
    numbered = table.append_column("at", pa.array(range(len(table)), pa.int64()))
    first = numbered.group_by("key", use_threads=False).aggregate([("at", "min")])["at_min"]
    return table.take(first.take(pc.sort_indices(first)))


def _of_place(place: str, column: str | None) -> Iterator[Input]:
    if scheme_of(place) in ("http", "https"):
        yield place, place, -1
    elif not is_local(place):
        yield from _of_store(place, column)
    elif (path := local_path(place)).is_dir():
        found = 0
        for file in _walk(path):
            found += 1
            yield from _of_file(file, column)
        if not found:
            raise FileReadError(f"there is no image in {str(path)!r}")
    elif path.exists():
        yield from _of_file(path, column)
    elif glob.has_magic(place):
        matches = sorted(glob.glob(str(path), recursive=True))  # noqa: PTH207  # absolute
        if not matches:
            raise FileReadError(f"nothing matches {place!r}")
        for match in matches:
            yield from _of_place(match, column)
    else:
        raise FileMissingError(f"no such file: {str(path)!r}")


def _walk(folder: Path) -> Iterator[Path]:
    """Images and tables below a folder, in order; hidden ones are left out."""

    def failed(error: OSError) -> None:
        raise FileReadError(f"cannot read {error.filename!r}: {error.strerror}") from error

    for root, folders, files in os.walk(folder, onerror=failed):
        folders[:] = sorted(name for name in folders if not name.startswith((".", "_")))
        for name in sorted(files):
            if not name.startswith(".") and Path(name).suffix.lower() in _ENDINGS:
                yield Path(root) / name


def _of_file(path: Path, column: str | None) -> Iterator[Input]:
    ending = path.suffix.lower()
    if ending == ".parquet":
        yield from _of_table(str(path), column)
    elif ending == ".txt":
        try:
            lines = path.read_text("utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise FileReadError(f"cannot read the list {str(path)!r}: {error}") from error
        for line in filter(None, map(str.strip, lines)):
            key = str(path.parent / line) if scheme_of(line) is None else line
            yield key, key, -1
    else:
        yield str(path), str(path), -1


def _of_store(place: str, column: str | None) -> Iterator[Input]:
    from pyarrow import fs

    system, path = file_system(place)
    root = place[: len(place) - len(path)] if place.endswith(path) else None
    try:
        info = system.get_file_info(path)
        if info.type == fs.FileType.File:
            found = [info]
        else:
            found = system.get_file_info(fs.FileSelector(path, recursive=True))
    except OSError as error:
        raise FileReadError(f"cannot list {place!r}: {error}") from error
    for entry in sorted(found, key=lambda entry: str(entry.path)):
        name = f"{root}{entry.path}" if root is not None else f"{place}/{entry.base_name}"
        if entry.type != fs.FileType.File or entry.base_name.startswith("."):
            continue
        if entry.extension == "parquet":
            yield from _of_table(name, column)
        elif f".{entry.extension.lower()}" in IMAGE_ENDINGS:
            yield name, name, -1


def _of_table(place: str, column: str | None) -> Iterator[Input]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    system, path = file_system(place)
    try:
        with pq.ParquetFile(path, filesystem=system) as file:
            name, is_bytes = table_column(file.schema_arrow, column, place)
            if is_bytes:
                for row in range(file.metadata.num_rows):
                    yield f"{place}#{row}", place, row
                return
            for batch in file.iter_batches(columns=[name]):
                for value in batch.column(0).to_pylist():
                    if value is None:
                        raise InvalidUserInputError(f"{place!r} has a null in its column {name!r}")
                    key = str(local_path(value)) if is_local(value) else value
                    yield key, key, -1
    except (OSError, pa.ArrowException) as error:
        raise FileReadError(f"cannot read the table {place!r}: {error}") from error


def table_column(schema: Any, column: str | None, place: str) -> tuple[str, bool]:
    """The column of a table that has the images, and whether it has their bytes.

    Raises:
        InvalidUserInputError: there is none, or it has neither strings nor bytes.
    """
    import pyarrow.types as types

    names = (column,) if column is not None else _TABLE_COLUMNS
    found = [name for name in names if name in schema.names]
    if not found:
        raise InvalidUserInputError(
            f"{place!r} has no column {' or '.join(map(repr, names))}; it has {schema.names}"
        )
    kind = schema.field(found[0]).type
    is_bytes = types.is_binary(kind) or types.is_large_binary(kind)
    if not is_bytes and not types.is_string(kind) and not types.is_large_string(kind):
        raise InvalidUserInputError(
            f"the column {found[0]!r} of {place!r} is {kind}; expected paths (string) or the bytes "
            "of image files (binary)"
        )
    return found[0], is_bytes


def _grouped(items: Iterator[Input], size: int = 100_000) -> Iterator[list[Input]]:
    group: list[Input] = []
    for item in items:
        group.append(item)
        if len(group) == size:
            yield group
            group = []
    if group:
        yield group
