"""Programs of each family of networks, where no torch is, against what torch computed.

tests/tools/export_families.py makes them; ETSEG_EXPORTED names its folder.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest

import etseg

if "ETSEG_EXPORTED" not in os.environ:
    pytest.skip("ETSEG_EXPORTED names no folder of programs", allow_module_level=True)

FOLDER = Path(os.environ["ETSEG_EXPORTED"])
PROGRAMS = sorted(FOLDER.glob("*.pte"))


def test_there_are_programs() -> None:
    assert len(PROGRAMS) >= 11


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
@pytest.mark.parametrize("index", range(4))
def test_it_computes_what_torch_did(path: Path, index: int) -> None:
    """ARGMAX equal but for ties within 1e-4 of the largest score, probabilities within 1e-3."""
    kept = np.load(path.with_suffix(".npz"))
    image, scores = kept[f"image{index}"], kept[f"scores{index}"].astype(np.float64)
    with etseg.ImageSegmentationModule() as module:
        module.load(path)
        result = module.forward(image, range(len(scores)), resize=True)
    shifted = np.exp(scores - scores.max(0))
    probabilities = shifted / shifted.sum(0)
    for label, expected in enumerate(probabilities):
        assert np.abs(result[label] - expected).max() < 1e-3
    chosen = np.take_along_axis(scores, result.argmax[None].astype(np.int64), 0)[0]
    assert (scores.max(0) - chosen).max() <= 1e-4 * max(1, np.abs(scores).max())
    assert len(np.unique(result.argmax)) > 1, "a network that says one thing shows nothing"


def test_no_torch_was_needed() -> None:
    assert "torch" not in sys.modules
