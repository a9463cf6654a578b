"""What the options of `etseg segment` say of the results, checked against the model's labels."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import Any, NamedTuple, cast

import click
import numpy as np
import numpy.typing as npt

from etseg._labels import LabelSet
from etseg._module import ImageSegmentationModule
from etseg._results.choices import Foreground
from etseg._results.palettes import NAMES, Palette, colour_of, colours
from etseg._results.result import SegmentationResult


class Wishes(NamedTuple):
    """What is to be made of each photo.

    Attributes:
        classes: the labels that are painted, written and listed; all where there is none.
        asked: the labels whose probabilities forward() returns.
        palette: of those that are painted, by label.
        alpha: of the paint.
        legend: whether the labels' names are written on the picture.
        mask_of: the label that --mask shows in white; None for label indices.
        backdrop: what is put behind what is cut out; None for nothing.
        foreground: whose colours soft edges have.
        haze: the probability up to which nothing shows.
        resize: whether maps are brought to the photo's size.
        in_full: whether boxes and masks are listed.
        rest: the index that pixels of other labels get, where `classes` leave some out.
        void: whether that index stands for a label that is none of theirs.
    """

    classes: tuple[IntEnum, ...]
    asked: tuple[IntEnum, ...]
    palette: dict[IntEnum, Any]
    alpha: float
    legend: bool
    mask_of: IntEnum | None
    backdrop: object
    foreground: Foreground
    haze: float
    resize: bool
    in_full: bool
    rest: int | None
    void: bool

    def restrict(self, argmax: npt.NDArray[Any]) -> None:
        """In place: pixels of labels that are left out become those of the rest."""
        if self.rest is not None:
            argmax[~np.isin(argmax, self.classes)] = self.rest

    def record(self, result: SegmentationResult, image: str, model: str) -> dict[str, Any]:
        """What is told of a photo: of the chosen labels, or of those that are there."""
        record = result.to_dict(self.classes or None, boxes=self.in_full, rle=self.in_full)
        for label in record["labels"]:
            if not self.classes:  # a map that was made for a picture is nobody's question
                label["mean_probability"] = None
        return {**record, "image": image, "model": model}


def wishes_of(
    module: ImageSegmentationModule,
    classes: Sequence[str],
    palette: str,
    *,
    alpha: float,
    legend: bool,
    mask_of: str | None,
    backdrop: object,
    foreground: Foreground,
    haze: float,
    cuts: bool,
    resize: bool,
    in_full: bool,
) -> Wishes:
    """For a loaded module.

    Raises:
        LabelError: a label that the model does not have.
        click.BadParameter: `palette` or `mask_of` is none, or nothing is left to cut out.
    """
    labels = LabelSet(cast("type[IntEnum]", module.labels))
    chosen = labels.find_all(classes)
    background = module.spec.background
    left_out = [int(one) for one in labels.members if chosen and one not in chosen]
    rest = background if background in left_out else next(iter(left_out), None)
    shown = None if mask_of is None else labels.find(mask_of)
    if mask_of is not None and (shown is None or (chosen and shown not in chosen)):
        raise click.BadParameter(
            f"{mask_of!r} is none of the labels of --classes", param_hint="--mask-of"
        )
    table = colours(_palette(palette), labels, background if isinstance(background, int) else None)
    painted = [one for one in labels.members if table.painted[one] and int(one) not in left_out]
    if cuts and not chosen and background is None:
        raise click.BadParameter(
            "the model has no background that could be left out; say with --classes what is to be "
            "cut out",
            param_hint="--cutout",
        )
    asked = chosen
    if cuts and not chosen and isinstance(background, int):
        asked = (labels.members[background],)  # of all others the rest
    return Wishes(
        classes=chosen,
        asked=asked if module.has_probabilities else (),
        palette={one: table.rgb[one] for one in painted},
        alpha=alpha,
        legend=legend,
        mask_of=shown,
        backdrop=backdrop,
        foreground=foreground,
        haze=haze,
        resize=resize,
        in_full=in_full,
        rest=rest if isinstance(rest, int) else None,
        void=bool(left_out) and rest != background,
    )


def backdrop_of(text: str | None) -> object:
    """What --background names: "blur", a colour, or the pixels of an image.

    Raises:
        EtsegError: the image cannot be read.
    """
    if text is None or text == "blur" or colour_of(text) is not None:
        return text
    from etseg._results.composing import image_behind  # here: few backgrounds are pictures

    return image_behind(text)


def _palette(text: str) -> Palette:
    """A palette's name, or "LABEL=COLOUR,..."."""
    if "=" not in text:
        if text not in NAMES:
            raise click.BadParameter(
                f"{text!r} is no palette; expected {', '.join(NAMES)}, or LABEL=COLOUR,...",
                param_hint="--palette",
            )
        return text
    pairs = (part.partition("=") for part in text.split(",") if part.strip())
    return {label.strip(): colour.strip() for label, _, colour in pairs}
