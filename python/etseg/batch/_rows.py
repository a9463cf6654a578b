"""What is written about one image: the columns, and a row of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import IntEnum
from typing import Any

import numpy as np

from etseg._errors import EtsegError, FileWriteError, InvalidUserInputError
from etseg._results.result import SegmentationResult

from ._needs import needed

#: What may be asked for. `size`, `error` and `timings` are always there.
OUTPUTS = ("areas", "boxes", "rle", "mask_png")
_STAGES = ("decode", "preprocess", "inference", "postprocess", "total")

Row = dict[str, Any]


def checked_outputs(outputs: Iterable[str]) -> tuple[str, ...]:
    """The outputs that were asked for, each once, in the order of `OUTPUTS`.

    Raises:
        InvalidUserInputError: one is none of those.
    """
    asked = [outputs] if isinstance(outputs, str) else list(outputs)
    unknown = [name for name in asked if name not in OUTPUTS]
    if unknown:
        raise InvalidUserInputError(f"outputs has {unknown}; expected some of {list(OUTPUTS)}")
    return tuple(name for name in OUTPUTS if name in asked)


def columns_of(outputs: Sequence[str]) -> tuple[str, ...]:
    """The columns of a row, in their order."""
    return ("size", *outputs, "error", "timings")


def row_of(result: SegmentationResult, outputs: Sequence[str], wanted: Sequence[IntEnum]) -> Row:
    """The row of an image that was segmented.

    Args:
        result: of the image.
        outputs: of `OUTPUTS`.
        wanted: the labels that areas, boxes and masks are listed of, where they are there.
    """
    height, width = result.image_size
    found = result.to_dict(wanted, boxes="boxes" in outputs, rle="rle" in outputs)["labels"]
    order = {label.name: place for place, label in enumerate(wanted)}
    there = sorted((e for e in found if e["pixels"]), key=lambda entry: order[entry["label"]])
    row: Row = {"size": {"height": height, "width": width}}
    if "areas" in outputs:
        row["areas"] = [{key: e[key] for key in ("label", "pixels", "share")} for e in there]
    if "boxes" in outputs:
        row["boxes"] = [
            {"label": e["label"], **dict(zip(("x0", "y0", "x1", "y1"), e["box"], strict=True))}
            for e in there
        ]
    if "rle" in outputs:
        row["rle"] = [{"label": e["label"], **e["rle"]} for e in there]
    if "mask_png" in outputs:
        row["mask_png"] = _png(result)
    row["error"] = None
    row["timings"] = {stage: getattr(result.timings, stage) for stage in _STAGES}
    return row


def row_of_error(error: Exception, outputs: Sequence[str]) -> Row:
    """The row of an image that cannot be segmented: null in all but `error`."""
    code = error.code if isinstance(error, EtsegError) else None
    said = {
        "code": None if code is None else int(code),
        "name": type(error).__name__ if code is None else code.name,
        "message": str(error),
    }
    return {**dict.fromkeys(columns_of(outputs)), "error": said}


def arrow_fields(outputs: Sequence[str]) -> list[Any]:
    """The columns as fields of an Arrow schema."""
    pa = needed("pyarrow", "batch")

    def listed(**fields: Any) -> Any:
        return pa.list_(pa.struct([("label", pa.string()), *fields.items()]))

    types = {
        "size": pa.struct([("height", pa.int32()), ("width", pa.int32())]),
        "areas": listed(pixels=pa.int64(), share=pa.float64()),
        "boxes": listed(x0=pa.int32(), y0=pa.int32(), x1=pa.int32(), y1=pa.int32()),
        "rle": listed(size=pa.list_(pa.int32()), counts=pa.string()),
        "mask_png": pa.binary(),
        "error": pa.struct([("code", pa.int32()), ("name", pa.string()), ("message", pa.string())]),
        "timings": pa.struct([(stage, pa.int64()) for stage in _STAGES]),
    }
    return [pa.field(name, types[name]) for name in columns_of(outputs)]


def _png(result: SegmentationResult) -> bytes:
    """ARGMAX as a grey PNG whose values are label indices: 8 bits, or 16 for more than 256."""
    from etseg._opencv import cv2

    depth = np.uint8 if len(result.labels) <= 257 else np.uint16  # ARGMAX is a label too
    # Level 1: label maps are mostly runs, which higher levels pack little better.
    done, encoded = cv2.imencode(
        ".png", result.argmax.astype(depth), [cv2.IMWRITE_PNG_COMPRESSION, 1]
    )
    if not done:
        raise FileWriteError("cannot encode the labels as PNG")
    return encoded.tobytes()
