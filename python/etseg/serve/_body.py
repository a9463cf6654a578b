"""From a request to its body, within bounds of bytes and time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from starlette.requests import ClientDisconnect, Request

from ._problem import ProblemError


async def body_of(
    request: Request, max_bytes: int, seconds: float, take: Callable[[int], None]
) -> bytes:
    """Reads a body to its end.

    Args:
        request: whose body nobody has read.
        max_bytes: of it.
        seconds: in which it has to arrive.
        take: told of the bytes of each part before it is kept.

    Raises:
        ProblemError: 400, 408 or 413: what is wrong with it; or what `take` raises.
        ClientDisconnect: the client left.
    """
    declared = request.headers.get("content-length", "0")
    if not declared.isascii() or not declared.isdecimal():
        raise ProblemError(400, "Content-Length is no number")
    if len(declared) > 15 or int(declared) > max_bytes:
        raise _too_large(max_bytes)
    try:
        return await asyncio.wait_for(_read(request, max_bytes, take), seconds)
    except asyncio.TimeoutError:  # another class before Python 3.11
        raise ProblemError(
            408, f"the body did not arrive within {seconds:g} s", Connection="close"
        ) from None


async def _read(request: Request, max_bytes: int, take: Callable[[int], None]) -> bytes:
    parts: list[bytes] = []
    count = 0
    while True:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        part = message.get("body", b"")
        count += len(part)
        if count > max_bytes:
            raise _too_large(max_bytes)
        take(len(part))
        parts.append(part)
        if not message.get("more_body", False):
            return b"".join(parts)


def _too_large(max_bytes: int) -> ProblemError:
    return ProblemError(413, f"the body has more than {max_bytes} bytes")
