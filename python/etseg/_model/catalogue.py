"""The models that react-native-executorch publishes, as constants.

The two selfie models are in the wheel. The others are that project's own files, downloaded at first
use; all of them take ImageNet's mean and std. Its release 0.7 had published one file, with another
name, that takes neither. So the name of a file decides where nothing else does, see
:func:`with_published`.
"""

from __future__ import annotations

import os
from dataclasses import fields, replace
from urllib.parse import unquote, urlsplit

from etseg._labels import DeeplabLabel, LabelSet, SelfieSegmentationLabel
from etseg._logs import logger
from etseg._uris import scheme_of

from .spec import ModelSpec, Source

_HOST = "https://huggingface.co/software-mansion"
_IMAGENET_MEAN = (0.485, 0.456, 0.406)
_IMAGENET_STD = (0.229, 0.224, 0.225)


def _published(name: str, repository: str, file: str) -> ModelSpec:
    page = f"{_HOST}/react-native-executorch-{repository}"  # which says the licence
    return ModelSpec(
        name=name,
        model_source=f"{page}/resolve/v0.10.0/xnnpack/{file}",
        origin=page,
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
        mean=(0.0, 0.0, 0.0),
        std=(1.0, 1.0, 1.0),
        activation="none",
        licence="Apache-2.0",
        origin="MediaPipe, its package of PyPI",
        sha256=sha256,
    )


#: DeepLabV3 with a ResNet-50 backbone, 21 classes of Pascal VOC, float32; about 168 MB.
DEEPLAB_V3_RESNET50 = _published(
    "deeplab-v3-resnet50", "deeplab-v3", "deeplab_v3_resnet50_xnnpack_fp32.pte"
)
#: DeepLabV3 with a ResNet-101 backbone, 21 classes of Pascal VOC, float32; about 244 MB.
DEEPLAB_V3_RESNET101 = _published(
    "deeplab-v3-resnet101", "deeplab-v3", "deeplab_v3_resnet101_xnnpack_fp32.pte"
)
#: DeepLabV3 with a MobileNetV3-Large backbone, 21 classes of Pascal VOC, float32; about 44 MB.
DEEPLAB_V3_MOBILENET_V3_LARGE = _published(
    "deeplab-v3-mobilenet-v3-large", "deeplab-v3", "deeplab_v3_mobilenet_v3_large_xnnpack_fp32.pte"
)
#: LR-ASPP with a MobileNetV3-Large backbone, 21 classes of Pascal VOC, float32; about 13 MB.
LRASPP_MOBILENET_V3_LARGE = _published(
    "lraspp-mobilenet-v3-large", "lraspp", "lraspp_mobilenet_v3_large_xnnpack_fp32.pte"
)
#: FCN with a ResNet-50 backbone, 21 classes of Pascal VOC, float32; about 141 MB.
FCN_RESNET50 = _published("fcn-resnet50", "fcn", "fcn_resnet50_xnnpack_fp32.pte")
#: FCN with a ResNet-101 backbone, 21 classes of Pascal VOC, float32; about 217 MB.
FCN_RESNET101 = _published("fcn-resnet101", "fcn", "fcn_resnet101_xnnpack_fp32.pte")
#: As :data:`DEEPLAB_V3_RESNET50`, int8; about 42 MB.
DEEPLAB_V3_RESNET50_QUANTIZED = _published(
    "deeplab-v3-resnet50-quantized", "deeplab-v3", "deeplab_v3_resnet50_xnnpack_int8.pte"
)
#: As :data:`DEEPLAB_V3_RESNET101`, int8; about 62 MB.
DEEPLAB_V3_RESNET101_QUANTIZED = _published(
    "deeplab-v3-resnet101-quantized", "deeplab-v3", "deeplab_v3_resnet101_xnnpack_int8.pte"
)
#: As :data:`DEEPLAB_V3_MOBILENET_V3_LARGE`, int8; about 11 MB.
DEEPLAB_V3_MOBILENET_V3_LARGE_QUANTIZED = _published(
    "deeplab-v3-mobilenet-v3-large-quantized",
    "deeplab-v3",
    "deeplab_v3_mobilenet_v3_large_xnnpack_int8.pte",
)
#: As :data:`LRASPP_MOBILENET_V3_LARGE`, int8; about 3.5 MB, the smallest with these classes.
LRASPP_MOBILENET_V3_LARGE_QUANTIZED = _published(
    "lraspp-mobilenet-v3-large-quantized", "lraspp", "lraspp_mobilenet_v3_large_xnnpack_int8.pte"
)
#: As :data:`FCN_RESNET50`, int8; about 36 MB.
FCN_RESNET50_QUANTIZED = _published(
    "fcn-resnet50-quantized", "fcn", "fcn_resnet50_xnnpack_int8.pte"
)
#: As :data:`FCN_RESNET101`, int8; about 55 MB.
FCN_RESNET101_QUANTIZED = _published(
    "fcn-resnet101-quantized", "fcn", "fcn_resnet101_xnnpack_int8.pte"
)
#: A person before a background; in the wheel, float32, 0.5 MB. For portraits and squares.
SELFIE_SEGMENTATION = _bundled(
    "selfie-segmentation",
    "selfie_segmentation_xnnpack_fp32.pte",
    "6b693a8bd9f1673351c7d40826d1fc327d18cf810cf1147f978a015bf3a2a3eb",
)
#: As :data:`SELFIE_SEGMENTATION`, for pictures wider than high.
SELFIE_SEGMENTATION_LANDSCAPE = _bundled(
    "selfie-segmentation-landscape",
    "selfie_segmentation_landscape_xnnpack_fp32.pte",
    "c060ed1571590461bb7864c7544712473a8d5831595be53ce07a676281f2cf61",
)

#: Every constant above, by its name: ``CATALOGUE["fcn-resnet50"]``.
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

#: Roughly how large the files are, in bytes, by name. For people: nothing is checked against it.
APPROXIMATE_SIZES = {
    "deeplab-v3-resnet50": 168_000_000,
    "deeplab-v3-resnet101": 244_000_000,
    "deeplab-v3-mobilenet-v3-large": 44_100_000,
    "lraspp-mobilenet-v3-large": 12_900_000,
    "fcn-resnet50": 141_000_000,
    "fcn-resnet101": 217_000_000,
    "deeplab-v3-resnet50-quantized": 42_400_000,
    "deeplab-v3-resnet101-quantized": 61_700_000,
    "deeplab-v3-mobilenet-v3-large-quantized": 11_400_000,
    "lraspp-mobilenet-v3-large-quantized": 3_530_000,
    "fcn-resnet50-quantized": 35_700_000,
    "fcn-resnet101-quantized": 55_000_000,
    "selfie-segmentation": 474_120,
    "selfie-segmentation-landscape": 474_120,
}

# The one file of release 0.7: pixels in 0..1, no mean, no std.
_OF_RELEASE_0_7 = ModelSpec(
    name="deeplab-v3-release-0.7",
    model_source=f"{_HOST}/react-native-executorch-deeplab-v3/resolve/v0.7.0/xnnpack/"
    "deeplabV3_xnnpack_fp32.pte",
    labels=DeeplabLabel,
    mean=(0.0, 0.0, 0.0),
    std=(1.0, 1.0, 1.0),
    activation="softmax",
)


def _file_name(source: Source) -> str:
    text = os.fspath(source)
    if scheme_of(text) is not None:
        text = unquote(urlsplit(text).path)
    return text.removeprefix("bundled:").replace("\\", "/").rpartition("/")[2]


_BY_FILE = {_file_name(spec.model_source): spec for spec in (*CATALOGUE.values(), _OF_RELEASE_0_7)}


def with_published(spec: ModelSpec, channels: int) -> ModelSpec:
    """The spec, with what it leaves open taken from the published model of the same file name.

    So a published file that is loaded by its URL or from a copy gets the mean and std that it was
    trained with. What the spec or the program itself says wins. A program with another number of
    channels is another model: it gets nothing.
    """
    try:
        published = _BY_FILE.get(_file_name(spec.model_source))
    except ValueError:  # a malformed URI
        return spec
    if published is None:
        return spec
    labels = LabelSet(published.labels)  # type: ignore[arg-type]  # normalised by the spec
    if len(labels) != max(channels, 2):
        return spec
    missing = {
        field.name: getattr(published, field.name)
        for field in fields(ModelSpec)
        if field.name != "sha256"
        and getattr(spec, field.name) is None
        and getattr(published, field.name) is not None
    }
    if missing:
        logger().info(
            "%s: known by its file name; takes %s from it", published.name, sorted(missing)
        )
    return replace(spec, **missing)
