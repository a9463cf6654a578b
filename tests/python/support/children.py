"""Processes of their own: for what ends, forks, crashes or interrupts one.

There is one way to run them. None outlives its test, nor do processes that it has begun.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

#: Seconds. Long enough for a very busy machine; what hangs is a failure either way.
PATIENCE = 240.0


@contextmanager
def started(
    *command: object, cwd: Path | None = None, patience: float = PATIENCE, **environment: str | None
) -> Iterator[subprocess.Popen[str]]:
    """A process while it runs, its output on pipes. It is ended if it takes too long.

    Args:
        command: what is no bytes is made a str.
        cwd: its folder.
        patience: in seconds.
        environment: what differs from ours; None for what is not to be there.
    """
    variables: dict[str, str | None] = {**os.environ, **environment}
    with subprocess.Popen(
        [word if isinstance(word, bytes) else str(word) for word in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="surrogateescape",
        cwd=cwd,
        env={name: value for name, value in variables.items() if value is not None},
        start_new_session=True,
    ) as process:

        def end() -> None:
            # The group: children that hang would hold the pipes, and reading would not end.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)

        timer = threading.Timer(patience, end)
        timer.start()
        try:
            yield process
        finally:
            timer.cancel()
            end()


def finished(
    *command: object, cwd: Path | None = None, patience: float = PATIENCE, **environment: str | None
) -> subprocess.CompletedProcess[str]:
    """How a process ended, by itself or because it took too long: then its status is -9."""
    with started(*command, cwd=cwd, patience=patience, **environment) as process:
        out, err = process.communicate()
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def python(script: str | Path, *arguments: object) -> tuple[object, ...]:
    """The command for a script, by its text or its file: warnings are errors."""
    what = (script,) if isinstance(script, Path) else ("-c", textwrap.dedent(script))
    return sys.executable, "-W", "error", *what, *arguments


def run(
    script: str | Path, *arguments: object, **environment: str | None
) -> subprocess.CompletedProcess[str]:
    """Runs a script, and returns how it ended."""
    return finished(*python(script, *arguments), cwd=None, patience=PATIENCE, **environment)


def output_of(
    script: str | Path, *arguments: object, cwd: Path | None = None, **environment: str | None
) -> str:
    """What a script prints; it must end well, and say nothing on stderr."""
    done = finished(*python(script, *arguments), cwd=cwd, patience=PATIENCE, **environment)
    assert (done.returncode, done.stderr) == (0, ""), done
    return done.stdout.strip()
