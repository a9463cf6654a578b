"""The code that one writes around a runtime with OpenCV and numpy, and its stage clock.

Written with care, as a good engineer would: no needless copy, planes resized straight into one
block, arithmetic in place.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from time import perf_counter_ns
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]


@dataclass
class Run:
    """One forward: its maps, and nanoseconds by stage."""

    argmax: npt.NDArray[Any]
    planes: dict[int, npt.NDArray[Any]]
    stages: dict[str, int] = field(default_factory=dict)
    total: int = 0

    @property
    def returned_bytes(self) -> int:
        """Of the arrays the caller gets."""
        return self.argmax.nbytes + sum(plane.nbytes for plane in self.planes.values())


class Clock:
    """Laps of the stages of one forward."""

    def __init__(self) -> None:
        self.stages: dict[str, int] = {}
        self._start = self._last = perf_counter_ns()

    def lap(self, stage: str) -> None:
        """Ends a stage."""
        now = perf_counter_ns()
        self.stages[stage] = now - self._last
        self._last = now

    def total(self) -> int:
        """From the start to the last lap."""
        return self._last - self._start


class CvPipeline(ABC):
    """Decode and preprocess with OpenCV, a runtime, postprocess with OpenCV and numpy."""

    def __init__(self, input_size: tuple[int, int], threads: int) -> None:
        cv2.setNumThreads(threads)
        self.input_size = input_size

    @abstractmethod
    def infer(self, blob: Floats) -> Any:
        """NCHW in; the output, (channels, height, width), in the runtime's own array type."""

    def postprocess(
        self, output: Any, size: tuple[int, int] | None, classes: list[int]
    ) -> tuple[npt.NDArray[Any], dict[int, npt.NDArray[Any]]]:
        """The label map, and the probability maps of `classes`."""
        return postprocess_cv2(output, size, classes)

    def forward(self, image: Any, classes: list[int], resize: bool) -> Run:
        """One image, an RGB array or the bytes of a file."""
        clock = Clock()
        is_file = isinstance(image, bytes)
        if is_file:
            image = cv2.imdecode(np.frombuffer(image, np.uint8), cv2.IMREAD_COLOR)
        clock.lap("decode")
        blob = preprocess_cv2(image, self.input_size, bgr=is_file)
        clock.lap("preprocess")
        output = self.infer(blob)
        clock.lap("inference")
        argmax, planes = self.postprocess(output, image.shape[:2] if resize else None, classes)
        clock.lap("postprocess")
        return Run(argmax, planes, clock.stages, clock.total())


def preprocess_cv2(image: npt.NDArray[np.uint8], size: tuple[int, int], *, bgr: bool) -> Floats:
    """Bilinear resize, 0..1, NCHW."""
    small = cv2.resize(image, size[::-1], interpolation=cv2.INTER_LINEAR)
    if bgr:
        small = cv2.cvtColor(small, cv2.COLOR_BGR2RGB)
    blob = np.empty((1, 3, *size), np.float32)
    np.multiply(small.transpose(2, 0, 1), np.float32(1 / 255), out=blob[0])
    return blob


def postprocess_cv2(
    logits: Floats, size: tuple[int, int] | None, classes: list[int]
) -> tuple[npt.NDArray[Any], dict[int, npt.NDArray[Any]]]:
    """Every plane upsampled, then argmax, then softmax if a probability is wanted."""
    if len(logits) == 1:
        return one_channel(logits[0], size, classes)
    if size is None:
        planes: Floats = logits
        shifted = None
    else:
        planes = shifted = np.empty((len(logits), *size), np.float32)
        for source, target in zip(logits, planes, strict=True):
            cv2.resize(source, size[::-1], dst=target, interpolation=cv2.INTER_LINEAR)
    argmax = planes.argmax(0).astype(np.int32)
    if not classes:
        return argmax, {}
    exponentials = np.subtract(planes, planes.max(0), out=shifted)
    np.exp(exponentials, out=exponentials)
    total = exponentials.sum(0)
    return argmax, {index: exponentials[index] / total for index in classes}


def one_channel(
    probability: Floats, size: tuple[int, int] | None, classes: list[int]
) -> tuple[npt.NDArray[Any], dict[int, npt.NDArray[Any]]]:
    """Label 0 is the foreground, whose probability the program returns."""
    if size is None:
        probability = probability.copy()  # the runtime's memory: the next forward overwrites it
    else:
        probability = cv2.resize(probability, size[::-1], interpolation=cv2.INTER_LINEAR)
    argmax = (probability < 0.5).astype(np.int32)
    planes = {0: probability, 1: 1 - probability} if 1 in classes else {0: probability}
    return argmax, {index: planes[index] for index in classes}
