"""Errors as answers: RFC 9457, with the package's codes."""

from __future__ import annotations

from functools import lru_cache
from http import HTTPStatus
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from etseg._errors import (
    DownloadError,
    EtsegError,
    FileReadError,
    InvalidUserInputError,
    LabelError,
    ModuleNotLoadedError,
    OutOfMemoryError,
)

#: Which status an error of etseg has; what is not here is the service's own fault.
_STATUS: tuple[tuple[type[EtsegError], int], ...] = (
    (OutOfMemoryError, 503),
    (ModuleNotLoadedError, 503),
    (LabelError, 400),
    (DownloadError, 502),
    (FileReadError, 422),
    (InvalidUserInputError, 422),
)


class ProblemError(Exception):
    """Something to be told to the client."""

    def __init__(self, status: int, detail: str, **headers: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


def response(
    status: int, detail: str, headers: dict[str, str] | None = None, **more: Any
) -> Response:
    """``application/problem+json``."""
    title = HTTPStatus(status).phrase
    content = {"type": "about:blank", "title": title, "status": status, "detail": detail, **more}
    return JSONResponse(content, status, headers, "application/problem+json")


def of_problem(request: Request, error: Exception) -> Response:
    """Of what this folder raises."""
    assert isinstance(error, ProblemError)
    headers = dict(error.headers)
    if "expect" in request.headers:
        # It was to be told to send its body, and may now send it or another request.
        headers["Connection"] = "close"
    return _made(error.status, error.detail, tuple(headers.items()))


@lru_cache(maxsize=64)
def _made(status: int, detail: str, headers: tuple[tuple[str, str], ...]) -> Response:
    """Under overload one is sent a thousand times a second."""
    return response(status, detail, dict(headers))


def of_etseg(_request: Request, error: Exception) -> Response:
    """Of what etseg raises: a client's mistake says what it was; another one says no more."""
    assert isinstance(error, EtsegError)
    status = next((status for kind, status in _STATUS if isinstance(error, kind)), 500)
    detail = str(error) if status != 500 else "the service could not do this"
    headers = {"Retry-After": "1"} if status == 503 else None
    return response(status, detail, headers, code=int(error.code), name=error.code.name)


def of_http(_request: Request, error: Exception) -> Response:
    """Of the router: no such path, another method."""
    assert isinstance(error, HTTPException)
    return response(error.status_code, error.detail, dict(error.headers or {}))


def of_any(_request: Request, _error: Exception) -> Response:
    """Of a mistake of our own, which the server logs: nothing of it goes out."""
    return response(500, "the service could not do this")
