"""An attempt that failed."""

from __future__ import annotations

from etseg._errors import ErrorCode


class PassingError(Exception):
    """An attempt failed in a way that may be gone at the next. Never leaves the package."""

    def __init__(self, message: str, code: ErrorCode, pause: float = 0.0) -> None:
        super().__init__(message)
        self.code = code
        self.pause = pause  # what the server asked for, in seconds
