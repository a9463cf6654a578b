"""Images that a function opens: called where images are read, closed after it, failing alone."""

from __future__ import annotations

import asyncio
import io
import pickle
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pil

import etseg
from eyes import encoded, eyes, seen, smooth


@pytest.fixture(scope="module")
def module() -> Iterator[etseg.ImageSegmentationModule]:
    with eyes() as module:
        yield module


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "a.png"
    path.write_bytes(encoded(smooth(), "PNG"))
    return path


@pytest.mark.parametrize(
    "opened",
    [
        lambda path: path,
        str,
        Path.as_uri,
        Path.read_bytes,
        lambda path: memoryview(path.read_bytes()),
        lambda path: io.BytesIO(path.read_bytes()),
        lambda path: path.open("rb"),
        Pil.open,
        lambda path: np.asarray(Pil.open(path)),
    ],
)
def test_whatever_an_image_can_be(
    opened: Callable[[Path], object], module: Any, path: Path
) -> None:
    np.testing.assert_array_equal(seen(module, partial(opened, path)), smooth())


def test_blue_first_arrays(module: Any) -> None:
    opened = smooth()[..., ::-1]
    np.testing.assert_array_equal(seen(module, lambda: opened, channel_order="bgr"), smooth())


def test_a_file_that_it_opened_is_closed(module: Any, path: Path) -> None:
    files: list[Any] = []

    def opener() -> object:
        files.append(path.open("rb"))
        return files[-1]

    assert module.forward(opener).source == str(path)
    path.write_bytes(b"none")
    with pytest.raises(etseg.FileReadError):
        module.forward(opener)
    assert [file.closed for file in files] == [True, True]


def test_a_file_that_is_given_stays_open(module: Any, path: Path) -> None:
    with path.open("rb") as file:
        module.forward(file)
        assert not file.closed


def test_it_is_called_once_for_a_forward_and_again_for_a_picture(module: Any, path: Path) -> None:
    calls = []

    def opener() -> object:
        calls.append(1)
        return path.open("rb")

    result = module.forward(opener)
    assert len(calls) == 1
    np.testing.assert_array_equal(result.image, smooth())
    assert result.overlay().shape == (24, 40, 3)
    assert len(calls) == 3


def test_it_stays_behind_when_a_result_is_pickled(module: Any) -> None:
    """Functions seldom travel; the maps do."""
    result = pickle.loads(pickle.dumps(module.forward(lambda: smooth())))
    assert result.size == (24, 40)
    with pytest.raises(etseg.InvalidUserInputError, match="did not come along"):
        result.overlay()


def test_it_runs_in_the_threads_that_read(module: Any) -> None:
    """Two at a time: each waits until the other is there, and neither is the consumer's."""
    both = threading.Barrier(2)
    threads = set()

    def opener() -> object:
        both.wait(60)
        threads.add(threading.current_thread())
        return smooth()

    with module.map([opener, opener], look_ahead=2) as results:
        assert len(list(results)) == 2
    assert len(threads) == 2
    assert threading.current_thread() not in threads


class BrokenError(Exception):
    """Of somebody's object store."""


def broken() -> object:
    raise BrokenError("no bucket")


def missing() -> object:
    return Path("nowhere.png").open("rb")


class SilentError(Exception):
    """Of somebody who has tried to be clever."""

    def __str__(self) -> str:
        raise RuntimeError


def silent() -> object:
    raise SilentError


def too_large() -> object:
    raise MemoryError


async def later() -> object:
    return smooth()


def ours() -> object:
    raise etseg.DownloadError("of mine")


@pytest.mark.parametrize(
    ("opener", "error", "words", "cause"),
    [
        (broken, etseg.FileReadError, r"broken\(\), which opens the image.*no bucket", BrokenError),
        (missing, etseg.FileMissingError, r"missing\(\).*: 'nowhere.png'", FileNotFoundError),
        (silent, etseg.FileReadError, r"silent\(\), which opens the image", SilentError),
        (too_large, etseg.OutOfMemoryError, "memory", MemoryError),
        (ours, etseg.DownloadError, "^of mine$", type(None)),
        (lambda: 7, etseg.InvalidUserInputError, "returned a int; expected", type(None)),
        (later, etseg.InvalidUserInputError, "returned a coroutine; expected", type(None)),
        (lambda: broken, etseg.InvalidUserInputError, "returned a function", type(None)),
        (lambda: "nope.png", etseg.FileMissingError, "nope.png", type(None)),
    ],
)
def test_a_failure_is_that_images_error(
    opener: Callable[[], object], error: type[Exception], words: str, cause: type, module: Any
) -> None:
    with pytest.raises(error, match=words) as raised:
        module.forward(opener)
    assert isinstance(raised.value.__cause__, cause)
    outcomes = list(module.map([smooth, opener, smooth], on_error="yield"))
    assert [type(each) for each in outcomes] == [
        etseg.SegmentationResult, error, etseg.SegmentationResult,
    ]  # fmt: skip
    stream = module.map([smooth, opener, smooth])
    next(stream)
    with pytest.raises(error, match=words):
        next(stream)
    assert next(stream).size == (24, 40)


def test_a_class_is_no_function_that_opens_an_image(module: Any) -> None:
    with pytest.raises(etseg.InvalidUserInputError, match="the image is a type; expected"):
        module.forward(dict)


def test_on_the_event_loop(module: Any) -> None:
    async def main() -> Any:
        return await module.forward_async(smooth)

    assert asyncio.run(main()).image_size == (24, 40)
