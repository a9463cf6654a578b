"""MediaPipe's own selfie solution: the same weights, its own graph; its threads cannot be set."""

from __future__ import annotations

from typing import Any

import cv2
import mediapipe
import numpy as np

from harness.models import Model
from harness.peers.pipeline import Clock, Run, one_channel


class Mediapipe:
    """Always returns the mask at the image's size. Its stages cannot be told apart."""

    def __init__(self, model: Model, threads: int) -> None:
        assert model.name == "selfie"
        cv2.setNumThreads(threads)
        self._solution = mediapipe.solutions.selfie_segmentation.SelfieSegmentation(
            model_selection=0
        )

    def forward(self, image: Any, classes: list[int], resize: bool) -> Run:
        """One image, an RGB array or the bytes of a file."""
        assert resize
        clock = Clock()
        if isinstance(image, bytes):
            decoded = cv2.imdecode(np.frombuffer(image, np.uint8), cv2.IMREAD_COLOR)
            image = cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB)
        clock.lap("decode")
        mask = self._solution.process(image).segmentation_mask
        clock.lap("inference")
        argmax, planes = one_channel(mask, image.shape[:2], classes)
        clock.lap("postprocess")
        return Run(argmax, planes, clock.stages, clock.total())
