"""From a body to the image and the options in it."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from python_multipart import FormParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import Field, File, parse_options_header

from ._problem import ProblemError

_FORM, _JSON = "multipart/form-data", "application/json"
#: Bytes of a form or JSON that are read in no time, whatever is in them.
_SMALL = 1 << 14
#: Of a form: the image, the options, and not many more.
_MOST_PARTS = 16
#: Characters of a header Content-Type: the time for its parameters grows with their square.
_LONGEST_TYPE = 1000


@dataclass(frozen=True)
class Posted:
    """What a client sent: the bytes of an image file, or the URL of one."""

    image: bytes
    url: str | None
    options: Mapping[str, str]


def posted(body: bytes, content_type: str, query: Mapping[str, str]) -> Posted:
    """What is in a body: an image file itself, a form with the field "image", or JSON.

    JSON has "image" (base64 or a data URI) or "url". Options stand in the query, among the fields
    of the form or the members of the JSON; the query comes first.

    Raises:
        ProblemError: 400: what is wrong with it.
    """
    kind = _kind(content_type)
    if kind == _FORM:
        found = _of_form(body, content_type)
    elif kind == _JSON:
        found = _of_json(body)
    else:
        found = Posted(body, None, {})
    if not found.image and not found.url:
        raise ProblemError(
            400, "there is no image: send a file as the body, or as the field 'image'"
        )
    return Posted(found.image, found.url, {**found.options, **query})


def takes_time(body: bytes, content_type: str) -> bool:
    """Whether :func:`posted` is work for a thread."""
    return len(body) > _SMALL and _kind(content_type) in (_FORM, _JSON)


def _kind(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower()


def _of_form(body: bytes, content_type: str) -> Posted:
    if len(content_type) > _LONGEST_TYPE:
        raise ProblemError(400, "the header Content-Type is too long")
    images: list[bytes] = []
    options: dict[str, str] = {}
    ended: list[bool] = []

    def count() -> None:
        if len(images) + len(options) >= _MOST_PARTS:
            raise ProblemError(400, f"the form has more than {_MOST_PARTS} parts")

    def on_file(file: File) -> None:
        count()
        file.file_object.seek(0)
        images.append(file.file_object.read())
        file.close()

    def on_field(field: Field) -> None:
        count()
        name, value = (field.field_name or b"").decode(), (field.value or b"")
        # A part without a file's name, as some programs send an image.
        if name == "image":
            images.append(value)
        else:
            options[name] = value.decode()

    try:
        parser = FormParser(
            _FORM,
            on_field,
            on_file,
            on_end=lambda: ended.append(True),
            boundary=parse_options_header(content_type)[1].get(b"boundary"),
            # It is in memory as it is: no copy goes to a disk.
            config={"MAX_MEMORY_FILE_SIZE": len(body) + 1},
        )
        parser.write(body)
        parser.finalize()
    except (FormParserError, ValueError) as error:
        raise ProblemError(400, f"the form cannot be read: {error}") from None
    if not ended:
        raise ProblemError(400, "the form cannot be read: it has no end")
    if len(images) > 1:
        raise ProblemError(400, f"the form has {len(images)} images; expected one")
    return Posted(images[0] if images else b"", None, options)


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
