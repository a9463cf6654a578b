"""What segments an image, behind one interface; each peer lives in a process of its own."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any


@dataclass(frozen=True)
class PeerInfo:
    """A peer: how it is called, where its code is, which environment it needs."""

    name: str
    title: str
    module: str
    factory: str
    environment: str  # "own": where etseg is installed; else a folder that setup_peers.py makes


_ALL = (
    PeerInfo("etseg", "etseg", "ours", "Etseg", "own"),
    PeerInfo("etseg-bilinear", "etseg, resample=bilinear", "ours", "EtsegBilinear", "own"),
    PeerInfo("etseg-out", "etseg, out= reused", "ours", "EtsegReusing", "own"),
    PeerInfo(
        "reference", "reference's algorithm (OpenCV) on our runtime", "ours", "Reference", "own"
    ),
    PeerInfo("executorch-cv2", "executorch + cv2 + numpy", "torch_peers", "ExecutorchCv2", "peers"),
    PeerInfo(
        "executorch-torch",
        "executorch + F.interpolate",
        "torch_peers",
        "ExecutorchInterpolate",
        "peers",
    ),
    PeerInfo("onnxruntime", "onnxruntime + cv2 + numpy", "onnx_peers", "Onnxruntime", "peers"),
    PeerInfo("openvino", "OpenVINO f32 + cv2 + numpy", "onnx_peers", "OpenvinoFloat32", "peers"),
    PeerInfo(
        "openvino-default",
        "OpenVINO default precision + cv2 + numpy",
        "onnx_peers",
        "OpenvinoDefault",
        "peers",
    ),
    PeerInfo("mediapipe", "MediaPipe selfie solution", "mediapipe_peer", "Mediapipe", "mediapipe"),
)

PEERS = {info.name: info for info in _ALL}


def make(name: str, model: Any, threads: int) -> Any:
    """The peer of that name, loaded. Imports what it needs."""
    info = PEERS[name]
    module = import_module(f"harness.peers.{info.module}")
    return getattr(module, info.factory)(model, threads)
