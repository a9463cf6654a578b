"""OpenCV's module, imported here alone: where that fails, the error says what to install.

Import it where it is used: it takes longer to load than all of etseg.
"""

from __future__ import annotations

from ._errors import InvalidStateError

__all__ = ["cv2"]

try:
    import cv2

    # After one of two packages with the same module was uninstalled, an empty folder is left.
    cv2.imdecode  # noqa: B018
except (ImportError, AttributeError) as error:
    raise InvalidStateError(
        f"OpenCV cannot be imported ({error}): pip install opencv-python-headless, or, for "
        "programs that show windows, opencv-python; `etseg doctor` finds out which of them is "
        "broken"
    ) from error
