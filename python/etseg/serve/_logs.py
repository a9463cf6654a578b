"""Log lines, written by a thread of their own: a stderr that nobody reads stops no request."""

from __future__ import annotations

import logging
import os
import queue
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress

#: Lines that wait to be written; of more, the latest are dropped.
_MOST = 10_000
#: Lines that are written at a time.
_AT_ONCE = 1000
#: For which lines are gathered before they are written, in seconds.
_GATHERED = 0.05
#: For which the last lines are waited for at the end, in seconds.
_LAST = 1.0


class Lines(logging.Handler):
    """Writes to a file of the system's, as its reader has room.

    Args:
        file: its number. Not a stream of Python's: the interpreter could not end while a thread
            waits in one.
        most: lines that may wait.

    Attributes:
        on_drop: called for each line that is not written, on any thread.
    """

    def __init__(self, file: int, most: int = _MOST) -> None:
        super().__init__()
        self.on_drop: Callable[[], object] = lambda: None
        self._file = file
        self._most = most
        # None is the end.
        self._kept: queue.SimpleQueue[logging.LogRecord | None] = queue.SimpleQueue()
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._write, name="etseg.serve.log", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        """Keeps a record until its turn."""
        if self._kept.qsize() < self._most:
            self._kept.put(record)
        else:
            self.on_drop()

    def close(self) -> None:
        """Waits for the last lines, but not for ever."""
        super().close()
        self._ends.set()
        self._kept.put(None)
        self._thread.join(_LAST)

    def _write(self) -> None:
        while True:
            records = [self._kept.get()]
            # Most are of requests, and those have better uses for a core than a thread's waking.
            self._ends.wait(_GATHERED)
            with suppress(queue.Empty):
                while records[-1] is not None and len(records) < _AT_ONCE:
                    records.append(self._kept.get_nowait())
            self._put([record for record in records if record is not None])
            if records[-1] is None:
                return

    def _put(self, records: Sequence[logging.LogRecord]) -> None:
        text = "".join(map(self._line, records)).encode()
        try:
            while text:
                text = text[os.write(self._file, text) :]
        except OSError:  # nobody reads any more
            for _ in records:
                self.on_drop()

    def _line(self, record: logging.LogRecord) -> str:
        try:
            return f"{self.format(record)}\n"
        except Exception:  # of whoever logs: its arguments do not fit its text
            self.on_drop()
            return ""
