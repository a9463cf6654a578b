"""Small .tflite files, made operator by operator with the format's own package."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import flatbuffers
import numpy as np
import tflite

_TYPES = {"float32": 0, "float16": 1, "int32": 2, "uint8": 3, "int64": 4, "int8": 9}
#: The schema's tables of options, by operator.
_TABLES = {
    "CONV_2D": "Conv2DOptions", "DEPTHWISE_CONV_2D": "DepthwiseConv2DOptions",
    "TRANSPOSE_CONV": "TransposeConvOptions", "ADD": "AddOptions", "MUL": "MulOptions",
    "SUB": "SubOptions", "AVERAGE_POOL_2D": "Pool2DOptions", "MAX_POOL_2D": "Pool2DOptions",
    "CONCATENATION": "ConcatenationOptions", "RESIZE_BILINEAR": "ResizeBilinearOptions",
    "SOFTMAX": "SoftmaxOptions", "MEAN": "ReducerOptions", "LEAKY_RELU": "LeakyReluOptions",
    "FULLY_CONNECTED": "FullyConnectedOptions", "RESHAPE": "ReshapeOptions",
    "ARG_MAX": "ArgMaxOptions",
}  # fmt: skip


@dataclass
class File:
    """A network under construction; its tensors are numbered as they are made."""

    tensors: list[tuple[tuple[int, ...], str, Any, Any]] = field(default_factory=list)
    operators: list[tuple[str, list[int], int, dict[str, Any]]] = field(default_factory=list)

    def tensor(self, shape: tuple[int, ...], kind: str = "float32", scale: Any = None) -> int:
        """One that is computed; `scale` is a pair (scale, zero point) of a quantized one."""
        self.tensors.append((shape, kind, None, scale))
        return len(self.tensors) - 1

    def constant(self, values: Any, scale: Any = None) -> int:
        array = np.asarray(values)
        self.tensors.append((array.shape, array.dtype.name, array.tobytes(), scale))
        return len(self.tensors) - 1

    def add(self, name: str, inputs: list[int], shape: tuple[int, ...], kind: str = "float32",
            scale: Any = None, **options: Any) -> int:  # fmt: skip
        """An operator; the number of what it makes."""
        output = self.tensor(shape, kind, scale)
        self.operators.append((name, inputs, output, options))
        return output

    def finished(self) -> bytes:
        """Its first tensor is the network's input, its last operator makes the output."""
        builder = flatbuffers.Builder(1024)
        names = sorted({name for name, *_ in self.operators})
        buffers, tensors = [self._buffer(builder, b"")], []
        for index, (shape, kind, data, scale) in enumerate(self.tensors):
            if data is not None:
                buffers.append(self._buffer(builder, data))
            at = len(buffers) - 1 if data is not None else 0
            tensors.append(self._tensor(builder, index, shape, kind, at, scale))
        operators = [self._operator(builder, names, *operator) for operator in self.operators]
        graph = self._table(
            builder, "SubGraph", Tensors=_vector(builder, tensors), Inputs=_numbers(builder, [0]),
            Outputs=_numbers(builder, [self.operators[-1][2]]),
            Operators=_vector(builder, operators),
        )  # fmt: skip
        codes = []
        for name in names:
            number = getattr(tflite.BuiltinOperator, name)
            old = min(number, 127)
            codes.append(
                self._table(
                    builder,
                    "OperatorCode",
                    BuiltinCode=number,
                    DeprecatedBuiltinCode=old,
                    Version=1,
                )
            )
        model = self._table(
            builder, "Model", Version=3, OperatorCodes=_vector(builder, codes),
            Subgraphs=_vector(builder, [graph]), Buffers=_vector(builder, buffers),
        )  # fmt: skip
        builder.Finish(model, b"TFL3")
        return bytes(builder.Output())

    def _buffer(self, builder: Any, data: bytes) -> int:
        return self._table(builder, "Buffer", Data=builder.CreateByteVector(data) if data else None)

    def _tensor(self, builder: Any, index: int, shape: tuple[int, ...], kind: str, buffer: int,
                scale: Any) -> int:  # fmt: skip
        quantization = None
        if scale is not None:
            scales = builder.CreateNumpyVector(np.atleast_1d(np.float32(scale[0])))
            zeros = builder.CreateNumpyVector(np.atleast_1d(np.int64(scale[1])))
            quantization = self._table(
                builder, "QuantizationParameters", Scale=scales, ZeroPoint=zeros
            )
        return self._table(
            builder, "Tensor", Shape=_numbers(builder, list(shape)), Type=_TYPES[kind],
            Buffer=buffer, Name=builder.CreateString(f"t{index}"), Quantization=quantization,
        )  # fmt: skip

    def _operator(self, builder: Any, names: list[str], name: str, inputs: list[int], output: int,
                  options: dict[str, Any]) -> int:  # fmt: skip
        table, kind = None, 0
        if name in _TABLES:
            kind = getattr(tflite.BuiltinOptions, _TABLES[name])
            table = self._table(builder, _TABLES[name], **options)
        return self._table(
            builder, "Operator", OpcodeIndex=names.index(name), Inputs=_numbers(builder, inputs),
            Outputs=_numbers(builder, [output]), BuiltinOptionsType=kind, BuiltinOptions=table,
        )  # fmt: skip

    def _table(self, builder: Any, kind: str, **fields: Any) -> int:
        getattr(tflite, f"{kind}Start")(builder)
        for name, value in fields.items():
            if value is not None:
                getattr(tflite, f"{kind}Add{name}")(builder, value)
        made: int = getattr(tflite, f"{kind}End")(builder)
        return made


def _numbers(builder: Any, values: list[int]) -> int:
    made: int = builder.CreateNumpyVector(np.asarray(values, np.int32))
    return made


def _vector(builder: Any, offsets: list[int]) -> int:
    builder.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        builder.PrependUOffsetTRelative(offset)
    made: int = builder.EndVector()
    return made
