"""The models that react-native-executorch publishes, as constants.

The two selfie models are in the wheel. The others are that project's own files; all of them take
ImageNet's mean and std (its release 0.7 published one file, without).
"""

from __future__ import annotations

from ._labels import DeeplabLabel, SelfieSegmentationLabel
from ._spec import ModelSpec

_HOST = "https://huggingface.co/software-mansion"
_IMAGENET_MEAN = (0.485, 0.456, 0.406)
_IMAGENET_STD = (0.229, 0.224, 0.225)


def _published(name: str, repository: str, file: str) -> ModelSpec:
    return ModelSpec(
        name=name,
        model_source=f"{_HOST}/react-native-executorch-{repository}/resolve/v0.9.0/xnnpack/{file}",
        labels=DeeplabLabel,
        mean=_IMAGENET_MEAN,
        std=_IMAGENET_STD,
        activation="softmax",
    )


def _bundled(name: str, file: str, sha256: str) -> ModelSpec:
    return ModelSpec(
        name=name,
        model_source=f"bundled:{file}",
        labels=SelfieSegmentationLabel,
        activation="none",
        sha256=sha256,
    )


DEEPLAB_V3_RESNET50 = _published(
    "deeplab-v3-resnet50", "deeplab-v3", "deeplab_v3_resnet50_xnnpack_fp32.pte"
)
DEEPLAB_V3_RESNET101 = _published(
    "deeplab-v3-resnet101", "deeplab-v3", "deeplab_v3_resnet101_xnnpack_fp32.pte"
)
DEEPLAB_V3_MOBILENET_V3_LARGE = _published(
    "deeplab-v3-mobilenet-v3-large", "deeplab-v3", "deeplab_v3_mobilenet_v3_large_xnnpack_fp32.pte"
)
LRASPP_MOBILENET_V3_LARGE = _published(
    "lraspp-mobilenet-v3-large", "lraspp", "lraspp_mobilenet_v3_large_xnnpack_fp32.pte"
)
FCN_RESNET50 = _published("fcn-resnet50", "fcn", "fcn_resnet50_xnnpack_fp32.pte")
FCN_RESNET101 = _published("fcn-resnet101", "fcn", "fcn_resnet101_xnnpack_fp32.pte")
DEEPLAB_V3_RESNET50_QUANTIZED = _published(
    "deeplab-v3-resnet50-quantized", "deeplab-v3", "deeplab_v3_resnet50_xnnpack_int8.pte"
)
DEEPLAB_V3_RESNET101_QUANTIZED = _published(
    "deeplab-v3-resnet101-quantized", "deeplab-v3", "deeplab_v3_resnet101_xnnpack_int8.pte"
)
DEEPLAB_V3_MOBILENET_V3_LARGE_QUANTIZED = _published(
    "deeplab-v3-mobilenet-v3-large-quantized",
    "deeplab-v3",
    "deeplab_v3_mobilenet_v3_large_xnnpack_int8.pte",
)
LRASPP_MOBILENET_V3_LARGE_QUANTIZED = _published(
    "lraspp-mobilenet-v3-large-quantized", "lraspp", "lraspp_mobilenet_v3_large_xnnpack_int8.pte"
)
FCN_RESNET50_QUANTIZED = _published(
    "fcn-resnet50-quantized", "fcn", "fcn_resnet50_xnnpack_int8.pte"
)
FCN_RESNET101_QUANTIZED = _published(
    "fcn-resnet101-quantized", "fcn", "fcn_resnet101_xnnpack_int8.pte"
)
SELFIE_SEGMENTATION = _bundled(
    "selfie-segmentation",
    "selfie_segmentation_xnnpack_fp32.pte",
    "6b693a8bd9f1673351c7d40826d1fc327d18cf810cf1147f978a015bf3a2a3eb",
)
SELFIE_SEGMENTATION_LANDSCAPE = _bundled(
    "selfie-segmentation-landscape",
    "selfie_segmentation_landscape_xnnpack_fp32.pte",
    "c060ed1571590461bb7864c7544712473a8d5831595be53ce07a676281f2cf61",
)

#: Every constant above, by its name.
CATALOGUE: dict[str, ModelSpec] = {
    str(spec.name): spec
    for spec in (
        DEEPLAB_V3_RESNET50,
        DEEPLAB_V3_RESNET101,
        DEEPLAB_V3_MOBILENET_V3_LARGE,
        LRASPP_MOBILENET_V3_LARGE,
        FCN_RESNET50,
        FCN_RESNET101,
        DEEPLAB_V3_RESNET50_QUANTIZED,
        DEEPLAB_V3_RESNET101_QUANTIZED,
        DEEPLAB_V3_MOBILENET_V3_LARGE_QUANTIZED,
        LRASPP_MOBILENET_V3_LARGE_QUANTIZED,
        FCN_RESNET50_QUANTIZED,
        FCN_RESNET101_QUANTIZED,
        SELFIE_SEGMENTATION,
        SELFIE_SEGMENTATION_LANDSCAPE,
    )
}
