"""etseg, and the reference's algorithm around etseg's runtime."""

from __future__ import annotations

from time import perf_counter_ns
from typing import Any, Literal

import cv2
import numpy as np

import etseg
from harness.models import Model
from harness.peers.pipeline import Clock, Floats, Run


def set_threads(threads: int) -> None:
    """For every program that is loaded from now on."""
    if etseg.get_num_threads() != threads:
        etseg.set_num_threads(threads)


class Etseg:
    """etseg as a user calls it."""

    reuses = False
    resample: Literal["bilinear", "antialias"] | None = None  # the package's default

    def __init__(self, model: Model, threads: int) -> None:
        set_threads(threads)
        self._module = etseg.ImageSegmentationModule()
        self._module.load(etseg.ModelSpec(model_source=model.pte, resample=self.resample))
        self._previous: Any = None

    def forward(self, image: Any, classes: list[int], resize: bool) -> Run:
        """One image, an RGB array or the bytes of a file."""
        start = perf_counter_ns()
        result = self._module.forward(image, classes, resize, out=self._out(classes))
        total = perf_counter_ns() - start
        if self.reuses:
            self._previous = result
        times = result.timings
        stages = {
            "decode": times.decode,
            "preprocess": times.preprocess,
            "inference": times.inference,
            "postprocess": times.postprocess,
        }
        planes = {index: result[self._module.labels(index)] for index in classes}
        return Run(result.argmax, planes, stages, total)

    def _out(self, classes: list[int]) -> Any:
        previous = self._previous
        return previous if previous is not None and len(previous) == 1 + len(classes) else None


class EtsegBilinear(Etseg):
    """The image shrunk as the others do it."""

    resample = "bilinear"


class EtsegReusing(Etseg):
    """Every call writes over the arrays of the call before it."""

    reuses = True

    def forward(self, image: Any, classes: list[int], resize: bool) -> Run:
        """As the base; a call of another size starts anew."""
        try:
            return super().forward(image, classes, resize)
        except etseg.InvalidUserInputError:
            self._previous = None
            return super().forward(image, classes, resize)


class Reference:
    """react-native-executorch 0.7's ImageSegmentation: the same steps and OpenCV calls.

    Its runtime is etseg's, told to return the program's output as it is ("none"). What etseg takes
    to normalise the small image and to copy the output is not counted; the steps of the reference
    that do the same are. Its loops over pixels are numpy here, which is vectorised, and so faster
    than its own C++.
    """

    def __init__(self, model: Model, threads: int) -> None:
        set_threads(threads)
        cv2.setNumThreads(threads)
        names = [f"C{index}" for index in range(model.labels)]
        self._module = etseg.ImageSegmentationModule()
        self._module.load(etseg.ModelSpec(model_source=model.pte, labels=names, activation="none"))
        self._input_size = model.input_size
        self._channels = model.channels

    def forward(self, image: Any, classes: list[int], resize: bool) -> Run:
        """One image, an RGB array or the bytes of a file."""
        clock = Clock()
        is_file = isinstance(image, bytes)
        if is_file:
            image = cv2.imdecode(np.frombuffer(image, np.uint8), cv2.IMREAD_COLOR)
        clock.lap("decode")
        small = cv2.resize(image, self._input_size[::-1])
        if is_file:
            small = cv2.cvtColor(small, cv2.COLOR_BGR2RGB)
        blob = np.empty((3, *self._input_size), np.float32)
        np.multiply(small.transpose(2, 0, 1), np.float32(1 / 255), out=blob)
        clock.lap("preprocess")
        result = self._module.forward(small, range(self._channels))
        logits = np.stack([result[member] for member in list(result)[1:]])
        clock.lap("inference")
        size = image.shape[:2] if resize else None
        argmax, planes = _reference_postprocess(logits, size, classes)
        clock.lap("postprocess")
        clock.stages["inference"] = result.timings.inference
        return Run(argmax, planes, clock.stages, sum(clock.stages.values()))


def _reference_postprocess(
    logits: Floats, size: tuple[int, int] | None, classes: list[int]
) -> tuple[Any, dict[int, Any]]:
    if len(logits) == 1:
        foreground = logits[0]
        argmax = np.where(foreground > 0.5, np.int32(0), np.int32(1))
        planes = {0: foreground, 1: 1 - foreground}
    else:
        probabilities = logits - logits.max(0)
        np.exp(probabilities, out=probabilities)
        probabilities /= probabilities.sum(0)
        argmax = probabilities.argmax(0).astype(np.int32)
        planes = dict(enumerate(probabilities))
    planes = {index: planes[index] for index in classes}
    if size is not None:
        # Resized into a cv::Mat, then copied into the buffer that goes to JavaScript.
        to = size[::-1]
        argmax = cv2.resize(argmax, to, interpolation=cv2.INTER_NEAREST).copy()
        planes = {index: cv2.resize(plane, to).copy() for index, plane in planes.items()}
    return argmax, planes
