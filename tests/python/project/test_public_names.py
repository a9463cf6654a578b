"""What the package shows of itself."""

from __future__ import annotations

import pickle
import traceback
from types import FunctionType
from typing import get_type_hints

import pytest

import etseg

PUBLIC = [
    value
    for name in etseg.__all__
    if isinstance(value := getattr(etseg, name), (type, FunctionType))
]


def test_public_names_are_there_and_said_once() -> None:
    assert len(set(etseg.__all__)) == len(etseg.__all__)
    assert all(hasattr(etseg, name) for name in etseg.__all__)


@pytest.mark.parametrize("value", PUBLIC, ids=lambda value: value.__name__)
def test_public_names_belong_to_the_package(value: type | FunctionType) -> None:
    assert value.__module__ == "etseg"
    assert pickle.loads(pickle.dumps(value)) is value
    assert b"etseg._" not in pickle.dumps(value)


@pytest.mark.parametrize("value", PUBLIC, ids=lambda value: value.__name__)
def test_annotations_resolve(value: type | FunctionType) -> None:
    """As libraries ask for them that build forms or validators from a class."""
    get_type_hints(value)


def test_tracebacks_name_errors_as_they_are_caught() -> None:
    with pytest.raises(etseg.ModuleNotLoadedError) as caught:
        etseg.ImageSegmentationModule().forward("photo.jpg")
    last_line = traceback.format_exception_only(caught.value)[-1]
    assert last_line.startswith("etseg.ModuleNotLoadedError: ")
