"""Palettes: which colour each label has, and which labels are painted at all."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from etseg._errors import InvalidUserInputError, LabelError
from etseg._labels import LabelSet

#: A palette: a name, colours (N, 3) by index, or a mapping from labels to colours.
Palette = str | npt.NDArray[Any] | Mapping[Any, Any]

_EXPECTED = (
    "expected 'bright', 'voc', 'colorblind', integers 0..255 of shape (labels, 3), red first, or a "
    "mapping from labels to (red, green, blue) or '#rrggbb'"
)
#: The palettes that have a name; the first is the default.
NAMES = ("bright", "voc", "colorblind")

# Bright enough to be seen through on dark and light photographs alike: CIELAB lightness 55 to 92,
# chroma 60 and more. Each is that of a grid of 16 x 16 x 16 colours whose least distance (Delta E
# of 1976) is the greatest to what photographs are made of (black, grey, white; the ColorChecker's
# two skins, sky and foliage, C. S. McCamy and others, 1976) and to all before it. The first seven
# are 59 apart, the first twenty 27, all 32 more than 20. From the eighth to the twentieth the order
# is another one, so that Pascal VOC's cat, dog and person have strong ones.
_BRIGHT = (
    "ff00ff 00ff00 ff3300 ffdd00 00ffbb ff3388 7777ff 0088ee bb7700 ff88ee ccee77 ff7700 aaee00 "
    "77ff77 bb55ff 33bb66 ff7766 999900 ff00bb 339900 ff2255 ffdd66 ffaa00 33cc00 bbcc00 ff9955 "
    "ff66ff ee66aa bb66dd 88cc33 ff6688 99ee88"
)
# The first seven: M. Okabe and K. Ito, Color Universal Design (2008), jfly.uni-koeln.de/color;
# their eighth is black. Each further one is that of a grid of 16 x 16 x 16 colours whose least
# distance to black and to all before it is the greatest: in CIELAB (Delta E of 1976), as seen with
# full colour vision and without red, green or blue cones (G. M. Machado, M. M. Oliveira and L. A.
# F. Fernandes, IEEE TVCG 15, 2009, severity 1). For all of these eyes the first seven are 16 apart,
# the first twenty 15, all 32 more than 12; the first twenty of Pascal VOC less than 1.
_COLORBLIND = (
    "e69f00 56b4e9 009e73 f0e442 0072b2 d55e00 cc79a7 8800ff 663311 ccffcc 112288 554455 99bb66 "
    "bb57ff 00ffff 330044 dd0044 ddaaaa 8811cc eeffaa 77ee66 aa0088 003322 994400 ff4477 557744 "
    "dd00bb 99dd99 222233 9999ff 999933 aa5588"
)
_BYTES = frozenset(range(256))
#: The sixteen names that HTML began with.
COLOUR_NAMES = {
    "black": "#000000", "silver": "#c0c0c0", "gray": "#808080", "white": "#ffffff",
    "maroon": "#800000", "red": "#ff0000", "purple": "#800080", "fuchsia": "#ff00ff",
    "green": "#008000", "lime": "#00ff00", "olive": "#808000", "yellow": "#ffff00",
    "navy": "#000080", "blue": "#0000ff", "teal": "#008080", "aqua": "#00ffff",
}  # fmt: skip


class Colours(NamedTuple):
    """The colours of all labels of a model, by index."""

    rgb: npt.NDArray[np.uint8]  # (labels, 3), red first; black where not painted
    painted: npt.NDArray[np.bool_]  # (labels,)


def voc_palette(size: int) -> npt.NDArray[np.uint8]:
    """Pascal VOC's colours, uint8 (size, 3), red first.

    Entry i spreads the bits of i over the three channels, three at a time, from the highest bit
    of a channel down (the VOC development kit's colour map). The first is black.
    """
    index = np.arange(size)
    palette = np.zeros((size, 3), np.uint8)
    for bit in range(8):
        for channel in range(3):
            palette[:, channel] |= ((index >> (3 * bit + channel) & 1) << (7 - bit)).astype(
                np.uint8
            )
    return palette


def bright_palette(size: int) -> npt.NDArray[np.uint8]:
    """Colours that stand out of photographs, uint8 (size, 3), red first.

    There are 32; then Pascal VOC's go on, so that hundreds of labels differ.
    """
    bright = _parsed(_BRIGHT)[:size]
    return np.concatenate([bright, voc_palette(size)[len(bright) :]])


def colorblind_palette(size: int) -> npt.NDArray[np.uint8]:
    """Colours that stay apart for colour-blind eyes, uint8 (size, 3), red first.

    There are 32; then they start over.
    """
    colours = _parsed(_COLORBLIND)
    return colours[np.arange(size) % len(colours)]


def _parsed(colours: str) -> npt.NDArray[np.uint8]:
    return np.frombuffer(bytes.fromhex(colours), np.uint8).reshape(-1, 3)


def colours(palette: object, labels: LabelSet, background: int | None) -> Colours:
    """The colours that a palette gives to the labels of a model.

    The background is not painted, unless the palette is a mapping that names it; nor is any label
    that a mapping does not name.

    Raises:
        InvalidUserInputError: no palette, or one of fewer colours than there are labels.
        LabelError: a label of a mapping that the model does not have.
    """
    count = len(labels)
    painted = np.ones(count, bool)
    if background is not None:
        painted[background] = False
    if isinstance(palette, Mapping):
        rgb, painted = _of_mapping(palette, labels)
    elif isinstance(palette, str):
        if palette == "voc":
            # VOC's first colour is black, which suits no label but a background.
            first = 0 if background == 0 else 1
            rgb = voc_palette(count + first)[first:]
        elif palette in NAMES:
            made = bright_palette if palette == "bright" else colorblind_palette
            rgb = np.zeros((count, 3), np.uint8)
            rgb[painted] = made(int(painted.sum()))
        else:
            raise InvalidUserInputError(f"palette is {palette!r}; {_EXPECTED}")
    else:
        rgb = _of_array(palette, count)
    rgb[~painted] = 0
    return Colours(rgb, painted)


def _of_array(palette: object, count: int) -> npt.NDArray[np.uint8]:
    try:
        array = np.asarray(palette)
    except (TypeError, ValueError):
        array = np.empty(0)
    if array.ndim != 2 or array.shape[1] != 3 or array.dtype.kind not in "iu":
        raise InvalidUserInputError(
            f"palette is a {type(palette).__name__}, {array.dtype} {array.shape}; {_EXPECTED}"
        )
    if len(array) < count:
        raise InvalidUserInputError(
            f"palette has {len(array)} colours, but the model has {count} labels; give one for "
            "each, or a mapping of those to paint"
        )
    if array.min() < 0 or array.max() > 255:
        raise InvalidUserInputError(
            f"palette has values from {array.min()} to {array.max()}; {_EXPECTED}"
        )
    return array[:count].astype(np.uint8)


def _of_mapping(
    palette: Mapping[Any, Any], labels: LabelSet
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.bool_]]:
    rgb = np.zeros((len(labels), 3), np.uint8)
    painted = np.zeros(len(labels), bool)
    for label, colour in palette.items():
        member = labels.find(label)
        if member is None:
            raise LabelError("palette names ARGMAX, which is no label; name the labels to paint")
        rgb[member] = _colour(label, colour)
        painted[member] = True
    return rgb, painted


def colour_of(colour: object) -> npt.NDArray[np.uint8] | None:
    """(red, green, blue) of such three numbers, "#rrggbb" or a name; None of anything else."""
    if isinstance(colour, str):
        text = COLOUR_NAMES.get(colour.lower(), colour)
        if re.fullmatch("#[0-9a-fA-F]{6}", text):
            return np.frombuffer(bytes.fromhex(text[1:]), np.uint8)
        return None
    try:
        array = np.asarray(colour)
    except (TypeError, ValueError):
        return None
    if array.shape == (3,) and array.dtype.kind in "iu" and set(array.tolist()) <= _BYTES:
        return array.astype(np.uint8)
    return None


def _colour(label: object, colour: object) -> npt.NDArray[np.uint8]:
    found = colour_of(colour)
    if found is None:
        raise InvalidUserInputError(
            f"the palette's colour of {label!r} is {colour!r}; expected (red, green, blue), each "
            f"0..255, '#rrggbb', or one of {', '.join(COLOUR_NAMES)}"
        )
    return found
