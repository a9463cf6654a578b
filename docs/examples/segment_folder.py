"""Segments every picture of a folder: a mask for each, and a table of what is in them.

    python segment_folder.py photos masks
    python segment_folder.py photos masks --model lraspp-mobilenet-v3-large

Writes masks/NAME.png for each NAME, such as masks/cat.jpg.png: label indices with a palette, of the
picture's size; and masks/areas.csv, with a line for each label in each picture. A picture that
cannot be read is reported and left out; the exit status is then 1.
"""

import argparse
import csv
import os
import sys
from pathlib import Path

import etseg

ENDINGS = {".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"}


def segment(module, paths, output):
    """Writes a mask for each path; yields (path, its result or the error), in their order."""
    # Neighbouring pictures are read and segmented at the same time, but come in order, and never
    # are more than a few in memory.
    with module.map(paths, resize=True, on_error="yield") as results:
        for path, result in zip(paths, results, strict=True):
            if not isinstance(result, etseg.EtsegError):
                result.save(output / f"{path.name}.png")
            yield path, result


def report(paths, results, table):
    """Puts a picture's areas into the table, its error on stderr. Returns how many errors."""
    failed = 0
    for number, (path, result) in enumerate(results, start=1):
        if isinstance(result, etseg.EtsegError):
            failed += 1
            print(f"{path}: {result}", file=sys.stderr)
        else:
            for label, area in result.areas().items():
                if area.pixels:
                    table.writerow([path.name, label.name, area.pixels, f"{area.share:.4f}"])
        if sys.stderr.isatty():
            end = "\n" if number == len(paths) else "\r"
            print(f"{number} of {len(paths)}", end=end, file=sys.stderr, flush=True)
    return failed


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("output", type=Path, help="another folder, made if it is not there")
    parser.add_argument("--model", default="selfie-segmentation", help="see `etseg models`")
    args = parser.parse_args()
    try:
        paths = sorted(path for path in args.folder.iterdir() if path.suffix.lower() in ENDINGS)
        args.output.mkdir(parents=True, exist_ok=True)
        if args.output.samefile(args.folder):
            parser.error("the masks need a folder of their own")
        # As many at a time as there are cores: the most pictures a second.
        module = etseg.ImageSegmentationModule.from_model_name(
            args.model, concurrency=os.cpu_count() or 1, argmax_dtype="uint8"
        )
        target = args.output / "areas.csv"
        with module, target.open("w", newline="", encoding="utf-8") as file:
            table = csv.writer(file)
            table.writerow(["file", "label", "pixels", "share"])
            failed = report(paths, segment(module, paths, args.output), table)
    except (OSError, etseg.EtsegError) as error:
        sys.exit(f"{parser.prog}: {error}")
    print(f"{len(paths) - failed} of {len(paths)} pictures segmented, into {args.output}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
