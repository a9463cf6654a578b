"""Universal segmentation networks of transformers: queries, composed into scores of classes.

MaskFormer and its heirs return for each query what class it is, and a mask. Their processors make
scores of each class of that; here it is done in the network, so that a program returns what etseg
expects.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  # as everybody calls it
from torch import nn

from etseg._errors import InvalidModelSourceError
from etseg.export._errors import first_line

from .network import Network

#: Those whose outputs are queries' class and mask logits, the last class being none at all.
KNOWN = ("maskformer", "mask2former", "oneformer", "eomt", "eomt_dinov3")

#: To which Mask2Former's processor brings masks, whatever the image's size.
_MASK2FORMER_MASKS = (384, 384)

_SHARES = (
    "ARGMAX is that of the processor's post_process_semantic_segmentation; the maps are its "
    "scores, each divided by the sum over the classes at its pixel"
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


class ForTask(nn.Module):
    """A OneFormer that is told its task once for all: tokens of a sentence, int64 [1, T]."""

    def __init__(self, network: nn.Module, tokens: torch.Tensor) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("tokens", tokens)

    def forward(self, image: torch.Tensor) -> Any:
        """What the network returns for an image [1, 3, H, W]."""
        return self.network(image, task_inputs=self.tokens)


def composed(found: Network, name: str, processor: Any) -> Network:
    """The network with scores as its output, and what its owner should know of them.

    Args:
        found: of one of KNOWN, as the other networks of transformers are opened.
        name: on the hub, or a folder.
        processor: of its images; None if there is none.

    Raises:
        InvalidModelSourceError: it is not the same from call to call, or wants a task and there
            is no tokenizer for it.
    """
    module: Any = found.module
    kind = module.config.model_type
    masks = None
    if kind == "mask2former":
        masks = _MASK2FORMER_MASKS
    elif kind.startswith("eomt"):
        masks = _eomt_masks(processor) or found.size
        _settle_masking(module, name)
    elif kind == "oneformer":
        module.model.is_training = False  # else it wants descriptions of the image, too
        module = ForTask(module, _task_tokens(name))
    # Divided in the program, labels between its pixels would be others than the processor's.
    fields = found.fields | {"activation": "normalise"}
    notes = (*found.notes, _SHARES)
    return replace(found, module=QueryScores(module, masks).eval(), fields=fields, notes=notes)


def _task_tokens(name: str) -> torch.Tensor:
    """Of the sentence that OneFormer's processor makes of its task, semantic segmentation."""
    import transformers

    try:
        processor = transformers.OneFormerProcessor.from_pretrained(name)
    except (OSError, ValueError, TypeError) as error:
        raise InvalidModelSourceError(
            f"'hf:{name}' is a OneFormer, which is told its task in words, and its processor with "
            f"the tokenizer cannot be had: {first_line(error)}. What to try: "
            "OneFormerProcessor.save_pretrained into the network's folder"
        ) from error
    grey = np.full((64, 64, 3), 128, np.uint8)
    return processor(images=[grey], task_inputs=["semantic"], return_tensors="pt")["task_inputs"]


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
