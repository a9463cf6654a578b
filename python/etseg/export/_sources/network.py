"""What every source makes of what it was given: a torch module, and what is known of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn


@dataclass(frozen=True)
class Network:
    """A network to export.

    Attributes:
        module: takes an image, float32 [1, 3, H, W], normalised; returns a tensor, or a structure
            whose first tensor (or "out", or "logits") is what counts. In eval mode.
        title: what people call it, for messages and reports.
        size: height and width that it was made for; None if nothing says.
        fields: of :class:`etseg.ModelSpec`, those that the source knows: labels, mean, std, ...
        notes: what its owner should know about the export.
        unsaid: the same, where neither the source nor the caller knows mean and std.
    """

    module: nn.Module
    title: str
    size: tuple[int, int] | None = None
    fields: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    unsaid: str = (
        "nothing says how the input is normalised: mean 0 and std 1 are taken where they were not "
        "given; check it"
    )


class FirstOutput(nn.Module):
    """A network, with nothing but its logits as output.

    torchvision's networks return "out", those of transformers "logits"; of anything else the
    first tensor counts.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return first_tensor(self.network(image))


def first_tensor(output: Any) -> torch.Tensor:
    """The tensor that counts.

    Raises:
        TypeError: there is none.
    """
    if isinstance(output, torch.Tensor):
        return output
    if isinstance(output, dict):  # transformers' outputs are dicts too
        for key in ("out", "logits"):
            if isinstance(output.get(key), torch.Tensor):
                return output[key]
        output = list(output.values())
    if isinstance(output, (tuple, list)):
        for part in output:
            try:
                return first_tensor(part)
            except TypeError:
                continue
    raise TypeError(f"the network returns {type(output).__name__}, in which there is no tensor")
