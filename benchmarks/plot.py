"""Pictures what compare.py and growth.py have measured.

python benchmarks/plot.py [RESULTS.json [PICTURE.png]]
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from harness.models import BUILD
from harness.stats import milliseconds

Row = dict[str, Any]

NAMES = {
    "etseg": "etseg",
    "reference": "reference's algorithm\n(OpenCV, our runtime)",
    "executorch-cv2": "executorch + cv2 + numpy",
    "executorch-torch": "executorch + F.interpolate",
    "onnxruntime": "onnxruntime + cv2 + numpy",
    "openvino": "OpenVINO f32 + cv2 + numpy",
    "mediapipe": "MediaPipe selfie solution",
}
OURS, THEIRS = "#0b6e4f", "#8a8f98"
LINES = {
    "etseg": OURS,
    "reference": "#d1603d",
    "executorch-cv2": "#4f6d9a",
    "executorch-torch": "#9a7bb0",
}
STAGES = {"preprocess": "#e0b050", "inference": "#6c8ead", "postprocess": "#c8553d"}


def main() -> None:
    """Draws one picture."""
    results = Path(sys.argv[1]) if len(sys.argv) > 1 else BUILD / "results.json"
    picture = Path(sys.argv[2]) if len(sys.argv) > 2 else results.with_suffix(".png")
    document = json.loads(results.read_text())
    plt.rcParams.update({"font.size": 10, "axes.spines.top": False, "axes.spines.right": False})
    figure, axes = plt.subplots(3, 2, figsize=(14, 16), layout="constrained")
    about = document["machine"]
    figure.suptitle(
        "etseg and what one would write instead: the same weights, the same photo\n",
        fontsize=17,
        fontweight="bold",
    )
    caption = (
        "Shorter is better. Median of one forward from an RGB array in memory; whiskers: 10th to "
        f"90th percentile. {about['cores']} threads each, {about['cpu'].split(' (')[0]}, "
        f"{about['date'][:10]}"
    )
    figure.text(0.5, 0.972, caption, ha="center", va="top", color="#555")
    times = document["times"]
    _bars(
        axes[0, 0],
        times,
        "deeplab",
        "4032x3024",
        "one",
        "DeepLab, 21 classes, 12-megapixel photo:\nlabel map and one probability map, full size",
    )
    _bars(
        axes[0, 1],
        times,
        "selfie",
        "4032x3024",
        "one",
        "Selfie model, 12-megapixel photo:\nlabel map and one probability map, full size",
    )
    _stages(axes[1, 0], times)
    _memory(axes[1, 1], document["memory"])
    _growth(
        axes[2, 0],
        document["pixels"],
        "pixels",
        1e-6,
        "megapixels of the photo",
        "How time grows with the photo:\nDeepLab, maps of full size",
    )
    _growth(
        axes[2, 1],
        document["classes"],
        "channels",
        1,
        "classes the model tells apart",
        "How time grows with classes:\n640x480 photo, maps of full size",
    )
    figure.get_layout_engine().set(hspace=0.06, rect=(0, 0, 1, 0.985))
    figure.savefig(picture, dpi=100)


def _pick(rows: list[Row], **wanted: Any) -> dict[str, Row]:
    return {
        row["peer"]: row
        for row in rows
        if all(row[key] == value for key, value in wanted.items()) and row["peer"] in NAMES
    }


def _bars(axes: Axes, times: list[Row], model: str, size: str, classes: str, title: str) -> None:
    picked = _pick(times, model=model, size=size, source="array", resize=True, classes=classes)
    rows = sorted(picked.values(), key=lambda row: row["total"]["median"])
    ours = picked["etseg"]["total"]["median"]
    medians = [row["total"]["median"] for row in rows]
    low = [row["total"]["median"] - row["total"]["p10"] for row in rows]
    high = [row["total"]["p90"] - row["total"]["median"] for row in rows]
    colors = [OURS if row["peer"] == "etseg" else THEIRS for row in rows]
    places = range(len(rows))
    axes.barh(places, medians, xerr=(low, high), color=colors, ecolor="#333", capsize=3)
    for place, row in zip(places, rows, strict=True):
        total = row["total"]["median"]
        times_ours = "" if row["peer"] == "etseg" else f"   {total / ours:.3g} x etseg's"
        axes.annotate(
            f"{milliseconds(total)} ms{times_ours}",
            (row["total"]["p90"], place),
            xytext=(8, 0),
            textcoords="offset points",
            va="center",
            fontweight="bold" if row["peer"] == "etseg" else "normal",
        )
    axes.set_yticks(places, [NAMES[row["peer"]] for row in rows])
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.set_xlim(1, max(medians) * 30)
    axes.set_xlabel("milliseconds (logarithmic)")
    axes.set_title(title, loc="left", fontweight="bold")


def _stages(axes: Axes, times: list[Row]) -> None:
    picked = _pick(
        times, model="deeplab", size="640x480", source="array", resize=True, classes="one"
    )
    rows = sorted(picked.values(), key=lambda row: row["total"]["median"])
    for place, row in enumerate(rows):
        start = 0.0
        for stage, color in STAGES.items():
            width = row[stage]["median"]
            axes.barh(place, width, left=start, color=color, label=stage if place == 0 else None)
            start += width
        axes.annotate(
            f"{milliseconds(row['total']['median'])} ms",
            (start, place),
            xytext=(6, 0),
            textcoords="offset points",
            va="center",
        )
    axes.set_yticks(range(len(rows)), [NAMES[row["peer"]] for row in rows])
    axes.invert_yaxis()
    axes.set_xlabel("milliseconds")
    axes.legend(loc="upper right", frameon=False)
    axes.set_title(
        "Where time goes: DeepLab, 640x480 photo,\nlabel map and one probability map, full size",
        loc="left",
        fontweight="bold",
    )


def _memory(axes: Axes, memory: list[Row]) -> None:
    picked = _pick(memory, model="deeplab", size="4032x3024", classes="one")
    rows = sorted(picked.values(), key=lambda row: row["above"])
    for place, row in enumerate(rows):
        extra, returned = max(row["above"], 0) / 1e6, row["returned"] / 1e6
        first = place == 0
        axes.barh(place, returned, color="#cfd4da", label="the arrays returned" if first else None)
        axes.barh(
            place,
            extra,
            left=returned,
            color=OURS if row["peer"] == "etseg" else THEIRS,
            label="on top of them, at the peak" if place == len(rows) - 1 else None,
        )
        axes.annotate(
            f"{returned:.0f} + {extra:,.1f} MB",
            (returned + extra, place),
            xytext=(6, 0),
            textcoords="offset points",
            va="center",
        )
    axes.set_yticks(range(len(rows)), [NAMES[row["peer"]] for row in rows])
    axes.invert_yaxis()
    axes.set_xlim(right=1.25 * max(row["above"] + row["returned"] for row in rows) / 1e6)
    axes.set_xlabel("megabytes that one forward needs")
    axes.legend(loc="upper right", frameon=False)
    axes.set_title(
        "Memory: DeepLab, 12-megapixel photo,\nlabel map and one probability map, full size",
        loc="left",
        fontweight="bold",
    )


def _growth(axes: Axes, rows: list[Row], key: str, scale: float, label: str, title: str) -> None:
    for peer, color in LINES.items():
        for classes, style in (("none", "-"), ("one", "--")):
            mine = [row for row in rows if row["peer"] == peer and row["classes"] == classes]
            mine.sort(key=lambda row: row[key])
            if not mine:
                continue
            x = [row[key] * scale for row in mine]
            y = [row["total"]["median"] for row in mine]
            axes.plot(x, y, style, color=color, marker="o", ms=4)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel(f"{label} (logarithmic)")
    axes.set_ylabel("milliseconds (logarithmic)")
    axes.grid(alpha=0.25)
    handles = [
        Line2D([], [], color=color, marker="o", ms=4, label=NAMES[peer].partition("\n")[0])
        for peer, color in LINES.items()
    ]
    handles.append(Line2D([], [], color="#555", ls="-", label="label map alone"))
    handles.append(Line2D([], [], color="#555", ls="--", label="and one probability map"))
    axes.legend(
        handles=handles, loc="upper center", bbox_to_anchor=(0.5, -0.13), ncols=2, frameon=False
    )
    axes.set_title(title, loc="left", fontweight="bold")


if __name__ == "__main__":
    main()
