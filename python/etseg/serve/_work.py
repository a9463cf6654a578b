"""What is done for a request on a thread: segmented, and encoded as it was asked for."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter_ns
from typing import Any, cast, get_args

import numpy as np

from etseg._labels import Label
from etseg._module import ImageSegmentationModule
from etseg._opencv import cv2
from etseg._results.choices import HAZE, Foreground
from etseg._results.result import SegmentationResult

from ._problem import ProblemError

#: Which media type leads to which output, where none is named.
_BY_TYPE = {
    "application/json": "json",
    "image/png": "overlay",
    "application/x-npz": "npz",
    "*/*": "json",
}
#: What the colours of a cutout may be.
FOREGROUNDS: tuple[str, ...] = get_args(Foreground)


@dataclass(frozen=True)
class Encoded:
    """An answer, and what its segmentation took, in nanoseconds."""

    body: bytes
    media_type: str
    stages: Mapping[str, int]


@dataclass(frozen=True)
class Wish:
    """What a request asks for: the options of ``POST /v1/segment``."""

    output: str
    classes: tuple[str, ...]
    label: str | None
    rle: bool
    mask: bool
    foreground: Foreground
    haze: float

    @classmethod
    def of(cls, options: Mapping[str, str], accept: str) -> Wish:
        """From the options of a body and query, and the header Accept.

        Raises:
            ProblemError: 400 or 406: an option is unknown, or cannot be.
        """
        known = {"model", "output", "classes", "label", "foreground", "haze", "rle", "mask"}
        if unknown := sorted(set(options) - known):
            raise ProblemError(400, f"unknown options {unknown}; there are {sorted(known)}")
        output = options.get("output") or _accepted(accept)
        if output not in ENCODERS:
            raise ProblemError(400, f"output is {output!r}; expected one of {sorted(ENCODERS)}")
        classes = tuple(filter(None, map(str.strip, options.get("classes", "").split(","))))
        label = options.get("label")
        if output == "cutout" and not label and len(classes) != 1:
            raise ProblemError(400, "output=cutout needs label=NAME: what is to be cut out")
        foreground = options.get("foreground", "estimate")
        if foreground not in FOREGROUNDS:
            expected = f"expected one of {list(FOREGROUNDS)}"
            raise ProblemError(400, f"foreground is {foreground!r}; {expected}")
        return cls(
            output,
            classes,
            label or (classes[0] if classes else None),
            rle=_is_true("rle", options),
            mask=_is_true("mask", options),
            foreground=cast("Foreground", foreground),
            haze=_number("haze", options, HAZE),
        )


def segment(name: str, module: ImageSegmentationModule, image: bytes, wish: Wish) -> Encoded:
    """All that is not the event loop's.

    Raises:
        EtsegError: whatever ``forward()`` raises.
    """
    maps: Sequence[Label] = wish.classes if wish.output == "npz" else ()
    if wish.output == "cutout" and wish.label is not None and module.has_probabilities:
        maps = (wish.label,)
    elif wish.output == "confidence":
        maps = [label for label in module.labels if label.name != "ARGMAX"]
    result = module.forward(image, maps, resize=wish.output != "confidence")
    start = perf_counter_ns()
    media_type, encode = ENCODERS[wish.output]
    body = encode(name, result, wish)
    timings = result.timings
    stages = {
        "decode": timings.decode,
        "preprocess": timings.preprocess,
        "inference": timings.inference,
        "postprocess": timings.postprocess,
        "encode": perf_counter_ns() - start,
    }
    return Encoded(body, media_type, stages)


def _json(name: str, result: SegmentationResult, wish: Wish) -> bytes:
    content = result.to_dict(wish.classes or None, rle=wish.rle)
    content["model"] = name  # as it is asked for here
    if wish.mask:
        content["mask_png"] = base64.b64encode(_mask(name, result, wish)).decode()
    return json.dumps(content, allow_nan=False).encode()


def _mask(_name: str, result: SegmentationResult, _wish: Wish) -> bytes:
    depth = np.uint8 if len(result.labels) <= 257 else np.uint16  # ARGMAX is a label too
    return _png(result.argmax.astype(depth))


def _overlay(_name: str, result: SegmentationResult, _wish: Wish) -> bytes:
    return _png(cv2.cvtColor(result.overlay(), cv2.COLOR_RGB2BGR))


def _cutout(_name: str, result: SegmentationResult, wish: Wish) -> bytes:
    assert wish.label is not None  # Wish.of has looked
    cutout = result.cutout(wish.label, foreground=wish.foreground, haze=wish.haze)
    return _png(cv2.cvtColor(cutout, cv2.COLOR_RGBA2BGRA))


def _confidence(_name: str, result: SegmentationResult, _wish: Wish) -> bytes:
    """Of each pixel of the model's map the probability of its label, 0 to 255."""
    probabilities = np.max([result[key] for key in result if _name_of_key(key) != "ARGMAX"], axis=0)
    return _png(np.rint(np.nan_to_num(probabilities) * 255).astype(np.uint8))


def _npz(_name: str, result: SegmentationResult, _wish: Wish) -> bytes:
    file = io.BytesIO()
    arrays: dict[str, Any] = {_name_of_key(key): value for key, value in result.items()}
    arrays["ARGMAX"] = result.argmax.astype(np.int32)  # as files of the package have it
    np.savez(file, **arrays)
    return file.getvalue()


def _png(picture: Any) -> bytes:
    done, encoded = cv2.imencode(".png", picture, [cv2.IMWRITE_PNG_COMPRESSION, 1])
    if not done:
        raise ProblemError(500, "the picture cannot be encoded")
    return encoded.tobytes()


def _is_true(name: str, options: Mapping[str, str]) -> bool:
    value = options.get(name, "false").lower()
    if value not in ("true", "false", "1", "0"):
        raise ProblemError(400, f"{name} is {value!r}; expected true or false")
    return value in ("true", "1")


def _number(name: str, options: Mapping[str, str], default: float) -> float:
    try:
        return float(options.get(name, default))
    except ValueError:
        raise ProblemError(400, f"{name} is {options[name]!r}; expected a number") from None


def _name_of_key(key: Any) -> str:
    return str(getattr(key, "name", key))


def _accepted(accept: str) -> str:
    """The output for the media type that is wanted most, of those that can be had.

    Raises:
        ProblemError: 406: there is none.
    """
    entries = [_wanted(entry) for entry in accept.split(",")] if accept else [("*/*", 1.0)]
    known = [(kind, quality) for kind, quality in entries if kind in _BY_TYPE and quality > 0]
    if not known:
        raise ProblemError(406, f"cannot answer with {accept!r}; there are {sorted(_BY_TYPE)}")
    return _BY_TYPE[max(known, key=lambda entry: entry[1])[0]]  # of equals the first


def _wanted(entry: str) -> tuple[str, float]:
    """A media type, and its q."""
    kind, *parameters = (part.strip().lower() for part in entry.split(";"))
    quality = next((p.removeprefix("q=") for p in parameters if p.startswith("q=")), "1")
    try:
        return kind, float(quality)
    except ValueError:
        return kind, 0.0


ENCODERS: dict[str, tuple[str, Callable[[str, SegmentationResult, Wish], bytes]]] = {
    "json": ("application/json", _json),
    "mask": ("image/png", _mask),
    "overlay": ("image/png", _overlay),
    "cutout": ("image/png", _cutout),
    "npz": ("application/x-npz", _npz),
    "confidence": ("image/png", _confidence),
}
