"""Loading a model whose packed weights are in a file.

What only the first load of a program needs is imported by it: a later one takes milliseconds.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path

from etseg import _native
from etseg._errors import EtsegError
from etseg._logs import logger

from . import places, programs
from .checking import UnusableError, note_nothing, open_checked
from .entries import Entry, make_room, might_be_there
from .key import key_of
from .packing import Packing
from .places import CannotShareError, NothingToShareError

_log = logger()

#: How long another process, that makes the file, is waited for.
PATIENCE_SECONDS = 60.0

#: What was logged: each once.
told: set[str] = set()


def load(path: Path, instances: int) -> _native.Model:
    """A model that maps its packed weights, from a file that is made if need be.

    Where that cannot be, it is loaded as without files, and the log says why, once.

    Raises:
        EtsegError: what loading it without files raises.
    """
    try:
        return _load_sharing(path, instances)
    except EtsegError:
        raise
    except NothingToShareError as error:
        _tell_once(logging.INFO, error)
    except (CannotShareError, OSError) as error:
        _tell_once(logging.WARNING, error)
    except (MemoryError, RuntimeError) as error:  # the latter where no thread can be started
        _tell_once(logging.WARNING, str(error) or "there is no memory for it")
    return _native.Model(os.fsencode(path), instances)


def _load_sharing(path: Path, instances: int) -> _native.Model:
    folder = places.prepared()
    records = folder / "programs"
    program = programs.remembered(path, records)
    with Packing(path, instances) as packing:
        if program is None:
            if not might_be_there(path):
                packing.start()  # for this, and while this thread reads and hashes
            program = programs.compute(path, records)
        if program is None:
            raise CannotShareError(f"{str(path)!r} was changed while it was read")
        entry = Entry.of(folder, path, key_of(program.sha256, instances))
        if (descriptor := _open(entry)) is None:
            descriptor = _make(entry, packing, program)
    try:
        model = _native.Model(os.fsencode(path), instances, descriptor)
    finally:
        os.close(descriptor)
    if model.file_identity != program.identity:
        raise CannotShareError(f"{str(path)!r} was replaced while it was loaded")
    if not model.shares_weights:
        why = f"{str(entry.packed)!r} is not what XNNPACK asked for"
        _tell_once(logging.WARNING, why)
        entry.delete()
        note_nothing(entry, why)
    return model


def _make(entry: Entry, packing: Packing, program: programs.Program) -> int:
    """The descriptor of weights that this process has written, or another meanwhile."""
    import filelock

    from .making import write

    lock = filelock.FileLock(entry.lock)
    try:
        lock.acquire(timeout=PATIENCE_SECONDS)
    except filelock.Timeout:
        raise CannotShareError(
            f"another process has been making {str(entry.packed)!r} for {PATIENCE_SECONDS:.0f} s"
        ) from None
    try:
        if (descriptor := _open(entry, logging.DEBUG)) is not None:
            return descriptor
        if not write(entry, packing.parts(program.identity)):
            why = f"{packing.path.name!r} has no weights that XNNPACK packs"
            note_nothing(entry, why)
            raise NothingToShareError(why)
        make_room(entry)
        descriptor = open_checked(entry)
        if descriptor is None:
            raise CannotShareError(f"{str(entry.packed)!r} was removed at once")
        return descriptor
    except UnusableError as error:
        raise CannotShareError(f"{str(entry.packed)!r}: {error}") from None
    finally:
        lock.release()


def _open(entry: Entry, level: int = logging.WARNING) -> int | None:
    try:
        return open_checked(entry)
    except UnusableError as error:
        _log.log(level, "%r is not used, and made anew: %s", str(entry.packed), error)
        return None


def _tell_once(level: int, why: object) -> None:
    if str(why) not in told:
        told.add(str(why))
        _log.log(level, "packed weights are not shared: %s", why)
