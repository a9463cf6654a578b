"""The command `etseg`."""

from __future__ import annotations

import platform
from pathlib import Path
from time import perf_counter_ns

import click
import numpy as np

from . import _native
from ._catalogue import CATALOGUE
from ._cli_resources import cache, fetch, models
from ._errors import EtsegError
from ._module import ImageSegmentationModule
from ._results import SegmentationResult
from ._sources import read_pixels
from ._spec import ModelSpec

_EPILOG = "Exit status: 0 done, 1 the image or model could not be used, 2 wrong usage."


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(_native.__version__, prog_name="etseg")
def main() -> None:
    """Semantic image segmentation at native speed."""


@main.command(epilog=_EPILOG)
@click.argument("photo")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the photo with its labels painted over it. The background stays as it is.",
)
@click.option(
    "--mask",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the label map: a grey PNG whose values are label indices.",
)
@click.option(
    "--model",
    "model_name",
    default="selfie-segmentation",
    show_default=True,
    metavar="NAME|PATH|URL",
    help="A name that `etseg models` lists, or a .pte file, here or at a URL.",
)
@click.option(
    "--classes", default="", metavar="A,B", help="Also report the mean probability of these labels."
)
@click.option("--no-resize", is_flag=True, help="Keep the model's output size for all pictures.")
def segment(
    photo: str,
    output: Path | None,
    mask: Path | None,
    model_name: str,
    classes: str,
    no_resize: bool,
) -> None:
    """Segment PHOTO: a path, a URI or URL, or base64.

    Prints each label's share of the pixels, and how long each stage took.
    """
    # Imported here: `etseg --help` needs no OpenCV.
    from ._pictures import overlay, write_image

    if mask is not None and mask.suffix.lower() != ".png":
        raise click.BadParameter(
            f"{str(mask)!r} does not end in .png; other formats may change the label indices",
            param_hint="--mask",
        )
    wanted = [name.strip() for name in classes.split(",") if name.strip()]
    try:
        with ImageSegmentationModule() as module:
            module.load(_model(model_name))
            module.warmup()
            # Decoded once, and in full: the overlay shows all of it.
            start = perf_counter_ns()
            pixels = read_pixels(photo)
            decode_ns = perf_counter_ns() - start
            result = module.forward(
                pixels.array,
                wanted,
                resize=not no_resize,
                channel_order="bgr" if pixels.bgr else "rgb",
            )
            background = module.spec.background
        if output is not None:
            assert not isinstance(background, str)  # load() makes it an index
            write_image(output, overlay(pixels, result.argmax, background))
        if mask is not None:
            small = len(result.labels) <= 256
            write_image(mask, result.argmax.astype(np.uint8 if small else np.uint16))
    except EtsegError as error:
        raise click.ClickException(str(error)) from error
    _print_labels(result)
    _print_timings(result, decode_ns)
    for written in (output, mask):
        if written is not None:
            click.echo(f"wrote {written}")


main.add_command(models)
main.add_command(fetch)
main.add_command(cache)


@main.command()
def doctor() -> None:
    """Print what this installation runs on: for bug reports."""
    package = Path(__file__).parent
    click.echo(f"etseg      {_native.__version__}, {package}")
    click.echo(f"python     {platform.python_version()}, {platform.platform()}")
    try:
        info = _native.runtime_info()
    except EtsegError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"kernels    {info['isa']} (this CPU can run: {', '.join(info['supported_isas'])})")
    click.echo(f"threads    {_native.thread_count()}")
    click.echo(f"runtime    ExecuTorch {info['version']}, {info['operators']} operators")
    click.echo(f"backends   {', '.join(info['backends'])}")
    for library in sorted((package / "_vendor").iterdir()):
        click.echo(f"library    {library} ({library.stat().st_size / 1e6:.1f} MB)")


def _model(name: str) -> ModelSpec | str:
    if name in CATALOGUE:
        return CATALOGUE[name]
    if "/" not in name and not Path(name).exists():
        raise click.BadParameter(
            f"{name!r} is no file and no known model; known: {', '.join(CATALOGUE)}",
            param_hint="--model",
        )
    return name


def _print_labels(result: SegmentationResult) -> None:
    # Of every label, so that one that was asked for is reported where no pixel has it.
    counts = np.bincount(result.argmax.ravel(), minlength=len(result.labels) - 1)
    height, width = result.size
    click.echo(f"{width}x{height} pixels")
    rows: list[tuple[str, str, str]] = []
    for index in np.argsort(-counts, kind="stable"):
        member = result.labels(int(index))
        asked = member in result
        if counts[index] or asked:
            mean = f"{float(np.mean(result[member])):.3f}" if asked else ""
            rows.append((member.name, f"{counts[index] / result.argmax.size:7.2%}", mean))
    name_width = max(len(row[0]) for row in rows)
    asked_any = any(row[2] for row in rows)
    click.echo(f"{'label':<{name_width}}  {'pixels':>7}" + ("  mean probability" * asked_any))
    for name, share, mean in rows:
        click.echo(f"{name:<{name_width}}  {share}" + (f"  {mean:>16}" if mean else ""))


def _print_timings(result: SegmentationResult, decode_ns: int) -> None:
    timings = result.timings
    stages = {
        "decode": decode_ns,
        "preprocess": timings.preprocess,
        "inference": timings.inference,
        "postprocess": timings.postprocess,
    }
    click.echo(", ".join(f"{name} {ns / 1e6:.2f} ms" for name, ns in stages.items()))
