"""Values of options that several commands take."""

from __future__ import annotations

import os
from pathlib import Path

import click

from etseg._errors import InvalidUserInputError


def three_numbers(name: str, text: str | None) -> tuple[float, float, float] | None:
    """Red, green and blue of --mean or --std; None where it was not given.

    Raises:
        click.BadParameter: they are not three numbers.
    """
    if text is None:
        return None
    try:
        red, green, blue = (float(number) for number in text.split(","))
    except ValueError:
        raise click.BadParameter(
            f"{text!r} is not three numbers; expected red,green,blue, such as 0.485,0.456,0.406",
            param_hint=f"--{name}",
        ) from None
    return red, green, blue


def names_of_labels(text: str | None) -> list[str] | None:
    """Of a file, one a line; or of the argument itself. None where it was not given.

    Raises:
        InvalidUserInputError: the file cannot be read.
    """
    if text is None:
        return None
    if not os.path.isfile(text):  # noqa: PTH113  # names may be longer than a path's
        return [name.strip() for name in text.split(",")]
    try:
        # Editors of Windows put a mark of the encoding before the first name.
        lines = Path(text).read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidUserInputError(f"cannot read the labels in {text!r}: {error}") from error
    return [line.strip() for line in lines if line.strip()]
