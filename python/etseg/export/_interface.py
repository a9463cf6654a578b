"""A program's input and output, where they shall be others than its network's."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import nn

from etseg._errors import InvalidUserInputError
from etseg._model.spec import ModelSpec

from ._input import is_bytes, is_interleaved
from ._options import InputFormat, Returns

_TYPES: dict[Returns, torch.dtype] = {"labels-uint8": torch.uint8, "labels-int32": torch.int32}


def taking(
    module: nn.Module, spec: ModelSpec, own: InputFormat, takes: InputFormat
) -> tuple[nn.Module, ModelSpec]:
    """A network for images of another format, and its spec.

    Bytes are normalised in it, as the spec says; then the spec does not say so any more.

    Args:
        module: takes an image of the format `own`.
        spec: of its input.
        own: its format.
        takes: the one that is wanted.

    Raises:
        InvalidUserInputError: it takes bytes, and what is wanted are floats.
    """
    if takes == own:
        return module, spec
    if is_bytes(own) and not is_bytes(takes):
        raise InvalidUserInputError(
            f"takes is {takes!r}, but the network takes bytes (input_format {own!r}), to which "
            "floats would have to be rounded"
        )
    if is_bytes(takes) == is_bytes(own):
        return _Taking(module, own, takes, None), spec
    mean = torch.tensor(spec.mean or (0.0, 0.0, 0.0), dtype=torch.float64)
    std = torch.tensor(spec.std or (1.0, 1.0, 1.0), dtype=torch.float64)
    return _Taking(module, own, takes, (mean, std)), replace(spec, mean=None, std=None)


def returning(
    module: nn.Module, spec: ModelSpec, channels: int, returns: Returns
) -> tuple[nn.Module, ModelSpec]:
    """A network that returns the label of each pixel, and its spec, which says their names.

    Args:
        module: returns scores [1, C, H, W].
        spec: of these; its labels fit.
        channels: C; 0 if they are labels already.
        returns: what is wanted.

    Raises:
        InvalidUserInputError: there are labels already, or too many for the type.
    """
    if returns == "scores":
        return module, spec
    if channels == 0:
        raise InvalidUserInputError(
            f"returns is {returns!r}, but the network returns labels itself; leave it out"
        )
    apart = channels + int(channels == 1 or spec.activation == "sigmoid")
    if returns == "labels-uint8" and apart > 256:
        raise InvalidUserInputError(
            f"the network tells {apart} labels apart, of which a byte holds 256; "
            "use returns='labels-int32'"
        )
    names = spec.labels or tuple(f"CLASS_{index}" for index in range(apart))
    sigmoid = spec.activation == "sigmoid"
    labels = _Labels(module, channels, sigmoid, _TYPES[returns])
    return labels, replace(spec, labels=names, activation=None)


class _Taking(nn.Module):
    """A network, behind what makes its input of another format.

    Arithmetic is of planes: XNNPACK is slow with three factors that lie along the last axis.
    """

    def __init__(
        self,
        network: nn.Module,
        own: InputFormat,
        takes: InputFormat,
        normalisation: tuple[torch.Tensor, torch.Tensor] | None,
    ) -> None:
        super().__init__()
        self.network = network
        self.takes_interleaved = is_interleaved(takes)
        self.wants_interleaved = is_interleaved(own)
        self.normalises = normalisation is not None
        if normalisation is not None:
            mean, std = normalisation
            self.register_buffer("scale", (1 / (255 * std)).float().reshape(1, 3, 1, 1))
            self.register_buffer("shift", (-mean / std).float().reshape(1, 3, 1, 1))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        if self.normalises:
            image = image.to(torch.float32)
        if self.takes_interleaved:
            image = image.permute(0, 3, 1, 2)
        if self.normalises:
            image = image * self.scale + self.shift
        if self.wants_interleaved:
            image = image.permute(0, 2, 3, 1)
        result: torch.Tensor = self.network(image)
        return result


class _Labels(nn.Module):
    """The label of each pixel [1, 1, H, W], by the rule of a result's ARGMAX."""

    def __init__(
        self, network: nn.Module, channels: int, sigmoid: bool, dtype: torch.dtype
    ) -> None:
        super().__init__()
        self.network, self.channels = network, channels
        self.sigmoid, self.dtype = sigmoid, dtype

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        scores = self.network(image)
        if self.channels == 1:
            return (scores < (0.0 if self.sigmoid else 0.5)).to(self.dtype)
        if self.sigmoid:  # the last label is for where no other is likely
            scores = torch.cat((scores, -scores.amax(1, keepdim=True)), 1)
        return scores.argmax(1, keepdim=True).to(self.dtype)
