"""What is taken for a photo, and is none that is read here: what to do with it."""

from __future__ import annotations

import re

#: The longest that is looked at.
_MOST = 64

#: How such files begin, what they are, and what to do. A pattern's "." is any byte.
_KINDS = (
    (
        rb"....ftyp(?:hei|hev|msf)",
        "a HEIC photo; save it as JPEG, or give the image that Pillow opens with pillow-heif",
    ),
    (
        rb"....ftyp|RIFF....AVI |\x1aE\xdf\xa3",
        "a video; give its frames, which OpenCV reads: cv2.VideoCapture",
    ),
    (rb"\xff\x0a|\0\0\0\x0cJXL ", "a JPEG XL image; save it as PNG"),
    (rb"8BPS", "a Photoshop document; save it as PNG"),
    (rb"%PDF", "a PDF document; save its page as an image"),
    (rb"\s*(?i:<!doctype html|<html)", "a web page; name the image in it"),
    (rb"\s*(?:<svg|<\?xml)", "a drawing of lines, such as SVG, or other XML; save it as PNG"),
    (rb"\x93NUMPY", "an array of numpy; give what numpy.load returns"),
    (rb"PK\x03\x04", "a ZIP archive; unpack it"),
)


def kind_of(head: bytes) -> str | None:
    """What a file is that begins so, and what to do; None if it is none of these."""
    begin = head[:_MOST]
    return next((said for how, said in _KINDS if re.match(how, begin, re.DOTALL)), None)
