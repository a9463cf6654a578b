"""`etseg segment`: one photo, or many."""

from __future__ import annotations

import click

from etseg._threads import set_num_threads

from .common import complete_model, json_option, reported
from .inputs import collect, path_of
from .model import loaded, model_of
from .outputs import plan
from .telling import say_what_is_left_out, tell_many, tell_one

_EPILOG = """\
\b
Examples:
  etseg segment me.jpg -o painted.png
  etseg segment photos -r -o painted/ --mask masks/
  etseg segment 'photos/**/*.jpg' --json > shares.jsonl

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
  image       as it was given, or found
  error       null, or {type, code, message}; then the rest is missing
  model       its name, or file
  width, height   of the photo as a person sees it, in pixels
  labels      a list, largest first: {label, index, pixels, share,
              mean_probability (of --classes, else null)}
  timings_ms  {decode, preprocess, inference, postprocess, total}
  written     paths: {overlay, mask, arrays}, those that were asked for

\b
Exit status: 0 all done; 1 a photo or the model could not be used, the other
photos are done all the same; 2 wrong usage; 130 ended by Ctrl-C, 143 by
SIGTERM, 129 by SIGHUP: no file is left half-written.
"""


@click.command(epilog=_EPILOG)
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
    "--classes",
    default="",
    metavar="A,B",
    help="Also report the mean probability of these labels.",
)
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
    npz: str | None,
    recursive: bool,
    model_name: str,
    classes: str,
    no_resize: bool,
    concurrency: int | None,
    threads: int | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Segment photos: files, folders, patterns, URLs.

    Prints each label's share of the pixels; of a single photo also how long each stage took.
    """
    found = collect(photos, recursive)
    model = model_of(model_name)
    own = [str(path)] if isinstance(model, str) and (path := path_of(model)) else []
    targets = plan(found, {"overlay": output, "mask": mask, "arrays": npz}, own)
    say_what_is_left_out(found, targets, quiet)
    wanted = [name.strip() for name in classes.split(",") if name.strip()]
    # Imported here: `etseg --help` needs no OpenCV.
    from .work import Work

    with reported():
        if threads is not None:
            set_num_threads(threads)
        module = loaded(model, model_name, concurrency, len(found.found), quiet)
        work = Work(module, model_name, found.found, wanted, not no_resize, targets)
    with work:
        if found.many:
            tell_many(work, found, as_json, quiet)
        else:
            tell_one(work, as_json, quiet)
