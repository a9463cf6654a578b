"""Requests as no client should make them, for a service of images: scripts for a connection."""

from __future__ import annotations

import base64
import json
import random
import socket
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

CORPUS = Path(__file__).resolve().parents[2] / "fuzz" / "corpus"
_BOUNDARY = b"frontier"


@dataclass
class Hostile:
    """What somebody does to a connection: sends parts, and leaves or listens.

    Attributes:
        name: of its kind.
        parts: sent one after the other.
        pause: seconds between parts.
        leaves: closes the connection at the end, without a word (FIN) or harshly (RST); else it
            waits for the answer.
        listens_late: seconds after which it begins to read, in small pieces.
    """

    name: str
    parts: list[bytes] = field(repr=False)
    pause: float = 0.0
    leaves: str = ""
    listens_late: float = 0.0

    def play(self, connect: Callable[[], socket.socket]) -> str:
        """Does it. What came of it: a status, "closed" by the service, or "left".

        Raises:
            TimeoutError: the service neither answers nor closes.
        """
        with connect() as connection:
            if self.listens_late:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
            with suppress(BrokenPipeError, ConnectionResetError):  # it may have said its word
                for part in self.parts:
                    connection.sendall(part)
                    time.sleep(self.pause)
            if self.leaves == "RST":
                linger = struct.pack("ii", 1, 0)
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            if self.leaves:
                return "left"
            time.sleep(self.listens_late)
            return _status_of(connection)


def _status_of(connection: socket.socket) -> str:
    """Of the first answer; reads to the end of the connection, or of that answer."""
    answer = b""
    try:
        while b"\r\n\r\n" not in answer:
            if not (data := connection.recv(1 << 12)):
                return "closed"
            answer += data
        head, _, body = answer.partition(b"\r\n\r\n")
        lengths = [
            int(line.partition(b":")[2])
            for line in head.lower().split(b"\r\n")
            if line.startswith(b"content-length:")
        ]
        left = (lengths[0] if lengths else 1 << 62) - len(body)
        while left > 0 and (data := connection.recv(1 << 16)):
            left -= len(data)
    except ConnectionResetError:  # what it had not read of the request yet
        if b"\r\n" not in answer:
            return "closed"
    return answer.split(b" ", 2)[1].decode("latin-1")


def request(
    body: bytes, kind: bytes = b"image/jpeg", query: bytes = b"", length: bytes | None = None
) -> bytes:
    """A request for a segmentation, whole."""
    said = str(len(body)).encode() if length is None else length
    return (
        b"POST /v1/segment%b HTTP/1.1\r\nHost: a\r\nContent-Type: %b\r\nContent-Length: %b\r\n\r\n"
        % (query, kind, said)
    ) + body


def form(*parts: bytes, end: bytes = b"--") -> bytes:
    """A request with a form of these parts, heads and all."""
    body = b"".join(b"--" + _BOUNDARY + b"\r\n" + part + b"\r\n" for part in parts)
    kind = b"multipart/form-data; boundary=" + _BOUNDARY
    return request(body + b"--" + _BOUNDARY + end + b"\r\n", kind)


def file_part(data: bytes, name: bytes = b"image") -> bytes:
    """A part of a form with a file."""
    return b'Content-Disposition: form-data; name="%b"; filename="a.jpg"\r\n\r\n' % name + data


def corpus() -> list[bytes]:
    """The files that fuzzing has found, and bombs of every format."""
    return [path.read_bytes() for path in sorted(CORPUS.iterdir())]


def hostile_requests(seed: int, photo: bytes, images: list[bytes]) -> Iterator[Hostile]:
    """Without end, of all kinds in turn."""
    chance = random.Random(seed)
    while True:
        for make in _KINDS:
            yield make(chance, photo, images)


def _slow_body(chance: random.Random, photo: bytes, _: list[bytes]) -> Hostile:
    cut = chance.randrange(200, len(photo))
    return Hostile("a body that stops", [request(photo)[:cut]])


def _dripping_body(chance: random.Random, photo: bytes, _: list[bytes]) -> Hostile:
    whole = request(photo)
    start = chance.randrange(200)
    drops = [whole[at : at + 1] for at in range(start, start + 40)]
    return Hostile("a body that drips", [whole[:start], *drops], pause=0.05)


def _wrong_length(chance: random.Random, photo: bytes, _: list[bytes]) -> Hostile:
    other = chance.choice(
        [
            *[
                b"-1",
                b"1e3",
                b"",
                b"9" * 4000,
                b"0x10",
                b"99999999999",
                b"10",
                b"+5",
                b"5, 6",
                b" ",
            ],
            str(len(photo) + chance.randrange(1, 10_000)).encode(),
            str(chance.randrange(len(photo))).encode(),
        ]
    )
    return Hostile("a wrong length", [request(photo, length=other)])


def _two_lengths(chance: random.Random, photo: bytes, _: list[bytes]) -> Hostile:
    more = chance.choice([b"Content-Length: 7", b"Transfer-Encoding: chunked"])
    whole = request(photo).replace(b"Host: a", b"Host: a\r\n" + more, 1)
    return Hostile("two lengths", [whole])


def _bad_chunks(chance: random.Random, photo: bytes, _: list[bytes]) -> Hostile:
    head = b"POST /v1/segment HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunk = chance.choice(
        [
            b"zz\r\n",
            b"-5\r\nabcde\r\n",
            b"f" * 30 + b"\r\n",
            b"5\r\nab\r\n0\r\n\r\n",
            b"5;" + b"x" * 70_000 + b"\r\nabcde\r\n",
            b"%x\r\n" % len(photo) + photo[:500],
        ]
    )
    return Hostile("bad chunks", [head, chunk])


def _found_image(chance: random.Random, _: bytes, images: list[bytes]) -> Hostile:
    query = chance.choice([b"", b"?output=overlay", b"?output=npz", b"?rle=true&mask=true"])
    return Hostile("an image of the corpus", [request(chance.choice(images), query=query)])


def _changed_photo(chance: random.Random, photo: bytes, _: list[bytes]) -> Hostile:
    changed = bytearray(photo)
    for _n in range(chance.randrange(1, 20)):
        changed[chance.randrange(len(changed))] = chance.randrange(256)
    return Hostile("a photo with errors", [request(bytes(changed))])


def _json_bomb(chance: random.Random, _: bytes, images: list[bytes]) -> Hostile:
    image = base64.b64encode(chance.choice(images)).decode()
    url = chance.choice(["file:///etc/passwd", "http://[", "http://127.0.0.1/"])
    body = chance.choice(
        [
            b"[" * 100_000,
            b'{"image":' * 50_000,
            b'{"image": "' + b"A" * 1_000_001 + b'"}',
            b"[" + b"1," * 400_000 + b"1]",
            b'{"image": ' + b"9" * 5000 + b"}",
            b'"\\ud800"',
            json.dumps({"image": image}).encode(),
            json.dumps({"url": url}).encode(),
        ]
    )
    return Hostile("bad JSON", [request(body, b"application/json")])


def _broken_form(chance: random.Random, photo: bytes, images: list[bytes]) -> Hostile:
    sent = chance.choice(
        [
            form(file_part(photo), end=b""),
            form(file_part(photo))[: -chance.randrange(1, 2000)],
            form(file_part(photo), file_part(photo)),
            form(*[file_part(b"x", b"f%d" % n) for n in range(2000)]),
            form(b"\r\n" + photo),
            form(b"Content-Disposition: form-data\r\n\r\n" + photo),
            form(b"X: y\r\n" * 10_000 + b"\r\n" + photo),
            form(b"Content-Disposition: " + b";" * 60_000 + b"\r\n\r\n"),
            form(file_part(b"\r\n--frontie" * 50_000)),
            form(file_part(b"\r" * 500_000)),
            form(file_part(chance.choice(images))),
            request(photo, b"multipart/form-data; boundary=" + b"b" * 5000),
            request(photo, b"multipart/form-data; boundary=" + b';"' * 20_000),
            request(photo, b"multipart/form-data"),
        ]
    )
    return Hostile("a broken form", [sent])


def _bad_head(chance: random.Random, photo: bytes, _: list[bytes]) -> Hostile:
    post = b"POST /v1/segment HTTP/1.1\r\nHost: a\r\n"
    sent = chance.choice(
        [
            post + b"X: y\r\n" * 10_000 + b"\r\n",
            post + b"".join(b"X-%d: y\r\n" % n for n in range(10_000)) + b"\r\n",
            post + b"X: " + b"y" * 200_000 + b"\r\n\r\n",
            b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
            b"GET / HTTP/9.9\r\n\r\n",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + chance.randbytes(500),
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            chance.randbytes(3000) + b"\r\n\r\n",
            post + b"X\x00: y\r\n\r\n",
            b"POST /v1/segment?model=%ff%00&output=\xff HTTP/1.1\r\nHost: a\r\n\r\n",
            b"POST /v1/segment?" + b"a=b&" * 10_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
            b"\r\n" * 5000 + request(photo),
        ]
    )
    return Hostile("a bad head", [sent])


def _stopped_head(chance: random.Random, photo: bytes, _: list[bytes]) -> Hostile:
    return Hostile("a head that stops", [request(photo)[: chance.randrange(80)]])


def _leaving(chance: random.Random, photo: bytes, _: list[bytes]) -> Hostile:
    """At every stage: of the head, of the body, while it is segmented, while it is answered."""
    whole = request(photo, query=chance.choice([b"", b"?output=overlay", b"?output=npz"]))
    stage = chance.choice([chance.randrange(120), chance.randrange(len(whole)), len(whole)])
    pause = chance.choice([0.0, 0.0, 0.005, 0.02])
    return Hostile("one who leaves", [whole[:stage]], pause, chance.choice(["FIN", "RST"]))


def _not_listening(_chance: random.Random, photo: bytes, _: list[bytes]) -> Hostile:
    many = request(photo, query=b"?output=npz&classes=SELFIE,BACKGROUND") * 3
    return Hostile("one who does not listen", [many], listens_late=3.0)


def _many_at_once(chance: random.Random, photo: bytes, _: list[bytes]) -> Hostile:
    one = chance.choice(
        [b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n", request(photo), request(b"x")]
    )
    return Hostile("many in one piece", [one * chance.randrange(2, 12)])


def _waits_to_be_asked(chance: random.Random, photo: bytes, _: list[bytes]) -> Hostile:
    length = chance.choice([b"99999999999", str(len(photo)).encode()])
    whole = request(photo, length=length).replace(b"Host: a", b"Host: a\r\nExpect: 100-continue")
    return Hostile("one who waits to be asked", [whole[: whole.index(b"\r\n\r\n") + 4]])


_KINDS: list[Callable[[random.Random, bytes, list[bytes]], Hostile]] = [
    _slow_body,
    _dripping_body,
    _wrong_length,
    _two_lengths,
    _bad_chunks,
    _found_image,
    _changed_photo,
    _json_bomb,
    _broken_form,
    _bad_head,
    _stopped_head,
    _leaving,
    _not_listening,
    _many_at_once,
    _waits_to_be_asked,
]
