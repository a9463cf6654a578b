"""Answers of servers, mutated with an eye to what they are made of: all that comes of it is bytes
within the limits, or an error of ours."""

from __future__ import annotations

import gzip
import os
import random

import pytest

from children import PATIENCE
from etseg import DownloadError, InvalidModelError, Limits, resources
from etseg._download.http import read_url
from raw_server import raw_serving, saying

#: ETSEG_FUZZ_CASES=20000 makes it longer.
CASES = int(os.environ.get("ETSEG_FUZZ_CASES", "400"))
MOST = 10_000

pytestmark = pytest.mark.usefixtures("cache")

GZIPPED = gzip.compress(bytes(50_000))
EXAMPLES = [
    b'HTTP/1.1 200 OK\r\nContent-Length: 10\r\nETag: "1"\r\n\r\n0123456789',
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"5\r\n01234\r\n5;a=b\r\n56789\r\n0\r\nX: y\r\n\r\n",
    b"HTTP/1.0 200 OK\r\nConnection: close\r\n\r\n0123456789",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n0",
    b"HTTP/1.1 503 Busy\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 206 Partial\r\nContent-Range: bytes 0-9/10\r\nContent-Length: 10\r\n\r\n0123456789",
    b"HTTP/1.1 302 Found\r\nLocation: /x?y#z\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%b"
    % (len(GZIPPED), GZIPPED),
]
NUMBERS = [b"0", b"-1", b"+1", b"1e3", b"0x10", b"1, 1", b"1, 2", b"9" * 19, b"9" * 5000, b"\xb2"]
LINES = [
    b"Content-Length: 3\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: gzip, chunked\r\n",
    b"Content-Encoding: deflate\r\n",
    b"Content-Encoding: gzip, gzip, gzip\r\n",
    b"Content-Encoding: nonsense\r\n",
    b"Location: http://[\r\n",
    b"Location: //\xe9:p\xe9@/\r\n",
    b"Retry-After: Mon, 99 Foo 99999 99:99:99 +9999\r\n",
    b" folded\r\n",
    b": no name\r\n",
    b"no colon\r\n",
    b"X: " + b"y" * 70_000 + b"\r\n",
    b"X: y\r\n" * 200,
    b"\r\n",
    b"\x00\r\n",
]


def mutated(chance: random.Random) -> bytes:
    """One of the examples with lines added, repeated, swapped or cut, numbers that contradict."""
    lines = chance.choice(EXAMPLES).splitlines(keepends=True)
    for _ in range(chance.randrange(1, 5)):
        at = chance.randrange(len(lines))
        kind = chance.randrange(6)
        if kind == 0:
            lines.insert(at, chance.choice(LINES))
        elif kind == 1:
            lines.insert(at, lines[at])
        elif kind == 2:
            other = chance.randrange(len(lines))
            lines[at], lines[other] = lines[other], lines[at]
        elif kind == 3:
            name, colon, _ = lines[at].partition(b":")
            number = chance.choice(NUMBERS)
            lines[at] = name + colon + number + b"\r\n" if colon else number + b"\r\n"
        elif kind == 4:
            lines[at] = lines[at][: chance.randrange(len(lines[at]) + 1)]
        else:
            spot = chance.randrange(len(lines[at]) + 1)
            lines[at] = lines[at][:spot] + chance.randbytes(1) + lines[at][spot + 1 :]
    return b"".join(lines)


@pytest.mark.filterwarnings("ignore::urllib3.exceptions.HTTPWarning")
def test_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("etseg._download.retrying.TRIES", 2)
    monkeypatch.setattr("etseg._download.watch.sleep", lambda _: None)
    # Every answer comes to its end at once: whoever waits so long hangs.
    limits = Limits(
        max_download_bytes=MOST, read_timeout=PATIENCE, total_timeout=PATIENCE, max_redirects=2
    )
    answer = b""
    chance = random.Random(0)
    came = refused = 0
    with raw_serving(lambda connection, head: saying(answer)(connection, head)) as server:
        for _ in range(CASES):
            answer = mutated(chance)
            why = ""
            try:
                assert len(read_url(server.url, limits)) <= MOST
                came += 1
            except DownloadError as error:
                refused += 1
                why = str(error)
            assert "not here after" not in why, answer[:300]  # that is, it does not hang
            with pytest.raises((DownloadError, InvalidModelError)):
                resources.fetch(server.url, limits=limits)
    assert min(came, refused) > CASES // 10
