"""The result of a forward: a read-only mapping from labels to maps, and what is made of them."""

from __future__ import annotations

import os
from typing import BinaryIO

from . import composing, notebook, pictures, saving
from .checks import needs_memory, within
from .describing import described
from .legend import add_legend
from .made import Made
from .maps import remake
from .measured import Labelled, Measured
from .palettes import Palette
from .pictures import Image


class SegmentationResult(Measured):
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

    @needs_memory("a picture")
    def colorize(self, palette: Palette = "bright") -> Image:
        """The labels as colours: uint8 (H, W, 4), red, green, blue and opacity, image-sized.

        What is not painted, as the background, is 0 in all four; all else is opaque.

        Args:
            palette: "bright", colours that stand out of photographs; "voc", Pascal VOC's;
                "colorblind", which colour-blind people can tell apart (32 of them; then they start
                over); an array of integers (N, 3) with a colour for each label; or a mapping from
                labels to (red, green, blue) or "#rrggbb", which paints those alone, the background
                too if it is among them.

        Raises:
            InvalidUserInputError: `palette` is none of those, or ARGMAX was changed.
            LabelError: `palette` names a label that is none.
        """
        table = self._made.colours(palette)
        return pictures.coloured(self._made.image_indices(), table)

    @needs_memory("a picture")
    def overlay(
        self,
        image: object = None,
        alpha: float = 0.5,
        palette: Palette = "bright",
        *,
        outline: bool = False,
        legend: bool = False,
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
            legend: whether to write the names of the labels that are painted at the top left, with
                their colours; the largest first.

        Raises:
            InvalidUserInputError: no image is at hand (a URL is not downloaded again, an open
                file not read twice) or it has another size; or an argument is out of its range.
            LabelError: `palette` names a label that is none.
            FileReadError: the image cannot be read.
        """
        alpha = within("alpha", alpha, 1.0)
        table, indices = self._made.colours(palette), self._made.image_indices()
        rgb = self._made.image_pixels(image)
        picture = pictures.painted(rgb, indices, table, alpha, bool(outline))
        if legend:
            found = sorted(self.areas().items(), key=lambda item: -item[1].pixels)
            shown = [one for one, area in found if area.pixels and table.painted[one]]
            add_legend(picture, [(one.name, table.rgb[one]) for one in shown])
        return picture

    @needs_memory("a picture")
    def cutout(self, label: Labelled = None, image: object = None) -> Image:
        """Labels cut out of the image: uint8 (H, W, 4), red, green, blue, opacity, image-sized.

        The opacity is the sum of the labels' probabilities, if their maps were asked for, brought
        to the image's size bilinearly; NaN is 0. Of all but the background, the background's map
        suffices. Else it is 255 where one of the labels is, and 0 elsewhere. Colours are the
        image's, not multiplied by the opacity.

        Args:
            label: a member, name or index; several of them; or None for all but the background.
            image: as for :meth:`overlay`.

        Raises:
            LabelError: there is no such label.
            InvalidUserInputError: no image is at hand, or it has another size; or no label is
                given, and the model has no background.
            FileReadError: the image cannot be read.
        """
        opacity = composing.opacity(self._made, label)
        return composing.cut_out(self._made.image_pixels(image), opacity)

    @needs_memory("a picture")
    def replace_background(
        self, background: object, label: Labelled = None, image: object = None
    ) -> Image:
        """What :meth:`cutout` cuts out, on another background: uint8 (H, W, 3), red first.

        A pixel becomes ``opacity * image + (1 - opacity) * background``, rounded.

        Args:
            background: (red, green, blue), "#rrggbb" or a colour's name, such as "white"; "blur"
                for the image's own background out of focus; or an image, as for ``forward``, which
                is scaled so that it covers all, and cut around its centre.
            label: as for :meth:`cutout`.
            image: as for :meth:`overlay`.

        Raises:
            EtsegError: what :meth:`cutout` raises; or whatever reading the background does.
        """
        opacity = composing.opacity(self._made, label)
        rgb = self._made.image_pixels(image)
        return composing.on_background(rgb, opacity, background)

    @needs_memory("a file of the maps")
    def save(
        self,
        path: str | os.PathLike[str] | BinaryIO,
        palette: Palette = "bright",
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
        saving.save(self._made, path, palette, kind)

    def __repr__(self) -> str:
        return described(self._made)

    def _repr_png_(self) -> bytes | None:
        """For notebooks: a picture of at most 512 pixels a side; None if it cannot be made."""
        return notebook.or_nothing(lambda: notebook.png(self._view()))

    def _repr_html_(self) -> str | None:
        """For notebooks: the picture with a legend; None if it cannot be made."""
        return notebook.or_nothing(lambda: notebook.html(self._view()))

    def _view(self) -> notebook.View:
        made = self._made
        return notebook.View(
            indices=made.indices(),
            colours=made.colours("bright"),
            areas=self.areas(),
            image=made.image,
            image_size=made.image_size,
            caption=repr(self),
        )


def result_of(made: Made, out: SegmentationResult | None) -> SegmentationResult:
    """A new result; or `out`, which from now on is the result of what was made."""
    if out is None:
        return SegmentationResult(made)
    remake(out, made)
    return out
