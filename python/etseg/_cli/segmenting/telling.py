"""What is told while photos are segmented, and how it ends."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, NoReturn

import click

from etseg._cli.common import Failure, note, print_json
from etseg._cli.ending import status_of

from .inputs import Photos
from .outputs import Plan
from .report import Batch, print_one

if TYPE_CHECKING:
    from .work import Work


def say_what_is_left_out(photos: Photos, targets: Plan, quiet: bool) -> None:
    """To a person at a terminal: which images are not segmented."""
    if targets.left_out:
        note(f"left out {targets.left_out} images in the folders of the results", quiet)
    if photos.others:
        kinds = (f"{times} {end or 'without an ending'}" for end, times in photos.others.items())
        note(f"left out what is no image by its ending: {', '.join(kinds)}", quiet)


def tell_one(work: Work, as_json: bool, quiet: bool) -> None:
    """Of a photo alone.

    Raises:
        Failure: it could not be segmented, or its results not be written.
    """
    try:
        (item,) = work
    except KeyboardInterrupt as interrupt:
        work.stop()
        click.echo("\nAborted.", err=True)
        _leave(work, status_of(interrupt))
    if as_json:
        print_json(item.as_json())
    if item.error is not None:
        raise Failure(str(item.error)) from item.error
    if item.streamed is not None:
        sys.stdout.buffer.write(item.streamed)
        sys.stdout.buffer.flush()
    elif not as_json and not quiet:
        print_one(item)
    for path in item.written.values():
        note(f"wrote {path}", quiet)


def tell_many(work: Work, photos: Photos, as_json: bool, quiet: bool) -> None:
    """Of each photo when it is done, in order; at the end of all."""
    aborted = 0
    with Batch(len(photos.found), as_json, quiet) as batch:
        for name, why in photos.unreadable.items():
            batch.failed.append(f"cannot read {name!r}: {why}")
        try:
            for item in work:
                batch.add(item)
        except KeyboardInterrupt as interrupt:
            aborted = status_of(interrupt)
            for item in work.stop():
                batch.add(item)
    batch.summary(bool(aborted))
    if aborted:
        _leave(work, aborted)
    if batch.failed:
        click.get_current_context().exit(1)


def _leave(work: Work, status: int) -> NoReturn:
    """After Ctrl-C or the like, and whatever still runs."""
    if work.is_stuck:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    click.get_current_context().exit(status)
