"""module.map(): order, bounds, errors, ends. Images that wait to be told make the timing."""

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
from children import PATIENCE, output_of
from etseg import EtsegError, ImageSegmentationModule
from etseg._stream import SegmentationStream
from programs import picture, program

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
    for thread in crew():
        thread.join(PATIENCE)  # of a stream that was collected, while an image was worked on
    assert crew() == []


def crew() -> list[threading.Thread]:
    """The threads of all streams."""
    return [thread for thread in threading.enumerate() if thread.name == "etseg.map"]


def numbered(number: int) -> Any:
    """An image that tells its number: of that many rows."""
    return picture(number + 1, 40)


def number_of(result: etseg.SegmentationResult) -> int:
    """Of an image segmented with resize=True."""
    return result.size[0] - 1


class Gate:
    """An image that is not there before `open` is set."""

    def __init__(self, number: int = 0, error: BaseException | None = None) -> None:
        self.number = number
        self.error = error
        self.begun = threading.Event()
        self.open = threading.Event()

    def __array__(self, *_: object, **__: object) -> Any:
        self.begun.set()
        assert self.open.wait(PATIENCE)
        if self.error is not None:
            raise self.error
        return numbered(self.number)


class Counting:
    """An iterator over images 0, 1, 2, ... that knows how many were taken, and was it closed."""

    def __init__(self, count: int | None = None) -> None:
        self.taken = 0
        self.count = count
        self.closed = 0

    def __iter__(self) -> Iterator[object]:
        return self

    def __next__(self) -> object:
        if self.taken == self.count:
            raise StopIteration
        self.taken += 1
        return numbered((self.taken - 1) % 50)

    def close(self) -> None:
        self.closed += 1


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
    for thread in crew():
        thread.join(PATIENCE)
    assert crew() == []
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


def test_a_source_that_sleeps_is_not_asked_while_a_result_is_due(
    module: ImageSegmentationModule, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clocks are ours; each image takes a minute to come, asleep or not."""
    wall = busy = 0
    monkeypatch.setattr("etseg._pull.perf_counter_ns", lambda: wall)
    monkeypatch.setattr("etseg._pull.thread_time_ns", lambda: busy)

    def in_flight(asleep: bool) -> list[int]:
        taken = 0
        came = threading.Semaphore(0)

        def images() -> Iterator[object]:
            nonlocal wall, busy, taken
            for gate in gates:
                wall += 60 * 10**9
                busy += 0 if asleep else 60 * 10**9
                taken += 1
                came.release()
                yield gate

        gates = [Gate(number) for number in range(6)]
        counts = []
        stream = module.map(images(), resize=True, look_ahead=4)
        with ThreadPoolExecutor(1) as pool:
            for number, gate in enumerate(gates):
                step = pool.submit(next, stream)
                assert gate.begun.wait(PATIENCE)
                # The step ends only when this image does: until then it takes what it may.
                for _ in range(1 if asleep else (4, 1, 1, 0, 0, 0)[number]):
                    assert came.acquire(timeout=PATIENCE)
                gate.open.set()
                assert number_of(step.result()) == number
                counts.append(taken - number)
        assert list(stream) == []
        return counts

    assert in_flight(asleep=True) == [1] * 6
    assert in_flight(asleep=False) == [4, 4, 4, 3, 2, 1]


# Errors


def test_an_error_is_raised_in_its_place(module: ImageSegmentationModule) -> None:
    images = [numbered(0), b"no image", numbered(2), "/no/such/file.jpg", numbered(4)]
    stream = module.map(images, resize=True)
    assert number_of(next(stream)) == 0
    with pytest.raises(etseg.FileReadError, match="known format"):
        next(stream)
    assert number_of(next(stream)) == 2
    with pytest.raises(etseg.InvalidUserInputError, match=r"/no/such/file\.jpg"):
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
        etseg.FileReadError,
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
    def images() -> Iterator[object]:
        yield numbered(0)
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
        ({"classes_of_interest": "CLASS_0"}, "classes_of_interest is 'CLASS_0'"),
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


# Ends


def test_close_drops_what_has_not_begun_and_waits_for_the_rest(
    module: ImageSegmentationModule,
) -> None:
    gates = [Gate(number) for number in range(8)]
    source = iter(gates)
    stream = module.map(source, resize=True, look_ahead=8)
    with ThreadPoolExecutor(2) as pool:
        step = pool.submit(next, stream, None)
        assert gates[0].begun.wait(PATIENCE)
        assert gates[1].begun.wait(PATIENCE)
        closing = pool.submit(stream.close)
        assert step.result(PATIENCE) is None  # the one who waited is told
        assert not closing.done()
        begun = [gate.begun.is_set() for gate in gates]
        for gate in gates:
            gate.open.set()
        closing.result(PATIENCE)
    assert crew() == []
    assert [gate.begun.is_set() for gate in gates] == begun
    assert False in begun
    assert list(stream) == []
    stream.close()


def test_with_closes_after_an_error_of_the_consumer(module: ImageSegmentationModule) -> None:
    source = Counting()
    stream = module.map(source)

    def consume() -> None:
        with stream:
            for _ in stream:
                raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        consume()
    assert source.closed == 1
    assert crew() == []
    assert list(stream) == []


def test_a_generator_is_closed(module: ImageSegmentationModule) -> None:
    seen: list[str] = []

    def images() -> Iterator[object]:
        try:
            while True:
                yield picture()
        finally:
            seen.append("closed")

    stream = module.map(images())
    next(stream)
    assert seen == []
    stream.close()
    assert seen == ["closed"]
    stream.close()
    assert seen == ["closed"]


def test_a_source_at_its_end_is_not_closed(module: ImageSegmentationModule) -> None:
    source = Counting(3)
    with module.map(source) as stream:
        assert len(list(stream)) == 3
    assert source.closed == 0


def test_close_while_a_thread_is_inside_of_the_source(module: ImageSegmentationModule) -> None:
    """The generator is closed by that thread, when it comes out."""
    inside, go_on = threading.Event(), threading.Event()
    seen: list[str] = []

    def images() -> Iterator[object]:
        try:
            inside.set()
            assert go_on.wait(PATIENCE)
            yield picture()
        finally:
            seen.append("closed")

    stream = module.map(images())
    with ThreadPoolExecutor(1) as pool:
        step = pool.submit(next, stream, None)
        assert inside.wait(PATIENCE)
        stream.close()
        assert seen == []
        go_on.set()
        assert step.result(PATIENCE) is None
    assert seen == ["closed"]


def test_the_source_closes_its_stream(module: ImageSegmentationModule) -> None:
    def images() -> Iterator[object]:
        yield picture()
        stream.close()
        yield picture()

    stream = module.map(images(), look_ahead=1)
    assert len(list(stream)) == 1
    assert crew() == []


def test_the_source_cannot_ask_its_own_stream(module: ImageSegmentationModule) -> None:
    def images() -> Iterator[object]:
        yield next(stream)

    stream = module.map(images())
    with pytest.raises(etseg.InvalidStateError, match="asks for an image"):
        next(stream)
    assert list(stream) == []


def test_a_stream_of_a_stream(module: ImageSegmentationModule) -> None:
    """Results of one are images of the other; both end together."""
    with ImageSegmentationModule() as other:
        other.load(program("logits_c3"))
        source = Counting()
        inner = module.map(source, [0], resize=True)
        masks = ((result[0] * 255).astype(np.uint8) for result in inner)
        with other.map(masks, resize=True) as stream:
            assert [number_of(next(stream)) for _ in range(5)] == list(range(5))
        inner.close()
    assert source.closed == 1


def test_a_collected_stream_ends(module: ImageSegmentationModule) -> None:
    gates = [Gate(number) for number in range(8)]
    gates[0].open.set()
    stream = module.map(gates, look_ahead=8)
    next(stream)
    assert gates[1].begun.wait(PATIENCE)
    ref = weakref.ref(stream)
    working = crew()
    assert working
    del stream
    gc.collect()
    assert ref() is None
    for gate in gates:
        gate.open.set()
    for thread in working:
        thread.join(PATIENCE)
    assert crew() == []
    assert not all(gate.begun.is_set() for gate in gates)


def test_a_stream_in_a_cycle_is_collected(module: ImageSegmentationModule) -> None:
    stream = module.map(Counting())
    next(stream)
    cycle: list[object] = [stream]
    cycle.append(cycle)
    ref = weakref.ref(stream)
    del stream, cycle
    gc.collect()
    assert ref() is None


def test_a_stream_that_was_never_made_is_collected_in_silence(
    module: ImageSegmentationModule, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[object] = []
    monkeypatch.setattr("sys.unraisablehook", seen.append)
    with pytest.raises(EtsegError):
        module.map([], look_ahead=0)
    gc.collect()
    assert seen == []


# Several threads, other calls


def test_threads_take_turns(module: ImageSegmentationModule) -> None:
    """Each result goes to one of them; what one gets is in order."""
    count = 200
    stream = module.map((numbered(n) for n in range(count)), resize=True)
    with ThreadPoolExecutor(4) as pool:
        shares = list(pool.map(lambda _: [number_of(result) for result in stream], range(4)))
    assert sorted(itertools.chain(*shares)) == list(range(count))
    assert all(share == sorted(share) for share in shares)


def test_close_from_any_thread_at_any_time(module: ImageSegmentationModule) -> None:
    """Whatever close() meets, consumers end and nothing is left."""
    for steps in range(20):
        source = Counting()
        stream = module.map(source, resize=True)
        begun = threading.Semaphore(0)

        def consume(stream: SegmentationStream = stream, begun: Any = begun) -> int:
            done = 0
            for _ in stream:
                done += 1
                begun.release()
            return done

        with ThreadPoolExecutor(4) as pool:
            consumers = [pool.submit(consume) for _ in range(2)]
            for _ in range(steps):
                assert begun.acquire(timeout=PATIENCE)
            for closing in [pool.submit(stream.close) for _ in range(2)]:
                closing.result(PATIENCE)
            assert crew() == []
            assert sum(consumer.result(PATIENCE) for consumer in consumers) >= steps
        assert source.closed == 1


def test_delete_while_it_runs(module: ImageSegmentationModule) -> None:
    stream = module.map(Counting(), resize=True, on_error="yield", look_ahead=3)
    for n in range(3):
        assert number_of(next(stream)) == n
    module.delete()
    after: list[object] = list(itertools.islice(stream, 20))
    assert all(isinstance(one, etseg.ModuleNotLoadedError) for one in after[3:])
    module.load(program("logits_c3"))
    again: list[object] = list(itertools.islice(stream, 10))
    assert all(isinstance(one, etseg.SegmentationResult) for one in again[3:])
    stream.close()


def test_delete_wakes_those_that_wait_for_their_turn(module: ImageSegmentationModule) -> None:
    gates = [Gate(number) for number in range(2)]
    stream = module.map(gates)
    with ThreadPoolExecutor(1) as pool:
        step = pool.submit(next, stream)
        assert gates[0].begun.wait(PATIENCE)
        assert gates[1].begun.wait(PATIENCE)
        module.delete()
        for gate in gates:
            gate.open.set()
        with pytest.raises(etseg.ModuleNotLoadedError):
            step.result(PATIENCE)
    with pytest.raises(etseg.ModuleNotLoadedError):
        next(stream)


def test_load_while_it_runs(module: ImageSegmentationModule) -> None:
    """Results are of the old model, then of the new one; labels that are not there, errors."""
    stream = module.map(Counting(), [2], on_error="yield", look_ahead=3)
    next(stream)
    module.load(program("logits_c21"))
    sizes = [len(result.labels) for result in itertools.islice(stream, 10)]
    assert sizes == sorted(sizes)
    assert sizes[-1] == 22
    module.load(program("sigmoid_c1"))
    after: list[object] = list(itertools.islice(stream, 10))
    assert isinstance(after[-1], etseg.LabelError)
    stream.close()


def test_many_streams_on_one_module(module: ImageSegmentationModule) -> None:
    streams = [module.map(map(numbered, range(i, 20)), resize=True) for i in range(5)]
    turns: list[list[int]] = [[] for _ in streams]
    for step in range(20):
        for i, stream in enumerate(streams):
            turns[i] += [number_of(result) for result in itertools.islice(stream, 1)]
        assert len(turns[0]) == step + 1
    assert turns == [list(range(i, 20)) for i in range(5)]


def test_a_stream_keeps_its_module() -> None:
    module = ImageSegmentationModule()
    module.load(program("logits_c3"))
    stream = module.map([picture()] * 5)
    del module
    gc.collect()
    assert len(list(stream)) == 5


def test_the_work_is_done_without_threads_where_there_are_none(
    module: ImageSegmentationModule, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    order = [number_of(result) for result in module.map(map(numbered, range(9)), resize=True)]
    assert order == list(range(9))


# Processes

#: A loaded module, an image, and an endless stream of which two results were taken.
RUNNING = """
import _thread, gc, itertools, os, signal, sys, threading, time, warnings
import numpy as np
import etseg
module = etseg.ImageSegmentationModule()
module.load(etseg.SELFIE_SEGMENTATION)
image = np.arange(600 * 800 * 3, dtype=np.uint32).astype(np.uint8).reshape(600, 800, 3)
stream = module.map(itertools.repeat(image), resize=True, look_ahead=50)
next(stream), next(stream)
"""


@pytest.mark.parametrize(
    "end",
    [
        "",
        "sys.exit(0)",
        "module.delete()",
        "stream.close()",
        "del stream",
        "cycle = [stream]; cycle.append(cycle); del stream; sys.exit()",
        "import atexit; atexit.register(lambda: next(stream))",
        "threading.Thread(target=lambda: [next(stream) for _ in range(100)]).start()",
        "threading.Thread(target=lambda: [0 for _ in stream], daemon=True).start()",
        "threading.Thread(target=lambda: [0 for _ in stream], daemon=True).start(); next(stream)",
        "_thread.start_new_thread(lambda: [0 for _ in stream], ()); next(stream)",
    ],
    ids=[
        "running",
        "sys.exit",
        "deleted",
        "closed",
        "name gone",
        "in a cycle",
        "step in atexit",
        "ordinary consumer",
        "daemon consumer",
        "busy daemon consumer",
        "foreign consumer",
    ],
)
def test_the_interpreter_exits_in_silence(end: str) -> None:
    """Within the patience of output_of(), though the stream has no end."""
    assert output_of(RUNNING + end) == ""


def test_at_exit_nothing_is_begun() -> None:
    """A thousand images were taken; as many as there are threads may still be done."""
    output = output_of(
        """
        import itertools, os, sys, threading
        import numpy as np
        import etseg
        module = etseg.ImageSegmentationModule()
        module.load(etseg.SELFIE_SEGMENTATION)

        class Image:
            begun = 0
            def __array__(self, *_, **__):
                Image.begun += 1
                return np.zeros((64, 64, 3), np.uint8)

        class Last:
            def __array__(self, *_, **__):
                last.set()
                # Until the main thread is at its end.
                threading.main_thread().join()
                return np.zeros((64, 64, 3), np.uint8)

        import atexit
        atexit.register(lambda: print("begun", Image.begun))
        last = threading.Event()
        stream = module.map([Image(), *(Last() for _ in range(64)), *(Image() for _ in range(999))],
                            look_ahead=1064)
        next(stream)
        last.wait()
        """
    )
    assert output == "begun 1"


def test_an_interrupt_leaves_the_stream_usable() -> None:
    output = output_of(
        RUNNING
        + """
numbers = itertools.count()
threading.Timer(0.2, _thread.interrupt_main).start()
try:
    for _ in stream:
        pass
except KeyboardInterrupt:
    print("interrupted")
for _ in range(100):
    assert next(stream).size == (600, 800)
stream.close()
assert threading.active_count() == 1, threading.enumerate()
"""
    )
    assert output == "interrupted"


def test_an_interrupt_while_it_waits() -> None:
    """The signal comes while the main thread waits for a result; the result comes after all."""
    output = output_of(
        """
        import os, signal, sys, threading
        import numpy as np
        import etseg
        module = etseg.ImageSegmentationModule()
        module.load(etseg.SELFIE_SEGMENTATION)

        class Image:
            go_on = threading.Event()
            def __array__(self, *_, **__):
                os.kill(os.getpid(), signal.SIGINT)
                assert Image.go_on.wait(60)
                return np.zeros((64, 64, 3), np.uint8)

        stream = module.map([Image()])
        try:
            next(stream)
        except KeyboardInterrupt:
            print("interrupted")
        Image.go_on.set()
        print(next(stream).size)
        """
    )
    assert output == "interrupted\n(256, 256)"


def test_a_fork_while_it_runs() -> None:
    """The child is refused and ends cleanly; the parent goes on."""
    output = output_of(
        RUNNING
        + """
# Python 3.12 warns of what is tested here.
warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
for _ in range(10):
    next(stream)
    child = os.fork()
    if child == 0:
        signal.alarm(60)
        try:
            next(stream)
        except etseg.ForkedProcessError as error:
            assert str(os.getppid()) in str(error), error
            stream.close()
            with stream:
                pass
            del stream
            sys.exit(0)
        sys.exit(1)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
assert next(stream).size == (600, 800)
stream.close()
"""
    )
    assert output.split() == ["0"] * 10


def test_map_is_an_iterator(module: ImageSegmentationModule) -> None:
    stream = module.map([picture()])
    assert isinstance(stream, SegmentationStream)
    assert isinstance(stream, Iterator)
    assert iter(stream) is stream
    assert operator.length_hint(stream, -1) == -1
    assert len(list(stream)) == 1
