"""Semantic image segmentation at native speed.

::

    import etseg

    result = etseg.segment("photo.jpg", classes=["PERSON"])
    result["PERSON"]                         # float32 (H, W): probability of the person
    result.overlay()                         # uint8 (H, W, 3): a picture to look at

With a module, which is loaded and freed when you say so::

    from etseg import ImageSegmentationModule, SelfieSegmentationLabel, SELFIE_SEGMENTATION

    with ImageSegmentationModule() as module:
        module.load(SELFIE_SEGMENTATION)
        result = module.forward("photo.jpg", [SelfieSegmentationLabel.SELFIE], resize=True)
    result[SelfieSegmentationLabel.ARGMAX]   # int32 (H, W): 0 the person, 1 the background
    result[SelfieSegmentationLabel.SELFIE]   # float32 (H, W): probability of the person
"""

from ._errors import (
    DownloadError,
    ErrorCode,
    EtsegError,
    FileMissingError,
    FileReadError,
    FileWriteError,
    ForkedProcessError,
    InternalError,
    InvalidConfigError,
    InvalidModelError,
    InvalidModelSourceError,
    InvalidStateError,
    InvalidUserInputError,
    LabelError,
    ModuleNotLoadedError,
    OutOfMemoryError,
    UnsupportedModelError,
)
from ._labels import DeeplabLabel, SelfieSegmentationLabel
from ._limits import Limits
from ._model.catalogue import (
    CATALOGUE,
    DEEPLAB_V3_MOBILENET_V3_LARGE,
    DEEPLAB_V3_MOBILENET_V3_LARGE_QUANTIZED,
    DEEPLAB_V3_RESNET50,
    DEEPLAB_V3_RESNET50_QUANTIZED,
    DEEPLAB_V3_RESNET101,
    DEEPLAB_V3_RESNET101_QUANTIZED,
    FCN_RESNET50,
    FCN_RESNET50_QUANTIZED,
    FCN_RESNET101,
    FCN_RESNET101_QUANTIZED,
    LRASPP_MOBILENET_V3_LARGE,
    LRASPP_MOBILENET_V3_LARGE_QUANTIZED,
    SELFIE_SEGMENTATION,
    SELFIE_SEGMENTATION_LANDSCAPE,
)
from ._model.spec import LogitsGrid, ModelSpec
from ._module import ImageSegmentationModule
from ._native import __version__
from ._one_call import segment, unload
from ._results.made import Timings
from ._results.result import SegmentationResult
from ._results.shapes import Area, Contour
from ._running.stream import SegmentationStream
from ._threads import get_num_threads, set_num_threads

__all__ = [
    "CATALOGUE",
    "DEEPLAB_V3_MOBILENET_V3_LARGE",
    "DEEPLAB_V3_MOBILENET_V3_LARGE_QUANTIZED",
    "DEEPLAB_V3_RESNET50",
    "DEEPLAB_V3_RESNET50_QUANTIZED",
    "DEEPLAB_V3_RESNET101",
    "DEEPLAB_V3_RESNET101_QUANTIZED",
    "FCN_RESNET50",
    "FCN_RESNET50_QUANTIZED",
    "FCN_RESNET101",
    "FCN_RESNET101_QUANTIZED",
    "LRASPP_MOBILENET_V3_LARGE",
    "LRASPP_MOBILENET_V3_LARGE_QUANTIZED",
    "SELFIE_SEGMENTATION",
    "SELFIE_SEGMENTATION_LANDSCAPE",
    "Area",
    "Contour",
    "DeeplabLabel",
    "DownloadError",
    "ErrorCode",
    "EtsegError",
    "FileMissingError",
    "FileReadError",
    "FileWriteError",
    "ForkedProcessError",
    "ImageSegmentationModule",
    "InternalError",
    "InvalidConfigError",
    "InvalidModelError",
    "InvalidModelSourceError",
    "InvalidStateError",
    "InvalidUserInputError",
    "LabelError",
    "Limits",
    "LogitsGrid",
    "ModelSpec",
    "ModuleNotLoadedError",
    "OutOfMemoryError",
    "SegmentationResult",
    "SegmentationStream",
    "SelfieSegmentationLabel",
    "Timings",
    "UnsupportedModelError",
    "__version__",
    "get_num_threads",
    "segment",
    "set_num_threads",
    "unload",
]


def _introduce() -> None:
    """Once: what the package does to itself, with names that are none of its own."""
    from dataclasses import is_dataclass
    from types import FunctionType
    from typing import get_type_hints

    # What users see in tracebacks, help() and pickles is where they import from, not where it is.
    for name in __all__:
        if isinstance(value := globals()[name], (type, FunctionType)):
            if is_dataclass(value):  # its annotations are names of the file that it stands in
                value.__annotations__ = get_type_hints(value)
            value.__module__ = __name__


_introduce()
del _introduce
