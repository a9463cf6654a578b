"""Pictures and figures that the documentation makes when it is built.

Directives, for ``{eval-rst}`` blocks:

- ``selfie-pictures``: what the picture methods of a result make of the tests' photograph;
- ``replaced-backgrounds``: what ``examples/replace_background.py`` makes of it;
- ``timings``: rows of the benchmarks' results. Each line of its content is ``what it is | key``,
  the key being model, size, source, resize, classes and peer as in ``benchmarks/results.json``;
- ``throughput``: what ``benchmarks/throughput.py`` has written there, if it has been run.
"""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

import etseg

ROOT = Path(__file__).parents[2]
REPLACE = ROOT / "docs" / "examples" / "replace_background.py"
PHOTO = ROOT / "tests" / "data" / "astronaut.jpg"
RESULTS = ROOT / "benchmarks" / "results.json"

SIDE = 240


class SelfiePictures(SphinxDirective):
    def run(self) -> list[nodes.Node]:
        self.env.note_dependency(str(PHOTO))
        with etseg.ImageSegmentationModule() as module:
            module.load(etseg.SELFIE_SEGMENTATION)
            result = module.forward(PHOTO, ["SELFIE"], resize=True)
        outlined = cv2.cvtColor(cv2.imread(str(PHOTO)), cv2.COLOR_BGR2RGB)
        for contour in result.contours("SELFIE", simplify=2.0):
            lines = [points.astype(np.int32) for points in (contour.exterior, *contour.holes)]
            cv2.polylines(outlined, lines, True, (255, 255, 255), 3)
        pictures = {
            "overlay()": result.overlay(),
            "colorize()": result.colorize(),
            "cutout('SELFIE')": result.cutout("SELFIE"),
            "contours('SELFIE')": outlined,
        }
        return [_row_of(pictures)]


class ReplacedBackgrounds(SphinxDirective):
    def run(self) -> list[nodes.Node]:
        for path in (PHOTO, REPLACE):
            self.env.note_dependency(str(path))
        pictures = {}
        with TemporaryDirectory() as folder:
            output = Path(folder, "output.png")
            for background in ("blur", "#3060c0", "#000000", "#ffffff"):
                subprocess.run(
                    [sys.executable, REPLACE, PHOTO, background, "-o", output], check=True
                )
                pictures[background] = cv2.cvtColor(cv2.imread(str(output)), cv2.COLOR_BGR2RGB)
        return [_row_of(pictures)]


def _row_of(pictures: dict[str, npt.NDArray[np.uint8]]) -> nodes.Node:
    row = nodes.container(classes=["pictures"])
    for name, picture in pictures.items():
        image = nodes.image(uri=_data_uri(picture), alt=f"The photograph: {name}")
        row += nodes.container("", image, nodes.literal(name, name))
    return row


def _data_uri(picture: npt.NDArray[np.uint8]) -> str:
    small = cv2.resize(picture, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    code = cv2.COLOR_RGB2BGR if small.shape[2] == 3 else cv2.COLOR_RGBA2BGRA
    _, encoded = cv2.imencode(".webp", cv2.cvtColor(small, code), [cv2.IMWRITE_WEBP_QUALITY, 85])
    return "data:image/webp;base64," + base64.b64encode(encoded.tobytes()).decode()


class Timings(SphinxDirective):
    has_content = True

    def run(self) -> list[nodes.Node]:
        self.env.note_dependency(str(RESULTS))
        results = json.loads(RESULTS.read_text("utf-8"))
        lines = [".. list-table::", "   :header-rows: 1", ""]
        head = ("", "decode", "preprocess", "inference", "postprocess", "**total**, ms")
        lines += [f"   {'* -' if i == 0 else '  -'} {cell}" for i, cell in enumerate(head)]
        for line in self.content:
            what, _, key = line.partition("|")
            row = self._row(results["times"], key.split())
            cells = [what.strip(), *(_milliseconds(row[stage]["median"]) for stage in head[1:5])]
            cells.append(f"**{_milliseconds(row['total']['median'])}**")
            lines += [f"   {'* -' if i == 0 else '  -'} {cell}" for i, cell in enumerate(cells)]
        machine = results["machine"]
        lines += [
            "",
            f"Medians; {machine['cpu']}, 2 threads, {machine['date'][:10]}; "
            "``python benchmarks/compare.py``.",
        ]
        container = nodes.container()
        self.state.nested_parse(StringList(lines, self.name), 0, container)
        return container.children

    def _row(self, times: list[dict[str, Any]], key: list[str]) -> dict[str, Any]:
        fields = ("model", "size", "source", "resize", "classes", "peer")
        for row in times:
            if [str(row[field]).lower() for field in fields] == key and row["threads"] == 2:
                return row
        raise self.error(f"benchmarks/results.json has no row {key}")


class Throughput(SphinxDirective):
    def run(self) -> list[nodes.Node]:
        self.env.note_dependency(str(RESULTS))
        rows = json.loads(RESULTS.read_text("utf-8")).get("throughput", [])
        rates: dict[str, dict[str, float]] = {}
        for row in rows:
            rates.setdefault(row["what"], {})[row["model"]] = row["median"]
        models = list(dict.fromkeys(row["model"] for row in rows))
        lines = []
        if rows:
            cells = [["images a second", *models]]
            for what, by_model in rates.items():
                shown = (f"{by_model[m]:.0f}" if m in by_model else "" for m in models)
                cells.append([what, *shown])
            lines = [".. list-table::", "   :header-rows: 1", ""]
            for line in cells:
                lines += [f"   {'  -' if i else '* -'} {cell}" for i, cell in enumerate(line)]
            lines.append("")
        lines.append("``python benchmarks/throughput.py`` measures what these ways reach.")
        container = nodes.container()
        self.state.nested_parse(StringList(lines, self.name), 0, container)
        return container.children


def _milliseconds(value: float) -> str:
    return f"{value:.2f}" if value < 9.95 else f"{value:.1f}"


def setup(app: Sphinx) -> dict[str, Any]:
    """Called by Sphinx."""
    app.add_directive("selfie-pictures", SelfiePictures)
    app.add_directive("replaced-backgrounds", ReplacedBackgrounds)
    app.add_directive("timings", Timings)
    app.add_directive("throughput", Throughput)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
