"""`etseg serve`: the web service of etseg.serve, which is imported when it is run."""

from __future__ import annotations

from typing import Literal

import click

from etseg._model.catalogue import CATALOGUE

from .arguments import Command
from .common import Failure, complete_model
from .ending import status_of

_EPILOG = """\
Needs pip install "etseg[serve]". SIGTERM and Ctrl-C end it when what runs is done;
SIGHUP loads the models anew without losing a request.

\b
Examples:
  etseg serve
  etseg serve --model selfie-segmentation --model deeplab.pte --port 8080
  curl --data-binary @photo.jpg http://127.0.0.1:8000/v1/segment
"""


@click.command(cls=Command, epilog=_EPILOG)
@click.option(
    "--model",
    "models",
    multiple=True,
    metavar="NAME|FILE|URL",
    shell_complete=complete_model,
    help="A name of the catalogue, a .pte file, or the URL of one; may be given several times, and "
    "the first is the default.  [default: selfie-segmentation]",
)
@click.option("--host", default="127.0.0.1", show_default=True, metavar="ADDRESS",
              help="To listen on; 0.0.0.0 for all there are.")  # fmt: skip
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True,
              metavar="N", help="0 for any that is free.")  # fmt: skip
@click.option("--workers", type=click.IntRange(1, 64), default=1, show_default=True, metavar="N",
              help="Processes; each has its share of the cores.")  # fmt: skip
@click.option("--max-waiting", type=click.IntRange(0), default=64, show_default=True, metavar="N",
              help="Requests that may wait; the next get 503.")  # fmt: skip
@click.option("--deadline", type=click.FloatRange(0, min_open=True), default=10.0,
              show_default=True, metavar="S", help="Seconds that one may wait.")  # fmt: skip
@click.option("--max-pixels", type=click.IntRange(1), default=50_000_000, show_default=True,
              metavar="N", help="Of an image.")  # fmt: skip
@click.option("--max-body-bytes", type=click.IntRange(1), default=32 << 20, show_default=True,
              metavar="N", help="Of a request.")  # fmt: skip
@click.option("--body-seconds", type=click.FloatRange(0, min_open=True), default=30.0,
              show_default=True, metavar="S", help="In which a body has to arrive.")  # fmt: skip
@click.option("--packed-weights", type=click.Choice(["memory", "file"]), metavar="memory|file",
              help="Where weights lie: in each instance's memory, or in a file of the cache "
              "directory, once for all of them and all workers.  "
              "[default: file for several workers]")  # fmt: skip
@click.option("--allow-urls", is_flag=True, help="Take images by URL, from public addresses.")
def serve(
    models: tuple[str, ...],
    host: str,
    port: int,
    workers: int,
    max_waiting: int,
    deadline: float,
    max_pixels: int,
    max_body_bytes: int,
    body_seconds: float,
    packed_weights: Literal["memory", "file"] | None,
    allow_urls: bool,
) -> None:
    """Segment what is posted over HTTP."""
    try:
        from etseg.serve._server import run
        from etseg.serve._settings import Settings
    except ImportError as error:
        raise Failure(
            f'this needs {error.name}, which is not installed; pip install "etseg[serve]"'
        ) from error
    from etseg._threads import get_num_threads

    settings = Settings(
        models=[CATALOGUE.get(name, name) for name in models or ("selfie-segmentation",)],
        concurrency=max(1, get_num_threads() // workers),
        max_waiting=max_waiting,
        deadline=deadline,
        max_pixels=max_pixels,
        max_body_bytes=max_body_bytes,
        body_seconds=body_seconds,
        packed_weights=packed_weights or ("file" if workers > 1 else None),
        allow_urls=allow_urls,
    )
    try:
        run(settings, host, port, workers)
    except KeyboardInterrupt as interrupt:
        # As asked, when what ran was done. Without a word: nobody may read stderr any more, and
        # a full pipe would keep the process.
        click.get_current_context().exit(status_of(interrupt))
