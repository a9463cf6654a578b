"""Which layers stay in float32, so that the labels of photos stay as they are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from .quantizer import Layer
from .simulation import Simulation

#: More than was asked for, as the simulation rounds a little otherwise than the backend.
_MARGIN = 0.002


@dataclass(frozen=True)
class Choice:
    """Which layers stay in float, and what the simulation says of it.

    Attributes:
        in_float: their names, those that lose most first.
        agreement: share of the photos' pixels that keep their label.
        tried: each number of layers in float that was tried, with its agreement.
    """

    in_float: tuple[str, ...]
    agreement: float
    tried: tuple[tuple[int, float], ...]


def choose(
    simulation: Simulation,
    layers: Sequence[Layer],
    images: Sequence[torch.Tensor],
    agreement_of: Callable[[Sequence[torch.Tensor]], float],
    least: float,
    activation: str,
) -> Choice:
    """As few layers in float as are needed.

    Args:
        simulation: of the network, calibrated.
        layers: all there are.
        images: what the network gets for photos that the calibration did not see.
        agreement_of: from the scores of these images to the share of pixels that keep their label.
        least: how large that has to be.
        activation: of the network.
    """
    names = [layer.name for layer in layers]
    tried: dict[int, float] = {}

    def agreement(count: int) -> float:
        if count not in tried:
            in_int8 = frozenset(names) - frozenset(order[:count])
            tried[count] = agreement_of([simulation(image, in_int8) for image in images])
        return tried[count]

    order: list[str] = []
    wanted = min(1.0, least + _MARGIN)
    if agreement(0) < wanted:
        order = by_sensitivity(simulation, names, images, activation)
    low, high = 0, 0
    while agreement(high) < wanted and high < len(names):
        low, high = high, min(len(names), max(1, 2 * high))
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if agreement(middle) >= wanted else (middle, high)
    return Choice(tuple(order[:high]), agreement(high), tuple(sorted(tried.items())))


def by_sensitivity(
    simulation: Simulation,
    names: Sequence[str],
    images: Sequence[torch.Tensor],
    activation: str,
) -> list[str]:
    """The layers, first the one that alone in int8 moves the probabilities most."""
    exact = [probabilities(simulation(image, frozenset()), activation) for image in images]
    moved = {}
    for name in names:
        rounded = [
            probabilities(simulation(image, frozenset([name])), activation) for image in images
        ]
        moved[name] = sum(float((a - b).abs().mean()) for a, b in zip(exact, rounded, strict=True))
    return sorted(names, key=lambda name: -moved[name])


def probabilities(scores: torch.Tensor, activation: str) -> torch.Tensor:
    """Of scores [1, C, H, W], as the program's activation has them."""
    if activation == "softmax":
        return scores.softmax(1)
    if activation == "normalise":
        return scores / scores.sum(1, keepdim=True).clamp(min=torch.finfo(scores.dtype).tiny)
    return scores.sigmoid() if activation == "sigmoid" else scores
