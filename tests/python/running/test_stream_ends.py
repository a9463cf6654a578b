"""How streams end: closed, abandoned, interrupted, forked, at exit. No thread is left, ever."""

from __future__ import annotations

import gc
import itertools
import threading
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

import etseg
from children import PATIENCE, output_of
from etseg import EtsegError, ImageSegmentationModule, SegmentationStream
from programs import picture, program
from streams import Counting, Gate, crew, number_of, numbered, wait_for_the_crew


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


# Ends


def test_close_drops_what_has_not_begun_and_waits_for_the_rest(
    module: ImageSegmentationModule,
) -> None:
    gates = [Gate(number) for number in range(8)]
    last = weakref.ref(spare := Gate())
    stream = module.map([*gates, spare], resize=True, look_ahead=9)
    del spare
    with ThreadPoolExecutor(2) as pool:
        step = pool.submit(next, stream, None)
        for gate in gates[: stream._threads._most]:  # each thread is held by one
            assert gate.begun.wait(PATIENCE)
        closing = pool.submit(stream.close)
        assert step.result(PATIENCE) is None  # the one who waited is told
        assert not closing.done()
        begun = [gate.begun.is_set() for gate in gates]
        for gate in gates:
            gate.open.set()
        closing.result(PATIENCE)
    assert crew() == 0
    assert [gate.begun.is_set() for gate in gates] == begun
    assert False in begun
    gc.collect()
    assert last() is None
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
    assert crew() == 0
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


@pytest.mark.parametrize("look_ahead", [1, 5])
def test_the_source_closes_its_stream(module: ImageSegmentationModule, look_ahead: int) -> None:
    taken: list[int] = []

    def images() -> Iterator[object]:
        for number in range(10):
            taken.append(number)
            if number == 1:
                stream.close()
            yield picture()

    stream = module.map(images(), look_ahead=look_ahead)
    assert len(list(stream)) == (look_ahead == 1)
    assert crew() == 0
    assert taken == [0, 1]


def test_at_the_end_no_thread_is_left(module: ImageSegmentationModule) -> None:
    for _ in range(50):
        assert len(list(module.map([picture()] * 5))) == 5
        assert crew() == 0


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
    assert crew()
    del stream
    gc.collect()
    assert ref() is None
    for gate in gates:
        gate.open.set()
    wait_for_the_crew()
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
            assert crew() == 0
            assert sum(consumer.result(PATIENCE) for consumer in consumers) >= steps
        assert source.closed == 1


def test_delete_while_it_runs(module: ImageSegmentationModule) -> None:
    stream = module.map(Counting(), resize=True, on_error="yield", look_ahead=3)
    for n in range(3):
        assert number_of(next(stream)) == n  # type: ignore[arg-type]
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
    """What was in flight is of either model, what follows of the new one; labels that are not
    there are errors.
    """
    stream = module.map(Counting(), [2], on_error="yield", look_ahead=3)
    next(stream)
    module.load(program("logits_c21"))
    sizes = [len(result.labels) for result in itertools.islice(stream, 10)]
    assert set(sizes[:2]) <= {4, 22}
    assert sizes[2:] == [22] * 8
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
    def refuse(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr("etseg._running.threads.start_new_thread", refuse)
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
    """A thousand images were taken; those that run then are the last."""
    output = output_of(
        """
        import atexit
        atexit.register(lambda: print("begun", Image.begun))  # after etseg's own
        import itertools, os, sys, threading
        import numpy as np
        import etseg
        from etseg._running import threads
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
                assert ended.wait(60)
                return np.zeros((64, 64, 3), np.uint8)

        # Those that run come to their end when what waits was dropped, and are waited for.
        wait_until = threads.Bell.wait_until
        def and_let_go(*arguments):
            if threads._is_over:
                ended.set()
            wait_until(*arguments)
        threads.Bell.wait_until = and_let_go

        last, ended = threading.Event(), threading.Event()
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
try:
    threading.Timer(0.2, _thread.interrupt_main).start()
    for _ in stream:
        pass
except KeyboardInterrupt:
    print("interrupted")
for _ in range(100):
    assert next(stream).size == (600, 800)
stream.close()
while any(thread.name == "etseg.map" for thread in threading.enumerate()):
    time.sleep(0.001)
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
