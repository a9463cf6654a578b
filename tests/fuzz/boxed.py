"""Mutations of files made of boxes in boxes: AVIF and JPEG 2000."""

from __future__ import annotations

import struct
from copy import deepcopy
from dataclasses import dataclass, field

from chances import Random, number, out_of_order, with_noise, with_number
from chunked import codestream

#: What stands before the boxes in a box.
_HEADS = {b"meta": 4, b"iprp": 0, b"ipco": 0, b"iinf": 6, b"iref": 4, b"jp2h": 0, b"moov": 0}
_HEADS |= {b"trak": 0, b"mdia": 0, b"minf": 0, b"stbl": 0, b"dinf": 0, b"stsd": 8}


@dataclass
class Box:
    """A box, and those in it."""

    kind: bytes
    content: bytes  # of one without boxes; else what stands before them
    inside: list[Box] | None = None
    length: int | None = None  # that it says it has; None for the truth
    wide: bool = False

    def written(self) -> bytes:
        body = self.content + b"".join(box.written() for box in self.inside or ())
        head = 16 if self.wide else 8
        length = head + len(body) if self.length is None else self.length
        if self.wide:
            return struct.pack(">I4sQ", 1, self.kind, length & (2**64 - 1)) + body
        return struct.pack(">I4s", length & (2**32 - 1), self.kind) + body


@dataclass
class _File:
    boxes: list[Box] = field(default_factory=list)

    def lists(self) -> list[list[Box]]:
        """Every list of boxes in the file."""
        found, todo = [], [self.boxes]
        while todo:
            boxes = todo.pop()
            found.append(boxes)
            todo += [box.inside for box in boxes if box.inside is not None]
        return found


def boxed(chance: Random, data: bytes) -> bytes:
    """Boxes repeated, nested, lost, of wrong lengths; sizes that contradict the stream's."""
    file = _File(_parsed(data))
    before = data.find(b"mdat")
    for _ in range(chance.choice((1, 1, 2, 3))):
        _mutate(chance, file)
    out = b"".join(box.written() for box in file.boxes)
    after = out.find(b"mdat")
    if before > 0 < after and chance.random() < 0.9:
        out = _moved(out, after - before)
    return out


def _parsed(data: bytes, depth: int = 0) -> list[Box]:
    boxes, at = [], 0
    while at + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        length = length or len(data) - at
        if length < 8 or at + length > len(data):
            break
        content = data[at + 8 : at + length]
        head = _HEADS.get(kind)
        if head is None or depth > 8:
            boxes.append(Box(kind, content))
        else:
            boxes.append(Box(kind, content[:head], _parsed(content[head:], depth + 1)))
        at += length
    return boxes


def _mutate(chance: Random, file: _File) -> None:
    boxes = chance.choice([found for found in file.lists() if found] or [file.boxes])
    if not boxes:
        return
    box = chance.choice(boxes)
    index = next(i for i, each in enumerate(boxes) if each is box)
    match chance.randrange(8):
        case 0 | 1:
            out_of_order(chance, boxes)
        case 2:
            boxes[index] = Box(box.kind, with_number(chance, box.content), box.inside)
        case 3:
            stream = codestream if box.kind == b"jp2c" else with_noise
            boxes[index] = Box(box.kind, stream(chance, box.content), box.inside)
        case 4:
            sizes = (0, 1, 7, 8, number(chance, 32), number(chance, 64))
            boxes[index] = Box(box.kind, box.content, box.inside, chance.choice(sizes))
            boxes[index].wide = chance.random() < 0.5
        case 5:  # nested, perhaps deeply
            kinds = (box.kind, b"meta", b"jp2h", b"free")
            content = box.written()
            for _ in range(chance.choice((1, 1, 2, 3000))):
                content = Box(chance.choice(kinds), b"\0" * 4 + content).written()
            boxes[index] = Box(b"free", content)
            if chance.random() < 0.8:
                boxes[index : index + 1] = _parsed(content)
        case 6:  # another size
            size = struct.pack(">4xII", number(chance, 16), number(chance, 16))
            boxes.insert(index, Box(b"ispe", size))
        case _:  # another of the file's boxes, in a place that is not its own
            other = chance.choice(chance.choice([f for f in file.lists() if f]))
            boxes.insert(index, deepcopy(other))


def _moved(data: bytes, by: int) -> bytes:
    """The offset of a picture corrected, so that it is where iloc says."""
    at = data.find(b"iloc")
    if at < 0 or at + 16 > len(data):
        return data
    version, count = data[at + 4], struct.unpack_from(">H", data, at + 10)[0]
    changed = bytearray(data)
    at += 12
    for _ in range(min(count, 4)):
        at += 4 + (2 if version else 0)  # item, method, reference
        if at + 10 > len(data):
            break
        (extents,) = struct.unpack_from(">H", data, at)
        (offset,) = struct.unpack_from(">I", data, at + 2)
        struct.pack_into(">I", changed, at + 2, (offset + by) & 0xFFFFFFFF)
        at += 2 + 8 * extents
    return bytes(changed)
