"""Exports a network of each family, and writes what torch computes for images of four sizes.

    python tests/tools/export_families.py FOLDER [NAME ...]

Needs the extras "export", "export-onnx" and "export-tflite", torchvision, transformers and
segmentation_models_pytorch, and no hub: the networks' own code, with random weights whose
activations are of a trained network's size.
tests/python/export/test_families.py compares, where there is no torch:

    ETSEG_EXPORTED=FOLDER pytest tests/python/export/test_families.py
"""

# ruff: noqa: E402  # what is imported below needs the path that is set above it
from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

CHECKOUT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(CHECKOUT / "tests" / "python" / "support"))

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

import networks  # noqa: F401  # makes torchvision importable beside any torch
from etseg.export import export
from etseg.export._sources.network import first_tensor

CLASSES = 7
LABELS = [f"class {index}" for index in range(CLASSES)]
#: Smaller and larger than the inputs, and of other shapes.
IMAGE_SIZES = [(64, 96), (41, 30), (97, 64), (200, 333)]
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

Scores = Callable[[Any, torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Family:
    """A network to export.

    Attributes:
        make: the network.
        size: of its input.
        scores: what its program should return, by parts of the network and not by the exporter;
            None if that is what the network returns.
        corners: whether its upsampling at the end, which is cut, aligns corners.
        source: writes the network where it is told, and returns what the export is given; None
            to hand over the network itself.
    """

    make: Callable[[], nn.Module]
    size: tuple[int, int]
    scores: Scores | None = None
    source: Callable[[Any, Path], object] | None = None
    corners: bool = False


def _torchvision(name: str) -> Callable[[], nn.Module]:
    def make() -> nn.Module:
        import torchvision.models.segmentation as zoo

        auxiliary = {} if name.startswith("lraspp") else {"aux_loss": True}
        return getattr(zoo, name)(
            weights=None, weights_backbone=None, num_classes=CLASSES, **auxiliary
        )

    return make


def _low(network: Any, image: torch.Tensor) -> torch.Tensor:
    features = network.backbone(image)
    return network.classifier(features if "low" in features else features["out"])


def _segformer() -> nn.Module:
    import transformers as t

    return t.SegformerForSemanticSegmentation(t.SegformerConfig(
        num_labels=CLASSES, depths=[1, 1, 1, 1], hidden_sizes=[8, 16, 24, 32],
        num_attention_heads=[1, 1, 2, 4], decoder_hidden_size=32,
    ))  # fmt: skip


def _mobilenet_v2() -> nn.Module:
    import transformers as t

    return t.MobileNetV2ForSemanticSegmentation(
        t.MobileNetV2Config(num_labels=CLASSES, depth_multiplier=0.5, output_stride=16)
    )


def _mobilevit() -> nn.Module:
    import transformers as t

    return t.MobileViTForSemanticSegmentation(t.MobileViTConfig(
        num_labels=CLASSES, image_size=64, hidden_sizes=[16, 24, 32], num_hidden_layers=1,
        neck_hidden_sizes=[8, 8, 16, 24, 32, 32, 64], num_attention_heads=2, output_stride=16,
        aspp_out_channels=32, atrous_rates=[1, 2, 3],
    ))  # fmt: skip


def _smp(architecture: str, encoder: str) -> Callable[[], nn.Module]:
    def make() -> nn.Module:
        import segmentation_models_pytorch as smp

        return smp.create_model(architecture, encoder, encoder_weights=None, classes=CLASSES)

    return make


def _before_upsampling(network: Any, image: torch.Tensor) -> torch.Tensor:
    features = network.encoder(image)
    try:
        decoded = network.decoder(features)
    except TypeError:
        decoded = network.decoder(*features)
    return network.segmentation_head[0](decoded)


def _pretrained(scheme: str) -> Callable[[Any, Path], object]:
    def source(network: Any, folder: Path) -> str:
        network.save_pretrained(folder)
        return f"{scheme}:{folder}"

    return source


class Small(nn.Module):
    """Two convolutions, and an upsampling: what is written in other formats below."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 16, 3, stride=2)
        self.second = nn.Conv2d(16, CLASSES, 1)

    def low(self, image: torch.Tensor) -> torch.Tensor:
        """Scores of half the image's size, padded as TensorFlow does by "SAME"."""
        return self.second(self.first(F.pad(image, (0, 1, 0, 1))).relu())

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return F.interpolate(self.low(image), image.shape[-2:], mode="bilinear")


SMALL = (64, 96)


def _onnx(network: nn.Module, path: Path) -> Path:
    path = path.with_suffix(".onnx")
    torch.onnx.export(
        network, (torch.rand(1, 3, *SMALL),), path, dynamo=False, opset_version=17
    )  # fmt: skip
    return path


def _tflite(network: Small, path: Path) -> Path:
    from tflite_files import File

    file = File()
    value, (height, width) = file.tensor((1, *SMALL, 3)), (side // 2 for side in SMALL)
    for layer, stride, relu in ((network.first, 2, 1), (network.second, 1, 0)):
        weight, bias = (array.detach().numpy() for array in (layer.weight, layer.bias))
        value = file.add(
            "CONV_2D",
            [value, file.constant(np.ascontiguousarray(weight.transpose(0, 2, 3, 1))),
             file.constant(bias)],
            (1, height, width, len(bias)), Padding=0, StrideH=stride, StrideW=stride,
            DilationHFactor=1, DilationWFactor=1, FusedActivationFunction=relu,
        )  # fmt: skip
    size = file.constant(np.array(SMALL, np.int32))
    file.add("RESIZE_BILINEAR", [value, size], (1, *SMALL, CLASSES), HalfPixelCenters=True)
    path = path.with_suffix(".tflite")
    path.write_bytes(file.finished())
    return path


FAMILIES = {
    "torchvision-lraspp": Family(_torchvision("lraspp_mobilenet_v3_large"), (64, 96), _low),
    "torchvision-deeplab-mobilenet": Family(
        _torchvision("deeplabv3_mobilenet_v3_large"), (64, 96), _low
    ),
    "torchvision-deeplab-resnet": Family(_torchvision("deeplabv3_resnet50"), (48, 64), _low),
    "torchvision-fcn": Family(_torchvision("fcn_resnet50"), (48, 64), _low),
    "transformers-segformer": Family(_segformer, (64, 96), None, _pretrained("hf")),
    "transformers-mobilenet-v2": Family(_mobilenet_v2, (65, 65), None, _pretrained("hf")),
    "transformers-mobilevit": Family(_mobilevit, (64, 64), None, _pretrained("hf")),
    "smp-unet": Family(_smp("Unet", "mobilenet_v2"), (64, 96), None, _pretrained("smp")),
    "smp-fpn": Family(
        _smp("FPN", "resnet18"), (64, 96), _before_upsampling, _pretrained("smp"), True
    ),
    "onnx-small": Family(Small, SMALL, Small.low, _onnx),
    "tflite-small": Family(Small, SMALL, Small.low, _tflite),
}


def picture(height: int, width: int) -> np.ndarray:
    """A part of a photograph, stretched to a size."""
    import cv2

    photo = cv2.imread(str(CHECKOUT / "tests" / "data" / "astronaut.jpg"))[..., ::-1]
    part = photo[height % 50 : height % 50 + 400, width % 50 : width % 50 + 400]
    return cv2.resize(np.ascontiguousarray(part), (width, height), interpolation=cv2.INTER_AREA)


def network_input(image: np.ndarray, size: tuple[int, int]) -> torch.Tensor:
    """As the networks' own preprocessing has it: antialiased, mean and std."""
    pixels = torch.from_numpy(image).permute(2, 0, 1)[None] / 255
    small = F.interpolate(pixels, size, mode="bilinear", antialias=True)
    return (small - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]


def settled(network: nn.Module, size: tuple[int, int]) -> nn.Module:
    """Batch norms that fit what they see, and scores that reach as far as trained ones."""
    noise = np.random.default_rng(1).integers(0, 256, (*size, 3), np.uint8)
    images = [*(picture(*shape) for shape in IMAGE_SIZES), noise]
    batch = torch.cat([network_input(image, size) for image in images])
    norms = [m for m in network.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    network.eval()
    for norm in norms:
        norm.momentum = None
        norm.reset_running_stats()
        norm.train()
    last: list[nn.Module] = []
    hooks = [
        m.register_forward_hook(lambda m, _in, _out: last.append(m))
        for m in network.modules()
        if isinstance(m, nn.Conv2d) and m.out_channels == CLASSES
    ]
    with torch.no_grad():
        network(batch)
        network.eval()
        last.clear()
        scores = first_tensor(network(batch))
        for head in {id(m): m for m in last}.values():
            for value in head.parameters():  # type: ignore[attr-defined]
                value.mul_(3 / scores.std())
    for hook in hooks:
        hook.remove()
    return network


def upsampled(
    scores: torch.Tensor, shape: tuple[int, int], head: tuple[int, int] | None
) -> torch.Tensor:
    """At an image's size, once: by half-pixel centres, or by the corners of what a head returns."""
    if head is None:
        return F.interpolate(scores, shape, mode="bilinear", align_corners=False)
    rows, columns = (
        2 * ((np.arange(pixels) + 0.5) * points / pixels - 0.5).clip(0, points - 1) / (points - 1)
        - 1
        for pixels, points in zip(shape, head, strict=True)
    )
    places = torch.from_numpy(np.stack(np.meshgrid(columns, rows), -1)[None])
    return F.grid_sample(scores.double(), places, align_corners=True).float()


def make(name: str, family: Family, folder: Path) -> None:
    """NAME.pte, and NAME.npz with images and the scores that its program should return."""
    torch.manual_seed(1)
    network = settled(family.make(), family.size)
    source = network if family.source is None else family.source(network, folder / name)
    report = export(
        source, folder / f"{name}.pte", size=family.size, labels=LABELS, mean=MEAN, std=STD,
        low_stride=True, least_agreement=0,
    )  # fmt: skip
    kept: dict[str, np.ndarray] = {}
    for index, shape in enumerate(IMAGE_SIZES):
        image = picture(*shape)
        seen = network_input(image, family.size)
        with torch.no_grad():
            scores = first_tensor((family.scores or type(network).__call__)(network, seen))
        full = upsampled(scores, shape, family.size if family.corners else None)
        kept |= {f"image{index}": image, f"scores{index}": full[0].numpy()}
    np.savez_compressed(folder / f"{name}.npz", **kept)
    print(
        f"{name:<30} {report.delegated} operators in {report.partitions} calls, left "
        f"{report.left}, {report.seconds:.0f} s, scores reach {np.abs(kept['scores0']).max():.1f}",
        flush=True,
    )


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    for each in sys.argv[2:] or FAMILIES:
        make(each, FAMILIES[each], target)
