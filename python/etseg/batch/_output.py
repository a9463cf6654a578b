"""The data set that a job writes: Parquet in parts, and a manifest that says what made them.

::

    OUTPUT/_manifest.json            the model's fingerprint and the options; parts of others refuse
    OUTPUT/part-000000-1f0c9a2b.parquet
    OUTPUT/_staging/...              what workers wrote and the job has not taken over; ignored by
                                     readers of data sets, as all names with an underscore

A part is written whole in the staging folder, by whichever worker. It counts from the moment the
job, and it alone, moves it. So an input is in the output once, however often its work was repeated.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from etseg._errors import FileReadError, FileWriteError, InvalidStateError

from ._needs import needed
from ._places import file_system, is_local, join, local_path
from ._rows import Row, arrow_fields

_MANIFEST = "_manifest.json"
_STAGING = "_staging"
#: Of the layout, in the manifest: a reader of another one refuses.
_VERSION = 1


class Output:
    """A folder of parts.

    Args:
        place: a folder or the URI of one; made if it is not there.
    """

    def __init__(self, place: str) -> None:
        self.place = str(local_path(place)) if is_local(place) else place
        self._system, self._path = file_system(self.place)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keeps other jobs off, where the place is a local folder: stores have no locks.

        Raises:
            InvalidStateError: another job writes there.
            FileWriteError: it cannot be written to.
        """
        with ExitStack() as stack:
            if is_local(self.place):
                import filelock

                lock = filelock.FileLock(Path(self._path) / "_lock")
                with self._writing():
                    self._system.create_dir(self._path, recursive=True)
                    try:
                        stack.enter_context(lock.acquire(blocking=False))
                    except filelock.Timeout:
                        raise InvalidStateError(
                            f"another job writes to {self.place!r}; wait for it, or choose another"
                        ) from None
            yield

    def begin(self, made_by: Mapping[str, Any]) -> None:
        """Makes the folder, or goes on in it; drops what a killed job left in the staging folder.

        Raises:
            InvalidStateError: its parts were made by another model or with other options.
            FileWriteError: it cannot be written to.
        """
        found = self.manifest()
        if found is not None:
            self._compare(found, made_by)
        elif self.parts():
            raise InvalidStateError(f"{self.place!r} has parts, but no {_MANIFEST}: not by etseg")
        with self._writing():
            self._system.create_dir(join(self._path, _STAGING), recursive=True)
            self._system.delete_dir_contents(join(self._path, _STAGING), missing_dir_ok=True)
            if found is None:
                self._write_manifest({"version": _VERSION, **made_by})

    def manifest(self) -> dict[str, Any] | None:
        """What made the parts; None where nothing did yet.

        Raises:
            FileReadError: it is there, and cannot be read.
        """
        try:
            with self._system.open_input_file(join(self._path, _MANIFEST)) as file:
                found = json.loads(file.read())
        except FileNotFoundError:
            return None
        except (OSError, ValueError, RecursionError) as error:
            raise FileReadError(f"cannot read {join(self.place, _MANIFEST)!r}: {error}") from error
        if not isinstance(found, dict) or found.get("version") != _VERSION:
            raise FileReadError(
                f"{join(self.place, _MANIFEST)!r} is of another layout; expected version {_VERSION}"
            )
        return found

    def parts(self) -> list[str]:
        """The paths of the parts, in the order of their numbers."""
        from pyarrow import fs

        selector = fs.FileSelector(self._path, allow_not_found=True)
        return sorted(
            entry.path
            for entry in self._system.get_file_info(selector)
            if entry.base_name.startswith("part-") and entry.base_name.endswith(".parquet")
        )

    def keys(self) -> Any:
        """The keys of all rows that are there, as a ``pyarrow.ChunkedArray`` of strings.

        Raises:
            FileReadError: a part cannot be read.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        chunks = []
        for part in self.parts():
            try:
                table = pq.read_table(part, columns=["key"], filesystem=self._system)
            except (OSError, pa.ArrowException) as error:
                raise FileReadError(f"cannot read the part {part!r}: {error}") from error
            chunks += table.column("key").chunks
        return pa.chunked_array(chunks, pa.string())

    def stage(self, keys: Sequence[str], rows: Sequence[Row], outputs: Sequence[str]) -> str:
        """Writes a part to the staging folder; returns its name there. By any worker.

        Raises:
            FileWriteError: it cannot be written.
        """
        pa = needed("pyarrow", "batch")
        import pyarrow.parquet as pq

        schema = pa.schema([pa.field("key", pa.string(), nullable=False), *arrow_fields(outputs)])
        columns = {field.name: [row[field.name] for row in rows] for field in arrow_fields(outputs)}
        table = pa.table({"key": list(keys), **columns}, schema)
        name = f"{secrets.token_hex(8)}.parquet"
        with self._writing():
            pq.write_table(
                table,
                join(join(self._path, _STAGING), name),
                filesystem=self._system,
                compression="zstd",
            )
        return name

    def commit(self, staged: str, number: int) -> str:
        """Makes a staged part one of the data set, in one step. Returns its path.

        Raises:
            FileWriteError: it cannot be moved.
        """
        final = join(self._path, f"part-{number:06d}-{staged[:8]}.parquet")
        with self._writing():
            self._system.move(join(join(self._path, _STAGING), staged), final)
        return final

    def drop(self, staged: str) -> None:
        """A staged part that is not wanted: its inputs were committed by another worker."""
        with self._writing():
            self._system.delete_file(join(join(self._path, _STAGING), staged))

    def finish(self) -> None:
        """Removes the staging folder."""
        with self._writing():
            self._system.delete_dir(join(self._path, _STAGING))

    def next_number(self) -> int:
        """Of the part to come."""
        names = [part.rsplit("/", 1)[-1] for part in self.parts()]
        return 1 + max((int(name.split("-")[1]) for name in names), default=-1)

    def _compare(self, found: Mapping[str, Any], made_by: Mapping[str, Any]) -> None:
        other = [name for name, value in made_by.items() if found.get(name) != value]
        if other:
            what = "; ".join(f"{n}: {found.get(n)!r} there, {made_by[n]!r} now" for n in other)
            raise InvalidStateError(
                f"the parts in {self.place!r} were made otherwise ({what}). Choose another place, "
                "or the same model and options"
            )

    def _write_manifest(self, content: Mapping[str, Any]) -> None:
        aside = join(join(self._path, _STAGING), _MANIFEST)
        with self._system.open_output_stream(aside) as file:
            file.write(json.dumps(content, indent=1).encode())
        self._system.move(aside, join(self._path, _MANIFEST))

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise FileWriteError(f"cannot write to {self.place!r}: {error}") from error
