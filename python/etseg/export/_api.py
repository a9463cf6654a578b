"""export(): what a caller sees of this package."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Literal

from etseg._label_enums import Labels

from ._options import Options
from ._requirements import require

if TYPE_CHECKING:
    from ._report import ExportReport


def export(
    network: object,
    path: str | os.PathLike[str],
    *,
    weights: str | os.PathLike[str] | None = None,
    size: tuple[int, int] | None = None,
    input_format: Literal[
        "float32-nchw", "float32-nhwc", "uint8-nchw", "uint8-nhwc"
    ] = "float32-nchw",
    takes: Literal["float32-nchw", "float32-nhwc", "uint8-nchw", "uint8-nhwc"] | None = None,
    returns: Literal["scores", "labels-uint8", "labels-int32"] = "scores",
    name: str | None = None,
    labels: Labels | None = None,
    mean: Iterable[float] | None = None,
    std: Iterable[float] | None = None,
    activation: Literal["softmax", "sigmoid", "normalise", "none"] | None = None,
    background: str | int | None = None,
    resample: Literal["antialias", "bilinear"] | None = None,
    licence: str | None = None,
    origin: str | None = None,
    low_stride: bool | None = None,
    backend: Literal["xnnpack", "openvino", "auto"] = "xnnpack",
    quantize: Literal["int8"] | None = None,
    calibration: str | os.PathLike[str] | Iterable[object] | None = None,
    photos: str | os.PathLike[str] | Iterable[object] | None = None,
    least_agreement: float | None = None,
    on_progress: Callable[[str], object] | None = None,
) -> ExportReport:
    """Makes a program of a network, and compares the two before the file is there.

    The network is traced at one size, reduced to what its first output needs, lowered, and run in
    etseg's own runtime on photos, next to the network in torch. A file appears at `path` only if
    the two agree; what stood there before stays until then.

    Args:
        network: one of

            - a ``torch.nn.Module`` that takes an image [1, 3, H, W] and returns scores
              [1, C, H', W'], or a structure with them as "out", "logits" or first tensor; or
              labels [1, 1, H', W'] or [1, H', W'], int64, int32 or uint8;
            - ``"FILE.py:FUNCTION"`` or ``"MODULE:FUNCTION"``, which returns such a module;
            - ``"torchvision:NAME"``, a segmentation network of torchvision;
            - ``"hf:NAME"``, a semantic or universal segmentation network of transformers, on the
              hub or in a folder; labels, mean, std and size are taken from its configuration and
              processor;
            - ``"smp:ARCHITECTURE/ENCODER"`` of segmentation_models_pytorch, or ``"smp:FOLDER"``;
            - a ``torch.export.ExportedProgram``, or the path of a .pt2 file with one;
            - the path of an .onnx or a .tflite file.
        path: of the file to write; its name ends in .pte.
        weights: a file with the network's state (torch.save's or safetensors); what torchvision
            calls its weights; "random" for measurements. None: the source's own.
        size: height and width of the network's input. None: what it was made for.
        input_format: what the network takes: float32 or uint8, [1, 3, H, W] ("nchw") or
            [1, H, W, 3] ("nhwc"). uint8 is pixels of 0 to 255, which it normalises itself.
        takes: what the program shall take, likewise. Of bytes it normalises them itself, by `mean`
            and `std`, for a network that wants floats. None: what the network takes.
        returns: "scores", or the label of each pixel, [1, 1, H', W'] of the network's own size:
            then no map of a probability can be had of the program. A network that returns labels
            keeps their type.
        name: what the model is called; as for :class:`etseg.ModelSpec`, like those that follow.
        labels: in the order of the channels; by "sigmoid" of several channels one more, for none
            of them.
        mean: of red, green and blue, in units of 0..1.
        std: likewise.
        activation: "softmax", "sigmoid", "normalise" or "none".
        background: the label that pictures leave unpainted.
        resample: "antialias" or "bilinear".
        licence: what the weights may be used under.
        origin: where the weights come from.
        low_stride: whether a bilinear upsampling at the network's end is left to etseg, which
            does it in the same pass as the rest. None: if 99.5 % of the photos' pixels keep their
            label. False keeps the network whole.
        backend: what runs the network. "openvino" needs the extra ``export-openvino`` here, and
            the extra ``openvino`` where the file runs. "auto" makes a program for each, compares
            and times both, and keeps the one that is faster on this machine; without the extra
            it keeps "xnnpack", and a note says so.
        quantize: "int8" for weights and activations in int8, a quarter of the size. Layers that
            lose most stay in float32, as many as `least_agreement` needs.
        calibration: photos such as the network is for, for "int8": a folder, or images of any
            kind that forward() takes. A part of them is kept back, for the comparison.
        photos: to compare on, likewise. None: those kept back, or the package's.
        least_agreement: share of the photos' pixels, 0..1, whose label has to be the network's.
            None: 0.995, and 0.97 for "int8".
        on_progress: called with the name of each stage as it begins.

    Returns:
        what was made and measured. Its ``table()`` is for people.

    Raises:
        ExportError: the network cannot be traced or lowered, or the program does not agree with
            it; the message says where and why, ``report`` what was measured.
        InvalidModelSourceError: `network` or `weights` names nothing that is there.
        InvalidConfigError: labels, mean, std, ... do not fit the network.
        InvalidUserInputError: another argument does not fit.
        DownloadError: the network has to be downloaded, and cannot be.
        FileReadError: a file cannot be read.
        FileWriteError: the file cannot be written.
        ImportError: the extra is not installed.
    """
    options = Options.checked(
        path,
        size,
        input_format,
        takes,
        returns,
        {
            "name": name,
            "labels": labels,
            "mean": tuple(mean) if isinstance(mean, Iterable) else mean,
            "std": tuple(std) if isinstance(std, Iterable) else std,
            "activation": activation,
            "background": background,
            "resample": resample,
            "licence": licence,
            "origin": origin,
        },
        low_stride,
        backend,
        quantize,
        calibration,
        photos,
        least_agreement,
    )
    require(options.backend)
    from ._pipeline import run

    return run(network, weights, options, on_progress or (lambda _stage: None))
