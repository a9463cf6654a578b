"""What label each pixel has, computed the slow and readable way, in torch."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F  # noqa: N812  # as everybody calls it

from etseg._model.spec import LogitsGrid

#: Scores nearer to each other than this are a tie, which rounding decides.
TIE = 1e-4


def upsampled(
    scores: torch.Tensor, size: tuple[int, int], grid: LogitsGrid | None = None
) -> torch.Tensor:
    """Scores [1, C, h, w] at the size of an image, bilinearly, once.

    Pixels lie by half-pixel centres in the scores; or in a grid whose corners are the scores'.
    """
    if grid is None or grid.size is None:
        return F.interpolate(scores, size, mode="bilinear", align_corners=False)
    for axis, pixels, points in zip((2, 3), size, grid.size, strict=True):
        scores = _along(scores, axis, _positions(pixels, points, scores.shape[axis]))
    return scores


def _positions(pixels: int, points: int, scores: int) -> torch.Tensor:
    """Of each pixel among the scores, whose first and last are the grid's."""
    centres = (torch.arange(pixels, dtype=torch.float64) + 0.5) * points / pixels - 0.5
    return centres.clamp(0, points - 1) * (scores - 1) / max(1, points - 1)


def _along(scores: torch.Tensor, axis: int, positions: torch.Tensor) -> torch.Tensor:
    last = scores.shape[axis] - 1
    before = positions.floor().long().clamp(0, last)
    behind = (before + 1).clamp(max=last)
    shape = [1] * 4
    shape[axis] = -1
    share = (positions - before).to(scores.dtype).reshape(shape)
    return scores.index_select(axis, before) * (1 - share) + share * scores.index_select(
        axis, behind
    )


def labels_of(scores: torch.Tensor, activation: str) -> npt.NDArray[np.int64]:
    """The label of each pixel [H, W] from scores [1, C, H, W]; ties go to the lowest index."""
    if scores.shape[1] == 1:
        return np.asarray(scores[0, 0] < _threshold(activation), np.int64)
    return np.asarray(_rivals(scores, activation).argmax(0), np.int64)


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
        tied = (scores[0, 0] - _threshold(activation)).abs().numpy() <= TIE
    else:
        rivals = _rivals(scores, activation)
        index = torch.from_numpy(other.astype(np.int64))[None]
        tied = (rivals.amax(0) - rivals.gather(0, index)[0]).numpy() <= TIE
    return float(same.mean()), float((same | tied).mean())


def _threshold(activation: str) -> float:
    """Of one channel, from which on its label is taken."""
    return 0.0 if activation == "sigmoid" else 0.5


def _rivals(scores: torch.Tensor, activation: str) -> torch.Tensor:
    """What the label is the argmax of, [labels, H, W].

    Channels that each have a sigmoid of their own have one rival more, for none of them, whose
    probability is 1 less the greatest.
    """
    if activation != "sigmoid":
        return scores[0]
    return torch.cat((scores[0], -scores[0].amax(0, keepdim=True)))
