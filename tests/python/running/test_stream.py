"""module.map(): order, bounds, errors. Images that wait to be told make the timing."""

from __future__ import annotations

import gc
import itertools
import operator
import random
import threading
import time
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import etseg
from children import PATIENCE
from etseg import ImageSegmentationModule, SegmentationStream
from programs import picture, program
from streams import Counting, Gate, number_of, numbered, wait_for_the_crew

SIZE = (24, 40)


@pytest.fixture
def module() -> Iterator[ImageSegmentationModule]:
    with ImageSegmentationModule() as module:
        module.load(program("logits_c3"))
        yield module


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    """In any test of this file, whatever it does to its streams."""
    yield
    wait_for_the_crew()  # of a stream that was collected, while an image was worked on


# Results and their order


@pytest.mark.parametrize("look_ahead", [None, 1, 2, 7])
@pytest.mark.parametrize("resize", [False, True])
def test_the_results_are_those_of_forward(
    module: ImageSegmentationModule, look_ahead: int | None, resize: bool
) -> None:
    images = [picture(10 + 3 * i, 60 - 2 * i, seed=i) for i in range(20)]
    classes = ["CLASS_2", "CLASS_0"]
    stream = module.map(iter(images), iter(classes), resize, look_ahead=look_ahead)
    for image, result in zip(images, stream, strict=True):
        expected = module.forward(image, classes, resize)
        assert list(result) == list(expected)
        for key in expected:
            np.testing.assert_array_equal(result[key], expected[key])


def test_channel_order_is_passed_on(module: ImageSegmentationModule) -> None:
    image = picture()
    (rgb,) = module.map([image], [0])
    (bgr,) = module.map([image[..., ::-1]], [0], channel_order="bgr")
    np.testing.assert_array_equal(rgb[0], bgr[0])
    (other,) = module.map([image], [0], channel_order="bgr")
    assert not np.array_equal(rgb[0], other[0])


def test_the_order_holds_whatever_an_image_takes(module: ImageSegmentationModule) -> None:
    """Of those that are worked on at a time, a random one is let through."""
    chance = random.Random(0)
    gates = [Gate(number) for number in range(40)]
    closed = set(gates)

    def let_through() -> None:
        end = time.monotonic() + PATIENCE
        while closed and time.monotonic() < end:
            begun = [gate for gate in closed if gate.begun.is_set()]
            if begun:
                gate = chance.choice(begun)
                gate.open.set()
                closed.discard(gate)

    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(let_through)
        order = [number_of(result) for result in module.map(gates, resize=True, look_ahead=5)]
        done.result()
    assert order == list(range(40))


def test_no_images(module: ImageSegmentationModule) -> None:
    stream = module.map([])
    assert list(stream) == []
    with pytest.raises(StopIteration):
        next(stream)


def test_an_array_of_images(module: ImageSegmentationModule) -> None:
    """Four dimensions are many images; three may be one."""
    images = np.stack([picture(seed=i) for i in range(3)])
    assert [result.size for result in module.map(images)] == [SIZE] * 3


def test_neighbours_overlap(module: ImageSegmentationModule) -> None:
    """The second begins while the first is held up, or this test would wait for ever."""
    first, second = Gate(1), Gate(2)
    with ThreadPoolExecutor(1) as pool:
        stream = module.map([first, second], resize=True)
        step = pool.submit(next, stream)
        assert second.begun.wait(PATIENCE)
        assert not step.done()
        second.open.set()
        first.open.set()
        assert number_of(step.result()) == 1
        assert number_of(next(stream)) == 2


# Bounds


@pytest.mark.parametrize("look_ahead", [1, 2, 5])
def test_an_endless_source_is_taken_from_as_results_are(
    module: ImageSegmentationModule, look_ahead: int
) -> None:
    source = Counting()
    with module.map(source, resize=True, look_ahead=look_ahead) as stream:
        assert source.taken == 0
        for n, result in enumerate(itertools.islice(stream, 200)):
            assert number_of(result) == n % 50
            # This result was handed out: the others in flight are one less than may be.
            assert n + 1 <= source.taken <= n + look_ahead
    assert source.closed == 1


def test_the_images_and_results_alive_are_bounded(module: ImageSegmentationModule) -> None:
    alive = most = 0

    def gone() -> None:
        nonlocal alive
        alive -= 1

    def images() -> Iterator[object]:
        nonlocal alive, most
        while True:
            image = picture(seed=alive).view(Watched)
            alive += 1
            most = max(most, alive)
            weakref.finalize(image, gone)
            yield image
            del image

    class Watched(np.ndarray):
        pass

    results: list[weakref.ref[object]] = []
    with module.map(images(), look_ahead=4) as stream:
        for result in itertools.islice(stream, 300):
            results.append(weakref.ref(result))
            # 4 in flight, the one consumed, and the one that `result` named before
            assert sum(ref() is not None for ref in results[-10:]) <= 2
    # Those in flight, and the one in the generator's own hands.
    assert most <= 5
    del result
    gc.collect()
    assert alive == 0
    assert all(ref() is None for ref in results)


def test_the_default_look_ahead_is_bounded(module: ImageSegmentationModule) -> None:
    source = Counting()
    stream = module.map(source)
    next(stream)
    first = source.taken
    for _ in range(50):
        next(stream)
    assert source.taken - 50 <= max(first, stream._look_ahead)
    stream.close()


def test_an_abandoned_stream_is_idle(module: ImageSegmentationModule) -> None:
    """Its threads end when the images taken are done, though it can go on."""
    source = Counting()
    stream = module.map(source, resize=True, look_ahead=6)
    assert number_of(next(stream)) == 0
    wait_for_the_crew()
    taken = source.taken
    assert number_of(next(stream)) == 1
    assert source.taken <= taken + 6
    stream.close()


def test_a_due_result_does_not_wait_for_the_source(module: ImageSegmentationModule) -> None:
    """With look_ahead=1 the source may need the last result to make the next image."""
    received: list[int] = []

    def images() -> Iterator[object]:
        for number in range(10):
            assert received == list(range(number))
            yield numbered(number)

    for result in module.map(images(), resize=True, look_ahead=1):
        received.append(number_of(result))
    assert received == list(range(10))


def test_a_step_takes_one_image_where_its_result_is_there(module: ImageSegmentationModule) -> None:
    """In place of the result that goes, so that the threads are kept at it; and no more."""
    first, taken = Gate(), 0

    def images() -> Iterator[object]:
        nonlocal taken
        while True:
            taken += 1
            if taken == 4:
                first.open.set()
            yield first if taken == 1 else numbered(taken)

    stream = module.map(images(), resize=True, look_ahead=6)
    next(stream)
    for _ in range(10):
        wait_for_the_crew()  # all that was taken is done
        before = taken
        next(stream)
        assert taken == before + 1
    stream.close()


def test_a_camera_with_look_ahead_1(module: ImageSegmentationModule) -> None:
    """No result waits for the next frame: it is asked for when the step is done, not before."""
    asked, steps = 0, 0

    def camera() -> Iterator[object]:
        nonlocal asked
        while True:
            asked += 1
            assert asked == steps
            yield numbered(asked)

    stream = module.map(camera(), resize=True, look_ahead=1)
    for number in range(1, 20):
        steps += 1
        assert number_of(next(stream)) == number
    stream.close()


# Errors


def test_an_error_is_raised_in_its_place(module: ImageSegmentationModule) -> None:
    images = [numbered(0), b"no image", numbered(2), "/no/such/file.jpg", numbered(4)]
    stream = module.map(images, resize=True)
    assert number_of(next(stream)) == 0
    with pytest.raises(etseg.FileReadError, match="known format"):
        next(stream)
    assert number_of(next(stream)) == 2
    with pytest.raises(etseg.FileMissingError, match=r"/no/such/file\.jpg"):
        next(stream)
    assert number_of(next(stream)) == 4
    assert list(stream) == []


def test_errors_are_yielded_on_request(module: ImageSegmentationModule, tmp_path: Path) -> None:
    missing = tmp_path / "missing.jpg"
    images = [numbered(0), b"no image", numbered(2), missing]
    results: list[object] = list(module.map(images, resize=True, on_error="yield"))
    assert [type(result) for result in results] == [
        etseg.SegmentationResult,
        etseg.FileReadError,
        etseg.SegmentationResult,
        etseg.FileMissingError,
    ]
    assert str(missing) in str(results[3])


@pytest.mark.parametrize("on_error", ["raise", "yield"])
@pytest.mark.parametrize("kind", [ZeroDivisionError, KeyboardInterrupt, SystemExit, MemoryError])
def test_other_errors_are_always_raised(
    module: ImageSegmentationModule, kind: type[BaseException], on_error: Any
) -> None:
    """In the consumer's thread: a KeyboardInterrupt or a bug in an image's own code."""
    broken = Gate(error=kind("mine"))
    broken.open.set()
    stream = module.map([numbered(0), broken, numbered(2)], resize=True, on_error=on_error)
    assert number_of(next(stream)) == 0
    with pytest.raises(kind, match="mine"):
        next(stream)
    assert number_of(next(stream)) == 2
    assert list(stream) == []


@pytest.mark.parametrize("on_error", ["raise", "yield"])
@pytest.mark.parametrize("error", [ZeroDivisionError("mine"), etseg.FileReadError("mine")])
def test_an_error_of_the_source_comes_after_the_images_before_it(
    module: ImageSegmentationModule, error: Exception, on_error: Any
) -> None:
    def images() -> Iterator[object]:
        yield numbered(0)
        yield numbered(1)
        raise error

    stream = module.map(images(), resize=True, look_ahead=10, on_error=on_error)
    assert [number_of(next(stream)) for _ in range(2)] == [0, 1]
    with pytest.raises(type(error), match="mine"):
        next(stream)
    assert list(stream) == []


def test_an_interrupt_in_the_source_is_raised_at_once(module: ImageSegmentationModule) -> None:
    first = Gate(0)  # not done before the second is asked for

    def images() -> Iterator[object]:
        yield first
        first.open.set()
        raise KeyboardInterrupt

    stream = module.map(images(), resize=True, look_ahead=2)
    with pytest.raises(KeyboardInterrupt):
        next(stream)
    assert [number_of(result) for result in stream] == [0]


def test_an_error_does_not_keep_its_image(module: ImageSegmentationModule) -> None:
    class Image(np.ndarray):
        pass

    def images() -> Iterator[object]:
        for _ in range(5):
            image = np.zeros((4, 4, 3), np.float32).view(Image)
            refs.append(weakref.ref(image))
            yield image
            del image

    refs: list[weakref.ref[object]] = []
    errors: list[object] = list(module.map(images(), on_error="yield"))
    gc.collect()
    assert all(isinstance(error, etseg.InvalidUserInputError) for error in errors)
    assert [ref() is None for ref in refs] == [True] * 5


def test_an_error_goes_without_the_collector(module: ImageSegmentationModule) -> None:
    gc.collect()
    gc.disable()
    try:
        stream = module.map([b"no image"], on_error="yield")
        error: list[object] = [next(stream)]
        ref = weakref.ref(error[0])
        error.clear()
        stream.close()
        assert ref() is None
    finally:
        gc.enable()


def test_an_image_that_failed_goes_at_once(module: ImageSegmentationModule) -> None:
    """Before its error is asked for. Of others, the result knows the image."""
    gates = [Gate(number, etseg.FileReadError("mine")) for number in range(4)]
    for gate in gates:
        gate.open.set()
    refs = [weakref.ref(gate) for gate in gates]
    last = gates[-1].begun
    first = Gate()
    images: list[object] = [first, *gates]
    del gate, gates
    taken = threading.Event()

    def source() -> Iterator[object]:
        while images:
            yield images.pop(0)
        taken.set()

    stream = module.map(source(), resize=True, look_ahead=9, on_error="yield")
    with ThreadPoolExecutor(1) as pool:
        step = pool.submit(next, stream)
        assert taken.wait(PATIENCE)  # all, before the first is done
        first.open.set()
        assert number_of(step.result()) == 0  # type: ignore[arg-type]
    assert last.wait(PATIENCE)
    wait_for_the_crew()
    gc.collect()
    assert [ref() for ref in refs] == [None] * 4
    assert [str(error) for error in stream] == ["mine"] * 4


@pytest.mark.parametrize(
    ("images", "told"),
    [
        ("photo.jpg", "'photo.jpg'"),
        (Path("photos"), "glob"),
        (b"\xff\xd8", "one bytes"),
        (bytearray(3), "one bytearray"),
        (memoryview(b"123"), "one memoryview"),
        (picture(), r"one array of shape \(24, 40, 3\)"),
        (picture()[..., 0], r"one array of shape \(24, 40\)"),
        (None, "one NoneType"),
        (7, "one int"),
        (picture, "one function"),
    ],
)
def test_one_image_is_no_images(module: ImageSegmentationModule, images: Any, told: str) -> None:
    with pytest.raises(etseg.InvalidUserInputError, match=told):
        module.map(images)


def test_a_file_or_a_pil_image_is_no_images(
    module: ImageSegmentationModule, photo_path: Path
) -> None:
    pil = pytest.importorskip("PIL.Image")
    with photo_path.open("rb") as file:
        with pytest.raises(etseg.InvalidUserInputError, match=r"BufferedReader.*\[image\]"):
            module.map(file)
        with pytest.raises(etseg.InvalidUserInputError, match=r"one JpegImageFile.*\[image\]"):
            module.map(pil.open(file))


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"look_ahead": 0}, "look_ahead is 0"),
        ({"look_ahead": -1}, "look_ahead is -1"),
        ({"look_ahead": True}, "look_ahead is True"),
        ({"look_ahead": 2.0}, "look_ahead is 2.0"),
        ({"look_ahead": "2"}, "look_ahead is '2'"),
        ({"on_error": "ignore"}, "on_error is 'ignore'"),
        ({"on_error": None}, "on_error is None"),
        ({"channel_order": "gbr"}, "channel_order is 'gbr'"),
        ({"classes_of_interest": "CLASS_0"}, r"interest are 'CLASS_0'.*such as \['CLASS_0'\]"),
        ({"classes_of_interest": ["cat"]}, "'cat' is not a label"),
    ],
)
def test_options_are_checked_at_once(
    module: ImageSegmentationModule, options: dict[str, Any], told: str
) -> None:
    source = Counting()
    with pytest.raises(etseg.InvalidUserInputError, match=told):
        module.map(source, **options)
    assert source.taken == 0


def test_look_ahead_may_be_numpys(module: ImageSegmentationModule) -> None:
    assert len(list(module.map([picture()] * 3, look_ahead=np.int64(2)))) == 3


def test_nothing_is_loaded() -> None:
    with pytest.raises(etseg.ModuleNotLoadedError):
        ImageSegmentationModule().map([picture()])


def test_map_is_an_iterator(module: ImageSegmentationModule) -> None:
    stream = module.map([picture()])
    assert isinstance(stream, SegmentationStream)
    assert isinstance(stream, Iterator)
    assert iter(stream) is stream
    assert operator.length_hint(stream, -1) == -1
    assert len(list(stream)) == 1
