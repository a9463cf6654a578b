"""The error tree: what it says of itself is true, and every code of the core is in it."""

from __future__ import annotations

import builtins
import copy
import pickle
import re

import pytest

import etseg
from conftest import CHECKOUT
from etseg import ErrorCode, EtsegError, _errors
from etseg._errors import error_from_code

STATUS_HEADER = CHECKOUT / "cpp" / "include" / "etseg" / "status.h"

#: Every error of the package.
ERRORS = [
    thing
    for name in etseg.__all__
    if isinstance(thing := getattr(etseg, name), type) and issubclass(thing, EtsegError)
]

#: react-native-executorch's numbers.
REFERENCE = {
    "OK": 0,
    "INTERNAL": 1,
    "INVALID_STATE": 2,
    "END_OF_METHOD": 3,
    "NOT_SUPPORTED": 16,
    "NOT_IMPLEMENTED": 17,
    "INVALID_ARGUMENT": 18,
    "INVALID_TYPE": 19,
    "OPERATOR_MISSING": 20,
    "NOT_FOUND": 32,
    "MEMORY_ALLOCATION_FAILED": 33,
    "ACCESS_FAILED": 34,
    "INVALID_PROGRAM": 35,
    "INVALID_EXTERNAL_DATA": 36,
    "OUT_OF_RESOURCES": 37,
    "DELEGATE_INVALID_COMPATIBILITY": 48,
    "DELEGATE_MEMORY_ALLOCATION_FAILED": 49,
    "DELEGATE_INVALID_HANDLE": 50,
    "UNEXPECTED_NUM_INPUTS": 97,
    "UNKNOWN_ERROR": 101,
    "MODULE_NOT_LOADED": 102,
    "FILE_WRITE_FAILED": 103,
    "MODEL_GENERATING": 104,
    "INVALID_CONFIG": 112,
    "THREAD_POOL_ERROR": 113,
    "FILE_READ_FAILED": 114,
    "INVALID_MODEL_OUTPUT": 115,
    "WRONG_DIMENSIONS": 116,
    "INVALID_USER_INPUT": 117,
    "DOWNLOAD_INTERRUPTED": 118,
    "RESOURCE_FETCHER_DOWNLOAD_FAILED": 180,
    "RESOURCE_FETCHER_DOWNLOAD_IN_PROGRESS": 181,
    "RESOURCE_FETCHER_ALREADY_PAUSED": 182,
    "RESOURCE_FETCHER_ALREADY_ONGOING": 183,
    "RESOURCE_FETCHER_NOT_ACTIVE": 184,
    "RESOURCE_FETCHER_MISSING_URI": 185,
    "INVALID_MODEL_SOURCE": 255,
}


def codes_of_the_core() -> list[int]:
    """The values of `enum class Code`, but for success; empty outside a checkout."""
    if not STATUS_HEADER.is_file():
        return []
    header = re.sub(r"//.*", "", STATUS_HEADER.read_text())
    match = re.search(r"enum class Code[^{]*\{(.*?)\}", header, re.S)
    assert match is not None
    codes = [int(value) for value in re.findall(r"\bk\w+\s*=\s*(\d+)", match[1])]
    assert len(codes) == len(re.findall(r"\bk\w+", match[1])) > 10
    return [code for code in codes if code != 0]


def test_the_numbers_are_the_references() -> None:
    assert {code.name: int(code) for code in ErrorCode} == REFERENCE


@pytest.mark.parametrize("code", codes_of_the_core() or [None])
def test_every_code_of_the_core_is_mapped(code: int | None) -> None:
    if code is None:
        pytest.skip(f"no checkout: {STATUS_HEADER} is not here")
    error = error_from_code(code, "what happened")
    assert type(error) in ERRORS
    assert type(error) is not EtsegError
    assert error.code == code
    assert str(error) == "what happened"


def tree_in_the_docstring() -> dict[str, tuple[str, ...]]:
    """Each class, and the names of its bases, as drawn."""
    drawn: dict[str, tuple[str, ...]] = {}
    parents: list[tuple[int, str]] = []
    for line in (_errors.__doc__ or "").splitlines():
        match = re.match(r"([\s│├└─]*)(\w+Error)(?: \((\w+)\))?(?:\s|$)", line)
        if match is None:
            continue
        depth, name, builtin = len(match[1]), match[2], match[3]
        while parents and parents[-1][0] >= depth:
            parents.pop()
        bases = ([parents[-1][1]] if parents else ["Exception"]) + ([builtin] if builtin else [])
        drawn[name] = tuple(bases)
        parents.append((depth, name))
    return drawn


def test_the_tree_is_as_drawn() -> None:
    actual = {error.__name__: tuple(base.__name__ for base in error.__bases__) for error in ERRORS}
    assert tree_in_the_docstring() == actual
    defined = {
        name
        for name, thing in vars(_errors).items()
        if isinstance(thing, type) and issubclass(thing, EtsegError)
    }
    assert defined == set(actual)


@pytest.mark.parametrize("error_type", ERRORS)
def test_is_the_builtin_a_user_expects(error_type: type[EtsegError]) -> None:
    if error_type is EtsegError:
        return
    expected = {
        "ModuleNotLoadedError": RuntimeError,
        "InvalidStateError": RuntimeError,
        "ForkedProcessError": RuntimeError,
        "InternalError": RuntimeError,
        "OutOfMemoryError": MemoryError,
        "InvalidUserInputError": ValueError,
        "LabelError": KeyError,
        "InvalidConfigError": ValueError,
        "InvalidModelSourceError": ValueError,
        "InvalidModelError": ValueError,
        "UnsupportedModelError": ValueError,
        "FileReadError": OSError,
        "FileMissingError": FileNotFoundError,
        "FileWriteError": OSError,
    }
    if error_type.__name__ in expected:
        assert issubclass(error_type, expected[error_type.__name__])
    others = [
        thing
        for thing in vars(builtins).values()
        if isinstance(thing, type) and issubclass(thing, Exception) and thing is not Exception
    ]
    assert any(issubclass(error_type, thing) for thing in others)


@pytest.mark.parametrize("error_type", ERRORS)
@pytest.mark.parametrize("message", ["what happened", "", "'quoted' \u2014 \n two lines"])
def test_prints_its_message_and_travels(error_type: type[EtsegError], message: str) -> None:
    """As an OSError or KeyError it would print itself in a way of its own."""
    for error in (error_type(message), error_type(message, ErrorCode.NOT_FOUND)):
        assert str(error) == message
        assert error.code in (error_type.default_code, ErrorCode.NOT_FOUND)
        for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
            assert type(twin) is error_type
            assert str(twin) == message
            assert twin.code is error.code
    assert error_type(message).code is error_type.default_code
    assert isinstance(error_type.default_code, ErrorCode)


def test_every_error_says_what_it_is_for() -> None:
    for error_type in ERRORS:
        assert error_type.__doc__
