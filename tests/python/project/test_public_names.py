"""What the package shows of itself."""

from __future__ import annotations

import inspect
import pickle
import traceback
from types import FunctionType
from typing import Any, get_type_hints

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


def test_nothing_else_is_shown() -> None:
    """But for modules of its own that somebody has imported, such as etseg.resources."""
    others = {name for name in dir(etseg) if not name.startswith("_")} - set(etseg.__all__)
    assert others <= {"resources", "batch", "export", "serve"}


@pytest.mark.parametrize("value", PUBLIC, ids=lambda value: value.__name__)
def test_public_names_belong_to_the_package(value: type | FunctionType) -> None:
    assert value.__module__ == "etseg"
    assert pickle.loads(pickle.dumps(value)) is value
    assert b"etseg._" not in pickle.dumps(value)


@pytest.mark.parametrize("value", PUBLIC, ids=lambda value: value.__name__)
def test_annotations_resolve(value: type | FunctionType) -> None:
    """As libraries ask for them that build forms or validators from a class, or of a method."""
    get_type_hints(value)


@pytest.mark.parametrize(
    "function",
    [
        etseg.segment,
        etseg.ImageSegmentationModule.__init__,
        etseg.ImageSegmentationModule.from_model_name,
        etseg.ImageSegmentationModule.from_custom_model,
        etseg.ImageSegmentationModule.from_custom_config,
    ],
    ids=lambda function: function.__name__,
)
def test_annotations_are_of_the_arguments_that_help_shows(function: Any) -> None:
    function = getattr(function, "__func__", function)
    annotated = set(get_type_hints(function, localns={"Self": Any}))
    arguments = set(inspect.signature(function).parameters) - {"self", "cls"}
    assert arguments <= annotated
    assert not {"options", "keywords"} & annotated
    assert get_type_hints(function, localns={"Self": Any})["limits"] is etseg.Limits


def test_tracebacks_name_errors_as_they_are_caught() -> None:
    with pytest.raises(etseg.ModuleNotLoadedError) as caught:
        etseg.ImageSegmentationModule().forward("photo.jpg")
    last_line = traceback.format_exception_only(caught.value)[-1]
    assert last_line.startswith("etseg.ModuleNotLoadedError: ")
