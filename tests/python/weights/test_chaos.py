"""Kills and damages, a few of each; tests/tools/weights_chaos.py does as many as one likes."""

from __future__ import annotations

from pathlib import Path

import pytest

from children import finished, python
from packed import SHARING

TOOL = Path(__file__).resolve().parents[2] / "tools" / "weights_chaos.py"

pytestmark = [*SHARING, pytest.mark.skipif(not TOOL.is_file(), reason="needs a checkout")]


def test_killed_processes_and_damaged_files() -> None:
    done = finished(*python(TOOL, "--kills", 12, "--damages", 22))
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith("nothing wrong\n")
