"""Mutations of files whose numbers stand at known places: TIFF, BMP, GIF, PNM."""

from __future__ import annotations

import struct

from chances import Random, long_digits, number, out_of_order, with_noise, with_number

_TAGS = (254, 256, 257, 258, 259, 262, 266, 273, 274, 277, 278, 279, 284, 317, 320, 322, 323)
_TAGS += (324, 325, 330, 338, 339, 347, 529, 530, 531, 532, 34665)
_VALUES = (0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 16, 24, 32, 64, 32773, 32845, 34712, 65535)


def tiff(chance: Random, data: bytes) -> bytes:
    """Tags repeated, lost, out of order, of other types, counts and values; loops."""
    order = "<" if data[:2] == b"II" else ">"
    (start,) = struct.unpack_from(order + "I", data, 4)
    (count,) = struct.unpack_from(order + "H", data, start)
    entries = [struct.unpack_from(order + "HHII", data, start + 2 + 12 * i) for i in range(count)]
    # What is shorter than four bytes stands at the left of its field, in either order.
    for _ in range(chance.choice((1, 1, 2, 3))):
        index = chance.randrange(len(entries)) if entries else 0
        match chance.randrange(6):
            case 0:
                out_of_order(chance, entries)
            case 1 | 2 if entries:
                tag, kind, values, _ = entries[index]
                value = chance.choice((number(chance, 32), chance.choice(_VALUES)))
                entries[index] = (tag, kind, values, _field(order, kind, value))
            case 3 if entries:
                tag, kind, values, value = entries[index]
                kind = chance.choice((kind, chance.randrange(1, 19)))
                entries[index] = (tag, kind, number(chance, 32), value)
            case 4:
                kind = chance.choice((3, 4, 4, 16, chance.randrange(1, 19)))
                value = _field(order, kind, chance.choice((number(chance, 32), *_VALUES)))
                entries.insert(index, (chance.choice(_TAGS), kind, 1, value))
            case _ if entries:  # the same tag, another value, at either side of it
                tag, kind, values, _ = entries[index]
                value = _field(order, 4, number(chance, chance.choice((8, 16, 32))))
                entries.insert(index + chance.randrange(2), (tag, 4, 1, value))
    where = len(data)
    following = chance.choice((0, 0, 0, where, 8, number(chance, 32)))
    directory = struct.pack(order + "H", len(entries) & 0xFFFF)
    directory += b"".join(struct.pack(order + "HHII", *entry) for entry in entries)
    out = data[:4] + struct.pack(order + "I", where) + data[8:]
    out += directory + struct.pack(order + "I", following)
    return with_noise(chance, out) if chance.random() < 0.05 else out


def _field(order: str, kind: int, value: int) -> int:
    if kind == 3 and order == ">":
        return (value & 0xFFFF) << 16
    return value & 0xFFFFFFFF


def bmp(chance: Random, data: bytes) -> bytes:
    """Other headers, sizes, depths and compressions."""
    changed = data
    for _ in range(chance.choice((1, 1, 2, 3))):
        match chance.randrange(4):
            case 0:
                changed = with_number(chance, changed, chance.randrange(54))
            case 1:
                size = struct.pack("<HHHH", number(chance, 16), number(chance, 16), 1, 24)
                changed = changed[:14] + struct.pack("<I", 12) + size + changed[26:]
            case 2:
                depth = chance.choice((1, 4, 8, 16, 24, 32))
                how = struct.pack("<HI", depth, chance.randrange(7))
                changed = changed[:28] + how + changed[34:]
            case _:
                changed = with_noise(chance, changed)
    return changed


def gif(chance: Random, data: bytes) -> bytes:
    """Screen and pictures of different sizes, palettes lost, blocks repeated."""
    changed = data
    for _ in range(chance.choice((1, 1, 2, 3))):
        at = changed.find(b"\x2c", 13)
        match chance.randrange(5):
            case 0:
                changed = with_number(chance, changed, 6 + chance.randrange(7))
            case 1 if at > 0:
                changed = with_number(chance, changed, at + 1 + chance.randrange(10))
            case 2 if at > 0:
                picture = changed[at:-1][:20_000]
                changed = changed[:at] + picture * chance.choice((2, 20)) + changed[at:]
            case 3:
                block = b"\x21" + bytes([chance.choice((0xF9, 0xFF, 0xFE, 0x01)), 4]) + bytes(5)
                changed = changed[:at] + block * chance.choice((1, 1000)) + changed[at:]
            case _:
                changed = with_noise(chance, changed)
    return changed


def pnm(chance: Random, data: bytes) -> bytes:
    """Numbers made long, with zeros, signs and comments between them."""
    pixels = data.split(b"\n", 3)[-1]

    def gap() -> bytes:
        comment = b"#" + b"x" * chance.choice((0, 5, 3000)) + chance.choice((b"\n", b"\r", b""))
        blanks = chance.choice((b" ", b"\n", b"\t", b"\r\n", b"\v")) * chance.choice((1, 1, 1, 50))
        return chance.choice((blanks, blanks, blanks, blanks + comment, comment + blanks))

    kind = b"P" + bytes([chance.choice(b"123456567")])
    fields = [b"%d" % chance.choice((1, 8, 24, 40, 1000)) for _ in range(2)]
    fields.append(chance.choice((b"255", b"1", b"100", b"256", b"65535", b"0")))
    for _ in range(chance.choice((0, 1, 1, 2))):
        fields[chance.randrange(len(fields))] = long_digits(chance)
    if chance.random() < 0.1:
        out_of_order(chance, fields)
    if kind in (b"P1", b"P2", b"P3"):
        most = chance.choice((50, 3000))
        pixels = gap().join(long_digits(chance)[:20] for _ in range(chance.randrange(most)))
    elif chance.random() < 0.5:
        pixels *= chance.choice((0, 2, 20))
    head = kind + b"".join(gap() + each for each in fields)
    return head + gap()[:1] + pixels
