"""The programs of tests/data/programs, and the functions they compute, in plain numpy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

FOLDER = Path(__file__).parents[2] / "data" / "programs"

Floats = npt.NDArray[np.float64]
Image = npt.NDArray[np.uint8]


def program(name: str) -> Path:
    """The file of a program."""
    return FOLDER / f"{name}.pte"


def picture(height: int = 24, width: int = 40, seed: int = 0) -> Image:
    """Noise, red first: at the programs' input size no resampling stands between it and them."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def logits(image: Image, channels: int, stride: int = 1, mean: float = 0.0) -> Floats:
    """What the 1x1 convolution of the programs returns, (channels, H / stride, W / stride)."""
    c, k = np.arange(channels)[:, None], np.arange(3)
    weight = ((7 * c + 5 * k + c * k) % 17 - 8) / 8
    bias = (3 * np.arange(channels) % 7 - 3) / 8
    planes = image.transpose(2, 0, 1) / 255 - mean
    return np.einsum("ck,khw->chw", weight, planes[:, ::stride, ::stride]) + bias[:, None, None]


def softmax(values: Floats) -> Floats:
    """Over the first axis."""
    powers = np.exp(values - values.max(axis=0))
    return powers / powers.sum(axis=0)


def sigmoid(values: Floats) -> Floats:
    """Of each value."""
    return 1 / (1 + np.exp(-values))
