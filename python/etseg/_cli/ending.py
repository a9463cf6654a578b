"""How the command ends: by Ctrl-C and other signals, and when its output takes no more."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib import import_module
from types import FrameType
from typing import Any

import click

from .arguments import Command
from .common import reported

#: Signals that ask a process to end, and that nobody handles unless we do.
_SIGNALS = ("SIGTERM", "SIGHUP")


class Terminated(KeyboardInterrupt):
    """Another signal than Ctrl-C's asks the process to end; all is left as after Ctrl-C."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


def status_of(interrupt: KeyboardInterrupt) -> int:
    """The exit status of a process that a signal has ended, as shells have it: 130 for Ctrl-C."""
    return 128 + int(getattr(interrupt, "number", signal.SIGINT))


class Commands(click.Group):
    """Commands in the order of their definition. Signals end them all alike.

    Args:
        modules: by the command's name, where it is defined under that name: imported when it is
            asked for. Commands that are added stand behind these.
        options: what :class:`click.Group` takes.
    """

    command_class = Command

    def __init__(self, modules: Mapping[str, str] | None = None, **options: Any) -> None:
        super().__init__(**options)
        self._modules = modules or {}

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Not by the alphabet: what most people want stands first."""
        return list(dict.fromkeys([*self._modules, *self.commands]))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """The command of that name, if there is one."""
        if cmd_name in self._modules and cmd_name not in self.commands:
            self.add_command(getattr(import_module(self._modules[cmd_name]), cmd_name))
        return self.commands.get(cmd_name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click's; of what is no command it says what may have been meant."""
        name = args[0]
        if not (name.startswith("-") or ctx.resilient_parsing or self.get_command(ctx, name)):
            ctx.fail(f"{name!r} is no command{self._meant(ctx, name)}")
        return super().resolve_command(ctx, args)

    def _meant(self, ctx: click.Context, name: str) -> str:
        from difflib import get_close_matches  # here: few mistype

        if "segment" in self._modules and os.path.exists(name):  # noqa: PTH110  # any length
            return f"; to segment a photo: {ctx.command_path} segment {name}"
        close = get_close_matches(name[:100], self.list_commands(ctx), n=1)
        return f"; did you mean {close[0]!r}?" if close else ""

    def invoke(self, ctx: click.Context) -> Any:
        """One line on an error of etseg's, on Ctrl-C and the like, and their status."""
        try:
            with reported():
                return super().invoke(ctx)
        except KeyboardInterrupt as interrupt:
            click.echo("\nAborted.", err=True)
            ctx.exit(status_of(interrupt))

    def main(self, *arguments: Any, **options: Any) -> Any:
        """One line where an answer cannot be written, or memory ends."""
        try:
            with _signals_raise():
                return super().main(*arguments, **options)
        except OSError as error:  # all others have become errors of ours
            why = error.strerror or error
            _give_up(str(error) if error.filename else f"cannot write the answer: {why}")
        except MemoryError:
            _give_up("there is not enough memory")


def _give_up(why: str) -> None:
    """Ends the process with status 1. What the streams still hold is not tried again at exit."""
    with suppress(OSError):
        click.echo(f"Error: {why}", err=True)
    for name in ("stdout", "stderr"):
        try:
            getattr(sys, name).flush()
        except (OSError, AttributeError):  # AttributeError: it was closed from the start
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115, PTH123  # until the exit
    sys.exit(1)


@contextmanager
def _signals_raise() -> Iterator[None]:
    """SIGTERM and SIGHUP raise Terminated in the main thread, so that no temporary file stays.

    Who ignores them, as nohup does SIGHUP, or handles them, goes on doing so.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def handle(number: int, _: FrameType | None) -> None:
        raise Terminated(number)

    numbers = [getattr(signal, name) for name in _SIGNALS if hasattr(signal, name)]
    ours = [number for number in numbers if signal.getsignal(number) is signal.SIG_DFL]
    for number in ours:
        signal.signal(number, handle)
    try:
        yield
    finally:
        for number in ours:
            signal.signal(number, signal.SIG_DFL)
