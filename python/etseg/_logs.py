"""The logger of the package, by the name that people configure: "etseg"."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from logging import Logger


def logger() -> Logger:
    """The one that everything is logged to; it writes nothing where nobody configured logging.

    Made by the first line that is logged, which most processes never have: logging takes longer to
    import than most of what is imported here.
    """
    import logging

    made = logging.getLogger("etseg")
    if not made.handlers:  # else lines from WARNING on would go to stderr
        made.addHandler(logging.NullHandler())
    return made
