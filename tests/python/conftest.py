"""What the tests share: the photograph, loaded modules, and models that may or may not be here."""

from __future__ import annotations

import logging
import math
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest

import etseg
from etseg import resources
from http_server import Server, serving

CHECKOUT = Path(__file__).resolve().parents[2]
DATA = CHECKOUT / "tests" / "data"

Image = npt.NDArray[np.uint8]

# A shell has what it runs in the background ignore Ctrl-C, and so would the tests' children.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def data() -> Path:
    """tests/data: what the tests read and the repository holds."""
    return DATA


@pytest.fixture(scope="session")
def shared() -> Path:
    """Models and images that are too large or not ours to commit; they lie beside the checkout."""
    directory = CHECKOUT.parent / "shared"
    if not (directory / "models").is_dir():
        pytest.skip(f"no shared models: {directory} is not here")
    return directory


@pytest.fixture(scope="session")
def photo_path() -> Path:
    """A JPEG of a person, 512x512."""
    return DATA / "astronaut.jpg"


@pytest.fixture(scope="session")
def astronaut(photo_path: Path) -> Image:
    """The same as pixels, red first; read-only, so that no test changes it for the next."""
    bgr = cv2.imread(str(photo_path))
    assert bgr is not None
    rgb = np.ascontiguousarray(bgr[..., ::-1])
    rgb.setflags(write=False)
    return np.asarray(rgb, np.uint8)


@pytest.fixture(scope="session")
def photo_of_size(astronaut: Image) -> Callable[[int, int], Image]:
    """photo_of_size(height, width): the astronaut at any size, from 1x1 to many megapixels."""

    def make(height: int, width: int) -> Image:
        resized = cv2.resize(astronaut, (width, height), interpolation=cv2.INTER_LINEAR)
        return np.asarray(resized, np.uint8)

    return make


@pytest.fixture(scope="session")
def selfie() -> Iterator[etseg.ImageSegmentationModule]:
    """The selfie model, loaded once for all tests. Not to be deleted or loaded over."""
    with etseg.ImageSegmentationModule() as module:
        module.load(etseg.SELFIE_SEGMENTATION)
        yield module


@pytest.fixture
def fresh_selfie() -> Iterator[etseg.ImageSegmentationModule]:
    """The selfie model, loaded for this test alone, which may do with it what it likes."""
    with etseg.ImageSegmentationModule() as module:
        module.load(etseg.SELFIE_SEGMENTATION)
        yield module


#: The models of the reference tests, by short name.
MODELS = ("selfie", "selfie-landscape", "deeplab-257", "deeplab-513-int8")
_DEEPLAB_FILES = {
    "deeplab-257": "deeplabv3_mnv2_dm05_pascal_257_xnnpack_fp32.pte",
    "deeplab-513-int8": "deeplabv3_mnv2_dm05_pascal_513_xnnpack_int8.pte",
}


@pytest.fixture(scope="session")
def spec_of(request: pytest.FixtureRequest) -> Callable[[str], etseg.ModelSpec]:
    """spec_of(name) of one of MODELS, with everything said explicitly; skips where it is absent."""

    def find(name: str) -> etseg.ModelSpec:
        if name == "selfie":
            return replace(etseg.SELFIE_SEGMENTATION, resample="bilinear")
        if name == "selfie-landscape":
            return replace(etseg.SELFIE_SEGMENTATION_LANDSCAPE, resample="bilinear")
        directory: Path = request.getfixturevalue("shared")
        return etseg.ModelSpec(
            name=name,
            model_source=directory / "models" / _DEEPLAB_FILES[name],
            labels=etseg.DeeplabLabel,
            activation="softmax",
            resample="bilinear",
        )

    return find


@pytest.fixture(scope="session")
def loaded(
    spec_of: Callable[[str], etseg.ModelSpec],
) -> Iterator[Callable[..., etseg.ImageSegmentationModule]]:
    """loaded(name, **changes_of_the_spec): a module, loaded once for all who ask for the same."""
    modules: dict[tuple[object, ...], etseg.ImageSegmentationModule] = {}

    def load(name: str, **changes: object) -> etseg.ImageSegmentationModule:
        key = (name, *sorted(changes.items()))
        if key not in modules:
            module = etseg.ImageSegmentationModule()
            module.load(replace(spec_of(name), **changes))  # type: ignore[arg-type]
            modules[key] = module
        return modules[key]

    yield load
    for module in modules.values():
        module.delete()


@pytest.fixture
def server() -> Iterator[Server]:
    """A server on the loopback."""
    with serving() as server:
        yield server


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache directory, no proxy, and no waiting before another attempt."""
    proxies = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
    hub = ("HF_TOKEN", "HF_ENDPOINT", "HF_HUB_OFFLINE")
    for name in ("ETSEG_OFFLINE", "SSL_CERT_FILE", "SSL_CERT_DIR", *proxies, *hub):
        for spelling in (name, name.upper()):
            monkeypatch.delenv(spelling, raising=False)
    monkeypatch.setenv("ETSEG_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("etseg._download.retrying.FIRST_PAUSE", 0.001)
    return tmp_path / "cache"


@pytest.fixture(scope="session")
def program() -> bytes:
    """A model's file: the selfie model's."""
    path = resources.fetch(etseg.SELFIE_SEGMENTATION)
    return path.read_bytes()


@pytest.fixture
def measured(
    request: pytest.FixtureRequest, record_property: Callable[[str, object], None]
) -> Callable[[str, object], None]:
    """measured(what, value): goes into the JUnit report, and to -o log_cli_level=INFO."""
    logger = logging.getLogger("measured")

    def note(what: str, value: object) -> None:
        record_property(what, value)
        logger.info("%s: %s = %s", request.node.name, what, value)

    return note


@pytest.fixture(scope="session")
def image_labels() -> Callable[[etseg.SegmentationResult], npt.NDArray[np.int64]]:
    """image_labels(result): the label of each pixel of the image, asked one by one.

    That of the map's pixel in which its centre lies; of the one to the right or below where it
    lies between two.
    """

    def ask(result: etseg.SegmentationResult) -> npt.NDArray[np.int64]:
        height, width = result.image_size
        rows, columns = result.size
        half = Fraction(1, 2)
        labels = np.empty((height, width), np.int64)
        for y in range(height):
            row = math.floor((y + half) * rows / height)
            for x in range(width):
                labels[y, x] = result.argmax[row, math.floor((x + half) * columns / width)]
        return labels

    return ask
