"""Networks of TensorFlow Lite, rebuilt in torch, against its own interpreter."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the extra 'export'")
pytest.importorskip("executorch", reason="needs the extra 'export'")
pytest.importorskip("tflite", reason="needs the extra 'export-tflite'")

import torch

import etseg
import networks  # noqa: F401  # the exporters warn while they are imported
from etseg.export import export
from etseg.export._sources import open_network
from tflite_files import File

SIDE = 13  # odd, so that padding differs between sides
SAME, VALID = 0, 1
generator = np.random.default_rng(5)


def weights(*shape: int) -> np.ndarray:
    return generator.normal(0, 0.4, shape).astype(np.float32)


def ints(values: Any) -> np.ndarray:
    return np.array(values, np.int32)


def started() -> tuple[File, int]:
    """A file, with an image that a convolution made 4 channels of."""
    file = File()
    image = file.tensor((1, SIDE, SIDE, 3))
    value = file.add("CONV_2D", [image, file.constant(weights(4, 3, 3, 3)),
                                 file.constant(weights(4))], (1, 7, 7, 4),
                     Padding=SAME, StrideH=2, StrideW=2, DilationHFactor=1, DilationWFactor=1,
                     FusedActivationFunction=1)  # fmt: skip
    return file, value


Ending = Callable[[File, int], int]


def resize(**options: Any) -> Ending:
    return lambda f, x: f.add("RESIZE_BILINEAR", [x, f.constant(ints([11, 17]))],
                              (1, 11, 17, 4), **options)  # fmt: skip


def pool(name: str, padding: int, side: int) -> Ending:
    return lambda f, x: f.add(name, [x], (1, side, side, 4), Padding=padding, StrideH=2, StrideW=2,
                              FilterHeight=3, FilterWidth=3)  # fmt: skip


def squeezed(f: File, x: int) -> int:
    """Squeeze and excitation, with dense layers."""
    mean = f.add("MEAN", [x, f.constant(ints([1, 2]))], (1, 4), KeepDims=False)
    dense = f.add("FULLY_CONNECTED", [mean, f.constant(weights(4, 4)), f.constant(weights(4))],
                  (1, 4), FusedActivationFunction=3)  # fmt: skip
    pixel = f.add("RESHAPE", [dense, f.constant(ints([1, 1, 1, 4]))], (1, 1, 1, 4))
    return f.add("MUL", [x, f.add("LOGISTIC", [pixel], (1, 1, 1, 4))], (1, 7, 7, 4))


def pooled_branch(f: File, x: int) -> int:
    """DeepLab's: the mean of all pixels, beside each of them."""
    mean = f.add("AVERAGE_POOL_2D", [x], (1, 1, 1, 4), Padding=VALID, StrideH=7, StrideW=7,
                 FilterHeight=7, FilterWidth=7)  # fmt: skip
    spread = f.add("TILE", [mean, f.constant(ints([1, 7, 7, 1]))], (1, 7, 7, 4))
    return f.add("CONCATENATION", [spread, x], (1, 7, 7, 8), Axis=3)


def transposed(padding: int, side: int) -> Ending:
    return lambda f, x: f.add(
        "TRANSPOSE_CONV",
        [f.constant(ints([1, side, side, 5])), f.constant(weights(5, 3, 3, 4)), x],
        (1, side, side, 5), Padding=padding, StrideH=2, StrideW=2,
    )  # fmt: skip


def depthwise(multiplier: int, dilation: int) -> Ending:
    return lambda f, x: f.add(
        "DEPTHWISE_CONV_2D",
        [x, f.constant(weights(1, 3, 3, 4 * multiplier)), f.constant(weights(4 * multiplier))],
        (1, 7, 7, 4 * multiplier), Padding=SAME, StrideH=1, StrideW=1, DilationHFactor=dilation,
        DilationWFactor=dilation, DepthMultiplier=multiplier, FusedActivationFunction=2,
    )  # fmt: skip


def unary(name: str, **options: Any) -> Ending:
    return lambda f, x: f.add(name, [x], (1, 7, 7, 4), **options)


def with_constant(name: str, first: bool, *shape: int) -> Ending:
    def add(f: File, x: int) -> int:
        pair = [f.constant(weights(*shape)), x]
        return f.add(name, pair if first else pair[::-1], (1, 7, 7, 4))

    return add


ENDINGS: dict[str, Ending] = {
    "depthwise": depthwise(1, 1),
    "depthwise-multiplied-dilated": depthwise(2, 2),
    "transposed-same": transposed(SAME, 14),
    "transposed-valid": transposed(VALID, 15),
    "mean-pool-same": pool("AVERAGE_POOL_2D", SAME, 4),
    "mean-pool-valid": pool("AVERAGE_POOL_2D", VALID, 3),
    "max-pool-same": pool("MAX_POOL_2D", SAME, 4),
    "max-pool-valid": pool("MAX_POOL_2D", VALID, 3),
    "resize-corners": resize(AlignCorners=True),
    "resize-half-pixel": resize(HalfPixelCenters=True),
    "resize-as-of-old": resize(),
    "squeeze-excite": squeezed,
    "pooled-branch": pooled_branch,
    "hard-swish": unary("HARD_SWISH"),
    "softmax": unary("SOFTMAX", Beta=2.0),
    "leaky": unary("LEAKY_RELU", Alpha=0.1),
    "tanh": unary("TANH"),
    "add-channels": with_constant("ADD", False, 4),
    "sub-from-pixels": with_constant("SUB", True, 1, 7, 7, 1),
    "prelu": lambda f, x: f.add("PRELU", [x, f.constant(weights(1, 1, 4))], (1, 7, 7, 4)),
    "pad": lambda f, x: f.add("PAD", [x, f.constant(ints([[0, 0], [1, 2], [0, 3], [0, 0]]))],
                              (1, 10, 10, 4)),
    "float16-weights": lambda f, x: f.add(
        "ADD", [x, f.add("DEQUANTIZE", [f.constant(np.array([1, 2, 3, 4], np.float16))], (4,))],
        (1, 7, 7, 4)),
}  # fmt: skip


def interpreted(data: bytes, image: np.ndarray, kernels: str = "") -> np.ndarray:
    """[1, C, H, W], by TensorFlow Lite itself: its own kernels, or those that it delegates to."""
    litert = pytest.importorskip("ai_edge_litert.interpreter", reason="needs ai-edge-litert")
    kind = litert.OpResolverType[kernels or "BUILTIN_WITHOUT_DEFAULT_DELEGATES"]
    interpreter = litert.Interpreter(model_content=data, experimental_op_resolver_type=kind)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], image)
    interpreter.invoke()
    result = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    return result.transpose(0, 3, 1, 2)


def opened(data: bytes, folder: Path) -> Any:
    (folder / "net.tflite").write_bytes(data)
    return open_network(folder / "net.tflite", None, None)


def run(found: Any, image: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return found.module(torch.from_numpy(image.transpose(0, 3, 1, 2))).numpy()


@pytest.mark.parametrize("name", ENDINGS)
def test_an_operator(name: str, tmp_path: Path) -> None:
    file, value = started()
    ENDINGS[name](file, value)
    data = file.finished()
    image = generator.random((1, SIDE, SIDE, 3)).astype(np.float32)
    found = opened(data, tmp_path)
    assert found.size == (SIDE, SIDE)
    expected = interpreted(data, image)
    assert np.abs(expected).max() > 0.05
    np.testing.assert_allclose(run(found, image), expected, atol=1e-5, rtol=1e-5)


def quantized() -> bytes:
    """In 8 bits: a convolution of pixels, whose result is cut off at 0 and at its range's end."""
    file = File()
    image = file.tensor((1, SIDE, SIDE, 3), "uint8", (1 / 128, 128))
    kernel = file.constant(generator.integers(0, 256, (4, 3, 3, 3)).astype(np.uint8), (0.01, 120))
    bias = file.constant(generator.integers(-2000, 2000, 4).astype(np.int32), (0.01 / 128, 0))
    scores = file.add(
        "CONV_2D", [image, kernel, bias], (1, SIDE, SIDE, 4), "uint8", (0.02, 0),
        Padding=SAME, StrideH=1, StrideW=1, DilationHFactor=1, DilationWFactor=1,
    )  # fmt: skip
    file.add("ARG_MAX", [scores, file.constant(ints(3))], (1, SIDE, SIDE), "int64", OutputType=4)
    return file.finished()


def test_8_bits_become_float_within_their_ranges(tmp_path: Path) -> None:
    data = quantized()
    found = opened(data, tmp_path)
    assert found.fields["mean"] == pytest.approx((128 / 255,) * 3)
    assert found.fields["std"] == pytest.approx((128 / 255,) * 3)
    assert len(found.notes) == 2  # on 8 bits, and on the argmax that is left out
    pixels = generator.integers(0, 256, (1, SIDE, SIDE, 3)).astype(np.uint8)
    normalised = (pixels / 255 - found.fields["mean"][0]) / found.fields["std"][0]
    scores = run(found, normalised.astype(np.float32))
    assert scores.min() == 0
    assert scores.max() == pytest.approx(0.02 * 255, abs=1e-5)
    litert = pytest.importorskip("ai_edge_litert.interpreter", reason="needs ai-edge-litert")
    interpreter = litert.Interpreter(model_content=data)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], pixels)
    interpreter.invoke()
    labels = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    best = scores.max(1)
    chosen = np.take_along_axis(scores, labels[:, None], 1)[:, 0]
    assert (best - chosen).max() <= 0.02  # a step of 8 bits


def test_from_a_file_to_a_program(tmp_path: Path) -> None:
    file, value = started()
    file.add("SOFTMAX", [resize(HalfPixelCenters=True)(file, value)], (1, 11, 17, 4), Beta=1.0)
    (tmp_path / "net.tflite").write_bytes(file.finished())
    report = export(tmp_path / "net.tflite", tmp_path / "net.pte", labels=["a", "b", "c", "d"])
    assert report.input_size == (SIDE, SIDE)
    assert report.output_size == (11, 17)
    assert report.metadata["activation"] == "none"
    assert report.agreement > 0.999


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda f, x: f.add("CUMSUM", [x, f.constant(ints(1))], (1, 7, 7, 4)),
         "operator CUMSUM"),
        (lambda f, x: f.add("RESHAPE", [x, f.constant(ints([1, 49, 1, 4]))], (1, 49, 1, 4)),
         r"RESHAPE .* makes \[1, 49, 1, 4\] of \[1, 7, 7, 4\]"),
        (lambda f, x: f.add("MEAN", [x, f.constant(ints([3]))], (1, 7, 7, 1), KeepDims=True),
         "over the axes"),
        (lambda f, x: f.add("CONV_2D", [x, x], (1, 7, 7, 7), Padding=SAME, StrideH=1, StrideW=1),
         "input 1 is computed"),
        (lambda f, x: f.add("ADD", [x, x], (1, 7, 7, 4), FusedActivationFunction=5),
         "fused activation 5"),
    ],
)  # fmt: skip
def test_what_is_not_known_is_named(make: Ending, said: str, tmp_path: Path) -> None:
    file, value = started()
    make(file, value)
    with pytest.raises(etseg.InvalidModelSourceError, match=said):
        opened(file.finished(), tmp_path)


def test_what_is_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(etseg.FileReadError, match="cannot read"):
        open_network(tmp_path / "nowhere.tflite", None, None)
    with pytest.raises(etseg.InvalidModelSourceError, match="no TensorFlow Lite"):
        opened(b"not at all", tmp_path)
    file, value = started()
    unary("TANH")(file, value)
    data = file.finished()
    for length in range(8, len(data), 97):
        with pytest.raises(etseg.InvalidModelSourceError):
            opened(data[:length], tmp_path)
    with pytest.raises(etseg.InvalidModelSourceError, match="has its own"):
        open_network(tmp_path / "net.tflite", "w.pt", None)
    two = File()
    two.add("ADD", [two.tensor((1, 8, 8, 1)), 0], (1, 8, 8, 1))
    with pytest.raises(etseg.InvalidModelSourceError, match=r"inputs of .* \[\[1, 8, 8, 1\]\]"):
        opened(two.finished(), tmp_path)


SELFIES = {"selfie_segmentation.tflite": etseg.SELFIE_SEGMENTATION,
           "selfie_segmentation_landscape.tflite": etseg.SELFIE_SEGMENTATION_LANDSCAPE}  # fmt: skip


@pytest.mark.skipif("ETSEG_TFLITE" not in os.environ,
                    reason="ETSEG_TFLITE names no folder with MediaPipe's files")  # fmt: skip
@pytest.mark.parametrize("name", SELFIES)
def test_media_pipes_own(name: str, data: Path, tmp_path: Path) -> None:
    """Against the interpreter on a photograph, and against the program that is in the package."""
    source = Path(os.environ["ETSEG_TFLITE"]) / name
    photo = cv2.imread(str(data / "astronaut.jpg"))[..., ::-1]
    found = open_network(source, None, None)
    small = cv2.resize(photo, found.size[::-1], interpolation=cv2.INTER_AREA)
    image = small[None].astype(np.float32) / 255
    # Only what it delegates to knows MediaPipe's own operator.
    expected = interpreted(source.read_bytes(), image, "AUTO")
    assert np.abs(run(found, image) - expected).max() < 2e-4
    report = export(source, tmp_path / "selfie.pte", labels=["selfie", "background"])
    with etseg.ImageSegmentationModule() as module:
        module.load(report.path)
        ours = module.forward(photo, [0], resize=True)
        module.load(SELFIES[name])
        theirs = module.forward(photo, [0], resize=True)
    assert np.abs(ours[0] - theirs[0]).max() < 1e-3
