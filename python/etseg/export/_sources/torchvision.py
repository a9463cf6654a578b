"""torchvision's segmentation networks and their published weights."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch

from etseg._errors import DownloadError, InvalidModelSourceError

from .network import Network
from .weights import load_weights

#: In place of weights: none, for measurements.
RANDOM = "random"


def does_not_load(package: str, error: RuntimeError) -> str:
    """What to say where torchvision, or a package that imports it, is for another torch."""
    return (
        f"{package} does not load beside torch {torch.__version__}: {error}. Install the release "
        "of torchvision that was made for this torch"
    )


def from_torchvision(
    name: str, weights: str | os.PathLike[str] | None, classes: int | None
) -> Network:
    """A network by its name, such as "lraspp_mobilenet_v3_large".

    Args:
        name: of a function in torchvision.models.segmentation.
        weights: None for the published default; the name of published ones, such as
            "COCO_WITH_VOC_LABELS_V1"; a file with a state; or "random".
        classes: of the network, where `weights` is a file or "random".

    Raises:
        InvalidModelSourceError: torchvision has no such network or weights.
        DownloadError: the weights cannot be had.
    """
    models = _models()
    if name not in models.list_models(models.segmentation):
        raise InvalidModelSourceError(
            f"torchvision has no segmentation network {name!r}; it has "
            + ", ".join(models.list_models(models.segmentation))
        )
    published = models.get_model_weights(name)
    text = None if weights is None else os.fspath(weights)
    if text is None or text in published.__members__:
        chosen = published.DEFAULT if text is None else published[text]
        return _with_published(models, name, chosen)
    if text != RANDOM and not Path(text).is_file():
        raise InvalidModelSourceError(
            f"weights are {text!r}; expected a file, {RANDOM!r}, or one of torchvision's for "
            f"{name}: {', '.join(published.__members__)}"
        )
    meta = published.DEFAULT
    count = classes or len(meta.meta["categories"])
    module = models.get_model(
        name, weights=None, weights_backbone=None, num_classes=count, **_auxiliary(name, text)
    )
    if text != RANDOM:
        load_weights(module, text)
    fields = _fields(meta) | {"name": name.replace("_", "-")}
    if count != len(meta.meta["categories"]):
        del fields["labels"]
    return Network(module.eval(), f"torchvision {name}", _size(meta), fields)


def _with_published(models: Any, name: str, weights: Any) -> Network:
    try:
        module = models.get_model(name, weights=weights)
    except OSError as error:
        raise DownloadError(
            f"the weights of torchvision's {name} cannot be had: {error}. Give a file with "
            "their state (weights=, --weights)"
        ) from error
    fields = _fields(weights) | {
        "name": name.replace("_", "-"),
        "origin": f"torchvision {name}, {weights}",
    }
    return Network(module.eval(), f"torchvision {name}", _size(weights), fields)


def _auxiliary(name: str, weights: str) -> dict[str, bool]:
    """Published states have the auxiliary head; a caller's own may, or may not."""
    if name.startswith("lraspp"):
        return {}
    if weights == RANDOM:
        return {"aux_loss": True}
    state = torch.load(weights, map_location="meta", weights_only=True)
    return {"aux_loss": any("aux_classifier." in key for key in state)}


def _fields(weights: Any) -> dict[str, Any]:
    transforms = weights.transforms()
    return {
        "labels": list(weights.meta["categories"]),
        "mean": tuple(transforms.mean),
        "std": tuple(transforms.std),
        "activation": "softmax",
        "background": 0,
        "resample": "antialias",
    }


def _size(weights: Any) -> tuple[int, int]:
    side = weights.transforms().resize_size[0]
    return side, side


def _models() -> Any:
    """torchvision.models, also beside a torch that torchvision's compiled operators are not for.

    No segmentation network uses those operators.

    Raises:
        InvalidModelSourceError: torchvision is not installed.
    """
    try:
        import torchvision
    except ModuleNotFoundError as error:
        if error.name != "torchvision":
            raise
        raise InvalidModelSourceError(
            "torchvision is not installed, and its networks are asked for: pip install torchvision"
        ) from None
    except RuntimeError as error:
        raise InvalidModelSourceError(does_not_load("torchvision", error)) from error
    import torchvision.models.segmentation

    return torchvision.models
