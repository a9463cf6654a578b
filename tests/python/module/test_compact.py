"""Modules whose ARGMAX takes a byte a pixel where the labels fit."""

from __future__ import annotations

from typing import Any

import numpy as np

from etseg._compact import compact_module
from programs import program


def dtype_of(model: Any, **options: Any) -> str:
    with compact_module(model, **options) as module:
        return str(module.forward(np.zeros((8, 8, 3), np.uint8)).argmax.dtype)


def test_a_byte_where_the_labels_fit() -> None:
    assert dtype_of(program("logits_c3")) == "uint8"
    assert dtype_of(program("logits_c300")) == "int32"


def test_what_is_asked_for_holds() -> None:
    assert dtype_of(program("logits_c3"), argmax_dtype="int32") == "int32"
