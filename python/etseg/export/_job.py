"""What is settled before a network is traced: itself, its size, what it means, the photos."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace

import torch
from torch import nn

from etseg._errors import InvalidConfigError, InvalidUserInputError, LabelError
from etseg._labels import LabelSet
from etseg._model.spec import ModelSpec

from ._errors import ExportError
from ._input import blank, is_bytes
from ._interface import returning, taking
from ._options import Options
from ._quantization.int8 import kept_back
from ._sources import Network, open_network
from ._sources.network import FirstOutput
from ._verification.photos import Photo, packaged_photos, read_photos

#: More photos than these change no range.
_MOST_CALIBRATION = 100
_LABELS = (torch.uint8, torch.int32, torch.int64)


@dataclass(frozen=True)
class Job:
    """An export under way."""

    network: Network
    whole: nn.Module  # as it came: takes an image, returns [1, C, H', W'], or labels
    whole_spec: ModelSpec
    module: nn.Module  # what becomes the program; returns labels where `channels` is 0
    size: tuple[int, int]
    channels: int
    spec: ModelSpec
    options: Options
    calibration: tuple[Photo, ...]
    photos: tuple[Photo, ...]  # others, to compare on
    start: float


def opened(
    network: object, weights: str | os.PathLike[str] | None, options: Options, start: float
) -> Job:
    given = options.described
    classes = None
    if "labels" in given:
        classes = len(LabelSet(ModelSpec(model_source="", labels=given["labels"]).labels))  # type: ignore[arg-type]
        if given.get("activation") == "sigmoid":
            classes -= 1  # the last is for where no other is likely
    found = open_network(network, weights, classes, options.size)
    size = options.size or found.size
    if size is None:
        raise InvalidUserInputError(
            f"nothing says which size {found.title} is for; give it: size=(height, width), --size"
        )
    module = FirstOutput(found.module).eval()
    for parameter in module.parameters():
        parameter.requires_grad_(False)
    channels = _channels(module, blank(size, options.input_format))
    fields = {**found.fields, **given}
    if channels > 0:
        fields = {"activation": "none" if channels == 1 else "softmax", **fields}
    elif options.quantize is not None:
        raise InvalidUserInputError("quantize is for networks with scores; this returns labels")
    if not is_bytes(options.input_format) and not fields.keys() & {"mean", "std"}:
        found = replace(found, notes=(*found.notes, found.unsaid))
    spec = ModelSpec(model_source=options.path, **fields)
    if channels > 0:
        _check_labels(spec, channels)
    if is_bytes(options.input_format) and (spec.mean is not None or spec.std is not None):
        raise InvalidConfigError(
            f"input_format is {options.input_format!r}: a network that takes bytes normalises them "
            "itself; leave out mean and std"
        )
    program, own = taking(module, spec, options.input_format, options.takes)
    program, own = returning(program, own, channels, options.returns)
    if options.returns != "scores":
        channels = 0
    return Job(
        found, module, spec, program.eval(), size, channels, own, options, *_photos(options), start
    )


def _photos(options: Options) -> tuple[tuple[Photo, ...], tuple[Photo, ...]]:
    """To calibrate with, and to compare on."""
    given = None if options.photos is None else read_photos(options.photos)
    if options.calibration is None:
        return (), given or packaged_photos()
    calibration, back = kept_back(read_photos(options.calibration, _MOST_CALIBRATION))
    return calibration, given or back


def _channels(module: nn.Module, image: torch.Tensor) -> int:
    """How many the network returns, run once; 0 where it returns labels.

    Raises:
        ExportError: it fails, or returns no scores of one image.
    """
    try:
        with torch.no_grad():
            scores = module(image)
    except Exception as error:
        raise ExportError(
            f"the network fails on an image {image.dtype} {list(image.shape)}: "
            f"{type(error).__name__}: {error}. What to try: the size it was made for, or another "
            "input_format"
        ) from error
    if (
        scores.dtype in _LABELS
        and scores.dim() > 1
        and scores.numel() == scores.shape[-1] * scores.shape[-2]
    ):
        return 0
    if scores.dim() != 4 or scores.shape[0] != 1 or not scores.is_floating_point():
        raise ExportError(
            f"the network returns {scores.dtype} {list(scores.shape)}; expected scores of each "
            "class for each pixel, floating point [1, C, H, W], or labels [1, 1, H, W] or [1, H, W]"
        )
    return int(scores.shape[1])


def _check_labels(spec: ModelSpec, channels: int) -> None:
    """Whether they are as many as the network tells apart, the background among them.

    Raises:
        InvalidConfigError: not so.
    """
    if spec.labels is None:
        if spec.background is None or (channels > 1 and spec.activation == "sigmoid"):
            return
        spec = replace(spec, labels=LabelSet.for_channels(channels).enum)
    further = int(channels == 1 or spec.activation == "sigmoid")  # for where no other is likely
    count, expected = len(LabelSet(spec.labels)), channels + further  # type: ignore[arg-type]
    if count != expected:
        raise InvalidConfigError(
            f"there are {count} labels, but the network tells {expected} apart "
            f"(it returns {channels} channels)"
        )
    if spec.background is None:
        return
    try:
        member = LabelSet(spec.labels).find(spec.background)  # type: ignore[arg-type]
    except LabelError as error:
        raise InvalidConfigError(f"background: {error}") from None
    if member is None:
        raise InvalidConfigError("background is ARGMAX; expected one of the labels")
