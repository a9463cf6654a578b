"""A result as data: what JSON holds, and the rows of a table. docs/json.md describes the fields."""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import IntEnum
from typing import Any

import numpy as np

from .made import Made

#: Of the fields; another one where a program that reads them would have to change.
SCHEMA = 1
_STAGES = ("decode", "preprocess", "inference", "postprocess", "total")


def record_of(made: Made, labels: object, boxes: bool, masks: bool) -> dict[str, Any]:
    """All that is known of an image, as JSON can hold it.

    Args:
        made: the result.
        labels: one or several, to be listed whether they are there or not; None for those that are.
        boxes: whether there are boxes.
        masks: whether there are run-length encoded masks.

    Raises:
        LabelError: there is no such label.
    """
    members = None if labels is None else made.members(labels)
    height, width = made.image_size
    rows, columns = made.argmax.shape
    return {
        "schema": SCHEMA,
        "image": made.image.name,
        "model": made.model,
        "width": width,
        "height": height,
        "map_width": columns,
        "map_height": rows,
        "labels": _labels(made, members, boxes, masks),
        "timings_ms": {stage: getattr(made.timings, stage) / 1e6 for stage in _STAGES},
    }


def rows_of(made: Made, labels: object) -> list[dict[str, Any]]:
    """A row for each label, of plain values; raises what :func:`record_of` does."""
    record = record_of(made, labels, boxes=True, masks=False)
    image = {key: record[key] for key in ("image", "model", "width", "height")}
    rows = []
    for label in record["labels"]:
        corners = label.pop("box") or (None,) * 4
        del label["rle"]
        rows.append({**image, **label, **dict(zip(("x0", "y0", "x1", "y1"), corners, strict=True))})
    return rows


def _labels(
    made: Made, members: Sequence[IntEnum] | None, boxes: bool, masks: bool
) -> list[dict[str, Any]]:
    """An entry for each label, the largest first."""
    total = made.image_size[0] * made.image_size[1]
    extents = made.extents().tolist()
    listed = members if members is not None else made.labels.members
    pixels = {member: extents[member][0] for member in listed}
    if members is None:
        pixels = {member: count for member, count in pixels.items() if count}
    there = [member for member, count in pixels.items() if count]
    encoded = _encoded(made, there) if masks else {}
    return [
        {
            "label": member.name,
            "index": int(member),
            "pixels": pixels[member],
            "share": pixels[member] / total,
            "mean_probability": _mean(made, member),
            "box": extents[member][1:] if boxes and pixels[member] else None,
            "rle": encoded.get(member),
        }
        for member in sorted(pixels, key=lambda one: (-pixels[one], one))
    ]


def _encoded(made: Made, members: Sequence[IntEnum]) -> dict[IntEnum, dict[str, Any]]:
    """The run lengths of each."""
    from . import rle  # here: few ask for it

    return dict(zip(members, rle.encoded(made, members), strict=True))


def _mean(made: Made, member: IntEnum) -> float | None:
    """Of a label's map; None where there is none, or some of it is no number: JSON has no NaN."""
    plane = made.probabilities.get(member)
    mean = math.nan if plane is None else float(np.mean(plane))
    return mean if math.isfinite(mean) else None
