"""load_async(): its progress on the loop's thread, and what a cancelled one leaves behind."""

from __future__ import annotations

import asyncio
import contextvars
import threading
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import etseg
from children import PATIENCE
from etseg import resources
from event_loops import Run, on_each_loop, threads_of_etseg, until, wait_until
from http_server import Fault, Server
from programs import picture
from programs import program as path_of


@pytest.fixture
def module() -> Iterator[etseg.ImageSegmentationModule]:
    """A model that is there before, and named by its size."""
    with etseg.ImageSegmentationModule() as module:
        module.load(path_of("logits_c3"))
        yield module


class Opening(etseg.ImageSegmentationModule):
    """Opens models on the other thread, but does not come back from there before it may."""

    def __init__(self) -> None:
        super().__init__()
        self.opened = threading.Event()
        self.gate = threading.Event()

    def _open(self, *arguments: Any) -> Any:
        session = super()._open(*arguments)
        self.session = weakref.ref(session)
        self.opened.set()
        assert self.gate.wait(PATIENCE)
        return session


@on_each_loop
@pytest.mark.usefixtures("cache")
def test_progress_is_told_on_the_loops_thread(
    run: Run, module: etseg.ImageSegmentationModule, server: Server, program: bytes
) -> None:
    url = server.add("/m.pte", program)
    variable = contextvars.ContextVar("variable", default=0)
    told: list[float] = []
    loop: asyncio.AbstractEventLoop | None = None
    ended = False

    def callback(progress: float) -> None:
        assert asyncio.get_running_loop() is loop
        assert variable.get() == 1
        assert not ended
        told.append(progress)

    async def main() -> None:
        nonlocal loop, ended
        loop = asyncio.get_running_loop()
        variable.set(1)
        before = weakref.ref(module._session)
        await module.load_async({"model_source": url, "activation": "none"}, callback)
        ended = True
        assert module.input_size == (256, 256)
        await until(lambda: before() is None)

    run(main())
    assert told == sorted(told)
    assert told[-1] == 1.0
    assert told.count(1.0) == 1


@on_each_loop
def test_a_local_model_is_there_at_once(run: Run, module: etseg.ImageSegmentationModule) -> None:
    told: list[float] = []

    async def main() -> None:
        await module.load_async(etseg.SELFIE_SEGMENTATION, told.append)
        assert (await module.forward_async(picture())).size == (256, 256)
        await module.load_async(path_of("logits_c3"))
        assert (await module.forward_async(picture())).size == (24, 40)

    run(main())
    assert told == [1.0]


@on_each_loop
def test_errors_are_those_of_load(
    run: Run, module: etseg.ImageSegmentationModule, tmp_path: Path
) -> None:
    async def main() -> None:
        with pytest.raises(etseg.FileReadError, match="no such file"):
            await module.load_async(tmp_path / "absent.pte")
        with pytest.raises(etseg.UnsupportedModelError):
            await module.load_async(path_of("missing_operator"))
        with pytest.raises(etseg.InvalidModelSourceError):
            await module.load_async(3)  # type: ignore[arg-type]

    run(main())
    assert module.forward(picture()).size == (24, 40)


@on_each_loop
@pytest.mark.usefixtures("cache")
def test_what_the_callback_raises_cancels_the_load(
    run: Run, module: etseg.ImageSegmentationModule, server: Server, program: bytes
) -> None:
    gate = threading.Event()
    url = server.add("/m.pte", program, faults=[Fault(cut=0.5, hold=gate)])
    told: list[float] = []

    def callback(progress: float) -> None:
        told.append(progress)
        if progress > 0:
            raise ZeroDivisionError

    async def main() -> None:
        with pytest.raises(ZeroDivisionError):
            await module.load_async(url, callback)
        assert not gate.is_set()  # nobody waited for the rest
        gate.set()
        await until(lambda: not threads_of_etseg())

    run(main())
    assert sum(progress > 0 for progress in told) == 1
    assert resources.list_downloaded_models() == []
    assert module.forward(picture()).size == (24, 40)


@on_each_loop
@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize("with_callback", [True, False])
def test_a_cancelled_load_stops_its_download(
    run: Run,
    module: etseg.ImageSegmentationModule,
    server: Server,
    program: bytes,
    with_callback: bool,
) -> None:
    """At the next block: the file never gets whole. The model that was there works meanwhile."""
    gate = threading.Event()
    url = server.add("/m.pte", program, faults=[Fault(cut=0.5, hold=gate)])
    told: list[float] = []

    async def main() -> None:
        task = asyncio.create_task(module.load_async(url, told.append if with_callback else None))
        await until(lambda: server.requests)
        assert (await module.forward_async(picture())).size == (24, 40)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        before = list(told)
        gate.set()
        await until(lambda: not threads_of_etseg())
        assert told == before
        assert resources.list_downloaded_models() == []
        assert module.input_size == (24, 40)
        # Another load comes to its end, from where the first one stopped or from the beginning.
        await module.load_async({"model_source": url, "activation": "none"})
        assert module.input_size == (256, 256)

    run(main())


def _before_the_loop_knows(task: asyncio.Task[None]) -> None:
    task.cancel()


def _when_the_loop_knows(task: asyncio.Task[None]) -> None:
    asyncio.get_running_loop().call_soon(task.cancel)  # after the news, before the coroutine


@on_each_loop
@pytest.mark.parametrize("cancel", [_before_the_loop_knows, _when_the_loop_knows])
def test_a_load_that_is_cancelled_at_its_end(
    run: Run, cancel: Callable[[asyncio.Task[None]], None]
) -> None:
    """The new model is ready, but was not put in place: it never is."""
    module = Opening()
    module.gate.set()
    module.load(path_of("logits_c3"))
    module.gate.clear()
    module.opened.clear()

    async def main() -> None:
        task = asyncio.create_task(module.load_async(etseg.SELFIE_SEGMENTATION))
        await until(module.opened.is_set)
        module.gate.set()
        # Holds up the loop until the other thread has nothing to do any more.
        wait_until(lambda: not etseg._running.event_loop._loaders.is_busy())
        cancel(task)
        with pytest.raises(asyncio.CancelledError):
            await task
        assert module.input_size == (24, 40)
        await until(lambda: module.session() is None)

    run(main())
    assert module.forward(picture()).size == (24, 40)
    module.delete()


@on_each_loop
def test_a_load_that_is_cancelled_before_it_begins(run: Run) -> None:
    module = Opening()

    async def main() -> None:
        task = asyncio.create_task(module.load_async(path_of("logits_c3")))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(main())
    assert not module.opened.is_set()
    assert not module.is_loaded


class Telling(etseg.ImageSegmentationModule):
    """Tells of a hundred blocks at once."""

    def __init__(self) -> None:
        super().__init__()
        self.told_all = threading.Event()

    def _open(self, model: Any, on_progress: Any) -> Any:
        for percent in range(100):
            on_progress(percent / 100)
        self.told_all.set()
        return super()._open(model, on_progress)


@on_each_loop
def test_progress_that_comes_too_late(run: Run) -> None:
    """What was said before the load was cancelled is not told after it."""
    told: list[float] = []

    async def main() -> None:
        module = Telling()
        task = asyncio.create_task(module.load_async(path_of("logits_c3"), told.append))
        await asyncio.sleep(0)
        assert module.told_all.wait(PATIENCE)  # holds up the loop
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await until(lambda: not etseg._running.event_loop._loaders.is_busy())
        await asyncio.sleep(0.01)
        assert not module.is_loaded

    run(main())
    assert told == []


@on_each_loop
def test_a_callback_that_is_slower_than_the_network(run: Run) -> None:
    """It is not called for each block, but always with the last word."""
    module = Telling()
    told: list[float] = []

    def callback(progress: float) -> None:
        assert module.told_all.wait(PATIENCE)
        told.append(progress)

    async def main() -> None:
        with module:
            await module.load_async(path_of("logits_c3"), callback)

    run(main())
    assert len(told) <= 4
    assert told == sorted(told)
    assert told[-1] == 1.0


@on_each_loop
def test_loads_do_not_wait_for_each_other(run: Run) -> None:
    """One that hangs at a server, or stops slowly, does not hold up the next one."""
    slow = Opening()

    async def main() -> None:
        tasks = [asyncio.create_task(slow.load_async(path_of("logits_c3"))) for _ in range(2)]
        await until(slow.opened.is_set)
        with etseg.ImageSegmentationModule() as module:
            await module.load_async(path_of("logits_c3"))
            assert module.is_loaded
        slow.gate.set()
        await asyncio.gather(*tasks)

    run(main())
    assert slow.is_loaded
    slow.delete()


@on_each_loop
def test_delete_during_a_load(run: Run) -> None:
    """As with load(): the model that comes later is there."""
    module = Opening()

    async def main() -> None:
        task = asyncio.create_task(module.load_async(path_of("logits_c3")))
        await until(module.opened.is_set)
        module.delete()
        module.gate.set()
        await task

    run(main())
    assert module.is_loaded
    module.delete()
