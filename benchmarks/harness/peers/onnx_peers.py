"""onnxruntime and OpenVINO with OpenCV and numpy, on the same network and weights as ONNX."""

from __future__ import annotations

from typing import Any, ClassVar

from harness.models import Model
from harness.peers.pipeline import CvPipeline, Floats


class Onnxruntime(CvPipeline):
    """onnxruntime on the CPU, its default optimisations."""

    def __init__(self, model: Model, threads: int) -> None:
        import onnxruntime

        super().__init__(model.input_size, threads)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self._session = onnxruntime.InferenceSession(
            str(model.onnx), options, providers=["CPUExecutionProvider"]
        )
        self._input = self._session.get_inputs()[0].name

    def infer(self, blob: Floats) -> Any:
        return self._session.run(None, {self._input: blob})[0][0]


class _Openvino(CvPipeline):
    _options: ClassVar[dict[str, str]] = {}

    def __init__(self, model: Model, threads: int) -> None:
        import openvino

        super().__init__(model.input_size, threads)
        options = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": str(threads),
            **self._options,
        }
        compiled = openvino.Core().compile_model(str(model.onnx), "CPU", options)
        self._request = compiled.create_infer_request()

    def infer(self, blob: Floats) -> Any:
        # Both shared: no copy of input or output.
        return self._request.infer([blob], share_inputs=True, share_outputs=True)[0][0]


class OpenvinoFloat32(_Openvino):
    """The same arithmetic as the others."""

    _options: ClassVar[dict[str, str]] = {"INFERENCE_PRECISION_HINT": "f32"}


class OpenvinoDefault(_Openvino):
    """As it comes: bfloat16 where the CPU has it, three significant digits."""
