"""Writes deeplabv3_resnet50 of torchvision, 224x224 and untrained: for times and memory alone.

    python benchmarks/export_resnet50.py OUTPUT.pte

With a Python that has torch, torchvision and executorch.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
from executorch.exir import to_edge_transform_and_lower

# torchvision's compiled operators need not load beside every torch: two stand-ins let the package
# be imported, and none is called.
_LIBRARY = torch.library.Library("torchvision", "FRAGMENT")
if not hasattr(torch.ops.torchvision, "nms"):
    for name in ("nms", "qnms"):
        _LIBRARY.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")


class Logits(torch.nn.Module):
    """The network's first output."""

    def __init__(self) -> None:
        super().__init__()
        from torchvision.models.segmentation import deeplabv3_resnet50

        self.network = deeplabv3_resnet50(weights=None, weights_backbone=None, num_classes=21)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Logits of the input's size."""
        return self.network(image)["out"]


def main(output: str) -> None:
    """Exports it."""
    torch.manual_seed(0)
    inputs = (torch.rand(1, 3, 224, 224),)
    exported = torch.export.export(Logits().eval(), inputs)
    edge = to_edge_transform_and_lower(exported, partitioner=[XnnpackPartitioner()])
    Path(output).write_bytes(edge.to_executorch().buffer)


if __name__ == "__main__":
    main(sys.argv[1])
