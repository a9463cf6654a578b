"""What exports of networks are like: sizes, agreement and times, as a table in Markdown.

    python benchmarks/export.py [NAME ...] [--again] [--times] [--write]
    python benchmarks/export.py NAME ... --onnxruntime

In an environment with the extra "export", torchvision, transformers and
segmentation_models_pytorch. Each row's program and report are kept in build/benchmarks/export, and
a row that is there is not made again: what was interrupted goes on where it was. Times want a
machine that does nothing else; --times measures them anew, of the programs that are there, in some
seconds a row. --onnxruntime runs each program beside the same network in onnxruntime, both on one
thread, and prints the CPU time of either (with onnx and onnxruntime installed).

The real DeepLab's weights are read from the models beside the checkout. The other networks have
random ones, whose labels say nothing: they are there for sizes and times.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

from etseg.export import ExportError, export
from etseg.export._verification.compare import measure
from etseg.export._verification.photos import packaged_photos
from harness.exported import NETWORKS, Network
from harness.models import BUILD, CHECKOUT, SHARED

PHOTOS = SHARED / "images"
PROGRAMS = BUILD / "export"
PAGE = CHECKOUT / "docs" / "export.md"
FORMS: dict[str, dict[str, Any]] = {
    "whole": {"low_stride": False, "photos": PHOTOS, "least_agreement": 0},
    "cut": {"low_stride": True, "photos": PHOTOS, "least_agreement": 0},
    # The last is kept back: DeepLab sees a cat on most of it, and nothing at all in the coffee.
    "int8": {
        "low_stride": True,
        "quantize": "int8",
        "calibration": [PHOTOS / f"{name}.png" for name in ("astronaut", "coffee", "chelsea")],
    },
}

HEAD = """\
| network | form | output | file MB | plan MB | delegated | labels equal | load ms | forward ms |
|---|---|---|---|---|---|---|---|---|"""
BEGIN, END = "<!-- begin: python benchmarks/export.py --write -->", "<!-- end -->"


def make(name: str, form: str, network: Network) -> dict[str, Any]:
    """A program, exported and kept; what is known of it."""
    options: dict[str, Any] = dict(FORMS[form])
    if not network.saved:
        options["activation"] = "softmax"
    if not network.trained:
        options.pop("photos", None)  # the package's three do for what has no labels to compare
    with tempfile.TemporaryDirectory() as folder:
        try:
            report = export(
                network.source(Path(folder)),
                PROGRAMS / f"{name}-{form}.pte",
                size=network.size,
                **options,
            )
        except ExportError as error:
            return {"refused": str(error).splitlines()[0]}
    found: dict[str, Any] = json.loads(report.as_json())
    return found


def kept(name: str, form: str, again: bool, times: bool) -> dict[str, Any]:
    """The row as it is kept, or made now."""
    record, program = PROGRAMS / f"{name}-{form}.json", PROGRAMS / f"{name}-{form}.pte"
    if again or not record.exists():
        found = make(name, form, NETWORKS[name])
        record.write_text(json.dumps(found))
        return found
    found = json.loads(record.read_text())
    if times and "refused" not in found:
        (measured,) = measure([program], packaged_photos()[0])
        found |= {"load_ms": measured.load_ms, "forward_ms": measured.forward_ms}
        record.write_text(json.dumps(found))
    return found


def row(name: str, form: str, found: dict[str, Any]) -> str:
    """A line of the table. Of random weights the labels are left out."""
    if "refused" in found:
        return f"| {name} | {form} | refused: {found['refused']} | | | | | | |"
    photos = ", ".join(f"{one['agreement']:.2%}" for one in found["photos"][:-1])
    inside = f", {len(found['float_layers'])} of {found['layers']} in float"
    rows, columns = found["output_size"]
    return (
        f"| {name} | {form}{inside if found['quantized'] else ''} "
        f"| {found['channels']}x{rows}x{columns} | {found['file_bytes'] / 1e6:.2f} "
        f"| {found['plan_bytes'] / 1e6:.2f} | {found['share_delegated']:.0%} in "
        f"{found['partitions']} | {photos if NETWORKS[name].trained else '(random)'} "
        f"| {found['load_ms']:.1f} | {found['forward_ms']:.2f} |"
    )


def against_onnxruntime(name: str, form: str) -> str:
    """A line of text: the CPU time of a forward, of the row's program and of onnxruntime."""
    from harness.onnx_peer import beside

    network = NETWORKS[name]
    with tempfile.TemporaryDirectory() as folder:
        program = PROGRAMS / f"{name}-{form}.pte"
        found = beside(network.seeded(), network.size, program, Path(folder))
    return (
        f"{name} {form}: {found.etseg:.1f} ms of CPU, onnxruntime {found.onnxruntime:.1f} ms; "
        f"ratio {found.etseg / found.onnxruntime:.2f}"
    )


def write(table: list[str]) -> None:
    """Puts the table into the page, in the place of the one that is there."""
    text = PAGE.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        sys.exit(f"{PAGE} has no lines {BEGIN!r} and {END!r}, between which the table belongs")
    body = "\n".join([HEAD, *table])
    PAGE.write_text(f"{before}{BEGIN}\n\n{body}\n\n{END}{after}", encoding="utf-8")


def main() -> None:
    """Every row that was named, or all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help=", ".join(NETWORKS))
    parser.add_argument("--again", action="store_true", help="make rows that are there, too")
    parser.add_argument("--times", action="store_true", help="measure rows that are there anew")
    parser.add_argument("--write", action="store_true", help=f"put the table into {PAGE.name}")
    parser.add_argument(
        "--onnxruntime", action="store_true", help="run each beside it, on one thread"
    )
    options = parser.parse_args()
    unknown = set(options.names) - set(NETWORKS)
    if unknown:
        parser.error(f"no network is called {', '.join(sorted(unknown))}")
    if options.write and options.names:
        parser.error("--write puts the whole table into the page; leave the names out")
    if options.write and options.onnxruntime:
        parser.error("--onnxruntime takes all threads but one away; it does not go with --write")
    PROGRAMS.mkdir(parents=True, exist_ok=True)
    warnings.simplefilter("ignore")  # of the exporters, about themselves
    print(HEAD, flush=True)
    table = []
    for name in options.names or NETWORKS:
        for form in NETWORKS[name].forms:
            found = kept(name, form, options.again, options.times)
            table.append(row(name, form, found))
            print(table[-1], flush=True)
            if options.onnxruntime and "refused" not in found:
                print(against_onnxruntime(name, form), flush=True)
    if options.write:
        write(table)


if __name__ == "__main__":
    main()
