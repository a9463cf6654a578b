"""The networks whose exports are measured: one with trained weights, others from their own code."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from pte_to_torch import XnnpackProgram

from .models import SHARED

_OPERATORS = torch.library.Library("torchvision", "FRAGMENT")
for _name in ("nms", "qnms"):
    # torchvision cannot be imported without them where its compiled part is for another torch.
    if not hasattr(torch.ops.torchvision, _name):
        _OPERATORS.define(f"{_name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")

Make = Callable[[], nn.Module]
_DEEPLAB = "deeplabv3_mnv2_dm05_pascal_257_xnnpack_fp32.pte"


@dataclass(frozen=True)
class Network:
    """A network to export.

    Attributes:
        make: it, or a folder to save it in and open from, where its processor's head counts.
        size: of its input.
        forms: of FORMS in export.py.
        trained: whether its labels say anything.
        saved: whether it is handed over as a folder of transformers.
    """

    make: Make
    size: tuple[int, int]
    forms: tuple[str, ...] = ("whole", "cut")
    trained: bool = False
    saved: bool = False

    def seeded(self) -> nn.Module:
        """It, with the same weights each time."""
        torch.manual_seed(1)
        return self.make().eval()

    def source(self, folder: Path) -> object:
        """What export() is given."""
        network = self.seeded()
        if not self.saved:
            return network
        network.save_pretrained(folder)  # type: ignore[operator]
        return f"hf:{folder}"


def _deeplab(side: int) -> Make:
    """The published network, which has no other size in it than that of its upsampling."""

    def make() -> nn.Module:
        network = XnnpackProgram(SHARED / "models" / _DEEPLAB)
        for kind, node, _ in network.nodes:
            if kind == "XNNStaticResizeBilinear2D":
                node["new_height"] = node["new_width"] = side
        return network

    return make


def _torchvision(name: str) -> Make:
    def make() -> nn.Module:
        import torchvision.models.segmentation as zoo

        auxiliary = {} if name.startswith("lraspp") else {"aux_loss": True}
        network: nn.Module = getattr(zoo, name)(weights=None, weights_backbone=None, **auxiliary)
        return network

    return make


def _transformers(kind: str, configuration: str, **options: object) -> Make:
    def make() -> nn.Module:
        import transformers

        network: nn.Module = getattr(transformers, kind)(
            getattr(transformers, configuration)(**options)
        )
        return network

    return make


def _smp(architecture: str, encoder: str) -> Make:
    def make() -> nn.Module:
        import segmentation_models_pytorch as smp

        network: nn.Module = smp.create_model(
            architecture, encoder, encoder_weights=None, classes=21
        )
        return network

    return make


_ADE = 150
_TINY = {
    "num_labels": _ADE, "hidden_size": 192, "num_hidden_layers": 12, "num_attention_heads": 3,
    "image_size": 256, "num_queries": 100,
}  # fmt: skip

NETWORKS = {
    "deeplab-mobilenet-v2-257": Network(
        _deeplab(257), (257, 257), ("whole", "cut", "int8"), trained=True
    ),
    "deeplab-mobilenet-v2-513": Network(
        _deeplab(513), (513, 513), ("whole", "cut", "int8"), trained=True
    ),
    "torchvision-lraspp-520": Network(_torchvision("lraspp_mobilenet_v3_large"), (520, 520)),
    "torchvision-deeplab-mobilenet-520": Network(
        _torchvision("deeplabv3_mobilenet_v3_large"), (520, 520)
    ),
    "torchvision-deeplab-resnet50-224": Network(_torchvision("deeplabv3_resnet50"), (224, 224)),
    "torchvision-fcn-resnet50-224": Network(_torchvision("fcn_resnet50"), (224, 224)),
    "transformers-segformer-b0-512": Network(
        _transformers("SegformerForSemanticSegmentation", "SegformerConfig", num_labels=_ADE),
        (512, 512), ("whole",), saved=True,
    ),
    "transformers-mobilenet-v2-257": Network(
        _transformers("MobileNetV2ForSemanticSegmentation", "MobileNetV2Config", num_labels=21),
        (257, 257), ("whole",),
    ),
    "transformers-mobilevit-s-256": Network(
        _transformers("MobileViTForSemanticSegmentation", "MobileViTConfig", num_labels=21,
                      image_size=256, output_stride=16),
        (256, 256), ("whole",),
    ),
    "transformers-eomt-tiny-256": Network(
        _transformers("EomtForUniversalSegmentation", "EomtConfig", **_TINY),
        (256, 256), ("whole",), saved=True,
    ),
    "smp-unet-mobilenet-v2-512": Network(_smp("Unet", "mobilenet_v2"), (512, 512), ("whole",)),
    "smp-fpn-resnet18-512": Network(_smp("FPN", "resnet18"), (512, 512)),
}  # fmt: skip
