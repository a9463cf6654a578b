"""Makes the programs of the comparison: run by setup_peers.py, with the peers' Python.

- selfie.onnx, deeplab.onnx: the networks inside the .pte files, with their weights, each checked
  against executorch on a random image.
- lraspp.pte, lraspp.onnx: torchvision's LRASPP MobileNetV3, random weights: for timing alone.
- classes-N.pte, classes-N.onnx: a small network with N classes, random weights.
"""

from __future__ import annotations

import argparse
import logging
import sys
import warnings
from pathlib import Path

import torch
from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
from executorch.exir import to_edge_transform_and_lower
from executorch.runtime import Runtime

from harness.models import BUILD, CLASS_COUNTS, SHARED, Model, many_classes, models
from pte_to_torch import XnnpackProgram

MOST_ERROR = 1e-3  # of logits up to some 20; the arithmetic is the same, its order is not


class ManyClasses(torch.nn.Module):
    """Smooth maps at the input's size out of features at an eighth of it, as real networks do."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.features = torch.nn.Conv2d(3, 16, 16, stride=8, padding=4)
        self.classifier = torch.nn.Conv2d(16, channels, 1)
        torch.nn.init.normal_(self.features.weight, std=0.2)
        torch.nn.init.normal_(self.classifier.weight, std=1.0)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Logits of the input's size."""
        logits = self.classifier(torch.relu(self.features(image)))
        return torch.nn.functional.interpolate(
            logits, scale_factor=8.0, mode="bilinear", align_corners=False
        )


def lraspp() -> torch.nn.Module:
    """torchvision's network. Its compiled operators do not load beside this torch: two stand-ins
    let the package be imported, none is called."""
    library = torch.library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    from torchvision.models.segmentation import lraspp_mobilenet_v3_large

    network = lraspp_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=21)

    class Logits(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network
            self.library = library  # kept alive

        def forward(self, image: torch.Tensor) -> torch.Tensor:
            logits: torch.Tensor = self.network(image)["out"]
            return logits

    return Logits()


def main() -> int:
    """Returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shared", type=Path, default=SHARED)
    parser.add_argument("--build", type=Path, default=BUILD)
    options = parser.parse_args()
    (options.build / "programs").mkdir(parents=True, exist_ok=True)
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")  # of the exporters, about themselves
    torch.manual_seed(1)

    known = models(options.shared, options.build)
    for name in ("selfie", "deeplab"):
        if known[name].pte.exists():
            _export(known[name], XnnpackProgram(known[name].pte))
        else:
            _say(f"{name}: skipped, there is no {known[name].pte}")
    try:
        _export(known["lraspp"], lraspp())
    except (ImportError, RuntimeError) as error:
        _say(f"lraspp: skipped, torchvision cannot be used here: {error}")
    for channels in CLASS_COUNTS:
        _export(many_classes(channels, options.build), ManyClasses(channels))
    return 0


@torch.no_grad()
def _export(model: Model, network: torch.nn.Module) -> None:
    network.eval()
    image = torch.rand(1, 3, *model.input_size)
    if not model.onnx.exists():
        torch.onnx.export(
            network,
            (image,),
            str(model.onnx),
            input_names=["image"],
            dynamo=False,
            opset_version=17,
        )
    if not model.pte.exists():
        exported = torch.export.export(network, (image,))
        lowered = to_edge_transform_and_lower(exported, partitioner=[XnnpackPartitioner()])
        model.pte.write_bytes(lowered.to_executorch().buffer)
    method = Runtime.get().load_program(model.pte).load_method("forward")
    error = float((method.execute([image])[0] - network(image)).abs().max())
    _say(f"{model.name}: largest difference to executorch {error:.1e}")
    assert error < MOST_ERROR, "the exported network is not the program"


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
