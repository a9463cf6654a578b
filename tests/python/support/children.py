"""Python in a process of its own: for what ends, forks or crashes one."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

#: Long enough for a busy machine; what hangs is a failure either way.
PATIENCE = 120


def run(script: str, *arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs a script, warnings being errors, and returns how it ended."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(script), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        env={**os.environ, **environment},
        check=False,
    )


def output_of(script: str, *arguments: object, **environment: str) -> str:
    """What a script prints; it must end well, and say nothing on stderr."""
    done = run(script, *arguments, **environment)
    assert (done.returncode, done.stderr) == (0, ""), done
    return done.stdout.strip()
