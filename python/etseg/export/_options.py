"""What a caller of export() wants, checked before anything is computed."""

from __future__ import annotations

import operator
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from etseg._errors import FileWriteError, InvalidUserInputError
from etseg._model.spec import ModelSpec

Backend = Literal["xnnpack", "openvino", "auto"]
Quantize = Literal["int8"]
InputFormat = Literal["float32-nchw", "float32-nhwc", "uint8-nchw", "uint8-nhwc"]
Returns = Literal["scores", "labels-uint8", "labels-int32"]

#: Share of pixels with the label that the network gives them, below which a program is refused.
_LEAST_AGREEMENT = {None: 0.995, "int8": 0.97}
_LEAST_SIDE, _MOST_SIDE = 8, 8192


@dataclass(frozen=True)
class Options:
    """See :func:`etseg.export.export`, whose arguments these are."""

    path: Path
    size: tuple[int, int] | None
    input_format: InputFormat  # of the network
    takes: InputFormat  # the program
    returns: Returns
    described: dict[str, Any]
    low_stride: bool | None
    backend: Backend
    quantize: Quantize | None
    calibration: str | os.PathLike[str] | tuple[object, ...] | None
    photos: str | os.PathLike[str] | tuple[object, ...] | None
    least_agreement: float

    @classmethod
    def checked(
        cls,
        path: str | os.PathLike[str],
        size: tuple[int, int] | None,
        input_format: str,
        takes: str | None,
        returns: str,
        described: dict[str, Any],
        low_stride: bool | None,
        backend: str,
        quantize: str | None,
        calibration: str | os.PathLike[str] | Iterable[object] | None,
        photos: str | os.PathLike[str] | Iterable[object] | None,
        least_agreement: float | None,
    ) -> Options:
        """The options, if they fit.

        Raises:
            InvalidUserInputError, InvalidConfigError: one does not; the message says which.
            FileWriteError: the file could not be written.
        """
        _one_of("backend", backend, get_args(Backend))
        _one_of("quantize", quantize, (None, *get_args(Quantize)))
        if quantize is not None and backend != "xnnpack":
            raise InvalidUserInputError(
                f"quantize={quantize!r} is for backend='xnnpack'; it is {backend!r}"
            )
        _one_of("input_format", input_format, get_args(InputFormat))
        takes = input_format if takes is None else takes
        _one_of("takes", takes, get_args(InputFormat))
        _one_of("returns", returns, get_args(Returns))
        if returns != "scores" and low_stride:
            raise InvalidUserInputError(
                f"returns={returns!r} leaves no scores that etseg could upsample; leave low_stride "
                "(--cut) out"
            )
        if quantize is not None and calibration is None:
            raise InvalidUserInputError(
                "quantize='int8' needs calibration: photos such as the network is for, a folder "
                "or a list; some twenty are enough"
            )
        if quantize is None and calibration is not None:
            raise InvalidUserInputError("calibration photos are for quantize='int8'; it is None")
        if quantize is not None and (input_format, takes) != ("float32-nchw",) * 2:
            other = takes if input_format == "float32-nchw" else input_format
            raise InvalidUserInputError(
                f"quantize={quantize!r} is for networks and programs that take 'float32-nchw', not "
                f"{other!r}"
            )
        if quantize is not None and returns != "scores":
            raise InvalidUserInputError(
                f"quantize={quantize!r} is for programs that return scores, not {returns!r}: which "
                "layers stay in float is decided by them"
            )
        given = {name: value for name, value in described.items() if value is not None}
        ModelSpec(model_source=path, **given)  # raises what is wrong with a field
        if least_agreement is None:
            least_agreement = _LEAST_AGREEMENT[quantize]
        if not isinstance(least_agreement, (int, float)) or not 0 <= least_agreement <= 1:
            raise InvalidUserInputError(
                f"least_agreement is {least_agreement}; expected a share of pixels, 0..1"
            )
        return cls(
            _writable(path),
            None if size is None else _size(size),
            input_format,  # type: ignore[arg-type]  # one of them
            takes,  # type: ignore[arg-type]
            returns,  # type: ignore[arg-type]
            given,
            low_stride,
            backend,  # type: ignore[arg-type]  # one of them
            quantize,  # type: ignore[arg-type]
            _kept("calibration", calibration),
            _kept("photos", photos),
            float(least_agreement),
        )


def _kept(name: str, images: Any) -> Any:
    """Paths as they are; anything else can be read more than once."""
    if images is None or isinstance(images, (str, os.PathLike)):
        return images
    if not isinstance(images, Iterable):
        raise InvalidUserInputError(f"{name} is {images!r}; expected a folder, or images")
    return tuple(images)


def _size(size: object) -> tuple[int, int]:
    try:
        height, width = (operator.index(side) for side in size)  # type: ignore[attr-defined]
    except (TypeError, ValueError):
        height = width = 0
    if not (_LEAST_SIDE <= height <= _MOST_SIDE and _LEAST_SIDE <= width <= _MOST_SIDE):
        raise InvalidUserInputError(
            f"size is {size!r}; expected height and width, {_LEAST_SIDE} to {_MOST_SIDE} each"
        )
    return height, width


def _writable(path: str | os.PathLike[str]) -> Path:
    place = Path(path)
    if place.suffix != ".pte":
        raise InvalidUserInputError(f"the file is {str(path)!r}; its name must end in .pte")
    why = None
    try:
        if place.is_dir():
            why = "it is a folder"
        elif not place.parent.is_dir():
            why = f"there is no folder {str(place.parent)!r}"
        elif not os.access(place.parent, os.W_OK | os.X_OK):
            why = "its folder cannot be written to"
        elif "\0" in str(place):
            why = "there is a NUL in it"
    except OSError as error:  # such as a name that is too long
        why = str(error.strerror)
    if why is not None:
        raise FileWriteError(f"cannot write {str(path)!r}: {why}")
    return place


def _one_of(name: str, value: object, allowed: tuple[object, ...]) -> None:
    if value not in allowed:
        choices = ", ".join(repr(choice) for choice in allowed)
        raise InvalidUserInputError(f"{name} is {value!r}; expected one of {choices}")
