"""KeyboardInterrupt at each line, and each instruction after which Python looks at signals.

Of the consumer's thread, in the modules behind map(). What comes after is asked without: no image
and no result is lost, none comes twice, and close() returns. ``tests/tools/interrupts.py`` does the
same with real signals, at random.
"""

from __future__ import annotations

import dis
import itertools
import sys
from collections.abc import Callable, Iterator
from types import CodeType, FrameType
from typing import Any

import pytest

import etseg
from etseg import ImageSegmentationModule
from etseg._running import bell, pull, stream, threads
from programs import program
from streams import crew, number_of, numbered, wait_for_the_crew

FILES = {module.__file__ for module in (bell, pull, stream, threads)}


@pytest.fixture
def module() -> Iterator[ImageSegmentationModule]:
    with ImageSegmentationModule() as module:
        module.load(program("logits_c3"))
        yield module
    wait_for_the_crew()


def _looks_at_signals(code: CodeType) -> dict[int, bool]:
    """By the offset of each instruction: whether Python looks at signals after it."""
    return {
        each.offset: each.opname.startswith(("CALL", "RESUME", "JUMP_BACKWARD", "JUMP_ABSOLUTE"))
        for each in dis.get_instructions(code)
    }


class Interrupt:
    """Raises KeyboardInterrupt at one event of this thread, counted from 0. Within ``with``.

    Attributes:
        struck: whether there were that many.
    """

    def __init__(self, number: int, kind: str) -> None:
        self.struck = False
        self._left = number
        self._kind = kind
        self._before: dict[FrameType, bool] = {}
        self._codes: dict[CodeType, dict[int, bool]] = {}

    def _trace(self, frame: FrameType, event: str, _: Any) -> Any:
        if self.struck or frame.f_code.co_filename not in FILES:
            return None
        frame.f_trace_opcodes = self._kind == "opcode"
        if event == self._kind and self._counts(frame):
            if self._left == 0:
                self.struck = True
                raise KeyboardInterrupt
            self._left -= 1
        return self._trace

    def _counts(self, frame: FrameType) -> bool:
        if self._kind == "line":
            return True
        code = frame.f_code
        looks = self._codes.get(code)
        if looks is None:
            looks = self._codes[code] = _looks_at_signals(code)
        before = self._before.get(frame, False)
        self._before[frame] = looks.get(frame.f_lasti, False)
        return before

    def __enter__(self) -> None:
        self._outer = sys.gettrace()
        sys.settrace(self._trace)

    def __exit__(self, *_: object) -> None:
        sys.settrace(self._outer)
        self._before.clear()


def at_every_moment(kind: str, attempt: Callable[[Interrupt], None]) -> int:
    """Attempts something with an interrupt at its first moment, its second, ... until its end."""
    for number in itertools.count():
        interrupt = Interrupt(number, kind)
        attempt(interrupt)
        if not interrupt.struck:
            return number
    raise AssertionError


kinds = pytest.mark.parametrize("kind", ["line", "opcode"])


@kinds
@pytest.mark.parametrize("look_ahead", [1, 3])
def test_no_image_and_no_result_is_lost(
    module: ImageSegmentationModule, kind: str, look_ahead: int
) -> None:
    def attempt(interrupt: Interrupt) -> None:
        images = [numbered(0), b"no image", numbered(2), numbered(3), numbered(4)]
        results: list[Any] = []
        stream = module.map(iter(images), resize=True, look_ahead=look_ahead, on_error="yield")
        with interrupt:
            try:
                results.extend(stream)
            except KeyboardInterrupt:
                assert interrupt.struck
        results.extend(stream)
        assert isinstance(results.pop(1), etseg.FileReadError)
        assert [number_of(result) for result in results] == [0, 2, 3, 4]
        stream.close()
        assert crew() == 0

    assert at_every_moment(kind, attempt) > 20


@kinds
def test_close_returns(module: ImageSegmentationModule, kind: str) -> None:
    """Whatever it was interrupted at, and also a step before it."""

    def attempt(interrupt: Interrupt) -> None:
        stream = module.map(itertools.repeat(numbered(3)), resize=True)
        with interrupt:
            try:
                next(stream)
                stream.close()
            except KeyboardInterrupt:
                assert interrupt.struck
        stream.close()
        assert crew() == 0
        assert list(stream) == []

    assert at_every_moment(kind, attempt) > 20


@kinds
def test_with_leaves_nothing(module: ImageSegmentationModule, kind: str) -> None:
    """It closes the stream; if that is interrupted too, the threads end all the same."""

    def attempt(interrupt: Interrupt) -> None:
        with interrupt:
            try:
                with module.map(itertools.repeat(numbered(3)), resize=True) as stream:
                    next(stream)
            except KeyboardInterrupt:
                assert interrupt.struck
        wait_for_the_crew()

    assert at_every_moment(kind, attempt) > 20


@kinds
def test_where_there_are_no_threads(
    module: ImageSegmentationModule, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The consumer's thread works itself, and an image that was interrupted is done again."""

    def refuse(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    def attempt(interrupt: Interrupt) -> None:
        results: list[Any] = []
        stream = module.map(map(numbered, range(4)), resize=True)
        with interrupt:
            try:
                results.extend(stream)
            except KeyboardInterrupt:
                assert interrupt.struck
        results.extend(stream)
        assert [number_of(result) for result in results] == list(range(4))

    monkeypatch.setattr("etseg._running.threads.start_new_thread", refuse)
    assert at_every_moment(kind, attempt) > 20


@pytest.mark.parametrize("late", [False, True])
def test_an_interrupt_while_a_thread_is_started(
    module: ImageSegmentationModule, late: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before it runs, or after."""
    start, starts = threads.start_new_thread, itertools.count()

    def interrupted(*arguments: Any) -> None:
        hit = next(starts) == 1
        if hit and not late:
            raise KeyboardInterrupt
        start(*arguments)
        if hit:
            raise KeyboardInterrupt

    monkeypatch.setattr("etseg._running.threads.start_new_thread", interrupted)
    stream = module.map(map(numbered, range(8)), resize=True, look_ahead=4)
    results: list[Any] = []
    try:
        results.extend(stream)
    except KeyboardInterrupt:
        results.extend(stream)
    assert [number_of(result) for result in results] == list(range(8))
