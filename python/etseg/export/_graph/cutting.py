"""Whether the upsampling at a network's end is left to etseg: decided on photos."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import fx, nn

from etseg._model.spec import LogitsGrid
from etseg.export._options import InputFormat
from etseg.export._report import Cut
from etseg.export._verification.labels import agreement, labels_of, upsampled
from etseg.export._verification.photos import Photo
from etseg.export._verification.runtime import Preprocessing

from .simplify import Simplified, simplified
from .tail import Tail

#: Share of the photos' pixels that has to keep its label, where nobody decided.
_LEAST_AGREEMENT = 0.995


@dataclass(frozen=True)
class Prepared:
    """A graph to lower.

    Attributes:
        graph: takes what the network does; returns [1, C, H', W'], or labels.
        cut: what was left to etseg; None for the whole network.
        grid: where its scores lie in the image; None for "half-pixel".
        notes: what its owner should know.
    """

    graph: fx.GraphModule
    cut: Cut | None
    grid: LogitsGrid | None
    notes: tuple[str, ...]


def prepare(
    module: nn.Module,
    size: tuple[int, int],
    photos: tuple[Photo, ...],
    preprocessing: Preprocessing,
    low_stride: bool | None,
    activation: str,
    input_format: InputFormat = "float32-nchw",
) -> Prepared:
    """The graph of a network, without the upsampling at its end where that changes nothing.

    Args:
        module: takes an image, returns [1, C, H', W'], or labels.
        size: height and width.
        photos: to decide on.
        preprocessing: of the program.
        low_stride: True to cut in any case, False never, None by the photos.
        activation: of the program.
        input_format: what the network takes.

    Raises:
        ExportError: torch cannot trace the network.
    """
    low = simplified(module, size, low_stride is not False, input_format)
    if low.tail is None:
        return Prepared(low.graph, None, None, ())
    cut = Cut(low.tail.source, low.tail.target, low.tail.grid)
    if low_stride is None:
        kept = _kept(module, low, photos, preprocessing, activation)
        if kept < _LEAST_AGREEMENT:
            note = (
                f"the upsampling at the end is kept: left to etseg, {kept:.2%} of the photos' "
                f"pixels would keep their label, and not {_LEAST_AGREEMENT:.1%}"
            )
            whole = simplified(module, size, False, input_format)
            return Prepared(whole.graph, None, None, (note,))
    return Prepared(low.graph, cut, grid_of(low.tail), ())


def grid_of(tail: Tail) -> LogitsGrid | None:
    """Where the scores lie without it; None where that need not be said."""
    return None if tail.grid == "half-pixel" else LogitsGrid(tail.grid, tail.target)


def _kept(
    module: nn.Module,
    low: Simplified,
    photos: tuple[Photo, ...],
    preprocessing: Preprocessing,
    activation: str,
) -> float:
    assert low.tail is not None
    total = 0.0
    for photo in photos:
        image, target = preprocessing(photo.pixels), photo.pixels.shape[:2]
        with torch.no_grad():
            whole = upsampled(module(image), target)
            ours = upsampled(low.graph(image), target, grid_of(low.tail))
        total += agreement(whole, activation, labels_of(ours, activation))[0]
    return total / len(photos)
