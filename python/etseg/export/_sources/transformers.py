"""Segmentation networks of transformers, by name or folder, with their processors."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch
from torch import nn

from etseg._errors import DownloadError, InvalidModelSourceError
from etseg.export._errors import first_line

from . import universal
from .network import Network, first_tensor
from .weights import load_weights

#: Pillow's numbers of bilinear and bicubic, which differ from antialiasing in fractions of a level.
_SMOOTH = (2, 3)


class _SwappedChannels(nn.Module):
    """For networks that were trained on blue, green, red."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        # By slices, which are delegated; a flip is not.
        swapped = torch.cat((image[:, 2:3], image[:, 1:2], image[:, 0:1]), 1)
        return first_tensor(self.network(swapped))


def from_transformers(name: str, weights: str | os.PathLike[str] | None) -> Network:
    """A network for semantic or universal segmentation, and what its processor does.

    Args:
        name: on the hub, or a folder that save_pretrained wrote.
        weights: a file that replaces its weights; None for its own.

    Raises:
        InvalidModelSourceError: it is no such network.
        DownloadError: it cannot be had.
    """
    try:
        import transformers
    except ModuleNotFoundError as error:
        if error.name != "transformers":
            raise
        raise InvalidModelSourceError(
            "transformers is not installed, and its networks are asked for: "
            "pip install transformers"
        ) from None
    try:
        config = transformers.AutoConfig.from_pretrained(name)
    except OSError as error:
        raise DownloadError(f"'hf:{name}' cannot be had: {first_line(error)}") from error
    except ValueError as error:
        raise InvalidModelSourceError(
            f"'hf:{name}' is no network that transformers knows: {first_line(error)}"
        ) from error
    queries = config.model_type in universal.KNOWN
    if queries:
        auto = transformers.AutoModelForUniversalSegmentation
    else:
        auto = transformers.AutoModelForSemanticSegmentation
    if type(config) not in auto._model_mapping:
        raise InvalidModelSourceError(
            f"'hf:{name}' is a {config.model_type}; that is no network for semantic segmentation "
            "that transformers' AutoModelForSemanticSegmentation knows, nor one of the universal "
            f"ones {', '.join(universal.KNOWN)}"
        )
    try:
        # Eager attention is made of operators that torch.export and the runtime have.
        module = auto.from_pretrained(name, attn_implementation="eager", dtype=torch.float32)
    except OSError as error:
        raise DownloadError(f"'hf:{name}' cannot be had: {first_line(error)}") from error
    except Exception as error:  # safetensors', pickle's, or shapes that do not fit
        raise InvalidModelSourceError(
            f"the weights of 'hf:{name}' do not load: {first_line(error)}"
        ) from error
    if weights is not None:
        load_weights(module, weights)
    module.config.return_dict = True
    module.config.output_hidden_states = module.config.output_attentions = False
    processor = _processor(name)
    found = _described(name, module, processor)
    return universal.composed(found, name, processor) if queries else found


def _described(name: str, module: Any, processor: Any) -> Network:
    """A network with what its configuration and its processor know."""
    config = module.config
    folder = Path(name)
    fields: dict[str, Any] = {
        "name": folder.name if folder.is_dir() else name.rpartition("/")[2],
        "activation": "softmax",
    }
    names, notes = _labels(config)
    if names is not None:
        fields["labels"] = names
    if not folder.is_dir():
        fields["origin"] = f"https://huggingface.co/{name}"
    if processor is None:
        unsaid = (
            f"'hf:{name}' has no image processor: mean 0 and std 1 are taken where they were not "
            "given; check it"
        )
        size = _configured(config)
        return Network(module.eval(), f"transformers {name}", size, fields, notes, unsaid)
    normalisation, differences = read_processor(processor)
    notes += differences + _proportions(processor)
    if getattr(processor, "do_flip_channel_order", False):
        module = _SwappedChannels(module)
    size = processed_size(processor) or _configured(config)
    return Network(module.eval(), f"transformers {name}", size, fields | normalisation, notes)


def read_processor(processor: Any) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Mean, std and resample as etseg counts them (of pixels 0..1), and what differs from it."""
    factor = getattr(processor, "rescale_factor", 1 / 255)
    if not getattr(processor, "do_rescale", True):
        factor = 1.0
    to_unit = 1 / (factor * 255)  # etseg divides by 255 itself
    mean, std = (0.0,) * 3, (1.0,) * 3
    if getattr(processor, "do_normalize", False):
        mean, std = _three(processor.image_mean), _three(processor.image_std)
    fields = {
        "mean": tuple(value * to_unit for value in mean),
        "std": tuple(value * to_unit for value in std),
        "resample": "antialias",
    }
    notes = []
    if getattr(processor, "do_center_crop", False):
        notes.append("the processor crops the middle of an image; etseg takes the whole of it")
    if getattr(processor, "resample", None) not in (None, *_SMOOTH):
        notes.append("the processor resizes neither bilinearly nor bicubically; etseg antialiases")
    if getattr(processor, "do_reduce_labels", False):
        notes.append(
            "do_reduce_labels: label 0 of the data set, its background, is none of the network's"
        )
    return fields, tuple(notes)


def processed_size(processor: Any) -> tuple[int, int] | None:
    """Height and width that the processor brings images to, where it is one size for all."""
    for size in (
        getattr(processor, "crop_size", None)
        if getattr(processor, "do_center_crop", False)
        else None,
        getattr(processor, "size", None),
    ):
        if isinstance(size, int):
            return size, size
        if size is not None and size.get("height") and size.get("width"):
            return int(size["height"]), int(size["width"])
        for edge in ("shortest_edge", "longest_edge"):
            if size is not None and size.get(edge):
                return int(size[edge]), int(size[edge])
        if size is not None and size.get("max_height") and size.get("max_width"):
            return int(size["max_height"]), int(size["max_width"])
    return None


def _proportions(processor: Any) -> tuple[str, ...]:
    """What the processor does with an image's shape, where that is not to stretch it."""
    if getattr(processor, "do_split_image", False):
        return ("the processor takes images in overlapping squares; etseg stretches the whole",)
    size = getattr(processor, "size", None)
    edges = ("shortest_edge", "longest_edge", "max_height")
    if size is not None and any(size.get(edge) for edge in edges):
        return ("the processor keeps an image's proportions; etseg stretches it",)
    return ()


def _processor(name: str) -> Any:
    import transformers

    try:
        return transformers.AutoImageProcessor.from_pretrained(name)
    except (OSError, ValueError) as error:
        for file in ("preprocessor_config.json", "processor_config.json"):
            if (Path(name) / file).exists():
                raise InvalidModelSourceError(
                    f"the image processor in {str(Path(name) / file)!r} does not load: "
                    f"{first_line(error)}"
                ) from error
        return None


def _configured(config: Any) -> tuple[int, int] | None:
    size = getattr(config, "image_size", None)
    if isinstance(size, int):
        return size, size
    return tuple(size) if isinstance(size, (list, tuple)) and len(size) == 2 else None


def _labels(config: Any) -> tuple[list[str] | None, tuple[str, ...]]:
    """In the order of the channels, or None and a note why.

    Data sets name two classes alike at times: ADE20k does.
    """
    indices = sorted(config.id2label)
    if indices != list(range(len(indices))):
        return None, (
            f"the configuration's id2label is for {indices[:5]}..., not for 0 to "
            f"{len(indices) - 1}: no label was taken of it",
        )
    names = [str(config.id2label[index]) for index in indices]
    seen: dict[str, int] = {}
    for index, name in enumerate(names):
        if name in seen:
            names[index] = f"{name} {index}"
        seen[names[index]] = index
    return names, ()


def _three(value: Any) -> tuple[float, float, float]:
    if isinstance(value, (int, float)):
        return (float(value),) * 3
    red, green, blue = (float(number) for number in value)
    return red, green, blue
