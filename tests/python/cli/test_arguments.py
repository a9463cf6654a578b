"""No option takes the next option for its value. The commands are walked: none can be forgotten."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from etseg._cli import main


def _commands(
    group: click.Group, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from _commands(command, (*path, name))
        else:
            yield (*path, name), command


def _needed(command: click.Command) -> list[str]:
    """Something for each argument that has to be there."""
    return ["x" for one in command.params if isinstance(one, click.Argument) and one.required]


#: Each spelling of each option that takes a value: the words of the command, what it needs, option.
OPTIONS = [
    pytest.param(path, _needed(command), option, spelling, id=" ".join((*path, spelling)))
    for path, command in _commands(main)
    for option in command.params
    if isinstance(option, click.Option) and not option.is_flag
    for spelling in option.opts
]


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def _run(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def test_the_walk_finds_the_options() -> None:
    found = {parameter.id for parameter in OPTIONS}
    assert {"segment --cutout", "export -o", "batch --workers", "serve --model"} <= found


@pytest.mark.parametrize("value", ["-o", "--mask", "--", "-x.png"])
@pytest.mark.parametrize(("path", "needed", "option", "spelling"), OPTIONS)
def test_an_option_is_no_value(
    path: tuple[str, ...], needed: list[str], option: click.Option, spelling: str, value: str
) -> None:
    ended = _run(*path, *needed, spelling, value)
    assert ended.exit_code == 2
    name = max(option.opts, key=len)
    assert f"{name} lacks its value: {value!r}, which follows it" in ended.stderr
    assert not list(Path().iterdir())  # nothing was written


def test_what_to_do_with_a_file_of_that_name() -> None:
    ended = _run("segment", "x.jpg", "--cutout", "-o", "cut.png")
    assert "a file of that name is './-o', and other text is given as --cutout=-o" in ended.stderr
    # No number and no choice begins so.
    assert "./" not in _run("segment", "x.jpg", "--alpha", "--mask", "a.png").stderr


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--alpha", "-0.5"], "is not in the range"),
        (["--alpha", "-.5"], "is not in the range"),
        (["--threads", "-1"], "is not in the range"),
        (["--mean", "-0.5,0,x"], "is not three numbers"),
        (["-o", "-"], "x.jpg"),  # stdout; the photo is missing
        (["--output=-x.png"], "x.jpg"),  # in one word: meant
        (["-o", "./-o"], "x.jpg"),
    ],
)
def test_numbers_stdout_and_what_is_meant_remain(arguments: list[str], why: str) -> None:
    ended = _run("segment", "x.jpg", *arguments)
    assert ended.exit_code in (1, 2)
    assert why in ended.stderr
    assert "lacks its value" not in ended.stderr


def test_each_of_several_values_is_looked_at() -> None:
    ended = _run("serve", "--model", "x.pte", "--model", "--port", "8080")
    assert "--model lacks its value: '--port'" in ended.stderr


def test_the_shell_still_completes_behind_it() -> None:
    ended = CliRunner().invoke(
        main,
        prog_name="etseg",
        env={
            "_ETSEG_COMPLETE": "bash_complete",
            "COMP_WORDS": "etseg segment --cutout -o --mo",
            "COMP_CWORD": "4",
        },
    )
    assert "plain,--model" in ended.stdout
