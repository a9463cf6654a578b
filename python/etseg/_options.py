"""Options that several functions take: each said, checked and described once."""

from __future__ import annotations

import inspect
import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from functools import cache
from typing import Any, Literal, TypedDict, TypeVar, get_type_hints

import numpy as np

from ._errors import InvalidConfigError, InvalidUserInputError
from ._labels import Label
from ._limits import Limits

#: The environment variable with the default of `packed_weights`.
PACKED_WEIGHTS = "ETSEG_PACKED_WEIGHTS"
#: The most instances that a module may have: kMaxInstances of the core.
MAX_CONCURRENCY = 256

T = TypeVar("T", bound=Callable[..., Any])


@dataclass(frozen=True, kw_only=True)
class ModuleOptions:
    """How a module works, whatever is loaded.

    Args:
        concurrency: how many calls may run at the same time, 1 to 256. They share what is read of
            the file; each costs the memory of one more set of buffers, and of packed weights too
            unless `packed_weights` is "file". 1 gives the shortest time for one image, as many as
            there are cores the most images a second.
        argmax_dtype: type of the ARGMAX maps, "int32" or "uint8". The second is for models with
            at most 256 labels, and four times smaller.
        scaled_decode: whether a JPEG much larger than the model's input is decoded at 1/2, 1/4 or
            1/8 of its size, with at least twice the input left on both sides. The result is the
            whole image's size all the same; next to that of the whole image's pixels, its last
            digits differ.
        limits: how large images and downloads may be, and how long they may take.
        packed_weights: "memory" packs the weights at each load, for each instance; "file" packs
            them once, into a file of the cache directory that all instances and processes share.
            Results are the same. None is what the environment variable ETSEG_PACKED_WEIGHTS says,
            else "memory".

    Raises:
        InvalidConfigError: another `concurrency`, `argmax_dtype` or `packed_weights`, or `limits`
            that are none.
    """

    concurrency: int = 1
    argmax_dtype: Literal["int32", "uint8"] = "int32"
    scaled_decode: bool = True
    limits: Limits = Limits()  # noqa: RUF009  # frozen
    packed_weights: Literal["memory", "file"] | None = None

    def __post_init__(self) -> None:
        count, dtype = self.concurrency, self.argmax_dtype
        whole = isinstance(count, (int, np.integer)) and not isinstance(count, bool)
        if not whole or not 1 <= count <= MAX_CONCURRENCY:
            raise InvalidConfigError(
                f"concurrency is {count!r}; expected an int from 1 to {MAX_CONCURRENCY}"
            )
        if dtype not in ("int32", "uint8"):
            raise InvalidConfigError(f"argmax_dtype is {dtype!r}; expected 'int32' or 'uint8'")
        if not isinstance(self.limits, Limits):
            raise InvalidConfigError(f"limits is {self.limits!r}; expected an etseg.Limits")
        object.__setattr__(self, "packed_weights", _packed_weights(self.packed_weights))
        object.__setattr__(self, "concurrency", int(count))
        object.__setattr__(self, "scaled_decode", bool(self.scaled_decode))


def options_of(taker: str, given: Mapping[str, Any]) -> ModuleOptions:
    """What a function was given for its ``**options``.

    Raises:
        TypeError: one that is none of them, in the name of the function `taker`.
        InvalidConfigError: as :class:`ModuleOptions`.
    """
    known = [field.name for field in fields(ModuleOptions)]
    for name in given:
        if name not in known:
            raise TypeError(
                f"{taker}() got an unexpected keyword argument {name!r}; beside its own there are "
                + ", ".join(known)
            )
    return ModuleOptions(**given)


class ModuleKeywords(TypedDict, total=False):
    """:class:`ModuleOptions`, as type checkers see them among a function's keywords."""

    concurrency: int
    argmax_dtype: Literal["int32", "uint8"]
    scaled_decode: bool
    limits: Limits
    packed_weights: Literal["memory", "file"] | None


def _packed_weights(chosen: object) -> str:
    name, value = "packed_weights", chosen
    if chosen is None:
        name, value = PACKED_WEIGHTS, os.environ.get(PACKED_WEIGHTS) or "memory"
    if value not in ("memory", "file"):
        raise InvalidConfigError(f"{name} is {value!r}; expected 'memory' or 'file'")
    return str(value)


@dataclass(frozen=True)
class CallOptions:
    """How an image is segmented; :meth:`ImageSegmentationModule.forward` describes it.

    Raises:
        InvalidUserInputError: there is no such `channel_order`.
    """

    classes_of_interest: Iterable[Label]
    resize: bool
    channel_order: Literal["rgb", "bgr"]

    def __post_init__(self) -> None:
        if self.channel_order not in ("rgb", "bgr"):
            raise InvalidUserInputError(
                f"channel_order is {self.channel_order!r}; expected 'rgb' or 'bgr'"
            )
        labels = self.classes_of_interest
        if not isinstance(labels, (str, bytes)) and isinstance(labels, Iterable):
            # They are read more than once, and a generator can be read once.
            object.__setattr__(self, "classes_of_interest", tuple(labels))

    @property
    def bgr(self) -> bool:
        """Whether arrays are blue first."""
        return self.channel_order == "bgr"


def one_resize(resize: bool, resize_to_input: bool | None) -> bool:
    """`resize`, by whichever of its two names it was given.

    Raises:
        InvalidUserInputError: both were, and differ.
    """
    if resize_to_input is None:
        return resize
    if resize and not resize_to_input:
        raise InvalidUserInputError(
            "resize is True and resize_to_input False; they are two names of one option, give one"
        )
    return resize_to_input


def shares(*sources: Callable[..., Any]) -> Callable[[T], T]:
    """Arguments of a function, or class, that others take too: as they describe them.

    A ``**keyword`` becomes the optional arguments of those `sources` that are classes, with their
    types, in what ``inspect.signature``, ``typing.get_type_hints`` and so ``help()`` show. What the
    docstring leaves undescribed is taken from theirs.
    """

    def change(target: T) -> T:
        signature = inspect.signature(target)
        parameters = [p for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD]
        if len(parameters) < len(signature.parameters):
            parameters += [
                parameter
                for source in sources
                if isinstance(source, type)
                for parameter in inspect.signature(source).parameters.values()
                if parameter.default is not parameter.empty
            ]
            function: Any = target
            function.__signature__ = signature.replace(parameters=parameters)
            function.__annotations__ = _annotations(function, signature, sources)
        if target.__doc__ is not None:  # it is, with python -OO
            described = {name: text for s in sources for name, text in _described(s.__doc__)}
            described.update(_described(target.__doc__))
            texts = [described[p.name] for p in parameters if p.name in described]
            target.__doc__ = _with_arguments(inspect.cleandoc(target.__doc__), texts)
        return target

    return change


def _annotations(
    function: Any, signature: inspect.Signature, sources: Iterable[Callable[..., Any]]
) -> dict[str, Any]:
    """Of a function whose ``**keyword`` is the optional arguments of `sources`.

    That keyword's own names Unpack, which typing has from 3.11 on: nobody could ask for any of the
    function's types.
    """
    keywords = {p.name for p in signature.parameters.values() if p.kind is p.VAR_KEYWORD}
    own = {name: kind for name, kind in function.__annotations__.items() if name not in keywords}
    classes = [source for source in sources if isinstance(source, type)]
    return {name: kind for each in classes for name, kind in _fields_of(each).items()} | own


#: The types of a class's fields, by name.
_fields_of = cache(get_type_hints)


_SECTION = re.compile(r"^(?:Args|Attributes):\n((?: {4}.*\n?|\n)*)", re.MULTILINE)
_ENTRY = re.compile(r"^ {4}(\w+): .*\n?(?: {5,}.*\n?)*", re.MULTILINE)


def _described(doc: str | None) -> list[tuple[str, str]]:
    """The arguments that a docstring describes: name, and the text with the name."""
    section = _SECTION.search(inspect.cleandoc(doc or ""))
    entries = _ENTRY.finditer(section[1] if section else "")
    return [(entry[1], entry[0].rstrip("\n")) for entry in entries]


def _with_arguments(doc: str, entries: list[str]) -> str:
    text = "\n".join(["Args:", *entries])
    if section := _SECTION.search(doc):
        rest = doc[section.end() :]
        return f"{doc[: section.start()]}{text}\n" + (f"\n{rest}" if rest else "")
    head, raises, rest = doc.partition("\nRaises:")
    return f"{head.rstrip()}\n\n{text}\n{raises}{rest}"
