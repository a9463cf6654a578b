"""multiprocessing, concurrent.futures and os.fork(): it works or says why not, and never hangs."""

from __future__ import annotations

import os
import textwrap
from pathlib import Path

import pytest

import children
from programs import program

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")

#: What every script begins with. It is imported again by processes that are spawned.
HEAD = """
import asyncio, concurrent.futures, multiprocessing, os, shutil, signal, sys, threading, warnings
import numpy as np
import etseg

# Python 3.12 warns of what is tested here.
warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)

PROGRAM = sys.argv[1]

def picture(seed=0):
    return np.random.default_rng(seed).integers(0, 256, (64, 64, 3), np.uint8)

def loaded(**options):
    module = etseg.ImageSegmentationModule(**options)
    module.load(PROGRAM)
    return module

def forward(module, seed=0):
    return module.forward(picture(seed), [0], resize=True)[0]

def forward_async(module, seed=0):
    async def main():
        return (await module.forward_async(picture(seed), [0], resize=True))[0]
    return asyncio.run(main())

def outcome(module, seed=0):
    "What a child can do with a module."
    try:
        return forward(module, seed).tobytes()
    except etseg.EtsegError as error:
        return type(error).__name__

module = None

def set_module(value):
    global module
    module = value

def outcome_of_global(seed):
    return outcome(module, seed)

def load_and_forward(seed):
    "All in the child, once for each process."
    global module
    if module is None:
        module = loaded()
    return outcome(module, seed)
"""


def output_of(main: str, folder: Path, functions: str = "") -> str:
    """What a script prints, whose functions other processes can import; it ends well, in silence.

    Args:
        main: what the first process does, and no other.
        folder: for the script's file.
        functions: what tasks call.
    """
    script = folder / "script.py"
    main = textwrap.indent(textwrap.dedent(main), "    ")
    script.write_text(f"{HEAD}{textwrap.dedent(functions)}\nif __name__ == '__main__':\n{main}")
    return children.output_of(script, program("logits_c3"))


methods = pytest.mark.parametrize("method", ["spawn", "forkserver"])
every_method = pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])


@every_method
def test_loading_in_the_children(method: str, tmp_path: Path) -> None:
    """Works by any method while the parent only imports etseg, or has a module without a model."""
    output = output_of(
        f"""
        idle = etseg.ImageSegmentationModule()
        with multiprocessing.get_context("{method}").Pool(2) as pool:
            results = pool.map(load_and_forward, range(8), chunksize=1)
            pool.close()
            pool.join()
        expected = loaded()
        print(results == [outcome(expected, seed) for seed in range(8)])
        """,
        tmp_path,
    )
    assert output == "True"


@methods
def test_a_module_as_an_argument_of_a_process(method: str, tmp_path: Path) -> None:
    """The parent goes on with its own."""
    output = output_of(
        f"""
        set_module(loaded(concurrency=2))
        context = multiprocessing.get_context("{method}")
        queue = context.SimpleQueue()
        processes = [context.Process(target=put, args=(queue, module)) for _ in range(2)]
        for process in processes:
            process.start()
        results = [queue.get() for _ in processes]
        for process in processes:
            process.join()
        print(results == [outcome(module)] * 2, [process.exitcode for process in processes])
        """,
        tmp_path,
        """
        def put(queue, module):
            assert module.concurrency == 2
            queue.put(outcome(module))
        """,
    )
    assert output == "True [0, 0]"


@methods
def test_a_module_as_an_argument_of_a_pool(method: str, tmp_path: Path) -> None:
    """Once for each process, by an initializer; or with each task."""
    output = output_of(
        f"""
        expected = loaded()
        wanted = [outcome(expected, seed) for seed in range(6)]
        context = multiprocessing.get_context("{method}")
        with context.Pool(2, initializer=set_module, initargs=(expected,)) as pool:
            print(pool.map(outcome_of_global, range(6), chunksize=1) == wanted)
            print(pool.starmap(outcome, [(expected, seed) for seed in range(6)]) == wanted)
            pool.close()
            pool.join()
        with concurrent.futures.ProcessPoolExecutor(2, mp_context=context) as pool:
            print(list(pool.map(outcome, [expected] * 6, range(6))) == wanted)
        """,
        tmp_path,
    )
    assert output.split() == ["True"] * 3


@pytest.mark.parametrize("pool", ["multiprocessing", "concurrent.futures"])
def test_a_module_as_an_argument_of_a_forked_pool(pool: str, tmp_path: Path) -> None:
    """Inherited or pickled: the children say that they cannot use it, and so does the task."""
    pools = {
        "multiprocessing": "context.Pool(2, set_module, (loaded(),))",
        "concurrent.futures": "concurrent.futures.ProcessPoolExecutor("
        "2, context, set_module, (loaded(),))",
    }
    output = output_of(
        f"""
        mine = loaded()
        context = multiprocessing.get_context("fork")
        with {pools[pool]} as pool:
            print(set(pool.map(outcome_of_global, range(6))))
            print(set(pool.map(outcome_of_argument, [mine] * 6)))
            print(set(pool.map(load_and_say, range(6))))
        print(type(outcome(mine)).__name__)
        """,
        tmp_path,
        """
        def outcome_of_argument(module):
            return outcome(module)

        def load_and_say(_):
            try:
                loaded()
            except etseg.EtsegError as error:
                return type(error).__name__
        """,
    )
    assert output.splitlines() == ["{'ForkedProcessError'}"] * 3 + ["bytes"]


@every_method
def test_a_task_whose_module_cannot_be_opened(method: str, tmp_path: Path) -> None:
    """The task fails with the ordinary error; the pool does not wait for it for ever."""
    output = output_of(
        f"""
        copy = shutil.copy(PROGRAM, {str(tmp_path / "copy.pte")!r})
        module = etseg.ImageSegmentationModule()
        module.load(copy)
        os.unlink(copy)
        with multiprocessing.get_context("{method}").Pool(1) as pool:
            try:
                pool.apply(forward, (module,))
            except etseg.EtsegError as error:
                print(type(error).__name__)
        """,
        tmp_path,
    )
    assert output == "FileMissingError"  # also in a forked child: it looks for the file first


@pytest.mark.parametrize("call", ["forward", "forward_async"])
def test_a_fork_while_threads_are_inside(call: str, tmp_path: Path) -> None:
    """Their locks stay locked in the child, and the module's threads are not there."""
    output = output_of(
        f"""
        module = loaded()
        expected = outcome(module)
        {call}(module)  # what it imports is here: Python's own locks of imports are not the test's
        stop = threading.Event()

        def work():
            while not stop.is_set():
                {call}(module)

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        codes = []
        for _ in range(10):
            child = os.fork()
            if child == 0:
                signal.alarm(60)
                refused = 0
                for use in (forward, forward_async):
                    try:
                        use(module)
                    except etseg.ForkedProcessError:
                        refused += 1
                module.delete()
                os._exit(refused)
            codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        stop.set()
        for thread in threads:
            thread.join()
        print(set(codes), outcome(module) == expected)
        """,
        tmp_path,
    )
    assert output == "{2} True"


def test_load_async_in_a_forked_child(tmp_path: Path) -> None:
    output = output_of(
        """
        async def load(module):
            await module.load_async(PROGRAM)

        module = etseg.ImageSegmentationModule()
        asyncio.run(load(module))
        child = os.fork()
        if child == 0:
            signal.alarm(60)
            for each in (module, etseg.ImageSegmentationModule()):
                try:
                    asyncio.run(load(each))
                except etseg.ForkedProcessError:
                    continue
                os._exit(1)
            sys.exit(0)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        """,
        tmp_path,
    )
    assert output == "0"


def test_a_fork_in_a_spawned_process(tmp_path: Path) -> None:
    """The child may use what it loads; its own forked child may not, and says so."""
    output = output_of(
        """
        set_module(loaded())
        context = multiprocessing.get_context("spawn")
        process = context.Process(target=work, args=(module,))
        process.start()
        process.join()
        print(process.exitcode)
        """,
        tmp_path,
        """
        def work(module):
            assert isinstance(outcome(module), bytes)
            child = os.fork()
            if child == 0:
                signal.alarm(60)
                os._exit(outcome(module) != "ForkedProcessError")
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
            assert isinstance(outcome(module), bytes)
        """,
    )
    assert output == "0"


def test_a_module_of_the_parent_is_deleted_by_the_child(tmp_path: Path) -> None:
    """By delete(), by the collector, at exit, or by os._exit(): the parent's is as before."""
    output = output_of(
        """
        import gc
        module = loaded(concurrency=2)
        expected = outcome(module)
        codes = []
        for end in ("delete", "collect", "exit", "_exit"):
            child = os.fork()
            if child == 0:
                signal.alarm(60)
                if end == "delete":
                    module.delete()
                if end == "collect":
                    del module
                    gc.collect()
                if end == "_exit":
                    os._exit(0)
                sys.exit(0)
            codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        print(codes, outcome(module) == expected)
        """,
        tmp_path,
    )
    assert output == "[0, 0, 0, 0] True"


def test_a_fork_while_another_thread_loads_for_segment(tmp_path: Path) -> None:
    """The child, which does not have that thread, loads by itself, or says why it cannot."""
    output = output_of(
        """
        begun, gate = threading.Event(), threading.Event()
        load = etseg.ImageSegmentationModule.load

        def held(module, model):
            begun.set()
            gate.wait()
            load(module, model)

        etseg.ImageSegmentationModule.load = held
        thread = threading.Thread(target=etseg.segment, args=(picture(), PROGRAM))
        thread.start()
        begun.wait()
        child = os.fork()
        if child == 0:
            signal.alarm(60)
            gate.set()
            try:
                os._exit(etseg.segment(picture(), PROGRAM).image_size != (64, 64))
            except etseg.ForkedProcessError:
                os._exit(0)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        gate.set()
        thread.join()
        """,
        tmp_path,
    )
    assert output == "0"
