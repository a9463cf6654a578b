"""Whether what came is a program at all, and all of it."""

from __future__ import annotations

import re
from pathlib import Path

from etseg._errors import FileReadError, InvalidModelError
from etseg._messages import shown


def check_program(path: Path, size: int, url: str) -> None:
    """Whether a file is an ExecuTorch program and has the length it says it has.

    A proxy's login page is none; and a server may announce fewer bytes than there are.

    Raises:
        InvalidModelError: it is none, or cut off.
        FileReadError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            head = file.read(40)
    except OSError as error:
        raise FileReadError(f"cannot read {str(path)!r}: {error.strerror or error}") from error
    if not re.match(rb"....ET\d\d", head, re.DOTALL):
        raise InvalidModelError(
            f"{shown(url)} is no ExecuTorch program: it starts with {head[:16]!r}. Check the URL"
        )
    expected = program_length(head)
    if expected is not None and size < expected:
        raise InvalidModelError(
            f"{shown(url)} came with {size} bytes, but the program in it has {expected}: the "
            "server sends it cut off"
        )


def program_length(head: bytes) -> int | None:
    """How long the program is that starts with these 40 bytes; None of those that do not say."""
    if head[8:12] != b"eh00" or int.from_bytes(head[12:16], "little") < 32:
        return None
    program, segments, segment_bytes = (
        int.from_bytes(head[start : start + 8], "little") for start in (16, 24, 32)
    )
    return max(program, segments + segment_bytes)
