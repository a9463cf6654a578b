"""An XNNPACK program back as a torch module, so that every peer runs the very same weights.

Covers programs that are one XNNPACK delegate of float32 convolutions and what surrounds them in
segmentation networks; anything else is a NotImplementedError that names it. Needs the peers'
environment (executorch, torch).
"""

from __future__ import annotations

import importlib.resources
import json
import re
import struct
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import executorch
import executorch.backends.xnnpack.serialization as xnnpack_serialization
import numpy as np
import torch
import torch.nn.functional as F
from executorch.exir._serialize._program import deserialize_pte_binary

Node = dict[str, Any]

_ALIGN_CORNERS = 8  # XNN_FLAG_ALIGN_CORNERS


class XnnpackProgram(torch.nn.Module):
    """Replays the delegate's graph. Input and output are NCHW, whatever the program's layout.

    XNNPACK works on NHWC: here every value is kept NCHW, and its transpositions do nothing but
    tell the order that the nodes behind them count their axes in.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        graph, named_data, arguments = _read_graph(path)
        values = {v["xvalue_union"]["id_out"]: v["xvalue_union"] for v in graph["xvalues"]}
        for index, value in values.items():
            if value["constant_buffer_idx"]:
                place = graph["constant_data"][value["constant_buffer_idx"]]
                data = named_data[place["named_key"]][: place["size"]]
                array = np.frombuffer(data, np.float32).reshape(value["dims"]).copy()
                self.register_buffer(f"c{index}", torch.from_numpy(array))
        self.nodes: list[tuple[str, Node, Node | None]] = [
            (n["xnode_union_type"], n["xnode_union"], n.get("output_min_max"))
            for n in graph["xnodes"]
        ]
        # Constants that the delegate does not own are arguments of its call.
        for index in list(arguments):
            if arguments[index] is not None:
                self.register_buffer(f"c{index}", arguments.pop(index))
        if len(arguments) != 1 or len(graph["output_ids"]) != 1:
            message = f"{path}: not one input and one output"
            raise NotImplementedError(message)
        self.input_id, self.output_id = next(iter(arguments)), graph["output_ids"][0]
        self.input_shape: list[int] = values[self.input_id]["dims"]

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Logits, or whatever the program returns, NCHW."""
        values = {self.input_id: image}
        axes = [0, 1, 2, 3]  # of ours, that the graph's axes are

        def get(index: int) -> torch.Tensor:
            return values[index] if index in values else getattr(self, f"c{index}")

        for kind, node, limits in self.nodes:
            if kind == "XNNStaticTranspose":
                axes = [axes[axis] for axis in node["perm"]]
            result = self._run(kind, node, axes, get)
            if limits is not None:
                result = _clamp(result, limits)
            values[node["output_id"]] = result
        return values[self.output_id]

    def _run(self, kind: str, node: Node, axes: list[int], get: Any) -> torch.Tensor:
        if kind in ("XNNConv2d", "XNNDepthwiseConv2d", "XNNConvTranspose2d"):
            return _convolution(kind, node, get)
        if kind == "XNNStaticTranspose":
            return get(node["input_id"])
        if kind in _BINARY:
            return _BINARY[kind](get(node["input1_id"]), get(node["input2_id"]))
        if kind in _UNARY:
            return _UNARY[kind](get(node["input_id"]))
        if kind == "XNNStaticResizeBilinear2D":
            size = (node["new_height"], node["new_width"])
            corners = bool(node["flags"] & _ALIGN_CORNERS)
            source = get(node["input_id"])
            return F.interpolate(source, size, mode="bilinear", align_corners=corners)
        if kind == "XNNStaticConstantPad":
            pads = [0] * 8  # torch's order: the last axis first
            for axis, before, after in zip(
                axes, node["pre_paddings"], node["post_paddings"], strict=True
            ):
                pads[6 - 2 * axis : 8 - 2 * axis] = [before, after]
            return F.pad(get(node["input_id"]), pads, value=node["padding_value"])
        if kind == "XNNStaticSlice":
            result = get(node["input_id"])
            for axis, start, size in zip(axes, node["offsets"], node["sizes"], strict=True):
                result = result.narrow(axis, start, size)
            return result
        raise NotImplementedError(kind)


_BINARY = {"XNNAdd": torch.add, "XNNMultiply": torch.mul, "XNNSubtract": torch.sub}
_UNARY = {
    "XNNClamp": lambda x: x,  # its limits are applied to every node
    "XNNCopy": lambda x: x,
    "XNNSigmoid": torch.sigmoid,
    "XNNHardswish": F.hardswish,
    "XNNGlobalAvgPooling2d": lambda x: x.mean((2, 3), keepdim=True),
}


def _convolution(kind: str, node: Node, get: Any) -> torch.Tensor:
    source, bias = get(node["input1_id"]), get(node["bias_id"])
    weight = get(node["filter_id"])
    stride = (node["subsampling_height"], node["subsampling_width"])
    dilation = (node["dilation_height"], node["dilation_width"])
    left, right = node["padding_left"], node["padding_right"]
    top, bottom = node["padding_top"], node["padding_bottom"]
    if kind == "XNNConvTranspose2d":
        if left or right or top or bottom or node["groups"] != 1:
            message = "a padded or grouped transposed convolution"
            raise NotImplementedError(message)
        return F.conv_transpose2d(source, weight.permute(3, 0, 1, 2), bias, stride)
    if kind == "XNNDepthwiseConv2d":  # 1, height, width, channels
        weight = weight.permute(3, 0, 1, 2)
    else:  # outputs, height, width, inputs
        weight = weight.permute(0, 3, 1, 2)
    padding: tuple[int, int] = (top, left)
    if (left, top) != (right, bottom):
        source, padding = F.pad(source, (left, right, top, bottom)), (0, 0)
    return F.conv2d(source, weight, bias, stride, padding, dilation, node["groups"])


def _clamp(value: torch.Tensor, limits: Node) -> torch.Tensor:
    low, high = limits["output_min"], limits["output_max"]
    if low == 0 and high == float("inf"):
        return F.relu(value)
    if low == -float("inf") and high == float("inf"):
        return value
    return F.hardtanh(value, low, high)


def _read_graph(path: Path) -> tuple[Node, dict[str, bytes], dict[int, torch.Tensor | None]]:
    """The graph, its weights by name, and its inputs: the value of those that are constant."""
    file = deserialize_pte_binary(path.read_bytes())
    plan = file.program.execution_plan[0]
    if len(plan.delegates) != 1 or plan.operators or plan.delegates[0].id != "XnnpackBackend":
        message = f"{path}: not one XNNPACK delegate"
        raise NotImplementedError(message)
    blob = file.program.backend_delegate_data[plan.delegates[0].processed.index].data
    offset, size = struct.unpack_from("<II", blob, 10)  # XNNHeader: the graph's place
    named = {
        key: bytes(file.named_data.buffers[entry.buffer_index])
        for key, entry in file.named_data.pte_data.items()
    }
    schema = importlib.resources.files(xnnpack_serialization) / "runtime_schema.fbs"
    flatc = Path(next(iter(executorch.__path__))) / "data" / "bin" / "flatc"
    with tempfile.TemporaryDirectory() as folder:
        binary = Path(folder) / "graph.bin"
        binary.write_bytes(blob[offset : offset + size])
        options = ["--json", "--strict-json", "--defaults-json", "--raw-binary", "-o", folder]
        subprocess.run([flatc, *options, str(schema), "--", binary], check=True)
        text = binary.with_suffix(".json").read_text()
    text = re.sub(r"(: -?)(inf)\b", r"\1Infinity", text)  # flatc writes C's infinity
    graph = json.loads(text)
    call = plan.chains[0].instructions[0].instr_args.args
    arguments = {
        index: _constant(file.program, plan.values[position].val)
        for index, position in zip(graph["input_ids"], call, strict=False)  # then the outputs
    }
    return graph, named, arguments


def _constant(program: Any, tensor: Any) -> torch.Tensor | None:
    if tensor.data_buffer_idx == 0:
        return None
    data = bytes(program.constant_buffer[tensor.data_buffer_idx].storage)
    count = int(np.prod(tensor.sizes))
    array = np.frombuffer(data, np.float32, count).reshape(tensor.sizes).copy()
    return torch.from_numpy(array)
