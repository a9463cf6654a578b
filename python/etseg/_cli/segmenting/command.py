"""`etseg segment`: one photo, or many."""

from __future__ import annotations

from pathlib import Path

import click
from click.core import ParameterSource

from etseg._cli.arguments import Command
from etseg._cli.common import complete_model, json_option, model_of
from etseg._cli.values import three_numbers
from etseg._results.choices import Foreground
from etseg._threads import set_num_threads

from .inputs import collect, path_of
from .model import described, loaded
from .outputs import plan
from .telling import say_what_is_left_out, tell_many, tell_one

_EPILOG = """\
\b
Examples:
  etseg segment me.jpg -o painted.png
  etseg segment photos -r -o painted/ --mask masks/
  etseg segment me.jpg --cutout me-on-white.jpg --background white
  curl URL | etseg segment - -o - > painted.png
  etseg segment 'photos/**/*.jpg' --json > shares.jsonl

- is stdin among the photos, and stdout as the place of one result.

Folders give the image files in them that are not hidden; so do patterns in
quotes, where ** is any number of folders. In the folders of the results the
photos' own folders are kept. a.jpg becomes a.png (in --output it stays a .jpg);
where two photos would become the same file, both keep their ending: a.jpg.png,
a.bmp.png. Earlier results are written over; a photo, the model, another result
of the same run, or an image that etseg has not written never is, whatever links
lead to it: that is wrong usage, and nothing is done. Files are written whole or
not at all.

\b
Fields of --json:
  schema      1
  image       as it was given, or found
  error       null, or {type, code, message}; then the rest is missing
  model       its name, or file
  width, height   of the photo as a person sees it, in pixels
  map_width, map_height   of --mask and --npz
  labels      a list, largest first: {label, index, pixels, share,
              mean_probability (of --classes, else null),
              box: [x0, y0, x1, y1], half-open, or null,
              rle: {size, counts}, as COCO's tools read it, or null}
  timings_ms  {decode, preprocess, inference, postprocess, total}
  written     paths: {overlay, cutout, mask, arrays}, those asked for

\b
Exit status: 0 all done; 1 a photo or the model could not be used, the other
photos are done all the same; 2 wrong usage; 130 ended by Ctrl-C, 143 by
SIGTERM, 129 by SIGHUP: no file is left half-written.
"""


@click.command(cls=Command, epilog=_EPILOG)
@click.argument(
    "photos",
    metavar="PHOTO|FOLDER|PATTERN|URL...",
    type=click.Path(readable=False),  # completes names of files in the shell; anything goes
    nargs=-1,
    required=True,
)
@click.option(
    "-o",
    "--output",
    type=click.Path(readable=False),
    metavar="FILE|FOLDER",
    help="Write the photo with its labels painted over it. The background stays as it is.",
)
@click.option(
    "--mask",
    type=click.Path(readable=False),
    metavar="FILE|FOLDER",
    help="Write the label map: a PNG with a palette, whose values are label indices (16 bits "
    "of grey for more than 256 labels).",
)
@click.option(
    "--mask-of",
    metavar="LABEL",
    help="In --mask, 255 where this label is, and 0 elsewhere, instead of label indices.",
)
@click.option(
    "--cutout",
    type=click.Path(readable=False),
    metavar="FILE|FOLDER",
    help="Write the photo with nothing but --classes, or all but the background; transparent "
    "elsewhere.",
)
@click.option(
    "--background",
    metavar="COLOUR|IMAGE|blur",
    help="Put this behind what is cut out: a name or #rrggbb, a picture, or the photo out of "
    "focus.",
)
@click.option(
    "--foreground",
    type=click.Choice(["estimate", "image"]),
    default="estimate",
    show_default=True,
    help="Colours at the soft edges of what is cut out: of the foreground alone, estimated, so "
    "that no halo of the old background shows; or those of the photo.",
)
@click.option(
    "--haze",
    type=click.FloatRange(0, 0.45),
    default=0.1,
    show_default=True,
    help="Up to this probability nothing of the cutout shows, and from 1 less it on all does. 0 is "
    "for models that tell opacities.",
)
@click.option(
    "--npz",
    type=click.Path(readable=False),
    metavar="FILE|FOLDER",
    help="Write the label map and the probabilities of --classes for numpy.load.",
)
@click.option("-r", "--recursive", is_flag=True, help="Look into the folders below FOLDER, too.")
@click.option(
    "--model",
    "model_name",
    default="selfie-segmentation",
    show_default=True,
    metavar="NAME|PATH|URL",
    shell_complete=complete_model,
    help="A name that `etseg models` lists, or a .pte file, here or at a URL.",
)
@click.option(
    "--labels",
    metavar="A,B,C|FILE",
    help="Names of the model's channels, in their order; or a file with one a line.",
)
@click.option(
    "--mean",
    metavar="R,G,B",
    help="Subtracted from the photo, in units of 0..1.  [default: as the model says]",
)
@click.option(
    "--std", metavar="R,G,B", help="The photo is divided by it after that.  [default: likewise]"
)
@click.option(
    "--classes",
    default="",
    metavar="A,B",
    help="Paint, write and list these labels alone, with their mean probabilities. In --mask, "
    "all else is the background, or 255 where the model has none.",
)
@click.option(
    "--palette",
    default="bright",
    show_default=True,
    metavar="NAME|A=RED,B=BLUE",
    help="Colours: bright, voc, colorblind, or of labels by name, which paints those alone.",
)
@click.option(
    "--alpha",
    type=click.FloatRange(0, 1),
    default=0.5,
    show_default=True,
    help="How much of the colour is in the paint.",
)
@click.option("--legend", is_flag=True, help="Write the names of the labels on the picture.")
@click.option(
    "--no-resize", is_flag=True, help="Keep the model's output size for --mask and --npz."
)
@click.option(
    "--concurrency",
    type=click.IntRange(min=1),
    metavar="N",
    help="How many photos run at a time, each on one thread and with a copy of the model's "
    "weights; 1: one, on all threads.  [default: as many as threads for many photos, if the "
    "copies take less than 1 GB; else 1]",
)
@click.option(
    "--threads",
    type=click.IntRange(min=1),
    metavar="N",
    help="Threads that models run on.  [default: one for each core]",
)
@json_option("what is known of each photo, one a line,")
@click.option("-q", "--quiet", is_flag=True, help="Print errors only, and --json.")
def segment(
    photos: tuple[str, ...],
    output: str | None,
    mask: str | None,
    mask_of: str | None,
    cutout: str | None,
    background: str | None,
    foreground: Foreground,
    haze: float,
    npz: str | None,
    recursive: bool,
    model_name: str,
    labels: str | None,
    mean: str | None,
    std: str | None,
    classes: str,
    palette: str,
    alpha: float,
    legend: bool,
    no_resize: bool,
    concurrency: int | None,
    threads: int | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Segment photos: files, folders, patterns, URLs.

    Prints each label's share of the pixels; of a single photo also how long each stage took.
    """
    _fit_together()
    found = collect(photos, recursive)
    model = model_of(model_name, "--model")
    normalisation = three_numbers("mean", mean), three_numbers("std", std)
    read = [str(path) for name in (model, background, labels) if (path := _file(name)) is not None]
    cut = "cutout" if background is None else "composed"
    targets = plan(found, {"overlay": output, cut: cutout, "mask": mask, "arrays": npz}, read)
    if as_json and targets.stdout is not None:
        raise click.UsageError("--json is written to stdout, as a result is with -; choose one")
    say_what_is_left_out(found, targets, quiet)
    # Imported here: `etseg --help` needs no OpenCV.
    from .wishes import backdrop_of, wishes_of
    from .work import Work

    if threads is not None:
        set_num_threads(threads)
    backdrop = backdrop_of(background)
    model = described(model, labels, *normalisation)
    module = loaded(model, model_name, concurrency, len(found.found), quiet)
    wishes = wishes_of(
        module,
        [name.strip() for name in classes.split(",") if name.strip()],
        palette,
        alpha=alpha,
        legend=legend,
        mask_of=mask_of,
        backdrop=backdrop,
        foreground=foreground,
        haze=haze,
        cuts=cutout is not None,
        resize=not no_resize,
        in_full=as_json,
    )
    with Work(module, model_name, found.found, wishes, targets) as work:
        if found.many:
            tell_many(work, found, as_json, quiet)
        else:
            tell_one(work, as_json, quiet)


#: Options that say how something is written, and those that say where, which they need.
_NEEDED = {
    "mask_of": "mask",
    "background": "cutout",
    "foreground": "cutout",
    "haze": "cutout",
    "alpha": "output",
    "legend": "output",
}


def _fit_together() -> None:
    """None is given that would change nothing."""
    context = click.get_current_context()
    for how, where in _NEEDED.items():
        given = context.get_parameter_source(how) is ParameterSource.COMMANDLINE
        if given and context.params[where] is None:
            name = how.replace("_", "-")
            raise click.UsageError(f"--{name} needs --{where}, which says where to write")


def _file(source: object) -> Path | None:
    """The file here that a model or background is, if it is one."""
    return path_of(source) if isinstance(source, str) else None
