"""Requests that nobody should make: each is answered or closed, and others are served meanwhile.

tests/tools/serve_hostile.py makes a thousand of them, as long as one likes.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest

from hostile_requests import corpus, hostile_requests
from servers import AS_LONG_AS_IT_TAKES, Served, served

pytest.importorskip("uvicorn", reason='needs pip install "etseg[serve]"')
pytest.importorskip("httptools")

if not sys.platform.startswith("linux"):
    pytest.skip("needs /proc", allow_module_level=True)

#: One of each kind.
KINDS = 15


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(
        *("--body-seconds", "1", "--max-pixels", "4000000", "--max-body-bytes", "2000000"),
        log=tmp_path_factory.mktemp("serve") / "log",
        patience=AS_LONG_AS_IT_TAKES,
        _ETSEG_SERVE_HEAD_SECONDS="1",
        _ETSEG_SERVE_READ_SECONDS="1",
    ) as server:
        yield server


@pytest.mark.parametrize("seed", range(2))
def test_each_is_answered_or_closed(server: Served, photo_path: Path, seed: int) -> None:
    photo = photo_path.read_bytes()
    _, expected = server.post(photo, "?output=mask")
    for case in islice(hostile_requests(seed, photo, corpus()), KINDS):
        outcome = case.play(server.connect)  # or it would raise TimeoutError
        assert not outcome.startswith("5") or outcome in ("502", "503"), (case.name, outcome)
        assert server.post(photo, "?output=mask") == (200, expected), case.name
