"""What can be made of a result for somebody to look at or keep, by the name of its kind."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from etseg._errors import InvalidUserInputError
from etseg._labels import for_people

from . import composing, pictures
from .choices import HAZE
from .legend import add_legend
from .made import Made
from .pictures import Image
from .shapes import areas_of

#: Pictures of the image's size, named as the methods that make them.
PictureKind = Literal["overlay", "colorize", "cutout"]
PICTURES: tuple[PictureKind, ...] = ("overlay", "colorize", "cutout")
#: Those with an opacity.
TRANSPARENT = frozenset({"colorize", "cutout"})


def picture_of(made: Made, kind: str, palette: object, label: object = None) -> Image:
    """A picture, (H, W, 3) or (H, W, 4), red first, with all else as it is usual.

    Raises:
        InvalidUserInputError: there is no such kind, or its image is not at hand.
        EtsegError: whatever the method of that name raises.
    """
    if kind == "cutout":
        return cutout(made, label, None)
    if kind == "colorize":
        return pictures.coloured(made.image_indices(), made.colours(palette))
    return overlay(made, None, 0.5, palette, outline=False, legend=False)


def overlay(
    made: Made, image: object, alpha: float, palette: object, *, outline: bool, legend: bool
) -> Image:
    """What a result's overlay() does, and raises; red first."""
    table, indices = made.colours(palette), made.image_indices()
    picture = pictures.painted(made.image_pixels(image), indices, table, alpha, outline)
    if legend:
        found = sorted(areas_of(made).items(), key=lambda item: -item[1].pixels)
        shown = [one for one, area in found if area.pixels and table.painted[one]]
        add_legend(picture, [(for_people(one.name), table.rgb[one]) for one in shown])
    return picture


def cutout(
    made: Made,
    label: object,
    image: object,
    foreground: object = "estimate",
    haze: object = HAZE,
) -> Image:
    """What a result's cutout() does, and raises; red first."""
    opacity = composing.opacity(made, label, haze)
    return composing.cut_out(made.image_pixels(image), opacity, foreground)


def mask_of(made: Made, label: object) -> npt.NDArray[np.uint8]:
    """255 where a label is the most probable one and 0 elsewhere, of the maps' size.

    Raises:
        LabelError: there is no such label.
    """
    there: Any = made.argmax == int(made.member(label))
    return np.asarray(there.view(np.uint8) * np.uint8(255), np.uint8)


def check_label(kind: str, label: object, takes: frozenset[str]) -> None:
    """Raises InvalidUserInputError for a label that nothing is made of."""
    if label is not None and kind not in takes:
        raise InvalidUserInputError(
            f"label is {label!r}, but of one label there is {' or '.join(sorted(takes))}, and "
            f"kind is {kind!r}"
        )
