"""The models that are compared, and where their files are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
BUILD = CHECKOUT / "build" / "benchmarks"
SHARED = CHECKOUT.parent / "shared"


@dataclass(frozen=True)
class Model:
    """A program in every format that a peer may want.

    Attributes:
        pte: the ExecuTorch program.
        onnx: the same network and weights, made from `pte` by export_programs.py.
        channels: of the output. One channel is a probability, several are logits.
    """

    name: str
    title: str
    pte: Path
    onnx: Path
    channels: int
    input_size: tuple[int, int]

    @property
    def labels(self) -> int:
        """How many classes the model tells apart."""
        return max(2, self.channels)


def models(shared: Path = SHARED, build: Path = BUILD) -> dict[str, Model]:
    """Every model by name, whether its files are there or not."""
    bundled = CHECKOUT / "python" / "etseg" / "_bundled"
    made = build / "programs"
    return {
        "selfie": Model(
            "selfie",
            "Selfie segmentation 256, 1 channel",
            bundled / "selfie_segmentation_xnnpack_fp32.pte",
            made / "selfie.onnx",
            1,
            (256, 256),
        ),
        "deeplab": Model(
            "deeplab",
            "DeepLabV3 MobileNetV2 x0.5 257, 21 classes",
            shared / "models" / "deeplabv3_mnv2_dm05_pascal_257_xnnpack_fp32.pte",
            made / "deeplab.onnx",
            21,
            (257, 257),
        ),
        "lraspp": Model(
            "lraspp",
            "LRASPP MobileNetV3 224, 21 classes, random weights",
            made / "lraspp.pte",
            made / "lraspp.onnx",
            21,
            (224, 224),
        ),
    }


def many_classes(channels: int, build: Path = BUILD) -> Model:
    """A small network with that many classes and random weights, for how cost grows."""
    stem = build / "programs" / f"classes-{channels}"
    return Model(
        f"classes-{channels}",
        f"{channels} classes, random weights",
        stem.with_suffix(".pte"),
        stem.with_suffix(".onnx"),
        channels,
        (128, 128),
    )


CLASS_COUNTS = (1, 2, 5, 21, 100, 300, 1000)
