"""What TensorFlow Lite has in another form than torch: a constant operand, padding that differs."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F  # noqa: N812  # as everybody calls it
from torch import nn


class Function(nn.Module):
    """A function of torch."""

    def __init__(self, function: Callable[..., torch.Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *values: torch.Tensor) -> torch.Tensor:
        return self.function(*values)


class Elementwise(nn.Module):
    """A function of two values, one of which may be a constant."""

    def __init__(
        self, function: Callable[..., torch.Tensor], constant: torch.Tensor | None, first: bool
    ) -> None:
        super().__init__()
        self.function, self.first = function, first
        self.constant: torch.Tensor | None
        self.register_buffer("constant", constant)

    def forward(self, *values: torch.Tensor) -> torch.Tensor:
        if self.constant is None:
            return self.function(*values)
        (value,) = values
        pair = (self.constant, value) if self.first else (value, self.constant)
        return self.function(*pair)


class Convolution(nn.Module):
    """With the padding that keeps the size, which may differ between sides."""

    def __init__(
        self,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        pads: tuple[int, int, int, int],
        stride: tuple[int, int],
        dilation: tuple[int, int],
        groups: int,
    ) -> None:
        super().__init__()
        left, right, top, bottom = pads
        even = left == right and top == bottom
        self.pads = None if even else pads
        self.inner = nn.Conv2d(
            weight.shape[1] * groups, weight.shape[0], tuple(weight.shape[2:]), stride,
            (top, left) if even else 0, dilation, groups, bias is not None,
        )  # fmt: skip
        self.inner.weight.data = weight
        if bias is not None:
            assert self.inner.bias is not None
            self.inner.bias.data = bias

    def forward(self, value: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.inner(value if self.pads is None else F.pad(value, self.pads))
        return result
