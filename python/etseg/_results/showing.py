"""A result to look at: as an image of Pillow's, and on a screen."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from etseg._errors import InvalidStateError, InvalidUserInputError

from .kinds import PICTURES, check_label, mask_of, picture_of
from .made import Made

if TYPE_CHECKING:
    from PIL import Image as Pil

_KINDS = (*PICTURES, "mask")
_INSTEAD = "save it instead: result.save('overlay.jpg')"


def as_pil(made: Made, kind: object, palette: object, label: object) -> Pil.Image:
    """What a result's to_pil() does, and raises."""
    if not isinstance(kind, str) or kind not in _KINDS:
        raise InvalidUserInputError(
            f"kind is {kind!r}; expected one of {', '.join(map(repr, _KINDS))}"
        )
    check_label(kind, label, frozenset({"mask", "cutout"}))
    pil = _pillow()
    if kind != "mask":
        return pil.fromarray(picture_of(made, kind, palette, label))  # type: ignore[no-any-return]
    if label is not None:
        return pil.fromarray(mask_of(made, label))  # type: ignore[no-any-return]
    indices = made.indices()
    if len(made.labels) > 256:
        return pil.fromarray(indices.astype(np.uint16))  # type: ignore[no-any-return]
    image = pil.fromarray(indices)
    image.putpalette(made.colours(palette).rgb.tobytes())
    return image  # type: ignore[no-any-return]


def show(result: object, picture: Callable[[], Pil.Image]) -> None:
    """In a notebook what it shows of a result; else the picture, in the system's viewer.

    Raises:
        InvalidStateError: there is no display, no viewer, or no Pillow.
    """
    display = _of_notebook()
    if display is not None:
        display(result)
        return
    if not _has_display():
        raise InvalidStateError(
            "there is no display to show the picture on: neither DISPLAY nor WAYLAND_DISPLAY is "
            f"set; {_INSTEAD}"
        )
    image = picture()
    from PIL import ImageShow

    if not ImageShow.show(image):
        raise InvalidStateError(
            f"no program was found that shows pictures, such as xdg-open or display; {_INSTEAD}"
        )


def _pillow() -> Any:
    try:
        from PIL import Image
    except ImportError as error:
        raise InvalidStateError(
            f"this needs Pillow, which cannot be imported ({error}): pip install pillow"
        ) from error
    return Image


def _of_notebook() -> Callable[[object], object] | None:
    """What displays an object in the notebook that this runs in; None where it runs in none."""
    ipython: Any = sys.modules.get("IPython")  # it is there, where there is a notebook
    shell = None if ipython is None else ipython.get_ipython()
    if not hasattr(shell, "kernel"):  # of a terminal
        return None
    from IPython.display import display

    return display


def _has_display() -> bool:
    if sys.platform in ("win32", "darwin"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
