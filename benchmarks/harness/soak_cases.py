"""What the soak asks for, and the answers that are right."""

from __future__ import annotations

import contextlib
import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np

import etseg
from harness.models import CHECKOUT

PROGRAMS = CHECKOUT / "tests" / "data" / "programs"
MODELS: list[Any] = [
    etseg.SELFIE_SEGMENTATION,
    etseg.SELFIE_SEGMENTATION_LANDSCAPE,
    *(
        PROGRAMS / f"{name}.pte"
        for name in ("logits_c3", "portable_c3", "stride4_c3", "logits_c21", "sigmoid_c1")
    ),
]
#: What load() refuses.
BROKEN = [PROGRAMS / f"{name}.pte" for name in ("missing_operator", "no_forward", "absent")]


@dataclass
class Case:
    """An image and how it is asked for; with what every model makes of it."""

    image: Any
    classes: tuple[int, ...]
    resize: bool
    right: set[str] = field(default_factory=set)


def digest(result: etseg.SegmentationResult) -> str:
    """Of every map."""
    made = hashlib.blake2b(digest_size=16)
    for key in result:
        made.update(np.ascontiguousarray(result[key]).data)
    return made.hexdigest()


def make_cases(folder: Path) -> list[Case]:
    """Images of several kinds and sizes, and what each model alone makes of each of them."""
    chance = np.random.default_rng(0)
    images: list[Any] = [
        chance.integers(0, 256, shape, np.uint8)
        for shape in ((24, 40, 3), (144, 256, 3), (300, 400, 4), (257, 129), (720, 1280, 3))
    ]
    smooth = cv2.resize(images[1], (1600, 1200), interpolation=cv2.INTER_CUBIC)
    path = folder / "photo.jpg"
    assert cv2.imwrite(str(path), smooth)
    images += [path, path.read_bytes(), images[4][::-2, ::3]]
    cases = [
        Case(image, classes, resize)
        for image in images
        for classes in ((), (0, 1), (2,))
        for resize in (False, True)
    ]
    for concurrency in (1, 2):  # float32 sums do not depend on it; were that to change, this tells
        for model in MODELS:
            with etseg.ImageSegmentationModule(concurrency=concurrency) as module:
                module.load(model)
                for case in cases:
                    with contextlib.suppress(etseg.LabelError):
                        case.right.add(
                            digest(module.forward(case.image, case.classes, case.resize))
                        )
    return cases
