"""The result of a forward: a read-only mapping from labels to maps, and what is made of them."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping
from enum import IntEnum
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
import numpy.typing as npt

from etseg._errors import InvalidUserInputError, LabelError
from etseg._labels import ByLabel, Label, LabelSet

from . import saving
from .checks import needs_memory, within
from .grid import Cells, at_size, cells
from .made import Made, Map, Timings
from .palettes import Palette, colours
from .shapes import Area, Contour, areas, box, contours

if TYPE_CHECKING:
    from .notebook import View  # of which a program that shows nothing need not know

Image = npt.NDArray[np.uint8]


class SegmentationResult(Mapping[IntEnum | str, Map]):
    """Maps of one image, by label. The arrays are the caller's.

    ``result[ARGMAX]`` is the index of the most probable label of each pixel, int32 (or uint8, if
    the module was made so), shape (H, W). ``result[label]`` is the probability of that label,
    float32 in 0..1, shape (H, W), for each label that was asked for. A key is a member of the
    model's labels, a name, or an index; ARGMAX goes by member or name only.

    Maps and masks have the maps' :attr:`size`. Shapes and pictures speak of the image, whose size
    is :attr:`image_size`: where the maps have the model's (``resize=False``), a pixel of the image
    has the label of the map's pixel in which its centre lies. Nothing is cached: each call looks
    at the maps as they are.

    The image itself is kept by reference, for pictures of it: an array, bytes, a path, a URI. It
    is read again when it is needed, so an array that was written over meanwhile shows what is in
    it now. A pickled result carries its maps, and of the image only a path or URI.
    """

    def __init__(self, made: Made) -> None:
        self._made = made

    @property
    def argmax(self) -> Map:
        """Index of the most probable label of each pixel, int32 or uint8, (H, W)."""
        return self._made.argmax

    @property
    def labels(self) -> type[IntEnum]:
        """The labels of the model that made this."""
        return self._made.labels.enum

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of every map."""
        return self._made.argmax.shape[0], self._made.argmax.shape[1]

    @property
    def image_size(self) -> tuple[int, int]:
        """Height and width of the image, as a person sees it (EXIF orientation applied)."""
        return self._made.image_size

    @property
    def timings(self) -> Timings:
        """How long each stage took."""
        return self._made.timings

    def present_labels(self) -> tuple[IntEnum, ...]:
        """The labels that some pixel of the image has, in the order of their indices.

        Raises:
            InvalidUserInputError: ARGMAX was changed, and holds what is no index.
        """
        areas = self.areas()
        return tuple(member for member in self._made.labels.members if areas[member].pixels)

    @needs_memory("areas")
    def areas(self) -> Mapping[IntEnum, Area]:
        """How much of the image each label covers; a label that is nowhere has 0 pixels.

        A key is a member, name or index.

        Raises:
            InvalidUserInputError: ARGMAX was changed, and holds what is no index.
        """
        pixels = areas(self._cells(), len(self._made.labels))
        total = self._made.image_size[0] * self._made.image_size[1]
        return ByLabel(
            self._made.labels,
            {
                member: Area(int(count), int(count) / total)
                for member, count in zip(self._made.labels.members, pixels, strict=True)
            },
        )

    @needs_memory("boxes")
    def boxes(self) -> Mapping[IntEnum, tuple[int, int, int, int]]:
        """The box around all pixels of each label that is there: (x0, y0, x1, y1), half-open.

        ``image[y0:y1, x0:x1]`` is the part of the image in the box. A key is a member, name or
        index.

        Raises:
            InvalidUserInputError: ARGMAX was changed, and holds what is no index.
        """
        cells = self._cells()
        pixels = areas(cells, len(self._made.labels))
        return ByLabel(
            self._made.labels,
            {member: box(cells, member) for member in self._made.labels.members if pixels[member]},
        )

    @needs_memory("a mask")
    def mask(self, label: Label, threshold: float | None = None) -> npt.NDArray[np.bool_]:
        """Where a label is: bool (H, W), of the maps' size.

        Args:
            label: a member, name or index.
            threshold: None for the pixels whose most probable label this is; else 0..1, for those
                where its probability is at least that. NaN is less than any.

        Raises:
            LabelError: there is no such label, or a threshold of a map that was not asked for.
            InvalidUserInputError: another threshold.
        """
        member = self._member(label)
        if threshold is None:
            return np.asarray(self._made.argmax == int(member))
        return np.asarray(self[member] >= within("threshold", threshold, 1.0))

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
        mask = self._image_mask(self._member(label))
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

        mask = self._image_mask(self._member(label))
        return {
            "size": list(self._made.image_size),
            "counts": rle.compressed(rle.run_lengths(mask)),
        }

    @needs_memory("a picture")
    def colorize(self, palette: Palette = "voc") -> Image:
        """The labels as colours: uint8 (H, W, 4), red, green, blue and opacity, image-sized.

        What is not painted, as the background, is 0 in all four; all else is opaque.

        Args:
            palette: "voc", Pascal VOC's colours; "colorblind", which colour-blind people can tell
                apart (32 of them; then they start over); an array of integers (N, 3) with a colour
                for each label; or a mapping from labels to (red, green, blue) or "#rrggbb", which
                paints those alone, the background too if it is among them.

        Raises:
            InvalidUserInputError: `palette` is none of those, or ARGMAX was changed.
            LabelError: `palette` names a label that is none.
        """
        from . import pictures

        table = colours(palette, self._made.labels, self._made.background)
        return pictures.coloured(at_size(self._indices(), self._made.image_size), table)

    @needs_memory("a picture")
    def overlay(
        self,
        image: object = None,
        alpha: float = 0.5,
        palette: Palette = "voc",
        *,
        outline: bool = False,
    ) -> Image:
        """The image with its labels painted over it: uint8 (H, W, 3), red first, image-sized.

        A pixel becomes ``(1 - alpha) * image + alpha * colour``, rounded; the background stays as
        it is.

        Args:
            image: None for the one that was segmented; else one of its size, as for ``forward``.
                An array is blue first if ``forward`` was told so.
            alpha: of the colours, 0..1.
            palette: as for :meth:`colorize`.
            outline: whether to draw a white line between labels.

        Raises:
            InvalidUserInputError: no image is at hand (a URL is not downloaded again, an open
                file not read twice) or it has another size; or an argument is out of its range.
            LabelError: `palette` names a label that is none.
            FileReadError: the image cannot be read.
        """
        from . import pictures

        alpha = within("alpha", alpha, 1.0)
        table = colours(palette, self._made.labels, self._made.background)
        indices = at_size(self._indices(), self._made.image_size)
        rgb = pictures.rgb_of(self._made.image.read(image, self._made.image_size))
        return pictures.painted(rgb, indices, table, alpha, bool(outline))

    @needs_memory("a picture")
    def cutout(self, label: Label, image: object = None) -> Image:
        """A label cut out of the image: uint8 (H, W, 4), red, green, blue, opacity, image-sized.

        The opacity is the label's probability, if its map was asked for, brought to the image's
        size bilinearly; NaN is 0. Else it is 255 where the label is, and 0 elsewhere. Colours are
        the image's, not multiplied by the opacity.

        Args:
            label: a member, name or index.
            image: as for :meth:`overlay`.

        Raises:
            LabelError: there is no such label.
            InvalidUserInputError: no image is at hand, or it has another size.
            FileReadError: the image cannot be read.
        """
        from . import pictures

        member = self._member(label)
        rgb = pictures.rgb_of(self._made.image.read(image, self._made.image_size))
        if member in self._made.probabilities:
            return pictures.cut_out(rgb, self._made.probabilities[member])
        return pictures.cut_out(rgb, self._image_mask(member) * np.uint8(255))

    @needs_memory("a file of the maps")
    def save(
        self,
        path: str | os.PathLike[str] | BinaryIO,
        palette: Palette = "voc",
        *,
        kind: saving.Kind | None = None,
    ) -> None:
        """Writes the maps to a file, whole or not at all.

        ``.png`` or "mask": ARGMAX as a PNG with a palette, 8 bits a pixel, whose values are label
        indices; for models of at most 256 labels. ``.npz`` or "arrays": all maps, to be read with
        ``numpy.load``: ARGMAX and each probability by its label's name; ``__labels__``, all names
        in the order of their indices; ``__image_size__``, height and width. Both are of the maps'
        size.

        What stands at the path is replaced, the image itself too if that is what you name; of a
        link, the link. A process that is killed on the way may leave a file ``.etseg-...`` beside
        it, which nothing needs.

        Args:
            path: ends in ``.png`` or ``.npz``; or a file opened for writing bytes, which is not
                closed.
            palette: of the PNG, as for :meth:`colorize`; what is not painted is black.
            kind: "mask" or "arrays"; None for what the path's ending says.

        Raises:
            InvalidUserInputError: another ending or kind, more than 256 labels, or no such
                palette.
            FileWriteError: the file cannot be written.
        """
        if saving.kind_of(path, kind) == "arrays":
            arrays = {getattr(key, "name", str(key)): value for key, value in self.items()}
            arrays["__labels__"] = np.array([member.name for member in self._made.labels.members])
            arrays["__image_size__"] = np.array(self._made.image_size)
            saving.write_to(path, lambda file: saving.write_npz(file, arrays))
            return
        if len(self._made.labels) > saving.MAX_COLOURS:
            raise InvalidUserInputError(
                f"the model has {len(self._made.labels)} labels, and a PNG with a palette holds "
                f"{saving.MAX_COLOURS}; save as .npz"
            )
        table = colours(palette, self._made.labels, self._made.background)
        indices = self._indices()
        saving.write_to(path, lambda file: saving.write_palette_png(file, indices, table.rgb))

    def __getitem__(self, key: object) -> Map:
        """The map of a label.

        Raises:
            LabelError: (a KeyError) there is no such label, or its map was not asked for.
        """
        member = self._made.labels.find(key)
        if member is None:
            return self._made.argmax
        try:
            return self._made.probabilities[member]
        except KeyError:
            raise LabelError(
                f"no probability map of {member.name} was asked for; add it to "
                "classes_of_interest. There are: "
                + ", ".join(getattr(k, "name", str(k)) for k in self)
            ) from None

    # Of mappings of arrays, equality would be ambiguous; a result is equal to itself.
    def __eq__(self, other: object) -> bool:
        return self is other

    __hash__ = object.__hash__

    def __iter__(self) -> Iterator[IntEnum | str]:
        yield self._made.labels.argmax
        yield from self._made.probabilities

    def __len__(self) -> int:
        return 1 + len(self._made.probabilities)

    def __repr__(self) -> str:
        keys = ", ".join(getattr(key, "name", str(key)) for key in self)
        height, width = self.size
        return f"<SegmentationResult {height}x{width}: {keys}>"

    def _repr_png_(self) -> bytes | None:
        """For notebooks: a picture of at most 512 pixels a side; None if it cannot be made."""
        from . import notebook

        return notebook.or_nothing(lambda: notebook.png(self._view()))

    def _repr_html_(self) -> str | None:
        """For notebooks: the picture with a legend; None if it cannot be made."""
        from . import notebook

        return notebook.or_nothing(lambda: notebook.html(self._view()))

    def _view(self) -> View:
        from . import notebook

        made = self._made
        return notebook.View(
            indices=self._indices(),
            colours=colours("voc", made.labels, made.background),
            areas=self.areas(),
            image=made.image,
            image_size=made.image_size,
            caption=repr(self),
        )

    def _member(self, label: object) -> IntEnum:
        member = self._made.labels.find(label)
        if member is None:
            raise LabelError(
                f"{label!r} is the map of all labels' indices, not a label; expected one of them, "
                f"such as {self._made.labels.members[0].name!r}"
            )
        return member

    def _indices(self) -> Map:
        """ARGMAX, whose values are indices for sure; uint8 where all labels fit."""
        count = len(self._made.labels)
        low, high = int(self._made.argmax.min()), int(self._made.argmax.max())
        if low < 0 or high >= count:
            raise InvalidUserInputError(
                f"ARGMAX holds {low if low < 0 else high}, but indices go from 0 to {count - 1}: "
                "the array was changed, or its forward failed; run forward again"
            )
        return self._made.argmax.astype(np.uint8, copy=False) if count <= 256 else self._made.argmax

    def _cells(self) -> Cells:
        return cells(self._indices(), self._made.image_size)

    def _image_mask(self, member: IntEnum) -> npt.NDArray[np.uint8]:
        """Ones where the image has a label, (height, width) of the image."""
        return at_size((self._made.argmax == int(member)).view(np.uint8), self._made.image_size)


def result_of(made: Made, out: SegmentationResult | None) -> SegmentationResult:
    """A new result; or `out`, which from now on is the result of what was made."""
    if out is None:
        return SegmentationResult(made)
    out._made = made
    return out


def maps_to_reuse(
    out: object,
    size: tuple[int, int],
    dtype: npt.DTypeLike,
    labels: LabelSet,
    members: tuple[IntEnum, ...],
) -> tuple[Map, Mapping[IntEnum, Map]]:
    """The arrays of an earlier result, if they fit another forward: ARGMAX, probabilities.

    Raises:
        InvalidUserInputError: they do not, or it is no result; the message says in what.
    """
    if not isinstance(out, SegmentationResult):
        raise InvalidUserInputError(
            f"out is a {type(out).__name__}; expected a result of forward()"
        )
    made = out._made
    for what, have, need in (
        ("size", out.size, size),
        ("type of ARGMAX", made.argmax.dtype, np.dtype(dtype)),
        ("labels", made.labels.enum, labels.enum),
        ("classes", tuple(made.probabilities), members),
    ):
        if have != need:
            raise InvalidUserInputError(
                f"out cannot be reused: its {what} is {have}, this call needs {need}"
            )
    return made.argmax, made.probabilities
