"""Universal segmentation networks of transformers: queries, composed into scores of classes.

MaskFormer and its heirs return for each query what class it is, and a mask. Their processors make
scores of each class of that; here it is done in the network, so that a program returns what etseg
expects.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812  # as everybody calls it
from torch import nn

from etseg._errors import InvalidModelSourceError

from .network import Network

#: Those whose outputs are queries' class and mask logits, the last class being none at all.
KNOWN = ("maskformer", "mask2former", "eomt", "eomt_dinov3")
#: Likewise, but what they compute has no place in a program, and why.
REFUSED = {
    "oneformer": "its decoder sets rows of an attention mask that it finds by aten::nonzero, whose "
    "number depends on the image (modeling_oneformer.py, OneFormerTransformerDecoder.forward). "
    "What to try: Mask2Former, which masks the same way without it",
}

#: To which Mask2Former's processor brings masks, whatever the image's size.
_MASK2FORMER_MASKS = (384, 384)

_SCORES = (
    "the maps are the scores of the processor's post_process_semantic_segmentation: by them labels "
    "are chosen; they do not sum to one over the classes, and where masks overlap may exceed one"
)


class QueryScores(nn.Module):
    """A network that returns scores [1, C, h, w], as its processor composes them of queries.

    The probability of a class, of those that a query may be, times that of the pixel to be in its
    mask, summed over the queries.
    """

    def __init__(self, network: nn.Module, masks: tuple[int, int] | None) -> None:
        """See the class.

        Args:
            network: returns class_queries_logits [1, Q, C + 1] and masks_queries_logits
                [1, Q, h, w].
            masks: size that masks are brought to before they become probabilities; None for their
                own.
        """
        super().__init__()
        self.network = network
        self.masks = masks

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Scores of an image [1, 3, H, W]."""
        found = self.network(image)
        masks, classes = found.masks_queries_logits, found.class_queries_logits
        if self.masks is not None:
            masks = F.interpolate(masks, self.masks, mode="bilinear", align_corners=False)
        shares = classes.softmax(-1)[..., :-1].transpose(1, 2)
        scores = torch.bmm(shares, masks.sigmoid().flatten(2))
        return scores.reshape(1, -1, *masks.shape[2:])


def composed(found: Network, name: str, processor: Any) -> Network:
    """The network with scores as its output, and what its owner should know of them.

    Args:
        found: of one of KNOWN, as the other networks of transformers are opened.
        name: on the hub, or a folder.
        processor: of its images; None if there is none.

    Raises:
        InvalidModelSourceError: it is not the same from call to call.
    """
    module: Any = found.module
    kind = module.config.model_type
    masks = None
    if kind == "mask2former":
        masks = _MASK2FORMER_MASKS
    elif kind.startswith("eomt"):
        masks = _eomt_masks(processor) or found.size
        _settle_masking(module, name)
    fields = found.fields | {"activation": "none"}
    notes = (*found.notes, _SCORES, *_resizing(processor))
    return Network(QueryScores(module, masks).eval(), found.title, found.size, fields, notes)


def _eomt_masks(processor: Any) -> tuple[int, int] | None:
    size = getattr(processor, "size", None)
    if size is None or not size.get("shortest_edge"):
        return None
    edge = int(size["shortest_edge"])
    return edge, int(size.get("longest_edge") or edge)


def _settle_masking(module: Any, name: str) -> None:
    """Whether EoMT's blocks mask their attention is a number of the training, here a constant."""
    shares = [float(share) for share in module.attn_mask_probs]
    if any(0 < share < 1 for share in shares):
        raise InvalidModelSourceError(
            f"'hf:{name}' masks the attention of a random share {shares} of its queries "
            "(attn_mask_probs): it was saved amid its training, and is another network in each "
            "call. What to try: the shares set to 0, as at the training's end, or to 1"
        )
    del module.attn_mask_probs
    module.attn_mask_probs = shares


def _resizing(processor: Any) -> tuple[str, ...]:
    """What the processor does with an image's shape, where that is not to stretch it."""
    if getattr(processor, "do_split_image", False):
        return ("the processor takes images in overlapping squares; etseg stretches the whole",)
    size = getattr(processor, "size", None)
    if size is not None and size.get("shortest_edge"):
        return ("the processor keeps an image's proportions; etseg stretches it",)
    return ()
