"""What the command line's arguments have to be, before any command looks at them."""

from __future__ import annotations

from collections.abc import Iterator

import click


class Command(click.Command):
    """A command whose options do not take the next option for their value."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click's, which would make ``--cutout -o cut.png`` write a file called "-o"."""
        if not ctx.resilient_parsing:
            self._refuse_options_as_values(ctx, args)
        return super().parse_args(ctx, args)

    def _refuse_options_as_values(self, ctx: click.Context, args: list[str]) -> None:
        given, _, order = self.make_parser(ctx).parse_args(list(args))
        for parameter in order:
            if not isinstance(parameter, click.Option) or parameter.is_flag:
                continue
            for value in _texts(given.get(parameter.name or "")):
                # In --name=-x it is no argument of its own: it was meant.
                if value in args and _looks_like_option(value):
                    ctx.fail(_lacks_value(parameter, value))


def _texts(value: object) -> Iterator[str]:
    """Of one option, which may be given several times."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, (list, tuple)):
        for one in value:
            yield from _texts(one)


def _looks_like_option(value: str) -> bool:
    """Not "-", which is stdin or stdout, nor a negative number."""
    rest = value[1:].removeprefix(".")
    return value.startswith("-") and value != "-" and not rest[:1].isdigit()


def _lacks_value(option: click.Option, value: str) -> str:
    name = max(option.opts, key=len)
    why = f"{name} lacks its value: {value!r}, which follows it, looks like an option"
    if not isinstance(option.type, (click.Path, click.types.StringParamType)):
        return why
    other = f"./{value}"
    return f"{why}; a file of that name is {other!r}, and other text is given as {name}={value}"
