"""What TensorFlow Lite computes on another grid than torch: padding, pooling, resizing."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F  # noqa: N812  # as everybody calls it
from torch import nn

#: The schema's number of the padding that keeps the size.
SAME = 0


def padding_of(
    size: Sequence[int],
    kernel: Sequence[int],
    stride: Sequence[int],
    dilation: Sequence[int],
    kind: int | None,
) -> tuple[int, int, int, int]:
    """Left, right, top, bottom: none, or what keeps the size, the odd one behind.

    Args:
        size: height and width of what is padded; of a transposed convolution, of its result.
        kernel: height and width; likewise stride and dilation.
        kind: the schema's number; None for no padding.
    """
    if kind != SAME:
        return 0, 0, 0, 0
    pads = []
    for length, taps, step, spread in zip(size, kernel, stride, dilation, strict=True):
        results = -(-length // step)
        missing = max((results - 1) * step + (taps - 1) * spread + 1 - length, 0)
        pads.append((missing // 2, missing - missing // 2))
    return *pads[1], *pads[0]


class Transposed(nn.Module):
    """A transposed convolution, whose result's edges are cut off by the padding."""

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None, stride: tuple[int, int],
                 pads: tuple[int, int, int, int], size: Sequence[int]) -> None:  # fmt: skip
        super().__init__()
        self.left, _, self.top, _ = pads
        self.height, self.width = size
        self.inner = nn.ConvTranspose2d(
            weight.shape[0], weight.shape[1], tuple(weight.shape[2:]), stride, bias=bias is not None
        )
        self.inner.weight.data = weight
        if bias is not None:
            assert self.inner.bias is not None
            self.inner.bias.data = bias

    def forward(self, value: torch.Tensor) -> torch.Tensor:
        """The padding is taken off by slices, as it may differ between sides."""
        whole: torch.Tensor = self.inner(value)
        down, across = (
            self.top + self.height - whole.shape[2],
            self.left + self.width - whole.shape[3],
        )
        if max(down, across) > 0:
            whole = F.pad(whole, (0, max(0, across), 0, max(0, down)))
        if whole.shape[2:] == (self.height, self.width):
            return whole
        return whole[:, :, self.top : self.top + self.height, self.left : self.left + self.width]


class Pooling(nn.Module):
    """The largest or the mean of each window; what is padded counts for neither."""

    def __init__(self, size: tuple[int, int], kernel: tuple[int, int], stride: tuple[int, int],
                 pads: tuple[int, int, int, int], largest: bool) -> None:  # fmt: skip
        super().__init__()
        self.kernel, self.stride, self.largest = kernel, stride, largest
        self.pads = pads if any(pads) else None
        self.whole = kernel == size and self.pads is None
        self.counted: torch.Tensor | None
        share = None
        if self.pads is not None and not largest:
            inside = F.pad(torch.ones(1, 1, *size), pads)
            share = 1 / F.avg_pool2d(inside, kernel, stride)
        self.register_buffer("counted", share)

    def forward(self, value: torch.Tensor) -> torch.Tensor:
        if self.largest:
            if self.pads is not None:
                value = F.pad(value, self.pads, value=torch.finfo(value.dtype).min)
            return F.max_pool2d(value, self.kernel, self.stride)
        if self.whole:
            return value.mean((2, 3), keepdim=True)  # which backends know better
        if self.pads is not None:
            value = F.pad(value, self.pads)
        pooled = F.avg_pool2d(value, self.kernel, self.stride)
        return pooled if self.counted is None else pooled * self.counted


class Resized(nn.Module):
    """Bilinear; by half-pixel centres, by corners, or by upper left edges, as of old."""

    def __init__(
        self, source: tuple[int, int], target: tuple[int, int], corners: bool, half_pixel: bool
    ) -> None:
        super().__init__()
        self.target, self.corners = target, corners
        self.unchanged = source == target
        as_of_old = not corners and not half_pixel and source != (1, 1) and not self.unchanged
        self.rows: torch.Tensor | None
        self.columns: torch.Tensor | None
        self.register_buffer("rows", _by_edges(source[0], target[0]) if as_of_old else None)
        self.register_buffer("columns", _by_edges(source[1], target[1]).T if as_of_old else None)

    def forward(self, value: torch.Tensor) -> torch.Tensor:
        if self.unchanged:
            return value
        if self.rows is None or self.columns is None:
            return F.interpolate(value, self.target, mode="bilinear", align_corners=self.corners)
        return torch.matmul(self.rows, torch.matmul(value, self.columns))


def _by_edges(source: int, target: int) -> torch.Tensor:
    """[target, source]: what of each source point is in each target point."""
    places = torch.arange(target, dtype=torch.float64) * source / target
    before = places.floor().long().clamp(max=source - 1)
    behind = (before + 1).clamp(max=source - 1)
    share = places - before
    matrix = torch.zeros(target, source, dtype=torch.float64)
    points = torch.arange(target)
    matrix[points, before] += 1 - share
    matrix[points, behind] += share
    return matrix.float()
