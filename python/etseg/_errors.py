"""The errors of etseg.

::

    EtsegError
    ├── ModuleNotLoadedError (RuntimeError)    nothing is loaded, or it was deleted meanwhile
    ├── InvalidStateError (RuntimeError)       the call came at a time when it cannot be done
    ├── ForkedProcessError (RuntimeError)      the process was forked from one that used etseg
    ├── InternalError (RuntimeError)           the runtime failed; not the caller's doing
    ├── OutOfMemoryError (MemoryError)
    ├── InvalidUserInputError (ValueError)     the image or another argument does not fit
    │   └── LabelError (KeyError)              a label that the model or the result does not have
    ├── InvalidConfigError (ValueError)        mean, std, activation, labels ... do not fit
    ├── InvalidModelSourceError (ValueError)   what was given is no source of a model
    ├── InvalidModelError (ValueError)         the file is no segmentation program
    │   └── UnsupportedModelError              it needs an operator or backend that is not here
    ├── FileReadError (OSError)                a file could not be read
    │   └── FileMissingError (FileNotFoundError)    there is no such file
    ├── FileWriteError (OSError)               a file could not be written
    └── DownloadError (OSError)                a download failed
"""

from __future__ import annotations

from enum import IntEnum

__all__ = [
    "DownloadError",
    "ErrorCode",
    "EtsegError",
    "FileMissingError",
    "FileReadError",
    "FileWriteError",
    "ForkedProcessError",
    "InternalError",
    "InvalidConfigError",
    "InvalidModelError",
    "InvalidModelSourceError",
    "InvalidStateError",
    "InvalidUserInputError",
    "LabelError",
    "ModuleNotLoadedError",
    "OutOfMemoryError",
    "UnsupportedModelError",
    "error_from_code",
]


class ErrorCode(IntEnum):
    """The numbers of react-native-executorch; those below 100 are ExecuTorch's own.

    All are here, for code that comes from there. Which of them etseg never raises, the
    documentation of the errors marks.
    """

    OK = 0
    INTERNAL = 1
    INVALID_STATE = 2
    END_OF_METHOD = 3
    NOT_SUPPORTED = 16
    NOT_IMPLEMENTED = 17
    INVALID_ARGUMENT = 18
    INVALID_TYPE = 19
    OPERATOR_MISSING = 20
    NOT_FOUND = 32
    MEMORY_ALLOCATION_FAILED = 33
    ACCESS_FAILED = 34
    INVALID_PROGRAM = 35
    INVALID_EXTERNAL_DATA = 36
    OUT_OF_RESOURCES = 37
    DELEGATE_INVALID_COMPATIBILITY = 48
    DELEGATE_MEMORY_ALLOCATION_FAILED = 49
    DELEGATE_INVALID_HANDLE = 50
    UNEXPECTED_NUM_INPUTS = 97
    UNKNOWN_ERROR = 101
    MODULE_NOT_LOADED = 102
    FILE_WRITE_FAILED = 103
    MODEL_GENERATING = 104
    INVALID_CONFIG = 112
    THREAD_POOL_ERROR = 113
    FILE_READ_FAILED = 114
    INVALID_MODEL_OUTPUT = 115
    WRONG_DIMENSIONS = 116
    INVALID_USER_INPUT = 117
    DOWNLOAD_INTERRUPTED = 118
    RESOURCE_FETCHER_DOWNLOAD_FAILED = 180
    RESOURCE_FETCHER_DOWNLOAD_IN_PROGRESS = 181
    RESOURCE_FETCHER_ALREADY_PAUSED = 182
    RESOURCE_FETCHER_ALREADY_ONGOING = 183
    RESOURCE_FETCHER_NOT_ACTIVE = 184
    RESOURCE_FETCHER_MISSING_URI = 185
    INVALID_MODEL_SOURCE = 255


class EtsegError(Exception):
    """Base of every error that etseg raises on purpose.

    Attributes:
        code: the :class:`ErrorCode` of react-native-executorch for this failure.
    """

    default_code = ErrorCode.UNKNOWN_ERROR

    def __init__(self, message: str, code: ErrorCode | None = None) -> None:
        super().__init__(message)
        self.code = self.default_code if code is None else code

    def __str__(self) -> str:
        # OSError and KeyError would each print a lone argument in a way of their own.
        return str(self.args[0])

    def __reduce__(self) -> tuple[type[EtsegError], tuple[str, ErrorCode]]:
        return type(self), (str(self), self.code)


class ModuleNotLoadedError(EtsegError, RuntimeError):
    """No model is loaded: load() was not called yet, or delete() was."""

    default_code = ErrorCode.MODULE_NOT_LOADED


class InvalidStateError(EtsegError, RuntimeError):
    """The call cannot be done at this time."""

    default_code = ErrorCode.INVALID_STATE


class ForkedProcessError(EtsegError, RuntimeError):
    """This process was forked from one that had used etseg; its threads are not here."""

    default_code = ErrorCode.THREAD_POOL_ERROR


class InternalError(EtsegError, RuntimeError):
    """The runtime failed in a way that is not the caller's doing."""

    default_code = ErrorCode.INTERNAL


class OutOfMemoryError(EtsegError, MemoryError):
    """An allocation failed."""

    default_code = ErrorCode.MEMORY_ALLOCATION_FAILED


class InvalidUserInputError(EtsegError, ValueError):
    """An argument does not fit; the message says which, and what was expected."""

    default_code = ErrorCode.INVALID_USER_INPUT


class LabelError(InvalidUserInputError, KeyError):
    """A label that the model does not have, or that the result was not asked for."""


class InvalidConfigError(EtsegError, ValueError):
    """A field of a ModelSpec, or an option, is wrong or does not fit the program."""

    default_code = ErrorCode.INVALID_CONFIG


class InvalidModelSourceError(EtsegError, ValueError):
    """What was given as a model is not a source of one."""

    default_code = ErrorCode.INVALID_MODEL_SOURCE


class InvalidModelError(EtsegError, ValueError):
    """The file is not an intact segmentation program."""

    default_code = ErrorCode.INVALID_PROGRAM


class UnsupportedModelError(InvalidModelError):
    """The program needs an operator or a backend that is not here; the message names it."""

    default_code = ErrorCode.NOT_SUPPORTED


class FileReadError(EtsegError, OSError):
    """A file could not be read, or is not an image that can be decoded."""

    default_code = ErrorCode.FILE_READ_FAILED


class FileMissingError(FileReadError, FileNotFoundError):
    """There is no file of that name: an image or a model, however it was spelled."""


class FileWriteError(EtsegError, OSError):
    """A file could not be written."""

    default_code = ErrorCode.FILE_WRITE_FAILED


class DownloadError(EtsegError, OSError):
    """A download failed, or was not possible."""

    default_code = ErrorCode.RESOURCE_FETCHER_DOWNLOAD_FAILED


# What the native core can return (cpp/include/etseg/status.h); a test holds the two together.
_BY_CODE: dict[ErrorCode, type[EtsegError]] = {
    ErrorCode.INTERNAL: InternalError,
    ErrorCode.INVALID_STATE: InvalidStateError,
    ErrorCode.NOT_SUPPORTED: UnsupportedModelError,
    ErrorCode.OPERATOR_MISSING: UnsupportedModelError,
    ErrorCode.MEMORY_ALLOCATION_FAILED: OutOfMemoryError,
    ErrorCode.INVALID_PROGRAM: InvalidModelError,
    ErrorCode.UNEXPECTED_NUM_INPUTS: InvalidModelError,
    ErrorCode.MODULE_NOT_LOADED: ModuleNotLoadedError,
    ErrorCode.INVALID_CONFIG: InvalidConfigError,
    ErrorCode.THREAD_POOL_ERROR: ForkedProcessError,
    ErrorCode.FILE_READ_FAILED: FileReadError,
    ErrorCode.INVALID_MODEL_OUTPUT: InvalidModelError,
    ErrorCode.WRONG_DIMENSIONS: InvalidModelError,
    ErrorCode.INVALID_USER_INPUT: InvalidUserInputError,
}


def error_from_code(code: int, message: str) -> EtsegError:
    """The error for a status of the native core. Called by the binding."""
    error_code = ErrorCode(code)
    return _BY_CODE[error_code](message, error_code)
