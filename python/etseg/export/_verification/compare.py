"""The program in etseg's own runtime against the network in torch, on photos."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from etseg._model.spec import ModelSpec
from etseg._module import ImageSegmentationModule
from etseg.export._report import Comparison

from .labels import agreement, upsampled
from .photos import Photo
from .runtime import Eager, Preprocessing, Runner

#: How long the program is run to measure it, and how often at least.
_SECONDS, _RUNS = 1.0, 5


@dataclass(frozen=True)
class Measured:
    """A program's times on this machine, milliseconds."""

    load_ms: float
    forward_ms: float


def compare(
    path: Path,
    spec: ModelSpec,
    eager: Eager,
    cut: Callable[[torch.Tensor], torch.Tensor],
    photos: tuple[Photo, ...],
    preprocessing: Preprocessing,
) -> tuple[Comparison, ...]:
    """Each photo through both.

    Args:
        path: of the program.
        spec: what its input and output mean.
        eager: the network as it came.
        cut: the network as it was lowered, in float32: what the program should return.
        photos: to compare on.
        preprocessing: of the program.
    """
    found = []
    channels = _channels(cut, preprocessing, photos[0])
    with Runner(path, channels, spec) as runner, ImageSegmentationModule() as module:
        module.load(ModelSpec(model_source=path))  # as a user loads it: by what it says itself
        for photo in photos:
            image = preprocessing(photo.pixels)
            with torch.no_grad():
                expected = cut(image)[0].numpy()
            scores = upsampled(eager(photo.pixels), photo.pixels.shape[:2])
            labels = module.forward(photo.pixels, resize=True).argmax
            equal, but_for_ties = agreement(scores, eager.activation, labels)
            got = runner.scores(photo.pixels)
            found.append(
                Comparison(
                    photo.name,
                    (photo.pixels.shape[0], photo.pixels.shape[1]),
                    float(np.abs(got - expected).max()),
                    float(np.abs(expected).max()),
                    equal,
                    but_for_ties,
                )
            )
    return tuple(found)


def compare_labels(path: Path, eager: Eager, photos: tuple[Photo, ...]) -> tuple[Comparison, ...]:
    """Each photo through a program that returns labels, and the network, at their own size."""
    found = []
    with ImageSegmentationModule() as module:
        module.load(ModelSpec(model_source=path))  # as a user loads it: by what it says itself
        for photo in photos:
            expected = eager(photo.pixels)
            labels = module.forward(photo.pixels).argmax
            if expected.is_floating_point():
                equal, but_for_ties = agreement(expected, eager.activation, labels)
            else:
                equal = float((labels == expected.reshape(labels.shape).numpy()).mean())
                but_for_ties = equal
            size = (photo.pixels.shape[0], photo.pixels.shape[1])
            found.append(Comparison(photo.name, size, None, None, equal, but_for_ties))
    return tuple(found)


def at_image_size(path: Path, eager: Eager, photos: tuple[Photo, ...]) -> float:
    """Of the photos' pixels, the share that has the label by the network's scores, 0..1.

    The scores are interpolated to the photo's size; the labels that the program returns are not.
    """
    total = 0.0
    with ImageSegmentationModule(path) as module:
        for photo in photos:
            scores = upsampled(eager(photo.pixels), photo.pixels.shape[:2])
            labels = module.forward(photo.pixels, resize=True).argmax
            total += agreement(scores, eager.activation, labels)[0]
    return total / len(photos)


def measure(paths: Sequence[Path], photo: Photo) -> tuple[Measured, ...]:
    """How long each program takes to load, and to run once, at best; they run in turns."""
    with ExitStack() as stack:
        modules, loads = [], []
        for path in paths:
            module = stack.enter_context(ImageSegmentationModule())
            start = time.perf_counter()
            module.load(path)
            loads.append(time.perf_counter() - start)
            module.forward(photo.pixels)
            modules.append(module)
        times: list[list[int]] = []
        end = time.perf_counter() + _SECONDS * len(modules)
        while len(times) < _RUNS or time.perf_counter() < end:
            times.append([one.forward(photo.pixels).timings.inference for one in modules])
    best = [min(own) for own in zip(*times, strict=True)]
    return tuple(
        Measured(load * 1e3, forward / 1e6) for load, forward in zip(loads, best, strict=True)
    )


def random_photo(size: tuple[int, int]) -> Photo:
    """Noise, of the network's size; the same each time."""
    noise = np.random.default_rng(1).integers(0, 256, (*size, 3), np.uint8)
    return Photo("random noise", noise)


def _channels(
    network: Callable[[torch.Tensor], torch.Tensor], preprocessing: Preprocessing, photo: Photo
) -> int:
    with torch.no_grad():
        return int(network(preprocessing(photo.pixels)).shape[1])
