"""What label each pixel has, computed the slow and readable way, in torch."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F  # noqa: N812  # as everybody calls it

Grid = Literal["half-pixel", "align-corners"]

#: Scores nearer to each other than this are a tie, which rounding decides.
TIE = 1e-4


def upsampled(scores: torch.Tensor, size: tuple[int, int], grid: Grid) -> torch.Tensor:
    """Scores [1, C, h, w] at the size of an image, bilinearly, by half-pixel centres."""
    assert grid == "half-pixel"  # others are not cut
    return F.interpolate(scores, size, mode="bilinear", align_corners=False)


def labels_of(scores: torch.Tensor, activation: str) -> npt.NDArray[np.int64]:
    """The label of each pixel [H, W] from scores [1, C, H, W]; ties go to the lowest index."""
    if scores.shape[1] == 1:
        threshold = 0.0 if activation == "sigmoid" else 0.5
        return np.asarray(scores[0, 0] < threshold, np.int64)
    return np.asarray(scores[0].argmax(0), np.int64)


def agreement(
    scores: torch.Tensor,
    activation: str,
    other: npt.NDArray[np.integer],
) -> tuple[float, float]:
    """The share of pixels with the same label, and the same but for ties, both 0..1.

    Args:
        scores: [1, C, H, W], of the network itself.
        activation: of the network.
        other: labels [H, W], of what is compared with it.
    """
    own = labels_of(scores, activation)
    same = own == other
    if scores.shape[1] == 1:
        threshold = 0.0 if activation == "sigmoid" else 0.5
        tied = (scores[0, 0] - threshold).abs().numpy() <= TIE
    else:
        best = scores[0].amax(0)
        index = torch.from_numpy(other.astype(np.int64))[None]
        tied = (best - scores[0].gather(0, index)[0]).numpy() <= TIE
    return float(same.mean()), float((same | tied).mean())
