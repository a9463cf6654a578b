"""A .tflite file, as records of its operators and tensors. Sizes are as there: [N, H, W, C]."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from etseg._errors import InvalidModelSourceError

#: Of the options of operators, those that are read: the class in the schema, and its fields.
_OPTIONS = {
    "CONV_2D": ("Conv2DOptions", ("Padding", "StrideH", "StrideW", "DilationHFactor",
                                  "DilationWFactor", "FusedActivationFunction")),
    "DEPTHWISE_CONV_2D": ("DepthwiseConv2DOptions", (
        "Padding", "StrideH", "StrideW", "DilationHFactor", "DilationWFactor",
        "FusedActivationFunction")),
    "TRANSPOSE_CONV": ("TransposeConvOptions", ("Padding", "StrideH", "StrideW",
                                                "FusedActivationFunction")),
    "FULLY_CONNECTED": ("FullyConnectedOptions", ("FusedActivationFunction",)),
    "ADD": ("AddOptions", ("FusedActivationFunction",)),
    "SUB": ("SubOptions", ("FusedActivationFunction",)),
    "MUL": ("MulOptions", ("FusedActivationFunction",)),
    "DIV": ("DivOptions", ("FusedActivationFunction",)),
    "CONCATENATION": ("ConcatenationOptions", ("Axis", "FusedActivationFunction")),
    "AVERAGE_POOL_2D": ("Pool2DOptions", ("Padding", "StrideH", "StrideW", "FilterHeight",
                                          "FilterWidth", "FusedActivationFunction")),
    "MAX_POOL_2D": ("Pool2DOptions", ("Padding", "StrideH", "StrideW", "FilterHeight",
                                      "FilterWidth", "FusedActivationFunction")),
    "RESIZE_BILINEAR": ("ResizeBilinearOptions", ("AlignCorners", "HalfPixelCenters")),
    "LEAKY_RELU": ("LeakyReluOptions", ("Alpha",)),
    "SOFTMAX": ("SoftmaxOptions", ("Beta",)),
}  # fmt: skip
#: The schema's numbers of element types.
_TYPES: dict[int, type[np.generic]] = {
    0: np.float32,
    1: np.float16,
    2: np.int32,
    3: np.uint8,
    4: np.int64,
    9: np.int8,
}
#: Of those with 8 bits, the least and the largest value.
_BYTES = {3: (0, 255), 9: (-128, 127)}
_CUSTOM = 32
_IDENTIFIER = b"TFL3"

Constant = npt.NDArray[Any]


@dataclass(frozen=True)
class Operator:
    """A step of the network.

    Attributes:
        name: in the schema, such as "CONV_2D"; of custom operators their own.
        inputs: numbers of tensors; -1 for one that is left out.
        output: number of the tensor that it makes.
        options: those in _OPTIONS, by name.
        custom: the options of a custom operator.
    """

    name: str
    inputs: tuple[int, ...]
    output: int
    options: dict[str, Any]
    custom: bytes


@dataclass(frozen=True)
class Graph:
    """A network.

    Attributes:
        input, output: numbers of tensors.
        shapes: of each tensor.
        constants: values of those that are in the file, float32 where they are quantized there.
        ranges: least and largest value of those that are computed in 8 bits.
        input_range: likewise of a quantized input; None for a float32 one.
        operators: in their order.
        dropped_argmax: whether there was one at the end.
    """

    input: int
    output: int
    shapes: dict[int, tuple[int, ...]]
    constants: dict[int, Constant]
    ranges: dict[int, tuple[float, float]]
    input_range: tuple[float, float] | None
    operators: tuple[Operator, ...]
    dropped_argmax: bool


def read_graph(data: bytes, title: str) -> Graph:
    """What a file says.

    Raises:
        InvalidModelSourceError: it is no network of one image; the message says why.
        ImportError: the package "tflite" is not installed.
    """
    try:
        import tflite
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "reading .tflite files needs the format's package: pip install tflite", name=error.name
        ) from error
    if data[4:8] != _IDENTIFIER:
        raise InvalidModelSourceError(f"{title!r} is no TensorFlow Lite network")
    try:
        return _read(tflite, tflite.Model.GetRootAs(data, 0), title)
    # What a damaged file raises.
    except (IndexError, ValueError, TypeError, AttributeError, struct.error) as error:
        raise InvalidModelSourceError(
            f"{title!r} is no whole TensorFlow Lite network: {error}"
        ) from error


def _read(tflite: Any, model: Any, title: str) -> Graph:
    if model.SubgraphsLength() != 1:
        raise InvalidModelSourceError(
            f"{title!r} has {model.SubgraphsLength()} subgraphs: control flow, which does not "
            "export; expected one"
        )
    graph = model.Subgraphs(0)
    tensors = [graph.Tensors(index) for index in range(graph.TensorsLength())]
    shapes = {i: tuple(int(n) for n in _numbers(t.ShapeAsNumpy())) for i, t in enumerate(tensors)}
    inputs = [int(index) for index in _numbers(graph.InputsAsNumpy())]
    if len(inputs) != 1 or len(shapes[inputs[0]]) != 4 or shapes[inputs[0]][::3] != (1, 3):
        raise InvalidModelSourceError(
            f"the inputs of {title!r} are {[list(shapes[index]) for index in inputs]}; expected "
            "one image [1, H, W, 3]"
        )
    constants = {index: value for index, tensor in enumerate(tensors)
                 if (value := _constant(model, tensor, shapes[index])) is not None}  # fmt: skip
    ranges = {index: found for index, tensor in enumerate(tensors)
              if index not in constants and (found := _range(tensor)) is not None}  # fmt: skip
    operators = [
        _operator(tflite, model, graph.Operators(i)) for i in range(graph.OperatorsLength())
    ]
    output = int(_numbers(graph.OutputsAsNumpy())[0])
    operators, output, dropped = _without_argmax(operators, output)
    input_range = ranges.pop(inputs[0], None)
    return Graph(
        inputs[0], output, shapes, constants, ranges, input_range, tuple(operators), dropped
    )


def _constant(model: Any, tensor: Any, shape: tuple[int, ...]) -> Constant | None:
    buffer = model.Buffers(tensor.Buffer())
    if not buffer.DataLength():
        return None
    kind = _TYPES.get(tensor.Type())
    if kind is None:
        return None  # whoever reads it will not find it, and say so
    values: Constant = np.frombuffer(buffer.DataAsNumpy().tobytes(), kind).reshape(shape)
    quantization = tensor.Quantization()
    if (
        quantization is not None
        and quantization.ScaleLength()
        and kind in (np.int8, np.uint8, np.int32)
    ):
        scale = quantization.ScaleAsNumpy().astype(np.float64)
        zero = _numbers(quantization.ZeroPointAsNumpy()).astype(np.float64)
        if scale.size > 1:
            along = [1] * values.ndim
            along[quantization.QuantizedDimension()] = scale.size
            scale = scale.reshape(along)
            zero = zero.reshape(along) if zero.size > 1 else zero
        values = (values.astype(np.float64) - (zero if zero.size else 0)) * scale
        return values.astype(np.float32)
    return values.astype(np.float32) if kind == np.float16 else values


def _range(tensor: Any) -> tuple[float, float] | None:
    """What an 8-bit tensor can stand for; None for any other."""
    quantization = tensor.Quantization()
    if tensor.Type() not in _BYTES or quantization is None or not quantization.ScaleLength():
        return None
    scale, zero = float(quantization.Scale(0)), int(quantization.ZeroPoint(0))
    least, most = _BYTES[tensor.Type()]
    return scale * (least - zero), scale * (most - zero)


def _operator(tflite: Any, model: Any, operator: Any) -> Operator:
    code = model.OperatorCodes(operator.OpcodeIndex())
    number = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())  # older files have the latter
    names = {value: name for name, value in vars(tflite.BuiltinOperator).items()
             if isinstance(value, int)}  # fmt: skip
    name = code.CustomCode().decode() if number == _CUSTOM else names.get(number, f"{number}")
    options = {}
    table = operator.BuiltinOptions()
    if name in _OPTIONS:
        kind, fields = _OPTIONS[name]
        read = getattr(tflite, kind)()
        if table is not None:
            read.Init(table.Bytes, table.Pos)
        options = {field: getattr(read, field)() if table is not None else 0 for field in fields}
    custom = operator.CustomOptionsAsNumpy() if number == _CUSTOM else b""
    return Operator(
        name,
        tuple(int(index) for index in _numbers(operator.InputsAsNumpy())),
        int(_numbers(operator.OutputsAsNumpy())[0]),
        options,
        bytes(_numbers(custom).astype(np.uint8)) if number == _CUSTOM else b"",
    )


def _without_argmax(operators: list[Operator], output: int) -> tuple[list[Operator], int, bool]:
    """The scores, of a network that ends in their argmax, and perhaps a change of its type."""
    end = {operator.output: index for index, operator in enumerate(operators)}
    at = end.get(output)
    while at is not None and operators[at].name in ("CAST", "RESHAPE", "EXPAND_DIMS"):
        at = end.get(operators[at].inputs[0])
    if at is None or operators[at].name != "ARG_MAX":
        return operators, output, False
    return operators[:at], operators[at].inputs[0], True


def _numbers(values: Any) -> npt.NDArray[Any]:
    """Of a vector, which flatbuffers gives as 0 where it is empty."""
    return np.atleast_1d(values) if not isinstance(values, int) else np.empty(0, np.int64)
