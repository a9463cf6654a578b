"""executorch's Python bindings, with OpenCV and numpy, or with torch's interpolate."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from executorch.runtime import Runtime

from harness.models import Model
from harness.peers.pipeline import CvPipeline, Floats


class _Executorch(CvPipeline):
    def __init__(self, model: Model, threads: int) -> None:
        super().__init__(model.input_size, threads)
        torch.set_num_threads(threads)
        # The bindings' pool has one thread per core; they offer no way to change it.
        self._method = Runtime.get().load_program(model.pte).load_method("forward")

    def _run(self, blob: Floats) -> torch.Tensor:
        output: torch.Tensor = self._method.execute([torch.from_numpy(blob)])[0]
        return output


class ExecutorchCv2(_Executorch):
    """Planes resized by OpenCV, the rest in numpy."""

    def infer(self, blob: Floats) -> Any:
        return self._run(blob)

    def postprocess(
        self, output: Any, size: tuple[int, int] | None, classes: list[int]
    ) -> tuple[npt.NDArray[Any], dict[int, npt.NDArray[Any]]]:
        logits = output[0].numpy()
        return super().postprocess(np.ascontiguousarray(logits), size, classes)


class ExecutorchInterpolate(_Executorch):
    """torch does it all behind the runtime."""

    def infer(self, blob: Floats) -> Any:
        return self._run(blob)

    @torch.inference_mode()
    def postprocess(
        self, output: Any, size: tuple[int, int] | None, classes: list[int]
    ) -> tuple[npt.NDArray[Any], dict[int, npt.NDArray[Any]]]:
        logits: torch.Tensor = output
        if size is not None:
            # Class-major: as it comes from the program, channels last, this takes longer.
            logits = F.interpolate(logits.contiguous(), size, mode="bilinear", align_corners=False)
        logits = logits[0]
        if len(logits) == 1:
            probability = logits[0] if size is not None else logits[0].clone()
            argmax = (probability < 0.5).to(torch.int32)
            both = {0: probability, 1: 1 - probability} if 1 in classes else {0: probability}
            return argmax.numpy(), {index: both[index].numpy() for index in classes}
        argmax = logits.argmax(0).to(torch.int32)
        if not classes:
            return argmax.numpy(), {}
        probabilities = logits.softmax(0)
        return argmax.numpy(), {index: probabilities[index].numpy() for index in classes}
