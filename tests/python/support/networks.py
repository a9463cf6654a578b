"""Networks in torch, small, and with scores that a photograph moves."""

from __future__ import annotations

import warnings

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

_OPERATORS = torch.library.Library("torchvision", "FRAGMENT")
for _name in ("nms", "qnms"):
    # torchvision cannot be imported without them where its compiled part is for another torch.
    # Segmentation networks use neither.
    if not hasattr(torch.ops.torchvision, _name):
        _OPERATORS.define(f"{_name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")

with warnings.catch_warnings():
    # The exporters warn while they are imported, once; what etseg does with them may not.
    warnings.simplefilter("ignore")
    import executorch.exir  # noqa: F401
    import torchao.quantization.pt2e.quantize_pt2e  # noqa: F401
    from executorch.backends.xnnpack.partition import xnnpack_partitioner  # noqa: F401
    from executorch.backends.xnnpack.quantizer import xnnpack_quantizer  # noqa: F401

CLASSES = 5


class Backbone(nn.Sequential):
    """[1, 3, H, W] to [1, CLASSES, H/4, W/4], with a batch norm."""

    def __init__(self, channels: int = CLASSES) -> None:
        super().__init__(
            nn.Conv2d(3, 8, 3, 2, 1, bias=False),
            nn.BatchNorm2d(8),
            nn.ReLU(inplace=True),
            nn.Conv2d(8, 8, 3, 2, 1),
            nn.ReLU(inplace=True),
            nn.Conv2d(8, channels, 1),
        )


class Segmentation(nn.Module):
    """As torchvision's: logits at a quarter of the size, upsampled, and an auxiliary head."""

    def __init__(self, corners: bool = False, channels: int = CLASSES) -> None:
        super().__init__()
        self.backbone = Backbone(channels)
        self.auxiliary = nn.Conv2d(channels, 64, 7, padding=3)
        self.corners = corners

    def forward(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
        logits, size = self.backbone(image), image.shape[-2:]
        return {"out": self.upsample(logits, size), "aux": self.auxiliary(logits)}

    def upsample(self, logits: torch.Tensor, size: torch.Size) -> torch.Tensor:
        return F.interpolate(logits, size, mode="bilinear", align_corners=self.corners)


def seeded(network: nn.Module) -> nn.Module:
    """With random weights, the same each time, and batch norms that do something."""
    generator = torch.Generator().manual_seed(3)
    for name, value in network.state_dict().items():
        if name.endswith("running_var"):
            value.uniform_(0.5, 2.0, generator=generator)
        elif value.is_floating_point():
            value.normal_(0, 0.3, generator=generator)
    return network.eval()


def build() -> nn.Module:
    return seeded(Segmentation())
