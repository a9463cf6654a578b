"""Figures that the documentation takes from the benchmarks' results.

- ``timings``, for ``{eval-rst}`` blocks: rows of them. Each line of its content is ``what it is |
  key``, the key being model, size, source, resize, classes and peer as in
  ``benchmarks/results.json``;
- ``throughput``, likewise: what ``benchmarks/throughput.py`` has written there, if it has been run;
- the role ``ms``: the milliseconds of one row, the key as above, of etseg.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective, SphinxRole

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results.json"

FIELDS = ("model", "size", "source", "resize", "classes", "peer")


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
            row = row_of(results["times"], key.split())
            if row is None:
                raise self.error(f"benchmarks/results.json has no row {key}")
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


class Milliseconds(SphinxRole):
    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        self.env.note_dependency(str(RESULTS))
        times = json.loads(RESULTS.read_text("utf-8"))["times"]
        row = row_of(times, [*self.text.split(), "etseg"])
        if row is None:
            problem = self.inliner.reporter.error(f"no row {self.text}", line=self.lineno)
            return [], [problem]
        return [nodes.Text(_milliseconds(row["total"]["median"]))], []


def row_of(times: list[dict[str, Any]], key: list[str]) -> dict[str, Any] | None:
    """The row of a key, measured on two threads."""
    for row in times:
        if [str(row[field]).lower() for field in FIELDS] == key and row["threads"] == 2:
            return row
    return None


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
    app.add_directive("timings", Timings)
    app.add_directive("throughput", Throughput)
    app.add_role("ms", Milliseconds())
    return {"parallel_read_safe": True, "parallel_write_safe": True}
