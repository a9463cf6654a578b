"""What an export can fail with, beyond the package's own errors."""

from __future__ import annotations

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
