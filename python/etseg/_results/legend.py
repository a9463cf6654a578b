"""Names of labels on a picture: a colour and a name in each line, in a corner."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .pictures import Image

#: The most lines of a legend.
_MOST = 12


def add_legend(picture: Image, rows: list[tuple[str, npt.NDArray[np.uint8]]]) -> None:
    """Draws into a picture (H, W, 3): names with their colours, at the top left, on white.

    OpenCV's letters are ASCII; others become question marks. Of more lines than have room, the
    first are drawn.
    """
    from etseg._opencv import cv2

    height, width = picture.shape[:2]
    scale = max(0.35, min(height, width) / 900)
    font, thickness = cv2.FONT_HERSHEY_SIMPLEX, max(1, round(scale * 1.6))
    line = round(34 * scale)
    named = [(name.encode("ascii", "replace").decode(), colour) for name, colour in rows[:_MOST]]
    named = named[: max(0, (height - line // 2) // line)]
    if not named:
        return
    widths = [cv2.getTextSize(name, font, scale, thickness)[0][0] for name, _ in named]
    right, bottom = min(width, max(widths) + 2 * line), min(height, line * len(named) + line // 2)
    box = picture[:bottom, :right]
    box[...] = cv2.addWeighted(box, 0.25, np.full_like(box, 255), 0.75, 0.0)
    for row, (name, colour) in enumerate(named):
        top = line // 4 + row * line
        swatch = (line // 4, top + line // 8), (line, top + line - line // 8)
        cv2.rectangle(picture, *swatch, [int(part) for part in colour], cv2.FILLED)
        base = (line + line // 3, top + round(line * 0.75))
        cv2.putText(picture, name, base, font, scale, (0, 0, 0), thickness, cv2.LINE_AA)
