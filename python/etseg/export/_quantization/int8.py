"""From a graph in float32 and photos to one in int8 that keeps the photos' labels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import fx, nn

from etseg._errors import InvalidUserInputError
from etseg._model.spec import LogitsGrid
from etseg.export._verification.labels import agreement, labels_of, upsampled
from etseg.export._verification.photos import Photo
from etseg.export._verification.runtime import Preprocessing

from .quantizer import converted, layers_of, prepared, watch
from .search import Choice, choose
from .simulation import Simulation

#: Every so manieth photo is kept back from the calibration, for the comparison; at least one.
_KEPT_BACK = 4
_LEAST_PHOTOS = 2


@dataclass(frozen=True)
class Quantized:
    """A graph in int8, and which layers are not.

    Attributes:
        graph: to lower.
        choice: the layers in float, and what was tried.
        layers: how many there are in all.
    """

    graph: fx.GraphModule
    choice: Choice
    layers: int


def kept_back(photos: Sequence[Photo]) -> tuple[tuple[Photo, ...], tuple[Photo, ...]]:
    """Photos to calibrate with, and others to compare on.

    Raises:
        InvalidUserInputError: there are fewer than two.
    """
    if len(photos) < _LEAST_PHOTOS:
        raise InvalidUserInputError(
            f"there is {len(photos)} photo to calibrate with; expected {_LEAST_PHOTOS} at least, of"
            " which a part is kept back for the comparison; some twenty are enough"
        )
    step = min(_KEPT_BACK, len(photos))
    back = tuple(photos[step - 1 :: step])
    return tuple(photo for photo in photos if photo not in back), back


def quantized(
    graph: fx.GraphModule,
    whole: nn.Module,
    calibration: Sequence[Photo],
    photos: Sequence[Photo],
    preprocessing: Preprocessing,
    activation: str,
    grid: LogitsGrid | None,
    least: float,
) -> Quantized:
    """The graph with layers in int8, as many as the photos' labels allow.

    Args:
        graph: as it was simplified; it stays as it is.
        whole: the network as it came.
        calibration: photos that ranges are taken from, each as it is and mirrored.
        photos: others, whose labels count.
        preprocessing: of the program.
        activation: likewise.
        grid: where the graph's scores lie in the image.
        least: share of the photos' pixels that has to keep the label that `whole` gives them.
    """
    layers = layers_of(graph)
    seen = [preprocessing(photo.pixels) for photo in calibration]
    seen += [image.flip(3) for image in seen]
    observed = prepared(graph, frozenset())
    watch(observed, seen)
    images = [preprocessing(photo.pixels) for photo in photos]
    choice = choose(
        Simulation(observed, layers), layers, images,
        _agreement(whole, images, photos, activation, grid), least, activation,
    )  # fmt: skip
    if choice.in_float:
        observed = prepared(graph, frozenset(choice.in_float))
        watch(observed, seen)
    return Quantized(converted(observed), choice, len(layers))


def _agreement(
    whole: nn.Module,
    images: Sequence[torch.Tensor],
    photos: Sequence[Photo],
    activation: str,
    grid: LogitsGrid | None,
) -> Callable[[Sequence[torch.Tensor]], float]:
    sizes = [photo.pixels.shape[:2] for photo in photos]
    with torch.no_grad():
        exact = [upsampled(whole(image), size) for image, size in zip(images, sizes, strict=True)]

    def of(scores: Sequence[torch.Tensor]) -> float:
        shares = [
            agreement(own, activation, labels_of(upsampled(other, size, grid), activation))[0]
            for own, other, size in zip(exact, scores, sizes, strict=True)
        ]
        return sum(shares) / len(shares)

    return of
