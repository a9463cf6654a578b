"""Which way of shrinking an image to the model's input gives the better mask?

    python benchmarks/resample_quality.py PHOTO...

For each photo, at its own size (photos that were enlarged tell nothing), with "bilinear" (two taps
an axis, whatever the reduction) and "antialias" (a triangle filter as wide as the reduction):

- agreement: the mask of one forward against a consensus, the labels most probable on average over
  many random crops of the photo. There are three consensuses: of bilinear forwards alone, of
  antialiased ones alone, of both. A resampler that is closer even to the other one's consensus is
  better in no circular sense.
- stability: masks of the photo and of the photo shifted by one pixel (eight directions). They show
  the same; what differs is jitter.

The figure is the mean intersection over union of the labels that cover 1 % of either mask.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.progress import track
from rich.table import Table

import etseg
from harness.models import CHECKOUT, SHARED, Model, models

console = Console()

RESAMPLERS = ("bilinear", "antialias")
GRID = 384  # pixels of the longer side, that masks are compared on
LARGE = 4.0  # times the model's input
Image = npt.NDArray[np.uint8]
Box = tuple[int, int, int, int]  # top, bottom, left, right
Maps = npt.NDArray[np.float32]  # label, row, column


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", nargs="*", type=Path)
    parser.add_argument("--shared", type=Path, default=SHARED)
    parser.add_argument("--crops", type=int, default=32, help="that make a consensus")
    parser.add_argument(
        "--shrink",
        type=float,
        nargs="*",
        default=[],
        metavar="FACTOR",
        help="also the photos made smaller so much, with area averaging",
    )
    parser.add_argument("--output", type=Path, default=CHECKOUT / "build/benchmarks/resample.json")
    options = parser.parse_args()
    photos = options.photos or sorted((options.shared / "images").glob("*.png"))
    known = models(options.shared)
    rows = []
    for model in (known["selfie"], known["deeplab"]):
        if not model.pte.exists():
            console.print(f"[yellow]{model.title}: skipped, there is no {model.pte}")
            continue
        for path in track(photos, model.name, console=console, transient=True):
            pixels = cv2.imread(str(path), cv2.IMREAD_COLOR)
            image = np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB), np.uint8)
            for factor in (1.0, *options.shrink):
                size = (round(image.shape[1] / factor), round(image.shape[0] / factor))
                smaller = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
                figures = _measure(model, np.asarray(smaller, np.uint8), options.crops)
                about = {"model": model.name, "photo": path.stem, "size": f"{size[0]}x{size[1]}"}
                rows.append({**about, "reduction": max(size) / model.input_size[1], **figures})
    _print(rows)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(rows, indent=1) + "\n")


def _measure(model: Model, image: Image, crops: int) -> dict[str, Any]:
    height, width = image.shape[:2]
    whole = (0, height, 0, width)
    generator = np.random.default_rng(1)
    boxes = [_random_box(generator, height, width) for _ in range(crops)]
    singles, averages, figures = {}, {}, {}
    for resample in RESAMPLERS:
        with etseg.ImageSegmentationModule() as module:
            module.load(etseg.ModelSpec(model_source=model.pte, resample=resample))
            singles[resample] = _on_grid(module, image, whole).argmax(0)
            averages[resample] = np.mean([_on_grid(module, image, box) for box in boxes], axis=0)
            figures[f"{resample} stability"] = _stability(module, image)
    averages["both"] = (averages["bilinear"] + averages["antialias"]) / 2
    for resample in RESAMPLERS:
        for consensus, average in averages.items():
            agreed = _iou(singles[resample], average.argmax(0))
            figures[f"{resample} to {consensus}"] = agreed
    return figures


def _random_box(generator: np.random.Generator, height: int, width: int) -> Box:
    top, bottom = generator.integers(0, max(2, height // 16), 2)
    left, right = generator.integers(0, max(2, width // 16), 2)
    return int(top), height - int(bottom), int(left), width - int(right)


def _stability(module: etseg.ImageSegmentationModule, image: Image) -> float:
    height, width = image.shape[:2]
    inner = (1, height - 1, 1, width - 1)
    still = _on_grid(module, image, inner).argmax(0)
    agreed = []
    for down in (-1, 0, 1):
        for right in (-1, 0, 1):
            if (down, right) != (0, 0):
                box = (1 + down, height - 1 + down, 1 + right, width - 1 + right)
                agreed.append(_iou(still, _on_grid(module, image, box).argmax(0)))
    return float(np.mean(agreed))


def _on_grid(module: etseg.ImageSegmentationModule, image: Image, box: Box) -> Maps:
    """Probabilities of what the model makes of the box, at fixed points of the whole photo."""
    top, bottom, left, right = box
    labels = [label for label in module.labels if label.name != "ARGMAX"]
    result = module.forward(image[top:bottom, left:right], labels)
    rows, columns = module.output_size
    height, width = image.shape[:2]
    scale = GRID / max(height, width)
    y = (np.arange(round(height * scale)) + 0.5) / scale
    x = (np.arange(round(width * scale)) + 0.5) / scale
    source_y = (y - top) * rows / (bottom - top) - 0.5
    source_x = (x - left) * columns / (right - left) - 0.5
    map_x, map_y = np.meshgrid(source_x.astype(np.float32), source_y.astype(np.float32))
    maps = [
        cv2.remap(result[label], map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        for label in labels
    ]
    return np.asarray(maps, np.float32)


def _iou(one: npt.NDArray[Any], other: npt.NDArray[Any]) -> float:
    ratios = []
    for label in np.union1d(one, other):
        first, second = one == label, other == label
        if max(first.mean(), second.mean()) >= 0.01:
            ratios.append((first & second).sum() / (first | second).sum())
    return float(np.mean(ratios))


def _print(rows: list[dict[str, Any]]) -> None:
    columns = [key for key in rows[0] if " " in key]
    for model in dict.fromkeys(row["model"] for row in rows):
        mine = [row for row in rows if row["model"] == model]
        large = [row for row in mine if row["reduction"] >= LARGE]
        table = Table(title=f"{model}: mean IoU", title_justify="left")
        for column in ("photo", "size", "reduction", *columns):
            table.add_column(column, justify="left" if column == "photo" else "right")
        for row in mine:
            table.add_row(
                row["photo"], row["size"], f"{row['reduction']:.1f}", *_figures([row], columns)
            )
        table.add_section()
        table.add_row(f"mean of {len(mine)}", "", "", *_figures(mine, columns))
        table.add_row(f"of {len(large)} large", "", f">= {LARGE:g}", *_figures(large, columns))
        console.print(table)
        for column in (column for column in columns if column.startswith("bilinear")):
            other = column.replace("bilinear", "antialias", 1)
            wins = sum(row[other] > row[column] for row in large)
            console.print(f"{column.split(' ', 1)[1]}: antialias better on {wins} of {len(large)}")


def _figures(rows: list[dict[str, Any]], columns: list[str]) -> list[str]:
    return [f"{np.mean([row[column] for row in rows]):.4f}" if rows else "" for column in columns]


if __name__ == "__main__":
    main()
