"""Enums of labels: those that are made of names, and those that may describe a model."""

from __future__ import annotations

import copyreg
import operator
import re
from collections.abc import Iterable, Mapping, Sequence
from enum import EnumMeta, IntEnum
from functools import cache
from typing import Any, cast

from ._errors import InvalidConfigError
from ._messages import brief

#: What may describe all labels of a model: an enum, names in order, or ``{index: name}``.
Labels = type[IntEnum] | Sequence[str] | Mapping[Any, str]

#: The member, or key, that stands for the map of all labels' indices.
ARGMAX = "ARGMAX"


class NamedMeta(EnumMeta):
    """Of the enums that are made of names: they remember them, and pickle as them."""

    given: tuple[str, ...]


class _NamedLabel(IntEnum, metaclass=NamedMeta):
    """Base of the enums that are made of names."""


@cache
def enum_of_names(names: tuple[str, ...]) -> type[IntEnum]:
    """An IntEnum of these labels, ARGMAX last. Equal names give the same enum, so that members
    pickled in one process are members of the model's enum in another.
    """
    members: dict[str, int] = {}
    for index, name in enumerate(names):
        member = re.sub(r"\W+", "_", name).strip("_").upper() or f"CLASS_{index}"
        if member[0].isdigit():
            member = f"CLASS_{member}"
        while member in members or member == ARGMAX:
            member = f"{member}_{index}"
        members[member] = index
    members[ARGMAX] = len(names)
    make: Any = _NamedLabel
    enum: type[IntEnum] = make("Label", members, module=__name__)
    cast("NamedMeta", enum).given = names

    def reduce(self: int, _protocol: object) -> tuple[Any, ...]:
        return _member, (names, int(self))

    enum.__reduce_ex__ = reduce  # type: ignore[assignment, method-assign]
    return enum


def _reduced(enum: Any) -> tuple[Any, ...]:
    return enum_of_names, (enum.given,)


copyreg.pickle(NamedMeta, _reduced)


def _member(names: tuple[str, ...], value: int) -> IntEnum:
    return enum_of_names(names)(value)


def normalize_labels(labels: Labels) -> type[IntEnum] | tuple[str, ...]:
    """Checks what describes the labels of a spec, and makes it hashable.

    Raises:
        InvalidConfigError: not an IntEnum, a sequence of names or an ``{index: name}`` mapping;
            names that are empty or repeat; indices that are not 0, 1, 2, ...
    """
    if isinstance(labels, type):
        if not issubclass(labels, IntEnum):
            raise InvalidConfigError(f"labels is {labels!r}; expected an IntEnum, names or a dict")
        return _checked_enum(labels)
    if isinstance(labels, Mapping):
        labels = _in_order(labels)
    if isinstance(labels, (str, bytes)) or not isinstance(labels, Iterable):
        raise InvalidConfigError(f"labels is {brief(labels)}; expected an IntEnum, names or a dict")
    names = tuple(labels)
    if not names or not all(isinstance(name, str) and name.strip() for name in names):
        raise InvalidConfigError(f"labels are {brief(names)}; expected names, none of them empty")
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise InvalidConfigError(
                f"the label {brief(name)} stands twice; every label needs its own name"
            )
        seen.add(name)
    return names


def _in_order(labels: Mapping[Any, str]) -> list[str]:
    by_index = {_index(key): name for key, name in labels.items()}
    if None in by_index or by_index.keys() != set(range(len(labels))):
        raise InvalidConfigError(
            f"the keys of labels are {brief(list(labels)[:5])}...; expected 0, 1, 2, ... each once"
        )
    return [by_index[index] for index in range(len(labels))]


def _index(key: object) -> int | None:
    """An index, as a number or, in JSON, as text; None where it is none."""
    if isinstance(key, str):
        return int(key) if re.fullmatch(r"[0-9]{1,9}", key) else None
    try:
        return None if isinstance(key, bool) else operator.index(key)  # type: ignore[arg-type]
    except TypeError:
        return None


def _checked_enum(enum: type[IntEnum]) -> type[IntEnum]:
    # An enum iterates over members, each once, whatever further names they have.
    values = sorted(int(member) for member in enum if member.name != ARGMAX)
    if not values or values != list(range(len(values))):
        raise InvalidConfigError(
            f"the values of {enum.__name__} are {brief(values[:5])}...; expected 0, 1, 2, ... each "
            "once"
        )
    argmax = enum.__members__.get(ARGMAX)
    if argmax is not None and int(argmax) != len(values):
        raise InvalidConfigError(
            f"{enum.__name__}.ARGMAX is {int(argmax)}; expected {len(values)}, after the classes"
        )
    same = [name for name, member in enum.__members__.items() if member is argmax]
    if argmax is not None and same != [ARGMAX]:
        raise InvalidConfigError(
            f"{' and '.join(same)} of {enum.__name__} are one; expected an ARGMAX of its own"
        )
    return enum
