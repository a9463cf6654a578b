"""Each operator of TensorFlow Lite that segmentation networks have, as a module of torch."""

from __future__ import annotations

import struct
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  # as everybody calls it
from torch import nn

from .builder import Builder, as_torch
from .file import Constant
from .grids import SAME, Pooling, Resized, Transposed, padding_of
from .layers import Convolution, Elementwise, Function

#: MediaPipe numbers paddings otherwise than the schema: 0 is none at all there.
_MEDIA_PIPE_SAME = 1
#: What moves values, and computes none.
MOVES = frozenset(["QUANTIZE", "DEQUANTIZE", "RESHAPE", "TILE", "PAD", "PADV2", "MAX_POOL_2D"])


def _convolution(builder: Builder) -> nn.Module:
    options, depthwise = builder.operator.options, builder.operator.name != "CONV_2D"
    weight = builder.constant(1)  # [O, H, W, I]; depthwise [1, H, W, O]
    stride = options["StrideH"], options["StrideW"]
    dilation = options["DilationHFactor"], options["DilationWFactor"]
    pads = padding_of(builder.shape(0)[1:3], weight.shape[1:3], stride, dilation,
                      options["Padding"])  # fmt: skip
    axes = (3, 0, 1, 2) if depthwise else (0, 3, 1, 2)
    moved = torch.from_numpy(np.array(weight.transpose(axes), order="C"))
    groups = builder.shape(0)[3] // moved.shape[1]  # CONV_2D's may be grouped, too
    return Convolution(moved, builder.optional(2), pads, stride, dilation, groups)


def _transposed(builder: Builder) -> nn.Module:
    options = builder.operator.options
    weight = builder.constant(1)  # [O, H, W, I]
    stride = options["StrideH"], options["StrideW"]
    pads = padding_of(builder.result[1:3], weight.shape[1:3], stride, (1, 1), options["Padding"])
    return Transposed(_moved(weight), builder.optional(3), stride, pads, builder.result[1:3])


def _media_pipe_transposed(builder: Builder) -> nn.Module:
    """MediaPipe's own: the options are padding, stride along x and along y."""
    if len(builder.operator.custom) < 12:
        raise builder.refused("its options are not MediaPipe's")
    padding, across, down = struct.unpack("<iii", builder.operator.custom[:12])
    weight, stride = builder.constant(1), (down, across)
    kind = SAME if padding == _MEDIA_PIPE_SAME else None
    pads = padding_of(builder.result[1:3], weight.shape[1:3], stride, (1, 1), kind)
    return Transposed(_moved(weight), builder.optional(2), stride, pads, builder.result[1:3])


def _moved(weight: Constant) -> torch.Tensor:
    """Of a transposed convolution, as torch has it: [I, O, H, W]."""
    return torch.from_numpy(np.array(weight.transpose(3, 0, 1, 2), order="C"))


def _elementwise(function: Callable[..., torch.Tensor]) -> Callable[[Builder], nn.Module]:
    def build(builder: Builder) -> nn.Module:
        known = [index in builder.known for index in builder.operator.inputs]
        if not any(known):
            return Elementwise(function, None, False)
        value = builder.constant(known.index(True))
        if len(builder.result) != 4:
            return Elementwise(function, torch.from_numpy(value.copy()), known[0])
        if value.ndim == 2:
            raise builder.refused(f"its constant is {list(value.shape)}; expected [C] or 4 axes")
        return Elementwise(function, as_torch(value), known[0])

    return build


def _function(function: Callable[..., torch.Tensor]) -> Callable[[Builder], nn.Module]:
    return lambda _builder: Function(function)


def _same(value: torch.Tensor) -> torch.Tensor:
    return value


def _concatenation(builder: Builder) -> nn.Module:
    axis = builder.operator.options["Axis"] % len(builder.result)
    if any(index in builder.known for index in builder.operator.inputs):
        raise builder.refused("one of its inputs is a constant; expected computed ones")
    moved = {0: 0, 1: 2, 2: 3, 3: 1}[axis] if len(builder.result) == 4 else axis
    return Function(lambda *values: torch.cat(values, moved))


def _mean(builder: Builder) -> nn.Module:
    axes = sorted(int(axis) % 4 for axis in np.atleast_1d(builder.constant(1)))
    if len(builder.shape(0)) != 4 or axes != [1, 2]:
        raise builder.refused(f"it is over the axes {axes}; expected height and width")
    keep = len(builder.result) == 4
    return Function(lambda value: value.mean((2, 3), keepdim=keep))


def _reshape(builder: Builder) -> nn.Module:
    """Where the order of the values is torch's, too: the same shape, or a single pixel."""
    before, after = builder.shape(0), builder.result
    if before == after:
        return Function(_same)
    one_pixel = all(np.prod(shape) == shape[-1] for shape in (before, after))
    if not one_pixel or before[-1] != after[-1] or len(after) not in (2, 4):
        raise builder.refused(f"it makes {list(after)} of {list(before)}, values in another order")
    target = (1, after[-1]) if len(after) == 2 else (1, after[-1], 1, 1)
    return Function(lambda value: value.reshape(target))


def _tile(builder: Builder) -> nn.Module:
    before, after = builder.shape(0), builder.result
    if before == after:
        return Function(_same)
    if len(before) != 4 or before[1:3] != (1, 1) or before[3] != after[3]:
        raise builder.refused(f"it makes {list(after)} of {list(before)}; expected of one pixel")
    return Resized((1, 1), (after[1], after[2]), corners=False, half_pixel=True)


def _resized(builder: Builder) -> nn.Module:
    options, before, after = builder.operator.options, builder.shape(0), builder.result
    return Resized(
        (before[1], before[2]), (after[1], after[2]),
        corners=bool(options["AlignCorners"]), half_pixel=bool(options["HalfPixelCenters"]),
    )  # fmt: skip


def _pooling(builder: Builder) -> nn.Module:
    options, shape = builder.operator.options, builder.shape(0)
    kernel = options["FilterHeight"], options["FilterWidth"]
    stride = options["StrideH"], options["StrideW"]
    pads = padding_of(shape[1:3], kernel, stride, (1, 1), options["Padding"])
    largest = builder.operator.name == "MAX_POOL_2D"
    return Pooling((shape[1], shape[2]), kernel, stride, pads, largest)


def _pad(builder: Builder) -> nn.Module:
    pads = builder.constant(1).astype(int).tolist()
    if len(pads) != 4 or any(pads[0]):
        raise builder.refused(f"it pads by {pads}; expected [N, H, W, C], and no images more")
    value = float(builder.constant(2).reshape(-1)[0]) if len(builder.operator.inputs) > 2 else 0.0
    _, rows, columns, channels = pads
    amounts = [*columns, *rows, *channels]
    return Function(lambda image: F.pad(image, amounts, value=value))


def _dense(builder: Builder) -> nn.Module:
    weight = torch.from_numpy(builder.constant(1).copy())
    if len(builder.result) != 2:
        raise builder.refused(f"it makes {list(builder.result)}; expected [N, C]")
    linear = nn.Linear(weight.shape[1], weight.shape[0], builder.optional(2) is not None)
    linear.weight.data = weight
    if linear.bias is not None:
        bias = builder.optional(2)
        assert bias is not None
        linear.bias.data = bias
    return nn.Sequential(nn.Flatten(), linear)


def _softmax(builder: Builder) -> nn.Module:
    beta, axis = float(builder.operator.options["Beta"]), 1 if len(builder.result) == 4 else -1
    return Function(lambda value: (value if beta == 1 else value * beta).softmax(axis))


def _leaky(builder: Builder) -> nn.Module:
    slope = float(builder.operator.options["Alpha"])
    return Function(lambda value: F.leaky_relu(value, slope))


def _prelu(builder: Builder) -> nn.Module:
    slopes = builder.constant(1)
    if slopes.size != builder.shape(0)[-1]:
        raise builder.refused(f"its slopes are {list(slopes.shape)}; expected one a channel")
    module = nn.PReLU(slopes.size)
    module.weight.data = torch.from_numpy(slopes.reshape(-1).copy())
    return module


BUILDERS: dict[str, Callable[[Builder], nn.Module]] = {
    "ADD": _elementwise(torch.add),
    "AVERAGE_POOL_2D": _pooling,
    "CONCATENATION": _concatenation,
    "CONV_2D": _convolution,
    "Convolution2DTransposeBias": _media_pipe_transposed,
    "DEPTHWISE_CONV_2D": _convolution,
    "DEQUANTIZE": _function(_same),
    "DIV": _elementwise(torch.div),
    "FULLY_CONNECTED": _dense,
    "HARD_SWISH": _function(F.hardswish),
    "LEAKY_RELU": _leaky,
    "LOGISTIC": _function(torch.sigmoid),
    "MAXIMUM": _elementwise(torch.maximum),
    "MAX_POOL_2D": _pooling,
    "MEAN": _mean,
    "MINIMUM": _elementwise(torch.minimum),
    "MUL": _elementwise(torch.mul),
    "PAD": _pad,
    "PADV2": _pad,
    "PRELU": _prelu,
    "QUANTIZE": _function(_same),
    "RELU": _function(F.relu),
    "RELU6": _function(F.relu6),
    "RESHAPE": _reshape,
    "RESIZE_BILINEAR": _resized,
    "SOFTMAX": _softmax,
    "SUB": _elementwise(torch.sub),
    "TANH": _function(torch.tanh),
    "TILE": _tile,
    "TRANSPOSE_CONV": _transposed,
}
