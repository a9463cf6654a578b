"""The result of a forward: a read-only mapping from labels to maps, and what is made of them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, BinaryIO, Literal

from .checks import needs_memory, within
from .choices import HAZE, Foreground, Kind
from .describing import described
from .made import Made
from .maps import remake
from .measured import Labelled, Measured
from .palettes import Palette
from .pictures import Image

if TYPE_CHECKING:
    from PIL import Image as Pil

    from . import notebook


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

    Pictures are arrays in the order of the call's `channel_order`: red first, or for who gave
    OpenCV's arrays with ``channel_order="bgr"`` blue first.

    The image itself is kept by reference, for pictures of it: an array, bytes, a path, a URI. It
    is read again when it is needed, so an array that was written over meanwhile shows what is in
    it now. A pickled result carries its maps, and of the image only a path or URI.
    """

    @property
    def image(self) -> Image:
        """The image read again, uint8 (H, W, 3), as a person sees it; see `channel_order`.

        An array may be the very one that was given, and not a copy. A result keeps no pixels: a
        file is decoded each time, and a function that opens the image is called again.

        Raises:
            InvalidUserInputError: no image is at hand (a URL is not downloaded again, an open file
                not read twice), or it has another size by now.
            FileReadError: the image cannot be read.
        """
        return self._made.in_callers_order(self._made.image_pixels(None))

    @needs_memory("a picture")
    def colorize(self, palette: Palette = "bright") -> Image:
        """The labels as colours: uint8 (H, W, 4), the last the opacity, image-sized.

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
        from . import kinds

        return self._made.in_callers_order(kinds.picture_of(self._made, "colorize", palette))

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
        """The image with its labels painted over it: uint8 (H, W, 3), image-sized.

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
        from . import kinds

        alpha = within("alpha", alpha, 1.0)
        picture = kinds.overlay(
            self._made, image, alpha, palette, outline=bool(outline), legend=bool(legend)
        )
        return self._made.in_callers_order(picture)

    @needs_memory("a picture")
    def cutout(
        self,
        label: Labelled = None,
        image: object = None,
        *,
        foreground: Foreground = "estimate",
        haze: float = HAZE,
    ) -> Image:
        """Labels cut out of the image: uint8 (H, W, 4), the last the opacity, image-sized.

        The opacity comes of the sum of the labels' probabilities, if their maps were asked for,
        brought to the image's size bilinearly; NaN is 0. Of all but the background, the
        background's map suffices. Else it is 255 where one of the labels is, and 0 elsewhere.
        Colours are the image's, not multiplied by the opacity; where a pixel is neither opaque nor
        clear, they are what the foreground alone would have, by an estimate, so that no halo of the
        old background shows on a new one.

        Args:
            label: a member, name or index; several of them; or None for all but the background.
            image: as for :meth:`overlay`.
            foreground: "estimate", or "image" for the image's own colours everywhere.
            haze: the probability up to which nothing shows, 0 to 0.45; from 1 less it on all does,
                and between them the opacity rises evenly. So what the network is not quite sure of
                does not shimmer. 0 is for networks that tell opacities: theirs are left as they
                are.

        Raises:
            LabelError: there is no such label.
            InvalidUserInputError: no image is at hand, or it has another size; no label is given,
                and the model has no background; or `foreground` or `haze` is none.
            FileReadError: the image cannot be read.
        """
        from . import kinds

        return self._made.in_callers_order(kinds.cutout(self._made, label, image, foreground, haze))

    @needs_memory("a picture")
    def replace_background(
        self,
        background: object,
        label: Labelled = None,
        image: object = None,
        *,
        foreground: Foreground = "estimate",
        haze: float = HAZE,
    ) -> Image:
        """What :meth:`cutout` cuts out, on another background: uint8 (H, W, 3), image-sized.

        A pixel becomes ``opacity * colour + (1 - opacity) * background``, rounded, the colour
        being that of the cutout.

        Args:
            background: (red, green, blue), "#rrggbb" or a colour's name, such as "white"; "blur"
                for the image's own background out of focus; or an image, as for ``forward``, which
                is scaled so that it covers all, and cut around its centre. An array is blue first
                if ``forward`` was told so; three numbers never are.
            label: as for :meth:`cutout`.
            image: as for :meth:`overlay`.
            foreground: as for :meth:`cutout`.
            haze: likewise.

        Raises:
            EtsegError: what :meth:`cutout` raises; or whatever reading the background does.
        """
        from . import composing

        opacity = composing.opacity(self._made, label, haze)
        rgb = self._made.image_pixels(image)
        picture = composing.on_background(
            rgb, opacity, background, self._made.image.bgr, foreground
        )
        return self._made.in_callers_order(picture)

    @needs_memory("a file of the maps")
    def save(
        self,
        path: str | os.PathLike[str] | BinaryIO,
        palette: Palette = "bright",
        *,
        kind: Kind | None = None,
        label: Labelled = None,
    ) -> None:
        """Writes a file, whole or not at all.

        What it is, its ending says, or `kind`:

        - ``.png``, "mask": ARGMAX as a PNG with a palette, 8 bits a pixel, whose values are label
          indices; for models of at most 256 labels. With `label`, 255 where that label is, and 0
          elsewhere. Of the maps' size.
        - ``.npz``, "arrays": all maps, to be read with ``numpy.load``: ARGMAX and each probability
          by its label's name; ``__labels__``, all names in the order of their indices;
          ``__image_size__``, height and width. Of the maps' size.
        - ``.json``, "json": :meth:`to_dict`.
        - ``.jpg`` and other endings of pictures, "overlay": :meth:`overlay`.
        - "colorize", "cutout": those pictures, ``.png`` or ``.webp``.

        What stands at the path is replaced, the image itself too if that is what you name; of a
        link, the link. A process that is killed on the way may leave a file ``.etseg-...`` beside
        it, which nothing needs.

        Args:
            path: with an ending; or a file opened for writing bytes, which is not closed, and to
                which pictures are written as PNG.
            palette: as for :meth:`colorize`; in a mask what is not painted is black.
            kind: None for what the path's ending says.
            label: of a mask one, a member, name or index; of a cutout also several.

        Raises:
            InvalidUserInputError: another ending or kind, more than 256 labels, no such palette,
                or no image at hand for a picture.
            LabelError: there is no such label.
            FileWriteError: the file cannot be written.
        """
        from . import saving

        saving.save(self._made, path, palette, kind, label)

    @needs_memory("a picture")
    def to_pil(
        self,
        kind: Literal["overlay", "colorize", "cutout", "mask"] = "overlay",
        palette: Palette = "bright",
        *,
        label: Labelled = None,
    ) -> Pil.Image:
        """A picture as an image of Pillow's, whatever `channel_order` was.

        Args:
            kind: the method that makes it; or "mask": an image with a palette, whose pixels are
                label indices, or with `label` a grey one: 255 where that label is, else 0.
            palette: as for :meth:`colorize`.
            label: of a mask one, a member, name or index; of a cutout also several.

        Raises:
            InvalidStateError: Pillow is not installed.
            EtsegError: whatever the method of that name raises.
        """
        from . import showing

        return showing.as_pil(self._made, kind, palette, label)

    def show(self) -> None:
        """Shows the result: in a notebook the picture with a legend; else in a window.

        The window is that of the program that the system has for pictures, of an :meth:`overlay`.

        Raises:
            InvalidStateError: there is no display, no such program, or Pillow is not installed.
            EtsegError: whatever :meth:`overlay` raises.
        """
        from . import showing

        showing.show(self, self.to_pil)

    def __repr__(self) -> str:
        return described(self._made)

    def _repr_png_(self) -> bytes | None:
        """For notebooks: a picture of at most 512 pixels a side; None if it cannot be made."""
        from . import notebook

        return notebook.or_nothing(lambda: notebook.png(self._view()))

    def _repr_html_(self) -> str | None:
        """For notebooks: the picture with a legend; None if it cannot be made."""
        from . import notebook

        return notebook.or_nothing(lambda: notebook.html(self._view()))

    def _view(self) -> notebook.View:
        from . import notebook

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
