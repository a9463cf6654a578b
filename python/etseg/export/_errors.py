"""What an export can fail with, beyond the package's own errors."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING

from etseg._errors import ErrorCode, EtsegError

if TYPE_CHECKING:
    from ._report import ExportReport


class ExportError(EtsegError, RuntimeError):
    """The network does not become a program, or not one that agrees with it.

    Attributes:
        report: what was measured before it was refused; None where it did not come so far.
    """

    default_code = ErrorCode.NOT_SUPPORTED

    def __init__(
        self,
        message: str,
        code: ErrorCode | None = None,
        report: ExportReport | None = None,
    ) -> None:
        super().__init__(message, code)
        self.report = report


def told(error: BaseException) -> str:
    """An error of a caller's own code: its class, what it says, and the line that it came from."""
    where = traceback.extract_tb(error.__traceback__)[-1]
    text = f"{type(error).__name__}: {first_line(error)}"
    return text if isinstance(error, SyntaxError) else f"{text} ({where.filename}:{where.lineno})"


def first_line(error: BaseException) -> str:
    """What an error of another library says, as a part of a sentence."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
