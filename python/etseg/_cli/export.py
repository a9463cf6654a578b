"""`etseg export`: thin over etseg.export, which it imports when it is run."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from time import monotonic
from typing import Any

import click

from .arguments import Command
from .common import Failure, can_draw, json_option
from .guard import keep_apart, what_is_read
from .values import names_of_labels, three_numbers

_EPILOG = """\
\b
NETWORK is one of
  FILE.py:FUNCTION        a function in a file that returns a torch.nn.Module
  MODULE:FUNCTION         likewise, in an installed module
  torchvision:NAME        a segmentation network of torchvision
  hf:NAME | hf:FOLDER     a segmentation network of transformers
  smp:ARCHITECTURE/ENCODER | smp:FOLDER     of segmentation_models_pytorch
  FILE.pt2                what torch.export.save wrote
  FILE.onnx | FILE.tflite     a network in another format

\b
Examples:
  etseg export torchvision:lraspp_mobilenet_v3_large -o lraspp.pte
  etseg export hf:nvidia/segformer-b0-finetuned-ade-512-512 -o segformer.pte
  etseg export net.py:build --weights net.pt --size 512x512 -o net.pte \\
      --labels labels.txt --mean 0.485,0.456,0.406 --std 0.229,0.224,0.225
  etseg export hf:my-segformer/ --int8 --calibrate photos/ -o int8.pte

\b
The file appears only if the program, run by etseg on the photos, agrees with
the network. Needs pip install "etseg[export]" here, not where the file runs.

\b
Exit status: 0 done; 1 the network cannot be exported, or does not agree: no
file was written; 2 wrong usage; 130 ended by Ctrl-C.
"""


@click.command(cls=Command, epilog=_EPILOG)
@click.argument("network")
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(),
    metavar="FILE.pte",
    help="The file to write.",
)
@click.option(
    "--weights",
    metavar="FILE|NAME",
    help="The network's state, by torch.save or safetensors; torchvision's name of "
    "published weights; or random, for measurements.  [default: the source's own]",
)
@click.option(
    "--size",
    metavar="HxW",
    help="Of the network's input, such as 512x512.  [default: what it was made for]",
)
@click.option(
    "--input-format",
    type=click.Choice(["float32-nchw", "float32-nhwc", "uint8-nchw", "uint8-nhwc"]),
    default="float32-nchw",
    show_default=True,
    help="What the network takes; uint8 where it normalises pixels of 0..255 itself.",
)
@click.option(
    "--takes",
    type=click.Choice(["float32-nchw", "float32-nhwc", "uint8-nchw", "uint8-nhwc"]),
    help="What the file's program shall take: of uint8 it normalises pixels itself, by --mean and "
    "--std.  [default: what the network takes]",
)
@click.option(
    "--returns",
    type=click.Choice(["scores", "labels-uint8", "labels-int32"]),
    default="scores",
    show_default=True,
    help="Scores of each label, or the label of each pixel, of which no probability can be had.",
)
@click.option(
    "--labels",
    metavar="FILE|A,B,C",
    help="Names in the order of the channels: a file with one a line, or the names.",
)
@click.option("--mean", metavar="R,G,B", help="Subtracted from the image, in units of 0..1.")
@click.option("--std", metavar="R,G,B", help="The image is divided by it after that.")
@click.option(
    "--activation",
    type=click.Choice(["softmax", "sigmoid", "normalise", "none"]),
    help="What makes probabilities of the output.",
)
@click.option("--background", metavar="LABEL", help="The label that pictures leave unpainted.")
@click.option(
    "--resample",
    type=click.Choice(["antialias", "bilinear"]),
    help="How images are brought to the input's size.",
)
@click.option("--name", help="What the model is called.")
@click.option("--licence", help="What the weights may be used under.")
@click.option("--origin", help="Where the weights come from.")
@click.option(
    "--cut/--keep-upsampling",
    "low_stride",
    default=None,
    help="Leave an upsampling at the network's end to etseg, or keep it.  [default: "
    "leave it, if 99.5 % of the photos' pixels keep their label]",
)
@click.option(
    "--backend",
    type=click.Choice(["xnnpack", "openvino", "auto"]),
    default="xnnpack",
    show_default=True,
    help="What runs the network. openvino needs etseg[export-openvino] here, and etseg[openvino] "
    "where the file runs. auto makes both, and keeps the faster on this machine.",
)
@click.option(
    "--int8",
    "quantize",
    flag_value="int8",
    help="Weights and activations in int8, a quarter of the size. Layers that lose most stay in "
    "float. Needs --calibrate.",
)
@click.option(
    "--calibrate",
    "calibration",
    type=click.Path(exists=True, file_okay=False),
    metavar="FOLDER",
    help="Photos such as the network is for; some twenty are enough. A part of them is kept back "
    "for the comparison.",
)
@click.option(
    "--photos",
    type=click.Path(exists=True),
    metavar="FOLDER|FILE",
    help="Photos to compare on.  [default: those kept back, or three of the package's]",
)
@click.option(
    "--least-agreement",
    type=click.FloatRange(0, 1),
    metavar="SHARE",
    help="Of the photos' pixels that must keep their label.  [default: 0.995; 0.97 for --int8]",
)
@json_option("what was made and measured")
@click.option("-q", "--quiet", is_flag=True, help="Print errors only, and --json.")
def export(network: str, output: str, as_json: bool, quiet: bool, **options: Any) -> None:
    """Make one file of a network in torch, for etseg to run."""
    _keep_what_is_read(network, output, options)
    options["size"] = _size(options["size"])
    for numbers in ("mean", "std"):
        options[numbers] = three_numbers(numbers, options[numbers])
    options["labels"] = names_of_labels(options["labels"])
    from etseg.export import export as run

    try:
        report = run(network, output, on_progress=_progress(quiet or as_json), **options)
    except ImportError as error:
        raise Failure(str(error)) from error
    if as_json:
        click.echo(report.as_json())
    elif not quiet:
        click.echo(report.table())


def _keep_what_is_read(network: str, output: str, options: Mapping[str, Any]) -> None:
    """The output takes the place of no file that is read.

    Raises:
        click.UsageError: it would.
    """
    given = [value for value in options.values() if isinstance(value, str)]
    folders = [Path(value) for value in given if os.path.isdir(value)]  # noqa: PTH112  # any length
    inner = [file for folder in folders for file in folder.iterdir()]
    read: list[str | Path] = [network, network.rpartition(":")[0], *given, *inner]
    keep_apart(what_is_read((path, str(path)) for path in read), {"--output": [Path(output)]})


def _size(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    try:
        height, width = (int(side) for side in text.lower().split("x"))
    except ValueError:
        raise click.BadParameter(
            f"{text!r} is no size; expected HEIGHTxWIDTH, such as 512x512", param_hint="--size"
        ) from None
    return height, width


def _progress(quiet: bool) -> Any:
    """Each stage on a line of its own, with the seconds it began at; for a person at a terminal."""
    start = monotonic()

    def say(stage: str) -> None:
        if not quiet and can_draw():
            click.echo(f"{monotonic() - start:6.1f} s  {stage}", file=sys.stderr)

    return say
