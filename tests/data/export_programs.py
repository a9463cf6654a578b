"""Exports the small programs in tests/data/programs.

    pip install torch==2.13.0 executorch==1.5.1 numpy  # openvino_c3: openvino==2026.4.1 nncf==3.4.0
    python tests/data/export_programs.py [NAME ...]

The programs are committed: the tests need neither torch nor executorch. Each computes a function
that a test can compute too; programs/README.md, which this script writes, lists them.
"""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from executorch.backends.xnnpack import xnnpack_preprocess
from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
from executorch.backends.xnnpack.serialization.xnnpack_graph_serialize import (
    serialize_xnnpack_binary,
)
from executorch.exir import EdgeCompileConfig, ExecutorchBackendConfig, to_edge_transform_and_lower
from executorch.exir._serialize._named_data_store import NamedDataStore
from executorch.exir.passes import MemoryPlanningPass
from torch import nn

FOLDER = Path(__file__).parent / "programs"
HEIGHT, WIDTH = 24, 40


def weights(channels: int, inputs: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    """weight[c, k] and bias[c] of a 1x1 convolution; multiples of 1/8, so exact in float32."""
    c = torch.arange(channels).reshape(-1, 1)
    k = torch.arange(inputs).reshape(1, -1)
    weight = ((c * 7 + k * 5 + c * k) % 17 - 8) / 8
    bias = (torch.arange(channels) * 3 % 7 - 3) / 8
    return weight, bias


class Logits(nn.Module):
    """logits[c, y, x] = bias[c] + sum over k of weight[c, k] * image[k, y * stride, x * stride]"""

    def __init__(self, channels: int, stride: int = 1, inputs: int = 3) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, channels, 1, stride=stride)
        weight, bias = weights(channels, inputs)
        with torch.no_grad():
            self.conv.weight.copy_(weight[..., None, None])
            self.conv.bias.copy_(bias)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.conv(image)


class Then(nn.Module):
    """The logits, put through a function."""

    def __init__(self, channels: int, function: Callable[..., Any], stride: int = 1) -> None:
        super().__init__()
        self.logits = Logits(channels, stride)
        self.function = function

    def forward(self, image: torch.Tensor) -> Any:
        return self.function(self.logits(image))


class From(nn.Module):
    """The logits of a function of the input, put through another."""

    def __init__(self, before: Callable[..., Any], after: Callable[..., Any], stride: int) -> None:
        super().__init__()
        self.before = before
        self.logits = Logits(3, stride)
        self.after = after

    def forward(self, image: torch.Tensor) -> Any:
        return self.after(self.logits(self.before(image)))


class Only(nn.Module):
    """A function of the inputs, without weights."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, image: torch.Tensor) -> Any:
        return self.function(image)


class OnlyTwo(nn.Module):
    def forward(self, image: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return image * mask


class Constant(nn.Module):
    """Returns a constant of the file, whatever the image."""

    def __init__(self) -> None:
        super().__init__()
        values = (torch.arange(3 * HEIGHT * WIDTH) * 37 % 101 - 50) / 16
        self.values = nn.Parameter(values.reshape(1, 3, HEIGHT, WIDTH), requires_grad=False)

    def forward(self, image: torch.Tensor) -> torch.Tensor:  # noqa: ARG002
        return self.values


class Quantizable(nn.Module):
    """relu6(logits + 3), for the quantiser."""

    def __init__(self) -> None:
        super().__init__()
        self.logits = Logits(3)
        self.act = nn.ReLU6()

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.act(self.logits(image) + 3)


class Packed(nn.Module):
    """Constants used in ways that caches of packed weights were known to get wrong."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.way = way
        weight, bias = weights(3)
        self.weight = nn.Parameter(weight[..., None, None].clone())
        self.bias = nn.Parameter(bias.clone())

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        first = nn.functional.conv2d(image, self.weight, self.bias)
        if self.way == "prelu":
            return nn.functional.prelu(first, torch.tensor([0.5, 0.25, 0.125]))
        if self.way == "prelu of the bias":
            return nn.functional.prelu(first, self.bias)
        if self.way == "no bias":
            return nn.functional.conv2d(image, self.weight)
        if self.way == "two nodes":  # once without the bias: another packing of one kernel
            return nn.functional.conv2d(torch.relu(first), self.weight) + first
        # In two delegates: the cumulated sum is not XNNPACK's.
        between = torch.cumsum(first, 1)
        return nn.functional.conv2d(between, self.weight, self.bias)


class Multiplied(nn.Module):
    """w[y,x] * sum over k of w[x,k] * image[c,y,k]: one operator packs w, the other reads it."""

    def __init__(self, size: int) -> None:
        super().__init__()
        y, x = torch.arange(size).reshape(-1, 1), torch.arange(size)
        self.weight = nn.Parameter(((y * 5 + x * 7) % 17 - 8) / 64, requires_grad=False)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return nn.functional.linear(image, self.weight) * self.weight


# An operator that no runtime has.
_LIBRARY = torch.library.Library("etsegtest", "DEF")
_LIBRARY.define("nowhere(Tensor x) -> Tensor")
_LIBRARY.define("nowhere.out(Tensor x, *, Tensor(a!) out) -> Tensor(a!)")
_LIBRARY.impl("nowhere", lambda x: x.clone(), "CompositeExplicitAutograd")
_LIBRARY.impl("nowhere.out", lambda x, *, out: out.copy_(x), "CompositeExplicitAutograd")


@torch.library.register_fake("etsegtest::nowhere")
def _nowhere(x: torch.Tensor) -> torch.Tensor:
    return torch.empty_like(x)


def log_of(logits: torch.Tensor) -> torch.Tensor:
    """NaN where a logit is negative, -inf where it is zero."""
    return torch.log(logits)


def one_over(logits: torch.Tensor) -> torch.Tensor:
    """+inf where a logit is zero."""
    return torch.reciprocal(logits)


def of_bytes(image: torch.Tensor) -> torch.Tensor:
    return image.to(torch.float32) / 255


def of_rows_of_pixels(image: torch.Tensor) -> torch.Tensor:
    """[1, H, W, 3] normalised by mean 1/4 and std 1/2, as [1, 3, H, W]."""
    return (of_bytes(image).permute(0, 3, 1, 2) - 0.25) / 0.5


@dataclass
class Case:
    """One program: what it is, and how it is exported."""

    about: str
    model: nn.Module
    inputs: tuple[torch.Tensor, ...] = field(
        default_factory=lambda: (torch.rand(1, 3, HEIGHT, WIDTH),)
    )
    delegated: bool = True
    openvino: bool = False  # instead of XNNPACK
    inline: bool = False  # constants lie in the payload
    plan_input: bool = True
    plan_output: bool = True
    method: str = "forward"
    dynamic: Any = None
    quantized: bool = False
    per_channel: bool = False
    constants: dict[str, Any] | None = None  # methods that return a constant
    replace: tuple[bytes, bytes] | None = None  # bytes of the finished file, same length


def image(*shape: int, dtype: torch.dtype = torch.float32) -> tuple[torch.Tensor, ...]:
    return (torch.ones(shape, dtype=dtype),)


METADATA = json.dumps(
    {
        "schema": 1,
        "name": "three-classes",
        "labels": ["water", "dry land", "sky"],
        "mean": [0.25, 0.5, 0.125],
        "std": [0.5, 0.25, 1.0],
        "activation": "softmax",
        "background": "sky",
        "resample": "antialias",
        "licence": "CC0-1.0",
    }
)
LABELLED = json.dumps({"schema": 1, "labels": ["sky", "road", "tree"], "background": "sky"})
BY_THEMSELVES = json.dumps(
    {"schema": 1, "labels": ["wet", "dark", "far", "background"], "activation": "sigmoid"}
)
H, W = torch.export.Dim("height", min=4, max=HEIGHT), torch.export.Dim("width", min=4, max=WIDTH)

CASES: dict[str, Case] = {
    # Segmentation programs.
    "logits_c1": Case("one logit", Logits(1)),
    "logits_c2": Case("two classes", Logits(2)),
    "logits_c3": Case("three classes", Logits(3)),
    "logits_c21": Case("as many classes as Pascal VOC", Logits(21)),
    "logits_c300": Case("more classes than a byte holds", Logits(300), image(1, 3, 8, 12)),
    "portable_c3": Case("three classes, without a delegate", Logits(3), delegated=False),
    "portable_c21": Case("21 classes, without a delegate", Logits(21), delegated=False),
    "stride4_c3": Case("logits at a quarter of the input's size", Logits(3, stride=4)),
    "stride4_c21": Case("21 classes, logits at a quarter of the size", Logits(21, stride=4)),
    "rank3_c3": Case(
        "no batch dimension: input [3,H,W], output [C,H,W]",
        Only(lambda x: torch.stack([x[0] - x[1], x[1] * 2 - 0.5, x[2] + x[0] * 0.5])),
        image(3, HEIGHT, WIDTH),
        delegated=False,
    ),
    "two_outputs": Case(
        "logits, then a second output", Then(3, lambda x: (x, x.mean(dim=1))), delegated=False
    ),
    "channels_last_c3": Case(
        "logits channels-last in memory",
        Then(3, lambda x: x.contiguous(memory_format=torch.channels_last)),
        delegated=False,
    ),
    "sigmoid_c1": Case("one probability", Then(1, torch.sigmoid)),
    "softmax_c3": Case(
        "three probabilities", Then(3, lambda x: torch.softmax(x, 1)), delegated=False
    ),
    "identity": Case("the output is the input's own memory", Only(lambda x: x), delegated=False),
    "constant": Case("the output is a constant of the file", Constant(), delegated=False),
    "unplanned_input": Case("input outside the memory plan", Logits(3), plan_input=False),
    "unplanned_output": Case("output outside the memory plan", Logits(3), plan_output=False),
    "unplanned_both": Case(
        "input and output outside the memory plan",
        Logits(3),
        delegated=False,
        plan_input=False,
        plan_output=False,
    ),
    "unplanned_two_outputs": Case(
        "two outputs outside the memory plan",
        Then(3, lambda x: (x, x.mean(dim=1))),
        plan_output=False,
        delegated=False,
    ),
    "unplanned_identity": Case(
        "the output is the input's own memory, outside the plan",
        Only(lambda x: x),
        plan_input=False,
        plan_output=False,
        delegated=False,
    ),
    "log_c3": Case("log of the logits: NaN and -inf", Then(3, log_of), delegated=False),
    "reciprocal_c3": Case("1 / logits: +inf", Then(3, one_over), delegated=False),
    "quantized_c3": Case("int8 weights and activations", Quantizable(), quantized=True),
    "quantized_portable_c3": Case(
        "int8 weights and activations, without a delegate: the quantized kernels",
        Quantizable(),
        delegated=False,
        quantized=True,
    ),
    "dynamic_c3": Case(
        "height and width of the input bounded, not fixed",
        Logits(3),
        delegated=False,
        dynamic={"image": {2: H, 3: W}},
    ),
    "dynamic_xnnpack_c3": Case(
        "height and width of the input bounded, not fixed; delegated",
        Logits(3),
        dynamic={"image": {2: H, 3: W}},
    ),
    # Programs that take the argmax themselves.
    "int64_output": Case(
        "labels, int64 [1,1,H,W]",
        Then(3, lambda x: x.argmax(1, keepdim=True)),
        delegated=False,
    ),
    "labels_int32": Case(
        "labels at a quarter of the size, int32 [1,H,W]; three, which it says",
        From(lambda x: x, lambda x: x.argmax(1).to(torch.int32), stride=4),
        constants={"etseg_metadata": LABELLED},
        delegated=False,
    ),
    "labels_uint8": Case(
        "labels at a quarter of the size, uint8 [1,1,H,W]",
        From(lambda x: x, lambda x: x.argmax(1, keepdim=True).to(torch.uint8), stride=4),
        delegated=False,
    ),
    "labels_below_zero": Case(
        "labels less two: -1 where it should be 1",
        From(lambda x: x, lambda x: x.argmax(1) - 2, stride=4),
        delegated=False,
    ),
    # Other ways to take an image.
    "uint8_input": Case(
        "takes bytes, and divides them by 255",
        From(of_bytes, lambda x: x, stride=1),
        image(1, 3, HEIGHT, WIDTH, dtype=torch.uint8),
    ),
    "uint8_nhwc": Case(
        "takes bytes [1,H,W,3], and normalises them: mean 1/4, std 1/2",
        From(of_rows_of_pixels, lambda x: x, stride=1),
        image(1, HEIGHT, WIDTH, 3, dtype=torch.uint8),
    ),
    "nhwc_c3": Case(
        "takes [1,H,W,3]",
        From(lambda x: x.permute(0, 3, 1, 2), lambda x: x, stride=1),
        image(1, HEIGHT, WIDTH, 3),
    ),
    "channels_last_input": Case(
        "input channels-last in memory",
        Logits(3),
        (torch.rand(1, 3, 8, 12).contiguous(memory_format=torch.channels_last),),
        delegated=False,
    ),
    "openvino_c3": Case(
        "delegated to OpenVINO; metadata",
        Logits(3),
        openvino=True,
        constants={"etseg_metadata": METADATA},
    ),
    # Programs that say what they are: tests put other JSON of the same length into the first.
    "described_c3": Case(
        "metadata in a constant method",
        Logits(3),
        constants={"etseg_metadata": METADATA},
    ),
    "described_by_number_c3": Case(
        "metadata that is no string", Logits(3), constants={"etseg_metadata": 1}
    ),
    # Constants that XNNPACK packs, or does not, in ways of their own: see Packed.
    "prelu_c3": Case("PReLU: slopes that are never packed", Packed("prelu")),
    "prelu_of_bias_c3": Case("PReLU of a bias, which is packed too", Packed("prelu of the bias")),
    "prelu_of_bias_inline_c3": Case(
        "the same in an older layout: constants in the delegate's payload",
        Packed("prelu of the bias"),
        inline=True,
    ),
    "no_bias_c3": Case("a convolution without bias", Packed("no bias")),
    "two_nodes_c3": Case("one kernel in two convolutions", Packed("two nodes")),
    "two_delegates_c3": Case("one kernel in two delegates", Packed("two delegates")),
    "quantized_no_bias_c3": Case(
        "an int8 convolution without bias, a scale for each channel",
        Packed("no bias"),
        quantized=True,
        per_channel=True,
    ),
    "packed_and_read_c3": Case(
        "a constant of 68 kB that one operator packs and another reads",
        Multiplied(130),
        image(1, 3, 130, 130),
    ),
    "described_sigmoid_c3": Case(
        "logits of labels that do not exclude each other, at a quarter of the size; it says so",
        Logits(3, stride=4),
        constants={"etseg_metadata": BY_THEMSELVES},
    ),
    # No segmentation programs.
    "classifier": Case("output [1,10]", Then(10, lambda x: x.mean(dim=(2, 3)))),
    "rank5_output": Case("output [1,1,3,H,W]", Then(3, lambda x: x.unsqueeze(0)), delegated=False),
    "two_inputs": Case("two inputs", OnlyTwo(), (torch.ones(1, 3, 8, 12), torch.ones(1, 3, 8, 12))),
    "int_input": Case(
        "int32 input",
        Only(lambda x: x.to(torch.float32) * 2),
        image(1, 3, 8, 12, dtype=torch.int32),
        delegated=False,
    ),
    "four_channels": Case("input [1,4,H,W]", Logits(3, inputs=4), image(1, 4, 8, 12)),
    "batch2": Case("batch of two", Logits(3), image(2, 3, 8, 12)),
    "float64_output": Case("float64 output", Then(3, lambda x: x.double()), delegated=False),
    "none_output": Case("the output is None", Then(3, lambda x: (None, x)), delegated=False),
    "no_forward": Case("the method is called 'predict'", Logits(3), method="predict"),
    "missing_operator": Case(
        "needs etsegtest::nowhere.out",
        Then(3, lambda x: torch.ops.etsegtest.nowhere(x)),
        delegated=False,
    ),
    "missing_backend": Case(
        "delegated to YnnpackBackend", Logits(3), replace=(b"XnnpackBackend", b"YnnpackBackend")
    ),
    "bad_delegate": Case(
        "XNNPACK's payload has a wrong magic", Logits(3), replace=(b"XH00", b"XH99")
    ),
}


def quantize(model: nn.Module, inputs: tuple[torch.Tensor, ...], per_channel: bool) -> nn.Module:
    import executorch.kernels.quantized  # noqa: F401  (declares the out variants)
    from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import (
        XNNPACKQuantizer,
        get_symmetric_quantization_config,
    )
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

    config = get_symmetric_quantization_config(is_per_channel=per_channel)
    quantizer = XNNPACKQuantizer().set_global(config)
    prepared = prepare_pt2e(torch.export.export(model, inputs).module(), quantizer)
    for level in (0.0, 0.25, 0.5, 1.0):
        prepared(*(torch.full_like(x, level) for x in inputs))
    return convert_pt2e(prepared)


def partitioners(case: Case) -> list[Any]:
    if case.openvino:
        from executorch.backends.openvino.partitioner import OpenvinoPartitioner
        from executorch.exir.backend.compile_spec_schema import CompileSpec

        return [OpenvinoPartitioner([CompileSpec("device", b"CPU")])]
    return [XnnpackPartitioner()] if case.delegated else []


@contextmanager
def constants_in_payloads() -> Iterator[None]:
    """As older exporters wrote them: without names, after the delegate's graph."""
    named: dict[str, bytes] = {}

    def keep(_: NamedDataStore, name: str, data: bytes, **__: object) -> None:
        named[name] = bytes(data)

    def serialize(graph: Any, constants: bytearray) -> bytes:
        for constant in graph.constant_data:
            if constant.named_key:
                constant.offset = len(constants)
                constants += named[constant.named_key].ljust(64, b"\0")
                constant.named_key = None
        return bytes(serialize_xnnpack_binary(graph, constants))

    with (
        patch.object(NamedDataStore, "add_named_data", keep),
        patch.object(xnnpack_preprocess, "serialize_xnnpack_binary", serialize),
    ):
        yield


def export(case: Case) -> bytes:
    with constants_in_payloads() if case.inline else nullcontext():
        return _export(case)


def _export(case: Case) -> bytes:
    model = case.model.eval()
    if case.quantized:
        model = quantize(model, case.inputs, case.per_channel)
    exported = torch.export.export(model, case.inputs, dynamic_shapes=case.dynamic, strict=False)
    edge = to_edge_transform_and_lower(
        {case.method: exported},
        partitioner=partitioners(case),
        constant_methods=case.constants,
        compile_config=EdgeCompileConfig(_check_ir_validity=False),
    )
    program = edge.to_executorch(
        ExecutorchBackendConfig(
            memory_planning_pass=MemoryPlanningPass(
                alloc_graph_input=case.plan_input, alloc_graph_output=case.plan_output
            )
        )
    )
    data = bytes(program.buffer)
    if case.replace is not None:
        old, new = case.replace
        assert len(old) == len(new)
        assert data.count(old) >= 1, f"no {old!r} in the program"
        data = data.replace(old, new)
    return data


README = """\
# Programs for the tests

Written by `../export_programs.py` (executorch 1.5.1, torch 2.13.0); do not edit. Unless the table
says otherwise a program takes one float32 image [1,3,{height},{width}], is delegated to XNNPACK and
returns

    logits[c,y,x] = bias[c] + sum over k of weight[c,k] * image[k,y,x]
    weight[c,k] = ((7c + 5k + ck) mod 17 - 8) / 8
    bias[c] = (3c mod 7 - 3) / 8

At a stride s the pixel read is [k, s*y, s*x]. `constant` returns ((37 i mod 101) - 50) / 16 at the
i-th element of [1,3,{height},{width}]. `rank3_c3` returns r - g, 2g - 0.5, b + r/2. The quantised
ones return relu6(logits + 3), with int8's accuracy. The seven from `prelu_c3` on are `Packed` in
the script: what they return is compared with themselves, loaded in another way.
`packed_and_read_c3` is `Multiplied` there, with w[y,x] = ((5y + 7x) mod 17 - 8) / 64.

| program | what it is | input | bytes |
|---|---|---|---|
"""


def write_readme() -> None:
    rows = [
        f"| {name} | {case.about} | {list(case.inputs[0].shape)} "
        f"| {(FOLDER / f'{name}.pte').stat().st_size} |"
        for name, case in CASES.items()
    ]
    text = README.format(height=HEIGHT, width=WIDTH) + "\n".join(rows) + "\n"
    (FOLDER / "README.md").write_text(text)


def main(names: list[str]) -> None:
    warnings.simplefilter("ignore", FutureWarning)
    FOLDER.mkdir(exist_ok=True)
    failed = []
    for name in names or CASES:
        try:
            data = export(CASES[name])
        except Exception as error:
            failed.append(name)
            print(f"{name:<24} FAILED {type(error).__name__}: {str(error)[:300]}", flush=True)
            continue
        (FOLDER / f"{name}.pte").write_bytes(data)
        print(f"{name:<24} {len(data):>7} bytes", flush=True)
    write_readme()
    if failed:
        sys.exit(f"failed: {failed}")


if __name__ == "__main__":
    main(sys.argv[1:])
