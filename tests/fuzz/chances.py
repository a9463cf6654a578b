"""What all mutations are made of: numbers that break things, and lists put out of order."""

from __future__ import annotations

import random
from collections.abc import MutableSequence
from typing import TypeVar

T = TypeVar("T")

Random = random.Random


def number(chance: Random, bits: int) -> int:
    """One that fits: near a power of two, near an end, small, or any."""
    top = (1 << bits) - 1
    match chance.randrange(6):
        case 0:
            value = chance.choice((0, 1, 2, 3, top, top - 1, top >> 1, (top >> 1) + 1))
        case 1:
            value = (1 << chance.randrange(bits)) + chance.randrange(-2, 3)
        case 2:
            value = chance.randrange(100)
        case 3:
            value = chance.choice((255, 256, 257, 1000, 4096, 10_000, 65_535, 65_536, 1_000_000))
        case _:
            value = chance.getrandbits(chance.randrange(1, bits + 1))
    return max(0, min(value, top))


def with_number(chance: Random, data: bytes, at: int | None = None) -> bytes:
    """One number somewhere, of 1 to 8 bytes in either order, changed."""
    if not data:
        return data
    size = chance.choice((1, 1, 2, 2, 4, 4, 8))
    if at is None:
        reach = len(data) if chance.random() < 0.3 else min(len(data), 64)
        at = chance.randrange(reach)
    order = "big" if chance.random() < 0.5 else "little"
    new = number(chance, 8 * size).to_bytes(size, order)  # type: ignore[arg-type]
    return (data[:at] + new + data[at + size :])[: max(len(data), at + size)]


def with_noise(chance: Random, data: bytes) -> bytes:
    """Bits flipped, a part lost, repeated, zeroed or cut off."""
    if not data:
        return data
    changed = bytearray(data)
    match chance.randrange(5):
        case 0:
            return data[: chance.randrange(len(data))]
        case 1:
            start = chance.randrange(len(data))
            part = changed[start : start + chance.randrange(1, 64)]
            changed[start : start + len(part)] = chance.choice((b"", bytes(len(part)), part * 2))
        case 2:
            start = chance.randrange(len(data))
            changed[start:start] = chance.choice((b"\xff", b"\0")) * chance.randrange(1, 5000)
        case _:
            reach = len(data) if chance.random() < 0.5 else min(len(data), 64)
            for _ in range(chance.choice((1, 1, 2, 8, 30))):
                changed[chance.randrange(reach)] ^= 1 << chance.randrange(8)
    return bytes(changed)


def out_of_order(chance: Random, parts: MutableSequence[T]) -> None:
    """One part lost, repeated (once or many times), or moved."""
    if not parts:
        return
    at, to = chance.randrange(len(parts)), chance.randrange(len(parts) + 1)
    match chance.randrange(5):
        case 0:
            del parts[at]
        case 1:
            parts.insert(to, parts[at])
        case 2:
            part = parts[at]
            for _ in range(chance.choice((2, 5, 20)) if len(parts) < 60 else 1):
                parts.insert(to, part)
        case 3:
            part = parts[at]
            del parts[at]
            parts.insert(min(to, len(parts)), part)
        case _:
            parts[at], parts[to - 1] = parts[to - 1], parts[at]


def long_digits(chance: Random) -> bytes:
    """A number written down: with zeros before it, too long, too large, or none."""
    value = b"%d" % number(chance, chance.choice((4, 8, 16, 32, 64)))
    match chance.randrange(5):
        case 0:
            return b"0" * chance.choice((1, 9, 30, 3000)) + value
        case 1:
            return value * chance.choice((2, 20, 1000))
        case 2:
            return chance.choice((b"", b"-", b"+", b"0x", b"1e9")) + value
        case _:
            return value
