"""From a request to the image and the options in it, within bounds of bytes and time."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException
from starlette.requests import ClientDisconnect, Request
from starlette.types import Message, Receive

from ._problem import ProblemError

#: Of a form: the image, the options, and not many more.
_MOST_FIELDS = 16


@dataclass(frozen=True)
class Posted:
    """What a client sent: the bytes of an image file, or the URL of one."""

    image: bytes
    url: str | None
    options: Mapping[str, str]


async def posted(request: Request, max_bytes: int, seconds: float) -> Posted:
    """Reads a body: an image file itself, a form with the field "image", or JSON.

    JSON has "image" (base64 or a data URI) or "url". Options stand in the query, among the fields
    of the form or the members of the JSON; the query comes first.

    Raises:
        ProblemError: 400, 408, 413 or 415: what is wrong with it.
        ClientDisconnect: the client left.
    """
    declared = request.headers.get("content-length", "0")
    if not declared.isascii() or not declared.isdecimal():
        raise ProblemError(400, "Content-Length is no number")
    if len(declared) > 15 or int(declared) > max_bytes:
        raise _too_large(max_bytes)
    bounded = Request(request.scope, _bounded(request.receive, max_bytes, seconds))
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        found = await _of_form(bounded, max_bytes)
    elif kind == "application/json":
        found = _of_json(await bounded.body())
    else:
        found = Posted(await bounded.body(), None, {})
    if not found.image and not found.url:
        raise ProblemError(
            400, "there is no image: send a file as the body, or as the field 'image'"
        )
    return replace(found, options={**found.options, **request.query_params})


def _bounded(receive: Receive, max_bytes: int, seconds: float) -> Receive:
    """The messages of a body, until it is too large or takes too long."""
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    count = 0

    async def next_message() -> Message:
        nonlocal count
        try:
            message = await asyncio.wait_for(receive(), max(0.0, end - loop.time()))
        except asyncio.TimeoutError:  # another class before Python 3.11
            raise ProblemError(
                408, f"the body did not arrive within {seconds:g} s", Connection="close"
            ) from None
        count += len(message.get("body", b""))
        if count > max_bytes:
            raise _too_large(max_bytes)
        return message

    return next_message


def _too_large(max_bytes: int) -> ProblemError:
    # What is still on its way is not read: the connection cannot be used again.
    return ProblemError(413, f"the body has more than {max_bytes} bytes", Connection="close")


async def _of_form(request: Request, max_bytes: int) -> Posted:
    try:
        form: Any = await request.form(
            max_files=1, max_fields=_MOST_FIELDS, max_part_size=min(max_bytes, 1 << 20)
        )
    except (MultiPartException, KeyError, ValueError, UnicodeDecodeError) as error:
        detail = getattr(error, "message", None) or str(error)
        raise ProblemError(400, f"the form cannot be read: {detail}") from None
    try:
        image, options = b"", {}
        for name, value in form.multi_items():
            if isinstance(value, UploadFile):
                image = await value.read()
            else:
                options[name] = value
        return Posted(image, None, options)
    finally:
        await form.close()


def _of_json(body: bytes) -> Posted:
    try:
        content = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise ProblemError(400, f"the body is no JSON: {error}") from None
    if not isinstance(content, dict):
        raise ProblemError(400, "the JSON is no object; expected {'image': base64} or {'url': ...}")
    given = [name for name in ("image", "url") if name in content]
    if len(given) != 1 or not isinstance(content[given[0]], str):
        raise ProblemError(400, "the JSON needs one of 'image' (base64) and 'url', a string")
    options = {name: _as_text(value) for name, value in content.items() if name not in given}
    if given == ["url"]:
        return Posted(b"", content["url"], options)
    # Decoded here: for forward(), a string could be a path or a URL.
    text = content["image"]
    head, comma, data = text.partition(",")
    if not (comma and head.startswith("data:") and head.endswith(";base64")):
        data = text
    try:
        return Posted(base64.b64decode(data, validate=True), None, options)
    except ValueError as error:
        raise ProblemError(400, f"'image' is no base64: {error}") from None


def _as_text(value: Any) -> str:
    """Options of JSON may be lists, booleans and numbers: they read as in a query."""
    if isinstance(value, list):
        return ",".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


__all__ = ["ClientDisconnect", "Posted", "posted"]
