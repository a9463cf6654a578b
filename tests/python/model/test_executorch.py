"""etseg against executorch's own Python bindings, where executorch and torch are installed.

Stage by stage, so that a difference has an address:

1. the model's input, at the real models' sizes, against the reference: equal but for rounding;
2. the program's output for that input, against executorch's own runtime: the same bits;
3. from that output on, against the reference: ARGMAX equal wherever rounding does not decide it,
   probabilities within 2e-6.

Nothing is left over between these three. The last test goes the whole way at once, from the
reference's input: that measures the networks rather than etseg. A last-bit difference of the input
(1e-7) comes out of the selfie network as up to 4e-5, whichever runtime runs it, and can move an
activation of the int8 program to the next of its 256 levels.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import etseg
import reference
from conftest import MODELS, Image

for _name in ("executorch", "torch"):
    if importlib.util.find_spec(_name) is None:
        pytest.skip(f"{_name} is not installed", allow_module_level=True)

Loaded = Callable[..., etseg.ImageSegmentationModule]
Measured = Callable[[str, object], None]
Floats = npt.NDArray[np.float32]

SIZES = ((1, 1), (3, 5), (480, 640), (512, 512), (1080, 1920), (3024, 4032))
_RGB = ("R", "G", "B")


class Peer:
    """executorch_peer.py, running."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._log = (folder / "peer.log").open("w")
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).parents[1] / "support" / "executorch_peer.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )

    def close(self) -> None:
        self._process.communicate()
        self._log.close()

    def _ask(self, **request: Any) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, (self.folder / "peer.log").read_text()[-2000:]
        assert json.loads(answer)["error"] is None, json.loads(answer)["error"]

    def identity(self, size: tuple[int, int]) -> Path:
        """A program of that input size which returns its input."""
        path = self.folder / f"identity_{size[0]}x{size[1]}.pte"
        if not path.exists():
            self._ask(export_identity=size, to=str(path))
        return path

    def run(self, program: Path, inputs: Floats) -> Floats:
        """The outputs (n, C, h, w) of the program for the inputs (n, 3, H, W)."""
        given, made = self.folder / "inputs.npy", self.folder / "outputs.npy"
        np.save(given, inputs)
        self._ask(run=str(program), inputs=str(given), to=str(made))
        return np.asarray(np.load(made), np.float32)


@pytest.fixture(scope="module")
def peer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peer]:
    running = Peer(tmp_path_factory.mktemp("executorch"))
    yield running
    running.close()


@dataclass
class Case:
    """One model, the photograph in all sizes, and what each side makes of them."""

    module: etseg.ImageSegmentationModule
    labels: list[str]
    images: list[Image]
    ours: Floats  # the model's input as etseg makes it
    reference: Floats  # and as the reference does
    raw: Floats  # the program's output in etseg
    outputs_of_ours: Floats  # executorch's outputs for either
    outputs_of_reference: Floats


@pytest.fixture(scope="module", params=MODELS)
def case(
    request: pytest.FixtureRequest,
    peer: Peer,
    loaded: Loaded,
    spec_of: Callable[[str], etseg.ModelSpec],
    photo_of_size: Callable[[int, int], Image],
) -> Case:
    name = request.param
    module = loaded(name)
    labels = [member.name for member in module.labels if member.name != "ARGMAX"]
    images = [photo_of_size(*size) for size in SIZES]
    size = module.input_size
    ours = planes_of(
        etseg.ModelSpec(
            model_source=peer.identity(size), labels=_RGB, activation="none", resample="bilinear"
        ),
        images,
    )
    raw_module = loaded(name, activation="none")
    channels = labels[:1] if raw_module.labels is etseg.SelfieSegmentationLabel else labels
    raw = np.stack([stack(raw_module.forward(image, channels), channels) for image in images])
    source = str(spec_of(name).model_source)
    program = Path(source.replace("bundled:", f"{Path(etseg.__file__).parent}/_bundled/"))
    expected = np.stack([reference.preprocess(image, size) for image in images])
    return Case(
        module=module,
        labels=labels,
        images=images,
        ours=ours,
        reference=expected.astype(np.float32),
        raw=raw,
        outputs_of_ours=peer.run(program, ours),
        outputs_of_reference=peer.run(program, expected.astype(np.float32)),
    )


def stack(result: etseg.SegmentationResult, labels: list[str]) -> Floats:
    return np.stack([result[label] for label in labels])


def planes_of(spec: etseg.ModelSpec, images: list[Image]) -> Floats:
    with etseg.ImageSegmentationModule() as module:
        module.load(spec)
        return np.stack([stack(module.forward(image, _RGB), list(_RGB)) for image in images])


def test_input(case: Case, measured: Measured) -> None:
    """Values are 0..1; two roundings of a sum of two products explain 2e-7."""
    error = float(np.abs(case.ours - case.reference).max())
    measured("input error", error)
    assert error <= 5e-7


def test_output_for_the_same_input(case: Case, measured: Measured) -> None:
    """The runtime is the same version, so the bits are the same: nothing is lost on the way in or
    out, the layout of the output included.
    """
    measured("output error", float(np.abs(case.raw - case.outputs_of_ours).max()))
    np.testing.assert_array_equal(case.raw, case.outputs_of_ours)


@pytest.mark.parametrize("resize", [False, True], ids=["native", "resized"])
def test_maps_from_that_output(case: Case, resize: bool, measured: Measured) -> None:
    for image, logits in zip(case.images, case.outputs_of_ours, strict=True):
        [found] = compare(case, image, logits, resize)
        measured(f"{image.shape[1]}x{image.shape[0]}", found)
        assert found.wrong == 0
        assert found.error <= 2e-6


def test_whole_way(case: Case, measured: Measured) -> None:
    """See above for what the bounds are the bounds of."""
    quantized = "int8" in case.module.spec.name
    for image, logits in zip(case.images, case.outputs_of_reference, strict=True):
        [found] = compare(case, image, logits, resize=False, tie=1e-4)
        measured(f"{image.shape[1]}x{image.shape[0]}", found)
        if quantized:
            assert found.wrong <= 0.03 * found.pixels
        else:
            assert found.wrong == 0
            assert found.error <= 1e-4


def compare(
    case: Case, image: Image, logits: Floats, resize: bool, tie: float = 1e-5
) -> list[reference.Agreement]:
    """All maps of the image with what the reference makes of the logits. Of large images every
    7th row; test_reference.py looks at more.
    """
    activation = case.module.spec.activation
    assert activation is not None
    result = case.module.forward(image, case.labels, resize)
    maps = {index: result[label] for index, label in enumerate(case.labels)}
    every = 7 if resize and image.shape[0] > 1000 else 1
    return reference.compare([(result.argmax, maps)], logits, activation, every, tie)
