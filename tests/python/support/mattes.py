"""A matte whose truth is known: a head with hair, drawn, and photographs mixed by it."""

from __future__ import annotations

from typing import Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

#: What is drawn is made smaller by this: opacities are shares of a pixel.
_FINER = 4


class Mixture(NamedTuple):
    """opacity * foreground + (1 - opacity) * background = image, before rounding."""

    image: Array  # uint8 (H, W, 3)
    opacity: Array  # uint8 (H, W)
    foreground: Array  # uint8 (H, W, 3): the truth


def hair(height: int, width: int, hairs: int = 220, seed: int = 1) -> Array:
    """Opacities 0 to 255 of a head and shoulders, with hairs of a pixel or less."""
    random = np.random.default_rng(seed)
    high, wide = height * _FINER, width * _FINER
    mask = np.zeros((high, wide), np.uint8)
    x, y, across, down = wide // 2, int(high * 0.55), int(wide * 0.22), int(high * 0.28)
    cv2.ellipse(mask, (x, y), (across, down), 0, 0, 360, 255, -1)
    cv2.rectangle(mask, (x - across * 3 // 2, y + down), (x + across * 3 // 2, high), 255, -1)
    steps = 40
    for _ in range(hairs):
        angle = random.uniform(np.pi, 2 * np.pi)
        bend = angle + random.normal(0, 0.35) + random.normal(0, 0.03) * np.arange(steps)
        length = random.uniform(0.25, 1) * high * 0.2 / steps
        way = np.cumsum(np.stack([np.cos(bend), np.sin(bend)], axis=1) * length, axis=0)
        root = (x + across * 0.97 * np.cos(angle), y + down * 0.97 * np.sin(angle))
        points = np.rint(way + root).astype(np.int32)
        cv2.polylines(mask, [points], False, 255, int(random.integers(1, 2 * _FINER)))
    return np.asarray(cv2.resize(mask, (width, height), interpolation=cv2.INTER_AREA))


def mixture(foreground: Array, background: Array, opacity: Array) -> Mixture:
    """Two images, uint8 (H, W, 3), mixed."""
    share = opacity[..., None] / 255
    image = np.rint(share * foreground + (1 - share) * background).astype(np.uint8)
    return Mixture(image, opacity, foreground)


def error_on(mixed: Mixture, picture: Array, background: Array) -> float:
    """Mean absolute error, of 255, of a picture on a new background against the truth.

    Of the pixels that are neither opaque nor clear.
    """
    share = mixed.opacity[..., None] / 255
    truth = share * mixed.foreground + (1 - share) * background
    between = (mixed.opacity > 0) & (mixed.opacity < 255)
    return float(np.abs(picture - truth)[between].mean())
