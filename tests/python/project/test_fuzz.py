"""The fuzz campaign finds what it is there to find: faults of every kind, planted."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from children import PATIENCE
from conftest import CHECKOUT

RUN = CHECKOUT / "tests" / "fuzz" / "run.py"

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="its limits are Linux's")


def fuzz(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(RUN), *arguments],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        env={**os.environ, **environment},
        check=False,
    )


def test_every_kind_of_fault_is_found() -> None:
    done = fuzz("--target", "faults", FUZZ_CPU_SECONDS="1")
    found = dict(
        re.findall(r"^FOUND faults 0 (\d+): (.*(?:\n(?!FOUND|faults).*)*)", done.stdout, re.M)
    )
    assert done.returncode == 1
    assert set(found) == {"1", "3", "4", "5", "7"}, done.stdout
    assert "KeyError" in found["1"]
    assert "OutOfMemoryError: a limit passed" in found["3"]
    assert "said: a word" in found["4"]
    assert "SIGABRT" in found["5"]
    assert "SIGXCPU" in found["7"]


def test_a_few_cases_of_every_target() -> None:
    done = fuzz("--cases", "30", "--seconds", "3000")
    assert (done.returncode, done.stderr) == (0, "")
    for target in ("images", "sources", "metadata", "records", "headers", "responses"):
        assert re.search(rf"^{target} +30 cases, 0 finds", done.stdout, re.M), done.stdout
