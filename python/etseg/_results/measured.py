"""What is found out of a result's maps: areas, boxes, outlines, masks; and all of it as data."""

from __future__ import annotations

import math
from collections.abc import Iterable
from enum import IntEnum
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from etseg._errors import InvalidUserInputError
from etseg._labels import ByLabel, Label

from .checks import needs_memory, within
from .grid import at_size
from .maps import Maps
from .shapes import Area, Box, Contour, areas_of, boxes_of, contours

#: One label, several, or None for those that the method says.
Labelled = Label | Iterable[Label] | None


class Measured(Maps):
    """Maps, and what is found out of them."""

    def present_labels(self) -> tuple[IntEnum, ...]:
        """The labels that some pixel of the image has, in the order of their indices.

        Raises:
            InvalidUserInputError: ARGMAX was changed, and holds what is no index.
        """
        areas = self.areas()
        return tuple(member for member in self._made.labels.members if areas[member].pixels)

    @needs_memory("areas")
    def areas(self) -> ByLabel[Area]:
        """How much of the image each label covers; a label that is nowhere has 0 pixels.

        A key is a member, name or index.

        Raises:
            InvalidUserInputError: ARGMAX was changed, and holds what is no index.
        """
        return areas_of(self._made)

    @needs_memory("boxes")
    def boxes(self) -> ByLabel[Box]:
        """The box around all pixels of each label that is there: (x0, y0, x1, y1), half-open.

        ``image[y0:y1, x0:x1]`` is the part of the image in the box. A key is a member, name or
        index.

        Raises:
            InvalidUserInputError: ARGMAX was changed, and holds what is no index.
        """
        return boxes_of(self._made)

    @needs_memory("a mask")
    def mask(
        self,
        label: Label,
        threshold: float | None = None,
        *,
        size: Literal["maps", "image"] = "maps",
    ) -> npt.NDArray[np.bool_]:
        """Where a label is: bool (H, W).

        A mask of the maps' size fits an image of another size only with ``size="image"``:
        ``image[result.mask("PERSON", size="image")]``. With ``resize=True`` both are the same.

        Args:
            label: a member, name or index.
            threshold: None for the pixels whose most probable label this is; else 0..1, for those
                where its probability is at least that. NaN is less than any.
            size: "maps" or "image".

        Raises:
            LabelError: there is no such label, or a threshold of a map that was not asked for.
            InvalidUserInputError: another threshold or size.
        """
        member = self._made.member(label)
        if size not in ("maps", "image"):
            raise InvalidUserInputError(f"size is {size!r}; expected 'maps' or 'image'")
        there: npt.NDArray[np.bool_]
        if threshold is None:
            there = self._made.argmax == int(member)
        else:
            there = self[member] >= within("threshold", threshold, 1.0)
        return at_size(there, self.image_size) if size == "image" else there

    @needs_memory("contours")
    def contours(self, label: Label, simplify: float = 0.0) -> tuple[Contour, ...]:
        """The outlines of a label's regions in the image, with their holes; the largest first.

        Pixels that touch at a corner are of one region.

        Args:
            label: a member, name or index.
            simplify: how far, in pixels of the image, an outline may move so that it needs fewer
                points (Douglas and Peucker); 0 leaves out none but those on straight lines.

        Raises:
            LabelError: there is no such label.
            InvalidUserInputError: `simplify` is negative or not finite.
        """
        mask = self._made.image_mask(self._made.member(label))
        return contours(mask, within("simplify", simplify, math.inf))

    @needs_memory("a run-length encoding")
    def to_coco_rle(self, label: Label) -> dict[str, Any]:
        """A label's mask in the image, run-length encoded as COCO's tools do.

        Args:
            label: a member, name or index.

        Returns:
            ``{"size": [height, width], "counts": "..."}``, which ``pycocotools.mask`` reads and
            JSON can hold.

        Raises:
            LabelError: there is no such label.
        """
        from . import rle

        (mask,) = rle.encoded(self._made, [self._made.member(label)])
        return mask

    @needs_memory("a description")
    def to_dict(
        self, labels: Labelled = None, *, boxes: bool = True, rle: bool = True
    ) -> dict[str, Any]:
        """What is known of the image, as JSON can hold it; :ref:`json` describes each field.

        The sizes, the timings, and of each label its area, box, mask and mean probability. The
        command and the service answer with the same fields.

        Args:
            labels: those to list, whether they are there or not: one, or several; None for those
                that are there. The largest comes first.
            boxes: False leaves them null.
            rle: False leaves the masks null, which take the longest.

        Raises:
            LabelError: there is no such label.
            InvalidUserInputError: ARGMAX was changed, and holds what is no index.
        """
        from . import records

        return records.record_of(self._made, labels, boxes, rle)

    def to_json(self, labels: Labelled = None, *, boxes: bool = True, rle: bool = True) -> str:
        """:meth:`to_dict` as a line of JSON, all ASCII."""
        import json

        return json.dumps(self.to_dict(labels, boxes=boxes, rle=rle), allow_nan=False)

    @needs_memory("rows")
    def to_rows(self, labels: Labelled = None) -> list[dict[str, Any]]:
        """A row for each label, for tables such as ``pandas.DataFrame(result.to_rows())``.

        Args:
            labels: as for :meth:`to_dict`.

        Returns:
            the largest first: dicts of ``image``, ``model``, ``width``, ``height``, ``label``,
            ``index``, ``pixels``, ``share``, ``mean_probability`` and the box's ``x0``, ``y0``,
            ``x1``, ``y1``; None where something is not known. Rows of many results make one
            table.

        Raises:
            EtsegError: what :meth:`to_dict` raises.
        """
        from . import records

        return records.rows_of(self._made, labels)
