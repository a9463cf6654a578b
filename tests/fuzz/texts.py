"""Text and bytes that others write: sources, metadata, records, headers and whole responses."""

from __future__ import annotations

import json
from base64 import b64encode, urlsafe_b64encode
from functools import cache
from typing import Any

from chances import Random, long_digits, number, out_of_order, with_noise
from image_files import samples

_ODD = [
    "",
    "\0",
    "é",
    "\ud800",
    "%",
    "%00",
    "%zz",
    "=",
    ",",
    ";",
    "base64",
    "data:",
    "/",
    "\n",
    " ",
]


def source(chance: Random) -> str:
    """A path, a URI, base64 or what looks a little like one of them."""
    data = chance.choice(samples())[1][:3000]
    coded = chance.choice((b64encode, urlsafe_b64encode))(data).decode()
    seeds = (
        coded,
        f"data:image/png;base64,{coded}",
        f"data:image/png;charset=utf-8;base64,{coded}",
        "data:," + "".join(f"%{byte:02x}" for byte in data[:200]),
        "/nowhere/photo.jpg",
        "file:///nowhere/photo.jpg",
        "file://localhost/%2e%2e/photo.jpg",
        "file://[::1]/x",
        "ftp://host/x.png",
        "C:\\photo.jpg",
    )
    parts = list(_pieces(chance, chance.choice(seeds)))
    for _ in range(chance.choice((0, 1, 1, 2, 5))):
        if chance.random() < 0.5:
            out_of_order(chance, parts)
        else:
            odd = chance.choice(_ODD) * chance.choice((1, 1, 2, 3000))
            parts.insert(chance.randrange(len(parts) + 1), odd)
    return "".join(parts)


def _pieces(chance: Random, text: str) -> list[str]:
    cuts = sorted(chance.randrange(len(text) + 1) for _ in range(4))
    return [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]


def value(chance: Random, depth: int = 0) -> Any:
    """Any JSON, numbers beyond all types among it."""
    match chance.randrange(9 if depth < 3 else 6):
        case 0:
            return chance.choice((True, False, None))
        case 1:
            return number(chance, 64) - number(chance, 63)
        case 2:
            return chance.choice((0.5, -0.0, 1e308, float("inf"), float("nan"), 10**400, -(10**30)))
        case 3:
            return chance.choice(_ODD) * chance.choice((1, 1, 1000))
        case 4 | 5:
            return chance.choice(("sky", "ARGMAX", "softmax", "bilinear", "x-", "__class__", "0"))
        case 6 | 7:
            return [value(chance, depth + 1) for _ in range(chance.choice((0, 1, 2, 3, 21)))]
        case _:
            keys = [chance.choice(("0", "1", "sky", "", "x-a", "00", "-1")) for _ in range(3)]
            return {key: value(chance, depth + 1) for key in keys}


def metadata(chance: Random) -> str:
    """What a program might say of itself."""
    fields: dict[str, Any] = {
        "schema": 1,
        "name": "net",
        "labels": ["sky", "road"],
        "mean": [0.5, 0.4, 0.3],
        "std": [0.2, 0.2, 0.2],
        "activation": "softmax",
        "background": "sky",
        "resample": "bilinear",
        "licence": "MIT",
        "origin": "https://example.org/net",
    }
    for _ in range(chance.choice((0, 1, 1, 2, 4))):
        key = chance.choice([*fields, "x-mine", "model_source", "sha256", "label"])
        fields[key] = value(chance)
    text = json.dumps(fields)
    if chance.random() < 0.1:  # the same key twice
        text = text[:-1] + f', "{chance.choice(list(fields))}": {json.dumps(value(chance))}}}'
    if chance.random() < 0.1:
        place = chance.randrange(len(text))
        deep = chance.choice(("[", '{"a":')) * chance.choice((10, 1000, 100_000))
        text = text[:place] + deep + text[place:]
    if chance.random() < 0.1:
        digits = long_digits(chance).decode()
        text = text.replace("0.5", digits * chance.choice((1, 1, 20)), 1)
    if chance.random() < 0.2:
        text = with_noise(chance, text.encode()).decode("utf-8", "surrogateescape")
    return text


def record(chance: Random) -> bytes:
    """What might stand in the cache where a record or a note should."""
    base = chance.choice(_records())
    if chance.random() < 0.5:
        lines = base.splitlines(keepends=True)
        out_of_order(chance, lines)
        base = b"".join(lines)
    match chance.randrange(5):
        case 0:
            return with_noise(chance, base)
        case 1:
            return base.replace(b"1000", long_digits(chance) * chance.choice((1, 20)), 1)
        case 2:
            return json.dumps(value(chance)).encode() + base
        case 3:
            deep = chance.choice((b"[", b'{"a":')) * chance.choice((10, 1000, 100_000))
            return base[:20] + deep + base[20:]
        case _:
            fields = chance.choice(("url", "size", "sha256", "mtime_ns", "salt", "total", "check"))
            return json.dumps({fields: value(chance), **_object(base)}).encode()


def _object(content: bytes) -> dict[str, Any]:
    try:
        found = json.loads(content.splitlines()[0] if content.count(b"\n") > 8 else content)
    except (ValueError, IndexError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


@cache
def _records() -> list[bytes]:
    from etseg._download.records import Record

    whole = Record("https://example.org/net.pte", 1000, "0" * 64, 1000, 1000, 1000).to_bytes()
    first = b'{"salt": "00", "asked": "00", "validator": "\\"etag\\"", "total": 1000}\n'
    return [whole, first + b"1000 " + b"0" * 64 + b" " + b"0" * 32 + b"\n"]


_NAMES = (
    "Content-Length", "Content-Range", "Content-Encoding", "Transfer-Encoding", "Location",
    "Retry-After", "ETag", "Last-Modified", "Date", "Accept-Ranges", "Connection", "Content-Type",
)  # fmt: skip


def headers(chance: Random) -> dict[str, str]:
    """Of a response."""
    return {chance.choice(_NAMES): _header_value(chance) for _ in range(chance.randrange(6))}


def _header_value(chance: Random) -> str:
    digits = [long_digits(chance).decode() for _ in range(3)]
    return chance.choice(
        (
            digits[0],
            ",".join(digits),
            f"bytes {digits[0]}-{digits[1]}/{digits[2]}",
            f"bytes 0-9/{digits[0]}",
            "bytes */*",
            "chunked",
            "gzip",
            "gzip, identity",
            "identity",
            '"etag"',
            'W/"etag"',
            "Thu, 26 Nov 2026 12:00:00 GMT",
            f"Thu, 26 Nov {digits[0]} 12:00:00 GMT",
            "/elsewhere",
            "//[",
            "http://127.0.0.1:1/x",
            "close",
            "\xff\x00",
            "x" * 10_000,
            chance.choice(_ODD).encode("latin-1", "replace").decode("latin-1"),
        )
    )


def response(chance: Random) -> bytes:
    """All that a server sends on a connection, before it closes it."""
    body = chance.choice(samples())[1][:2000]
    status = chance.choice(
        ("200 OK", "200 OK", "200 OK", "302 Found", "404 No", "429 Slow", "999 x")
    )
    lines = [f"HTTP/1.1 {status}".encode()]
    fields = headers(chance)
    if chance.random() < 0.6:
        fields["Content-Length"] = str(len(body))
    lines += [f"{name}: {text}".encode("latin-1", "replace") for name, text in fields.items()]
    if chance.random() < 0.3:
        cut = chance.randrange(1, len(body))
        sizes = [b"%x" % len(body[:cut]), b"%x" % len(body[cut:])]
        if chance.random() < 0.5:
            sizes[chance.randrange(2)] = long_digits(chance)
        chunks = [sizes[0], body[:cut], sizes[1], body[cut:], b"0", b""]
        if chance.random() < 0.3:
            out_of_order(chance, chunks)
        body = b"\r\n".join(chunks) + b"\r\n"
        lines.append(b"Transfer-Encoding: chunked")
    if chance.random() < 0.3:
        out_of_order(chance, lines)
    head = b"\r\n".join(lines) + b"\r\n\r\n"
    if chance.random() < 0.1:
        head = b"HTTP/1.1 100 Continue\r\n\r\n" * chance.choice((1, 50)) + head
    whole = head + body
    return with_noise(chance, whole) if chance.random() < 0.2 else whole
