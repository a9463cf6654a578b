"""forward_async(): results, errors, cancellation, and the threads behind it."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import gc
import threading
import weakref
from collections.abc import Iterator

import numpy as np
import pytest

import etseg
from children import PATIENCE
from event_loops import Picture, Run, on_each_loop, threads_of_etseg, until, wait_until
from programs import picture, program


@pytest.fixture
def module() -> Iterator[etseg.ImageSegmentationModule]:
    """A small model of 24x40 pixels."""
    with etseg.ImageSegmentationModule() as module:
        module.load(program("logits_c3"))
        yield module


@pytest.fixture
def busy(module: etseg.ImageSegmentationModule) -> Iterator[list[Picture]]:
    """Images, one more than the threads of `module`, that are not read before the test ends."""
    images = [Picture(may_be_read=False) for _ in range(module.concurrency + 3)]
    yield images
    for image in images:
        image.gate.set()


@on_each_loop
def test_results_are_those_of_forward(run: Run, module: etseg.ImageSegmentationModule) -> None:
    image = picture(50, 70)
    expected = module.forward(image, [1, "CLASS_2"], resize=True, channel_order="bgr")
    classes: list[int | str] = [1, "CLASS_2"]
    out = module.forward(picture(50, 70, seed=1), [1, "CLASS_2"], resize=True)

    async def main() -> None:
        result = await module.forward_async(
            image, iter(classes), resize=True, channel_order="bgr", out=out
        )
        assert result is out
        assert list(result) == list(expected)
        for key in expected:
            np.testing.assert_array_equal(result[key], expected[key])
        small = await module.forward_async(image)
        assert small.size == (24, 40)
        assert len(small) == 1

    run(main())


@on_each_loop
def test_errors_are_those_of_forward(run: Run, module: etseg.ImageSegmentationModule) -> None:
    class Odd:
        def __init__(self, error: BaseException) -> None:
            self.error = error

        def __array__(self) -> None:
            raise self.error

    async def main() -> None:
        with pytest.raises(etseg.LabelError, match="'SKY'"):
            await module.forward_async(picture(), ["SKY"])
        with pytest.raises(etseg.FileReadError):
            await module.forward_async(b"\xff\xd8\xff no image")
        with pytest.raises(etseg.InvalidUserInputError, match="channel_order"):
            await module.forward_async(picture(), channel_order="grb")  # type: ignore[arg-type]
        with pytest.raises(ZeroDivisionError):
            await module.forward_async(Odd(ZeroDivisionError()))
        with pytest.raises(RuntimeError, match="StopIteration"):  # as from any coroutine
            await module.forward_async(Odd(StopIteration()))
        with pytest.raises(etseg.ModuleNotLoadedError):
            await etseg.ImageSegmentationModule().forward_async(picture())
        assert (await module.forward_async(picture())).size == (24, 40)

    run(main())


@pytest.mark.parametrize("name", ["forward_async", "load_async"])
def test_another_kind_of_loop(module: etseg.ImageSegmentationModule, name: str) -> None:
    """As trio's, which drives coroutines too, but is not asyncio."""
    argument = picture() if name == "forward_async" else program("logits_c3")
    coroutine = getattr(module, name)(argument)
    with pytest.raises(etseg.InvalidStateError, match=r"asyncio.*trio\.to_thread\.run_sync"):
        coroutine.send(None)


@on_each_loop
def test_the_loop_goes_on_meanwhile(run: Run, module: etseg.ImageSegmentationModule) -> None:
    image = Picture(may_be_read=False)

    async def main() -> None:
        task = asyncio.create_task(module.forward_async(image))
        await until(image.entered.is_set)
        for _ in range(100):
            await asyncio.sleep(0)
        assert not task.done()
        image.gate.set()  # if the loop waited for the forward, nobody would do this
        assert (await task).size == (24, 40)

    run(main())


@on_each_loop
def test_a_thousand_at_once(run: Run) -> None:
    """They share a few threads, and each gets its own result."""
    module = etseg.ImageSegmentationModule(concurrency=2)
    module.load(program("logits_c3"))
    threads: set[threading.Thread] = set()
    reading: list[None] = []
    most = 0

    def read() -> None:
        nonlocal most
        reading.append(None)
        most = max(most, len(reading))
        threads.add(threading.current_thread())
        reading.pop()

    images = [Picture(read=read) for _ in range(1000)]
    for seed, image in enumerate(images):
        image.pixels = picture(seed=seed)
    expected = [module.forward(image.pixels).argmax for image in images]

    async def main() -> None:
        results = await asyncio.gather(*(module.forward_async(image) for image in images))
        for result, argmax in zip(results, expected, strict=True):
            np.testing.assert_array_equal(result.argmax, argmax)

    run(main())
    assert threading.current_thread() not in threads
    assert most <= module.concurrency + 2
    module.delete()


@on_each_loop
def test_reading_overlaps(run: Run, module: etseg.ImageSegmentationModule) -> None:
    """Although one image is segmented at a time; and who came first is read first."""
    both = threading.Barrier(2, timeout=PATIENCE)
    images = [Picture(read=lambda: both.wait(PATIENCE)) for _ in range(2)]

    async def main() -> None:
        await asyncio.gather(*(module.forward_async(image) for image in images))

    run(main())


@on_each_loop
def test_what_has_not_begun_never_does(
    run: Run, module: etseg.ImageSegmentationModule, busy: list[Picture]
) -> None:
    waiting = Picture()

    async def main() -> None:
        tasks = [asyncio.create_task(module.forward_async(image)) for image in busy]
        await until(lambda: sum(image.entered.is_set() for image in busy) == len(busy) - 1)
        task = asyncio.create_task(module.forward_async(waiting))
        await asyncio.sleep(0)  # now it waits for a thread
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        for image in busy:
            image.gate.set()
        await asyncio.gather(*tasks)
        await module.forward_async(picture())  # came later, and its turn was after it

    run(main())
    assert not waiting.entered.is_set()


@on_each_loop
def test_a_cancelled_one_keeps_nothing_alive(
    run: Run, module: etseg.ImageSegmentationModule, busy: list[Picture]
) -> None:
    """While others still run: the queue holds neither its image nor its arrays."""
    waiting = Picture()
    gone = weakref.ref(waiting)

    async def main() -> None:
        nonlocal waiting
        tasks = [asyncio.create_task(module.forward_async(image)) for image in busy]
        task = asyncio.create_task(module.forward_async(waiting))
        await asyncio.sleep(0)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        del waiting, task
        await until(lambda: gone() is None)
        for image in busy:
            image.gate.set()
        await asyncio.gather(*tasks)

    run(main())


@on_each_loop
def test_one_that_runs_finishes_in_the_background(
    run: Run, module: etseg.ImageSegmentationModule
) -> None:
    image = Picture(may_be_read=False)
    gone = weakref.ref(image)

    async def main() -> None:
        nonlocal image
        task = asyncio.create_task(module.forward_async(image))
        await until(image.entered.is_set)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(task, 0.01)
        del task
        image.gate.set()
        del image
        await until(lambda: gone() is None)

    run(main())


@on_each_loop
def test_the_loop_may_be_gone(
    run: Run, module: etseg.ImageSegmentationModule, caplog: pytest.LogCaptureFixture
) -> None:
    """Several runs, one after the other, with a forward of the first still going on."""
    images = [Picture(may_be_read=False)]
    gone = weakref.ref(images[0])

    async def leave() -> None:
        task = asyncio.create_task(module.forward_async(images[0]))
        await until(images[0].entered.is_set)
        assert not task.done()

    async def main() -> None:
        assert (await module.forward_async(picture())).size == (24, 40)

    run(leave())
    run(main())
    images.pop().gate.set()
    # Python 3.13 leaves a cycle of any task that it cancels at the end.
    wait_until(lambda: gc.collect() >= 0 and gone() is None)
    run(main())
    assert caplog.records == []


def test_loops_of_several_threads(module: etseg.ImageSegmentationModule) -> None:
    expected = module.forward(picture()).argmax
    right: list[bool] = []

    async def main() -> None:
        for result in await asyncio.gather(*(module.forward_async(picture()) for _ in range(20))):
            right.append(np.array_equal(result.argmax, expected))

    threads = [threading.Thread(target=lambda: asyncio.run(main())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert right == [True] * 80


@on_each_loop
def test_context_variables_are_carried(run: Run, module: etseg.ImageSegmentationModule) -> None:
    variable = contextvars.ContextVar("variable", default=0)
    seen: list[int] = []

    async def forward(value: int) -> None:
        variable.set(value)
        await module.forward_async(Picture(read=lambda: seen.append(variable.get())))

    async def main() -> None:
        await asyncio.gather(*(forward(value) for value in range(1, 9)))

    run(main())
    assert sorted(seen) == list(range(1, 9))


@on_each_loop
def test_delete_while_some_run_and_some_wait(
    run: Run, module: etseg.ImageSegmentationModule, busy: list[Picture]
) -> None:
    """None of them has had its turn, so all learn of it; those to come need no thread for that."""

    async def main() -> None:
        tasks = [asyncio.create_task(module.forward_async(image)) for image in busy]
        await until(lambda: sum(image.entered.is_set() for image in busy) == len(busy) - 1)
        module.delete()
        with pytest.raises(etseg.ModuleNotLoadedError):
            await module.forward_async(picture())
        for image in busy:
            image.gate.set()
        for task in tasks:
            with pytest.raises(etseg.ModuleNotLoadedError):
                await task

    run(main())


@on_each_loop
def test_a_module_that_nobody_names(run: Run) -> None:
    """It is there until its calls are done, then neither it nor a thread."""
    image = Picture(may_be_read=False)

    async def main() -> weakref.ref[etseg.ImageSegmentationModule]:
        module = etseg.ImageSegmentationModule()
        module.load(program("logits_c3"))
        gone = weakref.ref(module)
        task = asyncio.create_task(module.forward_async(image))
        await until(image.entered.is_set)
        del module
        gc.collect()
        assert gone() is not None
        image.gate.set()
        assert (await task).size == (24, 40)
        return gone

    gone = run(main())
    gc.collect()
    wait_until(lambda: gone() is None)
    wait_until(lambda: not threads_of_etseg())


@on_each_loop
def test_where_no_thread_can_be_started(
    run: Run, module: etseg.ImageSegmentationModule, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then the loop's own thread does it."""

    def refuse(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    async def main() -> None:
        assert (await module.forward_async(picture())).size == (24, 40)
        with pytest.raises(etseg.LabelError):
            await module.forward_async(picture(), ["SKY"])
        told: list[float] = []
        await module.load_async(program("logits_c2"), told.append)
        assert told == [1.0]
        assert len(module.labels) == 3

    wait_until(lambda: not threads_of_etseg())
    monkeypatch.setattr("etseg._running.threads.start_new_thread", refuse)
    run(main())
