"""How a network takes its image: the type of the values, and the order of the axes."""

from __future__ import annotations

import torch

from ._options import InputFormat


def is_bytes(input_format: InputFormat) -> bool:
    """Whether the network takes uint8, 0 to 255, and normalises it itself."""
    return input_format.startswith("uint8")


def is_interleaved(input_format: InputFormat) -> bool:
    """Whether the channels of a pixel lie together: [1, H, W, 3]."""
    return input_format.endswith("nhwc")


def of_planes(planes: torch.Tensor, input_format: InputFormat) -> torch.Tensor:
    """An image [1, 3, H, W] as a network takes it; for one of bytes they are whole numbers."""
    if is_interleaved(input_format):
        planes = planes.permute(0, 2, 3, 1).contiguous()
    return planes.to(torch.uint8) if is_bytes(input_format) else planes


def blank(size: tuple[int, int], input_format: InputFormat) -> torch.Tensor:
    """An image of zeros, of that height and width."""
    return of_planes(torch.zeros(1, 3, *size), input_format)
