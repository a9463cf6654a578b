"""What onnx2torch makes of a network, as a graph of the operators that work on the image."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.fx.experimental.proxy_tensor import disable_proxy_modes_tracing, make_fx
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree as pytree
from torch.utils.weak import WeakTensorKeyDictionary

from etseg._errors import InvalidModelSourceError


class _ConstantsAside(TorchFunctionMode):
    """While it is active, only what is computed of the image is traced."""

    def __init__(self, image: torch.Tensor) -> None:
        super().__init__()
        self._of_the_image = WeakTensorKeyDictionary()
        self._of_the_image[image] = True

    def __torch_function__(
        self, function: Any, _types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        given = [v for v in pytree.tree_leaves((args, kwargs)) if isinstance(v, torch.Tensor)]
        if not any(value in self._of_the_image for value in given):
            with disable_proxy_modes_tracing():
                return function(*args, **kwargs)
        result = function(*args, **kwargs)
        for value in pytree.tree_leaves(result):
            if isinstance(value, torch.Tensor):
                self._of_the_image[value] = True
        return result


def traced(module: nn.Module, size: tuple[int, int], path: Path) -> nn.Module:
    """The operators on the image alone, by running it.

    onnx2torch reads sizes out of constants as numbers, which torch.export does not follow.

    Raises:
        InvalidModelSourceError: it cannot be run, or a size depends on the image's values.
    """

    def run(image: torch.Tensor) -> torch.Tensor:
        with _ConstantsAside(image):
            result: torch.Tensor = module(image)
        return result

    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")  # torch's, about onnx2torch
            return make_fx(run, pre_dispatch=True)(torch.zeros(1, 3, *size)).eval()
    except Exception as error:
        raise InvalidModelSourceError(
            f"what onnx2torch makes of {str(path)!r} does not run for images of "
            f"{size[0]}x{size[1]}: {type(error).__name__}: {str(error)[:300]}. What to try: the "
            "network's source in torch"
        ) from error
