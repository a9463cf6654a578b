"""Networks in ONNX, converted to torch by onnx2torch, and compared with onnxruntime."""

from __future__ import annotations

import os
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from etseg._errors import FileReadError, InvalidModelSourceError, InvalidUserInputError
from etseg.export._errors import ExportError, first_line

from .network import Network, first_tensor
from .onnx_tracing import traced
from .torchvision import does_not_load

_INSTALL = "pip install 'etseg[export-onnx]'"
_FLOAT = 1  # TensorProto's number
_STANDARD = ("", "ai.onnx")
#: The conversion may differ from onnxruntime by this share of the largest score, by rounding.
_ROUNDING = 1e-3


class _Converted(nn.Module):
    """Its first output alone."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return first_tensor(self.network(image))


def from_onnx(
    path: Path, weights: str | os.PathLike[str] | None, size: tuple[int, int] | None
) -> Network:
    """The network in an .onnx file, with its weights.

    Args:
        path: of the file; larger weights may lie beside it.
        weights: None; the file has its own.
        size: height and width that are wanted.

    Raises:
        FileReadError: the file cannot be read.
        InvalidUserInputError: neither the file nor the caller says a size.
        InvalidModelSourceError: it is no ONNX file, weights were given, its input is not one
            image, or there are operators that onnx2torch does not convert.
        ExportError: what was made of it does not compute what onnxruntime does.
        ImportError: a package for it is not installed.
    """
    if weights is not None:
        raise InvalidModelSourceError(
            f"weights are {os.fspath(weights)!r}, but an ONNX file has its own; leave them out"
        )
    try:
        import onnx
        import onnx2torch
        import onnxruntime
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"ONNX networks need {error.name}: {_INSTALL}", name=error.name
        ) from error
    except RuntimeError as error:  # onnx2torch imports torchvision
        raise InvalidModelSourceError(does_not_load("onnx2torch", error)) from error
    if not path.is_file():
        raise FileReadError(f"there is no file {str(path)!r}")
    try:
        model = onnx.load(path)
        onnx.checker.check_model(model)
    except OSError as error:
        raise FileReadError(f"cannot read {str(path)!r}: {error}") from error
    except Exception as error:  # protobuf's, and the checker's
        raise InvalidModelSourceError(
            f"{str(path)!r} is no ONNX network: {first_line(error)}"
        ) from error
    name, found = _image(model, path)
    at = size or found
    if at is None:
        raise InvalidUserInputError(
            f"{str(path)!r} is for images of any size; say which: size=(height, width), --size"
        )
    if found not in (None, at):
        raise InvalidModelSourceError(
            f"{str(path)!r} is for images of {found[0]}x{found[1]}; leave the size out, or write "
            "the file for any"
        )
    model = _folded(model, path, at)
    _refuse_unknown(model, path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what may differ: whether it does is found out
            module: nn.Module = _Converted(onnx2torch.convert(model)).eval()
    except Exception as error:
        raise InvalidModelSourceError(
            f"onnx2torch does not convert {str(path)!r}: {first_line(error)}. What to try: "
            "another opset, or the network's source in torch"
        ) from error
    module = traced(module, at, path)
    _compare(module, onnxruntime, path, name, at)
    return Network(module, f"onnx {path.name}", at, {"name": path.stem})


def _folded(model: Any, path: Path, size: tuple[int, int]) -> Any:
    """The network for one size, by onnxruntime, which computes what is constant then.

    ONNX is full of arithmetic of shapes, which cannot be traced.

    Raises:
        InvalidModelSourceError: onnxruntime does not load it.
    """
    import onnx
    import onnxruntime

    stored = {tensor.name for tensor in model.graph.initializer}
    image = next(value for value in model.graph.input if value.name not in stored)
    for axis, length in zip(image.type.tensor_type.shape.dim, (1, 3, *size), strict=True):
        axis.dim_value = length
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    with tempfile.TemporaryDirectory() as folder:
        # In files: a network in memory is held to 2 GB, and may have its weights beside it.
        fixed, folded = Path(folder) / "fixed.onnx", Path(folder) / "folded.onnx"
        onnx.save(model, fixed)
        options.optimized_model_filepath = str(folded)
        try:
            onnxruntime.InferenceSession(str(fixed), options, providers=["CPUExecutionProvider"])
        except Exception as error:
            raise InvalidModelSourceError(
                f"onnxruntime does not load {str(path)!r} for images of {size[0]}x{size[1]}: "
                f"{first_line(error)}"
            ) from error
        return onnx.load(folded)


def _image(model: Any, path: Path) -> tuple[str, tuple[int, int] | None]:
    """The input's name, and its height and width, if those are fixed.

    Raises:
        InvalidModelSourceError: it is not one image.
    """
    stored = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in stored]
    shapes: list[list[int | str]] = [
        [axis.dim_value if axis.HasField("dim_value") else axis.dim_param or "?"
         for axis in value.type.tensor_type.shape.dim]
        for value in inputs
    ]  # fmt: skip
    kinds = [value.type.tensor_type.elem_type for value in inputs]
    one_image = kinds == [_FLOAT] and len(shapes[0]) == 4 and shapes[0][1] == 3
    if not one_image or (isinstance(shapes[0][0], int) and shapes[0][0] != 1):
        raise InvalidModelSourceError(
            f"the inputs of {str(path)!r} are {shapes}; expected one image [1, 3, H, W] in float32"
        )
    height, width = shapes[0][2:]
    if isinstance(height, int) and isinstance(width, int):
        return str(inputs[0].name), (height, width)
    return str(inputs[0].name), None


def _refuse_unknown(model: Any, path: Path) -> None:
    """Raises what names the operators that are not converted, and where they are.

    Raises:
        InvalidModelSourceError: there are some.
    """
    from onnx2torch.node_converters.registry import get_converter

    versions = {entry.domain: entry.version for entry in model.opset_import}
    unknown: dict[str, str] = {}
    for node in model.graph.node:
        domain = "" if node.domain in _STANDARD else node.domain
        version = versions.get(node.domain, versions.get(domain, 1))
        try:
            get_converter(operation_type=node.op_type, version=version, domain=domain)
        except NotImplementedError:
            unknown.setdefault(f"{domain}.{node.op_type}".lstrip("."), node.name or node.output[0])
    if unknown:
        listed = ", ".join(f"{kind} (such as {at!r})" for kind, at in sorted(unknown.items()))
        raise InvalidModelSourceError(
            f"{str(path)!r} has operators that onnx2torch does not convert: {listed}. What to try: "
            "another opset, or the network's source in torch"
        )


def _compare(
    module: nn.Module, onnxruntime: Any, path: Path, name: str, size: tuple[int, int]
) -> None:
    """Raises what says how far the conversion is off.

    Raises:
        ExportError: it is.
    """
    image = np.random.default_rng(1).random((1, 3, *size), np.float32)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    expected = session.run(None, {name: image})[0]
    with torch.no_grad():
        got = module(torch.from_numpy(image)).numpy()
    if got.shape != expected.shape:
        raise ExportError(
            f"{str(path)!r} returns {list(got.shape)} in torch, {list(expected.shape)} in "
            "onnxruntime: onnx2torch converts it wrongly"
        )
    differs, reach = float(np.abs(got - expected).max()), float(np.abs(expected).max())
    if not differs <= _ROUNDING * max(1.0, reach):
        raise ExportError(
            f"converted to torch, {str(path)!r} differs from onnxruntime by {differs:.3g} of "
            f"{reach:.3g}: onnx2torch converts it wrongly. What to try: another opset"
        )
