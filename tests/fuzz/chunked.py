"""Mutations of files made of parts in a row: PNG, JPEG, WebP, JPEG 2000's codestream."""

from __future__ import annotations

import struct
import zlib
from contextlib import suppress

from chances import Random, number, out_of_order, with_noise, with_number

Part = tuple[bytes, bytes]  # what it is, and its content


def png(chance: Random, data: bytes) -> bytes:
    """Chunks out of order, their content changed before or after compression; checksums right."""
    parts: list[Part] = []
    at = 8
    while at + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        parts.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + length]))
        at += 12 + length
    for _ in range(chance.choice((1, 1, 2, 3))):
        out = chance.randrange(5)
        index = chance.randrange(len(parts)) if parts else 0
        if out == 0 or not parts:
            out_of_order(chance, parts)
        elif out == 1:
            _png_pixels(chance, parts)
        elif out == 2:
            parts[0] = (parts[0][0], with_number(chance, parts[0][1]))
        elif out == 3:
            parts[index] = (parts[index][0], with_number(chance, parts[index][1]))
        else:
            kind = chance.choice((b"PLTE", b"tRNS", b"eXIf", b"iCCP", b"acTL", b"fdAT", b"IDAT"))
            parts.insert(index, (kind, chance.choice((data, parts[index][1], bytes(9), b""))))
    out_data = data[:8]
    for kind, content in parts:
        checksum = zlib.crc32(kind + content) ^ (chance.random() < 0.02)
        out_data += struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)
    return out_data


def _png_pixels(chance: Random, parts: list[Part]) -> None:
    """The rows changed, compressed anew, and split."""
    pixels = b"".join(content for kind, content in parts if kind == b"IDAT")
    with suppress(zlib.error):
        rows = zlib.decompress(pixels)
        rows = chance.choice((with_noise, with_number))(chance, rows)
        if chance.random() < 0.2:
            rows += bytes(chance.choice((1, 1000, 100_000)))
        pixels = zlib.compress(rows, chance.choice((0, 1, 9)))
    if chance.random() < 0.2:
        pixels = with_noise(chance, pixels)
    where = next((i for i, part in enumerate(parts) if part[0] == b"IDAT"), len(parts))
    parts[:] = [part for part in parts if part[0] != b"IDAT"]
    cut = chance.randrange(len(pixels) + 1)
    parts[where:where] = [(b"IDAT", pixels[:cut]), (b"IDAT", pixels[cut:])]


def jpeg(chance: Random, data: bytes) -> bytes:
    """Segments out of order, their numbers changed, one file inside another."""
    parts: list[Part] = []
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        (length,) = struct.unpack_from(">H", data, at + 2)
        end = at + 2 + length
        if marker == 0xDA:
            while end + 1 < len(data) and not (
                data[end] == 0xFF and data[end + 1] != 0 and not 0xD0 <= data[end + 1] <= 0xD7
            ):
                end += 1
        parts.append((data[at : at + 2], data[at + 4 : end]))
        at = end
    for _ in range(chance.choice((1, 1, 2, 3))):
        if not parts:
            break
        index = chance.randrange(len(parts))
        kind, content = parts[index]
        match chance.randrange(5):
            case 0 | 1:
                out_of_order(chance, parts)
            case 2:
                frames = [i for i, p in enumerate(parts) if 0xC0 <= p[0][1] <= 0xCF]
                index = chance.choice(frames or [index])
                kind = (
                    bytes([0xFF, chance.randrange(0xC0, 0xD0)]) if chance.random() < 0.3 else kind
                )
                parts[index] = (kind, with_number(chance, parts[index][1], chance.randrange(10)))
            case 3:
                parts[index] = (kind, with_number(chance, content))
            case _:
                marker = bytes([0xFF, chance.randrange(0xC0, 0x100)])
                inside = chance.choice((data[:60_000], content, b"", b"\xff" * 5000))
                parts.insert(index, (marker, inside))
    out = b"\xff\xd8"
    for kind, content in parts:
        fill = b"\xff" * chance.choice((1, 1, 1, 1, 1, 1, 1, 1, 2, 5000)) + kind[1:]
        length = 2 + len(content) if kind != b"\xff\xda" else 2 + _scan_header(content)
        if chance.random() < 0.02:
            length = number(chance, 16)
        out += fill + struct.pack(">H", min(length, 65535)) + content
    return out + (b"\xff\xd9" if chance.random() < 0.9 else b"")


def _scan_header(content: bytes) -> int:
    return 4 + 2 * content[0] if content else 0


def webp(chance: Random, data: bytes) -> bytes:
    """Chunks out of order, canvas and pictures of different sizes, files inside chunks."""
    parts = _riff(data[12:])
    for _ in range(chance.choice((1, 1, 2, 3))):
        if not parts:
            break
        index = chance.randrange(len(parts))
        kind, content = parts[index]
        match chance.randrange(5):
            case 0:
                out_of_order(chance, parts)
            case 1:
                parts[index] = (kind, with_number(chance, content, chance.randrange(12)))
            case 2:
                parts[index] = (kind, with_noise(chance, content))
            case 3:
                canvas = bytes([chance.getrandbits(8), 0, 0, 0])
                canvas += struct.pack("<I", number(chance, 24))[:3] * 2
                parts.insert(0, (b"VP8X", canvas))
            case _:
                kind = chance.choice(
                    (b"VP8 ", b"VP8L", b"VP8X", b"ANIM", b"ANMF", b"ALPH", b"EXIF")
                )
                parts.insert(index, (kind, chance.choice((data, content, bytes(16)))))
    body = b"WEBP"
    for kind, content in parts:
        length = len(content) if chance.random() < 0.97 else number(chance, 32)
        body += kind + struct.pack("<I", length) + content + b"\0" * (len(content) % 2)
    length = len(body) if chance.random() < 0.95 else number(chance, 32)
    return b"RIFF" + struct.pack("<I", length) + body


def _riff(data: bytes) -> list[Part]:
    parts, at = [], 0
    while at + 8 <= len(data):
        (length,) = struct.unpack_from("<I", data, at + 4)
        parts.append((data[at : at + 4], data[at + 8 : at + 8 + length]))
        at += 8 + length + length % 2
    return parts


def codestream(chance: Random, data: bytes) -> bytes:
    """JPEG 2000's segments out of order, and their numbers changed, those of tile-parts too."""
    parts: list[Part] = []
    at = 2
    while at + 4 <= len(data):
        marker = data[at : at + 2]
        (length,) = struct.unpack_from(">H", data, at + 2)
        if marker in (b"\xff\x93", b"\xff\xd9"):
            break
        parts.append((marker, data[at + 4 : at + 2 + length]))
        at += 2 + length
    rest = data[at:]
    for _ in range(chance.choice((1, 1, 2, 3))):
        index = chance.randrange(len(parts)) if parts else 0
        match chance.randrange(5):
            case 0:
                out_of_order(chance, parts)
            case 1 | 2:
                if parts:
                    kind, content = parts[index]
                    parts[index] = (kind, with_number(chance, content, chance.randrange(40)))
            case 3:
                marker = bytes([0xFF, chance.randrange(0x30, 0x94)])
                inside = b"".join(k + struct.pack(">H", 2 + len(c)) + c for k, c in parts[:3])
                parts.insert(index, (marker, chance.choice((inside, bytes(40), b""))))
            case _:
                rest = with_noise(chance, rest)
    out = data[:2]
    for kind, content in parts:
        length = 2 + len(content) if chance.random() < 0.98 else number(chance, 16)
        out += kind + struct.pack(">H", length & 0xFFFF) + content
    return out + rest
