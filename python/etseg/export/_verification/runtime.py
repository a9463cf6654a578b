"""etseg's own runtime, asked for what forward() does not give: inputs and scores as they are."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from etseg._model.spec import ModelSpec
from etseg._module import ImageSegmentationModule
from etseg.export._input import is_bytes, of_planes
from etseg.export._options import InputFormat

if TYPE_CHECKING:
    from typing_extensions import Self  # typing has it from 3.11 on

Floats = npt.NDArray[np.float32]


class _Identity(nn.Module):
    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return image.to(torch.float32)


class Preprocessing:
    """Images as etseg hands them to a network, by etseg itself.

    A program that returns its input is run, whose three "probabilities" are what the network
    will see. A context manager.
    """

    def __init__(
        self,
        size: tuple[int, int],
        spec: ModelSpec,
        input_format: InputFormat = "float32-nchw",
    ) -> None:
        from executorch.exir import to_edge

        from etseg.export._lowering.program import quiet

        self._input_format = input_format
        kind = torch.uint8 if is_bytes(input_format) else torch.float32
        image = torch.zeros(1, 3, *size, dtype=kind)
        with quiet():
            program = torch.export.export(_Identity(), (image,), strict=False)
            data = to_edge(program).to_executorch().buffer
        self._module = ImageSegmentationModule(scaled_decode=False)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "identity.pte"
            path.write_bytes(data)
            self._module.load(
                ModelSpec(
                    model_source=path,
                    labels=("red", "green", "blue"),
                    mean=spec.mean,
                    std=spec.std,
                    activation="none",
                    resample=spec.resample or "antialias",
                )
            )

    def __call__(self, photo: npt.NDArray[np.uint8]) -> torch.Tensor:
        """What the network gets for an image [H, W, 3]."""
        result = self._module.forward(photo, (0, 1, 2))
        planes = torch.from_numpy(np.stack([result[index] for index in range(3)])[None])
        return of_planes(planes, self._input_format)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._module.delete()


@dataclass(frozen=True)
class Eager:
    """The network as it came, in torch.

    Attributes:
        network: takes an image.
        preprocessing: of its images.
        activation: of its scores.
    """

    network: nn.Module
    preprocessing: Preprocessing
    activation: str

    def __call__(self, photo: npt.NDArray[np.uint8]) -> torch.Tensor:
        """What it returns for an image [H, W, 3]: scores [1, C, H', W'], or labels."""
        with torch.no_grad():
            output: torch.Tensor = self.network(self.preprocessing(photo))
            return output


class Runner:
    """A program's scores, without any activation. A context manager."""

    def __init__(self, path: Path, channels: int, spec: ModelSpec) -> None:
        from dataclasses import replace

        self._channels = channels
        self._module = ImageSegmentationModule(scaled_decode=False)
        # Labels for the channels: where each has a sigmoid, the network has one label more.
        labels = tuple(f"channel {index}" for index in range(max(2, channels)))
        bare = replace(spec, model_source=path, activation="none", labels=labels, background=0)
        self._module.load(bare)

    def scores(self, photo: npt.NDArray[np.uint8]) -> Floats:
        """[C, H', W'] for an image."""
        result = self._module.forward(photo, range(self._channels))
        return np.stack([result[index] for index in range(self._channels)])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._module.delete()
