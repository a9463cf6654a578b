"""A configuration as react-native-executorch 0.9 and later write it, with Python's names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import IntEnum
from typing import Any, TypedDict

from etseg._errors import InvalidConfigError
from etseg._messages import brief


class PreprocessorConfig(TypedDict, total=False):
    """What the reference calls ``preprocessorConfig``: mean and std of red, green, blue."""

    norm_mean: Iterable[float]
    norm_std: Iterable[float]


class _LabelMap(TypedDict):
    label_map: type[IntEnum] | Mapping[str, int]


class CustomConfig(_LabelMap, total=False):
    """What ``fromCustomConfig`` takes: labels, an enum or ``{name: index}``, and normalisation."""

    preprocessor_config: PreprocessorConfig


def fields_of(config: CustomConfig) -> dict[str, Any]:
    """The same as fields of a :class:`ModelSpec`.

    Raises:
        InvalidConfigError: no mapping with a ``label_map``, or one with unknown keys.
    """
    _check("config", config, CustomConfig.__annotations__)
    if "label_map" not in config:
        raise InvalidConfigError("config has no 'label_map'; expected an IntEnum or {name: index}")
    labels: Any = config["label_map"]
    if isinstance(labels, Mapping):
        labels = {index: name for name, index in labels.items() if name != "ARGMAX"}
        if len(labels) + ("ARGMAX" in config["label_map"]) != len(config["label_map"]):
            raise InvalidConfigError(
                f"the label_map is {brief(config['label_map'])}; every index needs one name"
            )
    fields = {"labels": labels}
    preprocessing = config.get("preprocessor_config", {})
    _check("preprocessor_config", preprocessing, PreprocessorConfig.__annotations__)
    for field in ("mean", "std"):
        if (value := preprocessing.get(f"norm_{field}")) is not None:
            fields[field] = value
    return fields


def _check(name: str, value: object, known: Iterable[str]) -> None:
    names = sorted(known)
    if not isinstance(value, Mapping):
        raise InvalidConfigError(f"{name} is {brief(value)}; expected a mapping with {names}")
    if unknown := sorted(set(value) - set(names), key=repr):
        raise InvalidConfigError(f"{name} has unknown keys {brief(unknown)}; it takes {names}")
