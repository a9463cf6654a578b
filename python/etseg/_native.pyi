from collections.abc import Sequence
from typing import Any, Literal, TypedDict

import numpy as np
import numpy.typing as npt

__version__: str

class _RuntimeInfo(TypedDict):
    version: str
    backends: list[str]
    operators: int
    build: str
    isa: str
    supported_isas: list[str]

class Model:
    def __init__(self, path: str | bytes, instances: int, packed_weights: int = -1) -> None: ...
    @property
    def file_identity(self) -> tuple[int, int, int, int, int]: ...
    @property
    def shares_weights(self) -> bool: ...
    @property
    def input_size(self) -> tuple[int, int]: ...
    @property
    def output_size(self) -> tuple[int, int]: ...
    @property
    def takes_bytes(self) -> bool: ...
    @property
    def channels(self) -> int: ...
    @property
    def metadata(self) -> str: ...
    @property
    def backends(self) -> list[str]: ...

class Packing:
    def __init__(self, path: str | bytes, instances: int) -> None: ...
    @property
    def file_identity(self) -> tuple[int, int, int, int, int]: ...
    def parts(self) -> list[memoryview]: ...

class Segmenter:
    def __init__(
        self,
        model: Model,
        mean: Sequence[float],
        std: Sequence[float],
        activation: Literal["softmax", "sigmoid", "none"],
        resample: Literal["bilinear", "antialias"],
        logits_grid: Literal["half-pixel", "align-corners"] = "half-pixel",
        grid_size: tuple[int, int] | None = None,
        labels: int = 0,
    ) -> None: ...
    def empty_maps(
        self, height: int, width: int, argmax: np.dtype[Any], probabilities: int
    ) -> list[npt.NDArray[Any]]: ...
    def forward(
        self,
        image: npt.NDArray[np.uint8],
        bgr: bool,
        argmax: npt.NDArray[np.int32] | npt.NDArray[np.uint8],
        probabilities: Sequence[tuple[int, npt.NDArray[np.float32]]],
        own_points: bool = False,
    ) -> tuple[int, int, int]: ...
    def close(self) -> None: ...

def can_share_weights() -> bool: ...
def compose(
    image: npt.NDArray[np.uint8],
    opacity: npt.NDArray[np.uint8],
    out: npt.NDArray[np.uint8],
    estimate: bool,
    background: npt.NDArray[np.uint8] | None = None,
) -> None: ...
def runtime_info() -> _RuntimeInfo: ...
def thread_count() -> int: ...
def start_threads(count: int) -> None: ...
def set_thread_count(count: int) -> None: ...
def refuse_calls() -> None: ...
def shut_down(seconds: float) -> bool: ...
