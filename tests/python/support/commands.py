"""The command `etseg` as installed, in a process of its own: piped, on a terminal, interrupted."""

from __future__ import annotations

import os
import select
import signal
import struct
import subprocess
import sysconfig
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from children import PATIENCE, finished, started

COMMAND = Path(sysconfig.get_path("scripts")) / "etseg"


_ENVIRONMENT: dict[str, str | None] = {"PYTHONWARNINGS": "error", "NO_COLOR": None, "TERM": "xterm"}


def _environment(changes: dict[str, str | None]) -> dict[str, str]:
    environment: dict[str, str | None] = {**os.environ, **_ENVIRONMENT, **changes}
    return {name: value for name, value in environment.items() if value is not None}


def _command(arguments: tuple[object, ...]) -> list[str | bytes]:
    if not COMMAND.exists():
        pytest.skip(f"{COMMAND} is not here: etseg is not installed in this environment")
    return [str(COMMAND), *(a if isinstance(a, bytes) else str(a) for a in arguments)]


def run(
    folder: Path, *arguments: object, **environment: str | None
) -> subprocess.CompletedProcess[str]:
    """Piped, in a folder. Bytes among the arguments stay as they are."""
    variables: dict[str, str | None] = {**_ENVIRONMENT, **environment}
    return finished(*_command(arguments), cwd=folder, patience=PATIENCE, **variables)


@dataclass
class Shown:
    """What a terminal was sent, what a pipe got, and how it ended."""

    status: int
    terminal: str
    piped: str


def on_terminal(
    folder: Path, *arguments: object, stdout: bool = True, **environment: str | None
) -> Shown:
    """With stderr on a terminal of 80 columns; stdout on the same, or on a pipe."""
    pty = pytest.importorskip("pty", reason="needs Unix")
    import fcntl
    import termios

    main, other = pty.openpty()
    fcntl.ioctl(other, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    with subprocess.Popen(
        _command(arguments),
        cwd=folder,
        stdin=other,
        stdout=other if stdout else subprocess.PIPE,
        stderr=other,
        env=_environment(environment),
    ) as process:
        os.close(other)
        sent = bytearray()
        try:
            while select.select([main], [], [], PATIENCE)[0] and (chunk := os.read(main, 1 << 16)):
                sent += chunk
        except OSError:  # EIO: the last one has closed it
            pass
        finally:
            os.close(main)
        piped, _ = process.communicate(timeout=PATIENCE)
    return Shown(process.returncode, sent.decode(), (piped or b"").decode())


def interrupted(
    folder: Path, when: Callable[[], bool], *arguments: object, after_lines: int = 0
) -> tuple[int, str, str]:
    """Sends Ctrl-C's signal once it has printed so many lines and `when` is true.

    Returns:
        exit status, stdout, stderr.
    """
    command = _command(arguments)
    with started(*command, cwd=folder, patience=PATIENCE, **_ENVIRONMENT) as process:
        assert process.stdout is not None
        printed = "".join(process.stdout.readline() for _ in range(after_lines))
        end = time.monotonic() + PATIENCE
        while not when() and process.poll() is None and time.monotonic() < end:
            time.sleep(0.002)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate()
    return process.returncode, printed + out, err
