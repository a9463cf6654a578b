"""Networks of segmentation_models_pytorch."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from etseg._errors import DownloadError, InvalidModelSourceError

from .network import Network
from .torchvision import RANDOM, does_not_load
from .weights import load_weights

_SIZE = (512, 512)
#: Only the hub knows it, encoder by encoder.
_NORMALISATION = (
    "smp's networks do not say how their input is normalised; encoders with ImageNet's weights "
    "want mean 0.485,0.456,0.406 and std 0.229,0.224,0.225. See what was given"
)


def from_smp(name: str, weights: str | os.PathLike[str] | None, classes: int | None) -> Network:
    """``ARCHITECTURE/ENCODER`` with a file of weights, or a folder that save_pretrained wrote.

    Args:
        name: such as "Unet/mobilenet_v2", or the folder.
        weights: a file with the whole network's state, or "random"; None for a folder.
        classes: of the network.

    Raises:
        InvalidModelSourceError: there is no such network, or it was given without weights.
        FileReadError: the weights cannot be read.
        DownloadError: the network cannot be had.
    """
    try:
        import segmentation_models_pytorch as smp
    except ModuleNotFoundError as error:
        if error.name != "segmentation_models_pytorch":
            raise
        raise InvalidModelSourceError(
            "segmentation_models_pytorch is not installed, and its networks are asked for: "
            "pip install segmentation-models-pytorch"
        ) from None
    except RuntimeError as error:  # it imports torchvision
        raise InvalidModelSourceError(
            does_not_load("segmentation_models_pytorch", error)
        ) from error
    if Path(name).is_dir():
        return _network(smp.from_pretrained(name), Path(name).name)
    architecture, _, encoder = name.partition("/")
    known = sorted(kind.__name__ for kind in smp.MODEL_ARCHITECTURES_MAPPING.values())
    if architecture not in known or not encoder:
        raise InvalidModelSourceError(
            f"the network is 'smp:{name}'; expected ARCHITECTURE/ENCODER, such as "
            f"smp:Unet/mobilenet_v2, or a folder. Architectures: {', '.join(known)}"
        )
    if weights is None:
        raise InvalidModelSourceError(
            f"'smp:{name}' names no weights; give a file with the network's state (weights=, "
            f"--weights), or {RANDOM!r}"
        )
    if classes is None:
        raise InvalidModelSourceError(
            f"how many classes does 'smp:{name}' tell apart? Give labels (labels=, --labels)"
        )
    try:
        module = smp.create_model(architecture, encoder, encoder_weights=None, classes=classes)
    except (KeyError, ValueError) as error:
        raise InvalidModelSourceError(f"'smp:{name}': {error}") from error
    except OSError as error:
        raise DownloadError(f"'smp:{name}' cannot be had: {error}") from error
    if os.fspath(weights) != RANDOM:
        load_weights(module, weights)
    return _network(module, f"{architecture} {encoder}")


def _network(module: Any, title: str) -> Network:
    return Network(module.eval(), f"smp {title}", _SIZE, {}, (_NORMALISATION,))
