"""What a notebook shows of a result: a picture of bounded size, and a legend."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from html import escape
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from etseg._errors import EtsegError
from etseg._images.kept import KeptImage
from etseg._labels import for_people
from etseg._logs import logger

from .grid import at_size
from .palettes import Colours
from .pictures import coloured, painted, rgb_of
from .shapes import Area

T = TypeVar("T")

#: The longest side of the picture, in pixels.
MAX_SIDE = 512
#: The most labels in the legend.
MAX_ROWS = 12


@dataclass(frozen=True)
class View:
    """What there is to show of a result.

    Attributes:
        indices: of labels, (H, W).
        colours: of labels.
        areas: how much of the image each label covers.
        image: to paint on.
        image_size: its height and width.
        caption: what is read out instead of the picture.
    """

    indices: npt.NDArray[Any]
    colours: Colours
    areas: Mapping[IntEnum, Area]
    image: KeptImage
    image_size: tuple[int, int]
    caption: str


def or_nothing(make: Callable[[], T]) -> T | None:
    """What `make` returns; None after an error, so that a notebook shows the text."""
    try:
        return make()
    except Exception:
        logger().warning("a result cannot be shown as a picture", exc_info=True)
        return None


def png(view: View) -> bytes:
    """The picture, as a PNG."""
    return _encoded(".png", _picture(view)[0])


def html(view: View) -> str:
    """The picture with a legend: the labels that are there, their colours and shares."""
    picture, why = _picture(view)
    kind = "png" if picture.shape[2] == 4 else "jpeg"
    data = base64.b64encode(_encoded(f".{kind}", picture)).decode("ascii")
    rgb, shown = view.colours
    areas = view.areas
    present = [member for member, area in areas.items() if area.pixels]
    present.sort(key=lambda member: -areas[member].pixels)
    rows = []
    for member in present[:MAX_ROWS]:
        red, green, blue = rgb[member]
        fill = f"rgb({red},{green},{blue})" if shown[member] else "transparent"
        rows.append(
            f'<tr><td style="padding:2px 6px"><span style="display:inline-block;width:1em;'
            f'height:1em;border:1px solid #888;background:{fill}"></span></td>'
            f'<td style="padding:2px 6px;text-align:left">{escape(for_people(member.name))}</td>'
            f'<td style="padding:2px 6px;text-align:right">{_percent(areas[member].share)}</td>'
            "</tr>"
        )
    if len(present) > MAX_ROWS:
        rows.append(
            f'<tr><td></td><td style="text-align:left">and {len(present) - MAX_ROWS} more</td>'
            "<td></td></tr>"
        )
    note = f'<div style="max-width:{MAX_SIDE}px"><small>{escape(why)}</small></div>' if why else ""
    height, width = picture.shape[:2]
    return (
        '<div style="display:flex;flex-wrap:wrap;gap:12px;align-items:flex-start">'
        f'<img src="data:image/{kind};base64,{data}" width="{width}" height="{height}" '
        f'alt="{escape(view.caption)}">'
        f'<table style="border-collapse:collapse">{"".join(rows)}</table></div>{note}'
    )


def _percent(share: float) -> str:
    return f"{share:.1%}" if share >= 0.001 else "&lt; 0.1%"


def _picture(view: View) -> tuple[npt.NDArray[np.uint8], str]:
    """(H, W, 3) of the overlay; where the image is not at hand, (H, W, 4) of the colours, and why.

    Painted at the size that is shown: a photograph of 12 megapixels is not painted in full.
    """
    from etseg._opencv import cv2

    height, width = view.image_size
    scale = min(1.0, MAX_SIDE / max(height, width))
    size = max(1, round(height * scale)), max(1, round(width * scale))
    indices = at_size(view.indices, size)
    try:
        pixels = view.image.read(None, view.image_size, input_size=size)
    except EtsegError as error:
        return coloured(indices, view.colours), str(error)
    rgb = rgb_of(pixels)
    if rgb.shape[:2] != size:
        rgb = np.asarray(cv2.resize(rgb, size[::-1], interpolation=cv2.INTER_AREA), np.uint8)
    return painted(rgb, indices, view.colours, alpha=0.5, outline=True), ""


def _encoded(kind: str, picture: npt.NDArray[np.uint8]) -> bytes:
    from etseg._opencv import cv2

    code = cv2.COLOR_RGBA2BGRA if picture.shape[2] == 4 else cv2.COLOR_RGB2BGR
    _, data = cv2.imencode(kind, cv2.cvtColor(picture, code))
    return bytes(data.data)
