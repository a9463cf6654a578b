"""Packing a program's weights on another thread, while this one reads, hashes and writes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from etseg import _native
from etseg._errors import EtsegError

from .identity import Identity
from .places import CannotShareError

if TYPE_CHECKING:
    from typing_extensions import Self


class Packing:
    """The bytes of a file, which XNNPACK makes one part after the other. Nothing before start().

    As a context it waits for its thread; then its memory goes, as much as the model takes.
    """

    def __init__(self, path: Path, instances: int) -> None:
        self.path = path
        self._instances = instances
        self._packing: _native.Packing | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._packing is not None:
            with suppress(EtsegError, MemoryError, RuntimeError):  # parts() raises them
                self._packing.wait()
        self._packing = None

    def start(self) -> _native.Packing:
        """Begins to pack, once. Raises RuntimeError where no thread can be started."""
        if self._packing is None:
            packing = _native.Packing(os.fsencode(self.path), self._instances)
            packing.start()
            self._packing = packing
        return self._packing

    def parts(self, identity: Identity) -> Iterator[memoryview]:
        """The parts, as they are packed; none where there is nothing to share. Once.

        Only those that come to their end are whole, and only as long as the context is open.

        Raises:
            EtsegError: what loading the program raises.
            CannotShareError: what was packed is not the file that had this identity.
            RuntimeError: no thread can be started.
        """
        packing = self.start()
        while (part := packing.next()) is not None:
            yield part
        packing.wait()
        if packing.file_identity != identity:
            raise CannotShareError(f"{str(self.path)!r} was replaced while it was loaded")
