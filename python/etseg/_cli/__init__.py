"""The command `etseg`."""

from __future__ import annotations

import click

from etseg import _native

from .common import set_up_streams
from .ending import Commands

_EPILOG = """\
Answers go to stdout. Progress and notes go to stderr, and only on a terminal, as
colours do; NO_COLOR=1 turns those off. Each command has --help.

\b
Completion of commands and options in the shell:
  bash  eval "$(_ETSEG_COMPLETE=bash_source etseg)"    in ~/.bashrc
  zsh   eval "$(_ETSEG_COMPLETE=zsh_source etseg)"     in ~/.zshrc
  fish  _ETSEG_COMPLETE=fish_source etseg | source     in config.fish
"""

_MODULES = {
    "segment": "etseg._cli.segmenting.command",
    "batch": "etseg._cli.batch",
    "models": "etseg._cli.models",
    "export": "etseg._cli.export",
    "serve": "etseg._cli.serve",
    "fetch": "etseg._cli.resources",
    "cache": "etseg._cli.resources",
    "doctor": "etseg._cli.doctor",
}


@click.group(
    cls=Commands,
    modules=_MODULES,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=_EPILOG,
)
@click.version_option(_native.__version__, prog_name="etseg")
@click.pass_context
def main(context: click.Context) -> None:
    """Semantic image segmentation at native speed."""
    set_up_streams(context)
