"""Files that went wrong once, or stand for a mistake that did: each an error, and no word said."""

from __future__ import annotations

from pathlib import Path

import pytest

import etseg
from eyes import eyes

CORPUS = sorted((Path(__file__).parents[2] / "fuzz" / "corpus").glob("*"))


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.name)
def test_a_find(path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with (
        eyes(limits=etseg.Limits(max_pixels=1_000_000)) as module,
        pytest.raises((etseg.FileReadError, etseg.InvalidUserInputError)),
    ):
        module.forward(path)
    written = capfd.readouterr()
    assert (written.out, written.err) == ("", "")


def test_there_are_finds() -> None:
    assert len(CORPUS) > 30
