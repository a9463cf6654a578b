"""Damaged programs. With a known SHA-256 none reaches the runtime; without, none crashes it as long
as the damage is in the program and not in a delegate's own payload (tests/tools/mutation_rate.py
measures those).
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from importlib import resources
from pathlib import Path

import pytest

import etseg
from etseg import ImageSegmentationModule
from mutations import mutated, outcomes
from programs import picture

COPIES = 1000


@pytest.fixture(scope="module")
def selfie_program() -> Path:
    """The embedded program."""
    name = str(etseg.SELFIE_SEGMENTATION.model_source).removeprefix("bundled:")
    return Path(str(resources.files("etseg") / "_bundled" / name))


def test_a_known_checksum_refuses_every_copy(
    selfie_program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Unreachable:
        def __init__(self, path: str, instances: int) -> None:
            message = f"{path} reached the runtime, {instances} times"
            raise AssertionError(message)

    program = selfie_program.read_bytes()
    spec = replace(etseg.SELFIE_SEGMENTATION, model_source=tmp_path / "copy.pte")
    module = ImageSegmentationModule()
    module.load(etseg.SELFIE_SEGMENTATION)
    with monkeypatch.context() as patch:
        patch.setattr("etseg._native.Model", Unreachable)
        for seed in range(COPIES):
            (tmp_path / "copy.pte").write_bytes(mutated(program, 0, seed))
            with pytest.raises(etseg.InvalidModelError, match=r"SHA-256.*expects.*6b693a8b"):
                module.load(spec)
        (tmp_path / "copy.pte").write_bytes(program)
        with pytest.raises(AssertionError, match="reached the runtime"):
            module.load(spec)  # the check would have let the original through
    assert module.forward(picture()).size == (256, 256)


def test_unchecked_copies_never_crash(
    selfie_program: Path, tmp_path: Path, measured: Callable[[str, object], None]
) -> None:
    """Bytes changed in the first 4 KB: headers, tables, tensors, instructions."""
    counts, deaths = outcomes(selfie_program, tmp_path, 4096, range(COPIES))
    measured("outcomes", dict(counts))
    assert deaths == []
    assert sum(counts.values()) == COPIES
    assert counts["InvalidModelError"] > 0


@pytest.mark.parametrize("length", [0, 1, 7, 8, 31, 32, 63, 64, 1024, 4096, 100_000, -100, -1])
def test_truncated(length: int, selfie_program: Path, tmp_path: Path) -> None:
    """In this process: a crash would be seen."""
    path = tmp_path / "short.pte"
    path.write_bytes(selfie_program.read_bytes()[:length])
    with pytest.raises(etseg.InvalidModelError, match=r"short\.pte"):
        ImageSegmentationModule().load(path)


def test_noise(tmp_path: Path) -> None:
    path = tmp_path / "noise.pte"
    for seed in range(50):
        noise = random.Random(seed).randbytes(8192)
        for content in (noise, noise[:4] + b"ET12" + noise[8:], bytes(8192)):
            path.write_bytes(content)
            with pytest.raises(etseg.InvalidModelError, match=r"noise\.pte"):
                ImageSegmentationModule().load(path)
