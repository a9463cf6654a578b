"""Modules whose label maps nobody keeps: as small as the labels allow, and so faster to read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._labels import LabelEnum
from ._model.choosing import Model
from ._module import ImageSegmentationModule
from ._options import ModuleKeywords

if TYPE_CHECKING:
    from typing_extensions import Unpack  # typing has it from 3.11 on


def compact_module(model: Model, **options: Unpack[ModuleKeywords]) -> ImageSegmentationModule:
    """A module with a model loaded, whose ARGMAX is uint8 where its labels fit, else int32.

    Args:
        model: as for :meth:`ImageSegmentationModule.load`.
        options: of the module; an `argmax_dtype` among them holds whatever the labels.

    Raises:
        EtsegError: whatever :meth:`ImageSegmentationModule.load` raises.
    """
    first: ModuleKeywords = {"argmax_dtype": "uint8", **options}
    module = ImageSegmentationModule(**first)
    module.load(model)
    if "argmax_dtype" in options or _fit_a_byte(module.labels):
        return module
    module.delete()
    module = ImageSegmentationModule(**options)
    module.load(model)
    return module


def _fit_a_byte(labels: LabelEnum) -> bool:
    return sum(label.name != "ARGMAX" for label in labels) <= 256
