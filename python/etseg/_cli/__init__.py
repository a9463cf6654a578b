"""The command `etseg`."""

from __future__ import annotations

import click

from etseg import _native

from .batch import batch
from .common import set_up_streams
from .doctor import doctor
from .ending import Commands
from .export import export
from .models import models
from .resources import cache, fetch
from .segmenting.command import segment
from .serve import serve

_EPILOG = """\
Answers go to stdout. Progress and notes go to stderr, and only on a terminal, as
colours do; NO_COLOR=1 turns those off. Each command has --help.

\b
Completion of commands and options in the shell:
  bash  eval "$(_ETSEG_COMPLETE=bash_source etseg)"    in ~/.bashrc
  zsh   eval "$(_ETSEG_COMPLETE=zsh_source etseg)"     in ~/.zshrc
  fish  _ETSEG_COMPLETE=fish_source etseg | source     in config.fish
"""


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]}, epilog=_EPILOG)
@click.version_option(_native.__version__, prog_name="etseg")
@click.pass_context
def main(context: click.Context) -> None:
    """Semantic image segmentation at native speed."""
    set_up_streams(context)


for command in (segment, batch, models, export, serve, fetch, cache, doctor):
    main.add_command(command)
