"""Pictures that the documentation makes when it is built.

A directive, for ``{eval-rst}`` blocks:

- ``shown:: SCENE``: each line of its content is an expression over ``result``, a result of the
  scene; below what it makes of the photograph stands the expression. ``:photo:`` shows the
  photograph before; ``:wide:`` puts two beside each other, not three.

A scene is a photograph that was segmented by one of the networks in the package, or one whose
labels another network has found: those lie beside it, as that network does not lie in the
repository (``pictures/README.md``).
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

import etseg
from etseg._labels import for_people

ROOT = Path(__file__).parents[2]
PICTURES = ROOT / "docs" / "pictures"
PHOTO = ROOT / "tests" / "data" / "astronaut.jpg"
#: A program of as many channels as DeeplabLabel has labels; what it says is written over.
DEEPLAB = ROOT / "tests" / "data" / "programs" / "stride4_c21.pte"

#: Photographs that the network in the package has segmented.
SELFIE = {"portrait": PHOTO, "cat-as-person": PICTURES / "cat.jpg"}
#: Photographs with the labels that a network of Pascal VOC's classes has found.
FOUND = {"visit": ("visit.jpg", "visit-labels.png"), "cat": ("cat.jpg", "cat-labels.png")}

#: The longer side of a picture, in pixels; twice what it is shown at, for sharp screens.
SIDE = 480

Picture = npt.NDArray[np.uint8]
WHITE, BLACK = (255, 255, 255), (0, 0, 0)


class Shown(SphinxDirective):
    required_arguments = 1
    has_content = True
    option_spec = {"photo": directives.flag, "wide": directives.flag}  # noqa: RUF012  # as docutils

    def run(self) -> list[nodes.Node]:
        scene = self.arguments[0]
        for path in _files_of(scene):
            self.env.note_dependency(str(path))
        result = _result(scene)
        pictures = {"photo": result.overlay(alpha=0)} if "photo" in self.options else {}
        for line in filter(None, map(str.strip, self.content)):
            value = eval(line, {"result": result, "etseg": etseg, "np": np})
            pictures[line] = picture_of(value, result)
        return [_row_of(pictures, *(["wide"] if "wide" in self.options else []))]


def _files_of(scene: str) -> tuple[Path, ...]:
    if scene in SELFIE:
        return (SELFIE[scene],)
    return tuple(PICTURES / name for name in FOUND[scene])


@cache
def _result(scene: str) -> etseg.SegmentationResult:
    if scene in SELFIE:
        return etseg.segment(SELFIE[scene], classes=["PERSON", "BACKGROUND"])
    photo, labels = _files_of(scene)
    result = etseg.segment(photo, model=DEEPLAB)
    result.argmax[:] = cv2.imread(str(labels), cv2.IMREAD_UNCHANGED)
    return result


def picture_of(value: Any, result: etseg.SegmentationResult) -> Picture:
    """What a method returned, as something to look at."""
    if isinstance(value, np.ndarray) and value.ndim == 3:
        return value
    if isinstance(value, np.ndarray):
        return _plane(value)
    picture = result.overlay(alpha=0)
    lines, names = _lines_of(value)
    thick = max(2, round(max(picture.shape) / 200))
    for line in lines:
        for colour, width in ((BLACK, thick + 2), (WHITE, thick)):
            cv2.polylines(picture, [line], True, colour, width, cv2.LINE_AA)
    for (x, y), name in names.items():
        for colour, width in ((BLACK, 4), (WHITE, 1)):
            cv2.putText(picture, name, (x + 6, y + 20), cv2.FONT_HERSHEY_DUPLEX, 0.6, colour, width,
                        cv2.LINE_AA)  # fmt: skip
    return picture


def _plane(plane: npt.NDArray[Any]) -> Picture:
    """A mask, a map of probabilities, or label indices, as greys."""
    grey = plane * (12 if plane.dtype.kind in "iu" else 255)
    return np.repeat(np.rint(grey).astype(np.uint8)[..., None], 3, axis=2)


def _lines_of(value: Any) -> tuple[list[npt.NDArray[np.int32]], dict[tuple[int, int], str]]:
    """Outlines or boxes: their lines, and names by where they stand."""
    if isinstance(value, Mapping):
        boxes = {
            for_people(label.name): box
            for label, box in value.items()
            if label.name != "BACKGROUND"
        }
        corners = [[(x0, y0), (x1, y0), (x1, y1), (x0, y1)] for x0, y0, x1, y1 in boxes.values()]
        names = {(box[0], box[1]): name for name, box in boxes.items()}
        return [np.array(four, np.int32) for four in corners], names
    lines = [line for contour in value for line in (contour.exterior, *contour.holes)]
    return [np.rint(line).astype(np.int32) for line in lines], {}


def _row_of(pictures: dict[str, Picture], *classes: str) -> nodes.Node:
    row = nodes.container(classes=["pictures", *classes])
    for name, picture in pictures.items():
        image = nodes.image(uri=_data_uri(picture), alt=f"The photograph: {name}")
        if picture.shape[2] == 4:
            image["classes"].append("transparent")
        row += nodes.container("", image, nodes.literal(name, name))
    return row


def _data_uri(picture: Picture) -> str:
    scale = SIDE / max(picture.shape)
    if scale < 1:
        picture = np.asarray(
            cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8
        )
    code = cv2.COLOR_RGB2BGR if picture.shape[2] == 3 else cv2.COLOR_RGBA2BGRA
    _, encoded = cv2.imencode(".webp", cv2.cvtColor(picture, code), [cv2.IMWRITE_WEBP_QUALITY, 85])
    return "data:image/webp;base64," + base64.b64encode(encoded.tobytes()).decode()


def setup(app: Sphinx) -> dict[str, Any]:
    """Called by Sphinx."""
    app.add_directive("shown", Shown)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
