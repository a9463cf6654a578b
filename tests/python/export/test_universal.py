"""Universal segmentation networks of transformers, against their processors' own post-processing.

From configurations, with random weights: no hub is reached.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the extra 'export'")
pytest.importorskip("executorch", reason="needs the extra 'export'")
pytest.importorskip("transformers", reason="transformers is not installed")

import torch
import torch.nn.functional as F  # noqa: N812
import transformers
from torch import nn

import etseg
import networks  # noqa: F401  # makes torchvision, which the processors need, importable
from etseg.export import ExportReport, export
from etseg.export._sources import open_network

CLASSES = 6
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
#: Smaller and larger than the networks' input, and of other shapes.
IMAGE_SIZES = [(64, 64), (41, 30), (97, 64), (200, 333)]
SIDE = 64
#: What OneFormer's processor wants to know of each class.
CLASS_INFO = {str(index): {"name": f"class {index}", "isthing": 0} for index in range(CLASSES)}
QUERIES = 9


def swin() -> Any:
    return transformers.SwinConfig(
        image_size=SIDE, embed_dim=8, depths=[1, 1, 1, 1], num_heads=[1, 1, 2, 2], window_size=4,
        out_features=["stage1", "stage2", "stage3", "stage4"],
    )  # fmt: skip


def maskformer() -> nn.Module:
    return transformers.MaskFormerForInstanceSegmentation(
        transformers.MaskFormerConfig(
            backbone_config=swin(), fpn_feature_size=32, mask_feature_size=32, num_labels=CLASSES,
            decoder_config=transformers.DetrConfig(
                d_model=32, encoder_layers=1, decoder_layers=2, encoder_ffn_dim=32,
                decoder_ffn_dim=32, encoder_attention_heads=2, decoder_attention_heads=2,
                num_queries=QUERIES,
            ).to_dict(),
        )
    )  # fmt: skip


def mask2former() -> nn.Module:
    return transformers.Mask2FormerForUniversalSegmentation(
        transformers.Mask2FormerConfig(
            backbone_config=swin(), feature_size=32, mask_feature_size=32, hidden_dim=32,
            encoder_feedforward_dim=32, dim_feedforward=32, encoder_layers=1, decoder_layers=3,
            num_attention_heads=2, num_queries=QUERIES, num_labels=CLASSES,
        )
    )  # fmt: skip


def eomt() -> nn.Module:
    return transformers.EomtForUniversalSegmentation(
        transformers.EomtConfig(
            hidden_size=32, num_hidden_layers=3, num_attention_heads=2, image_size=SIDE,
            patch_size=16, num_blocks=2, num_queries=QUERIES, num_register_tokens=1,
            num_labels=CLASSES,
        )
    )  # fmt: skip


def eomt_dinov3() -> nn.Module:
    return transformers.EomtDinov3ForUniversalSegmentation(
        transformers.EomtDinov3Config(
            hidden_size=32, num_hidden_layers=3, num_attention_heads=2, intermediate_size=64,
            image_size=SIDE, patch_size=16, num_blocks=2, num_queries=QUERIES,
            num_register_tokens=1, num_labels=CLASSES,
        )
    )  # fmt: skip


#: Of OneFormer's sentence, of which its tokenizer makes so many tokens.
TASK_TOKENS = 12


def oneformer() -> nn.Module:
    return transformers.OneFormerForUniversalSegmentation(
        transformers.OneFormerConfig(
            backbone_config=swin(), conv_dim=32, mask_dim=32, hidden_dim=32,
            encoder_feedforward_dim=32, dim_feedforward=32, encoder_layers=1, decoder_layers=4,
            query_dec_layers=1, num_attention_heads=2, num_queries=QUERIES, num_labels=CLASSES,
            task_seq_len=TASK_TOKENS, is_training=False,
        )
    )  # fmt: skip


def tokenizer(folder: Path) -> Any:
    """One that spells: a token for each letter, within a word and at its end."""
    folder.mkdir()
    letters = "abcdefghijklmnopqrstuvwxyz"
    tokens = [
        *letters,
        *(f"{letter}</w>" for letter in letters),
        "<|startoftext|>",
        "<|endoftext|>",
    ]
    (folder / "vocab.json").write_text(json.dumps({token: i for i, token in enumerate(tokens)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    return transformers.CLIPTokenizer.from_pretrained(folder)


SQUARE = {"height": SIDE, "width": SIDE}
EDGES = {"shortest_edge": SIDE, "longest_edge": SIDE}
NETWORKS: dict[str, tuple[Callable[[], nn.Module], str, dict[str, Any]]] = {
    "maskformer": (maskformer, "MaskFormerImageProcessor", SQUARE),
    "mask2former": (mask2former, "Mask2FormerImageProcessor", SQUARE),
    "oneformer": (oneformer, "OneFormerImageProcessor", SQUARE),
    "eomt": (eomt, "EomtImageProcessor", EDGES),
    "eomt_dinov3": (eomt_dinov3, "EomtImageProcessor", EDGES),
}


def picture(height: int, width: int) -> np.ndarray:
    photo = cv2.imread(str(Path(__file__).parents[2] / "data" / "astronaut.jpg"))
    return cv2.resize(photo[:400, 50:450, ::-1], (width, height), interpolation=cv2.INTER_AREA)


def network_input(image: np.ndarray) -> torch.Tensor:
    pixels = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)[None] / 255
    small = F.interpolate(pixels, (SIDE, SIDE), mode="bilinear", antialias=True)
    return (small - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]


class Made:
    """A network in a folder, its program, and the queries that it returns for an image."""

    def __init__(self, name: str, folder: Path) -> None:
        make, processor, size = NETWORKS[name]
        torch.manual_seed(3)
        self.network: Any = make().eval()
        fields: dict[str, Any] = {"size": size, "image_mean": MEAN, "image_std": STD}
        self.further: dict[str, Any] = {}  # beside the image
        if name == "oneformer":
            (folder / "classes.json").write_text(json.dumps(CLASS_INFO))
            fields |= {"class_info_file": str(folder / "classes.json"), "repo_path": None}
        self.processor: Any = getattr(transformers, processor)(**fields)
        if name == "oneformer":
            self.processor = transformers.OneFormerProcessor(
                self.processor, tokenizer(folder / "tokenizer"), task_seq_length=TASK_TOKENS
            )
            made = self.processor([picture(64, 64)], ["semantic"], return_tensors="pt")
            self.further = {"task_inputs": made["task_inputs"]}
        self._decide()
        self.network.save_pretrained(folder)
        self.processor.save_pretrained(folder)
        self.report: ExportReport = export(f"hf:{folder}", folder / "net.pte", size=(SIDE, SIDE))

    def queries(self, image: np.ndarray) -> Any:
        with torch.no_grad():
            return self.network(network_input(image), **self.further)

    def _decide(self) -> None:
        """Untrained queries are alike, their classes too, and their masks are grey: no longer."""
        with torch.no_grad():
            for part in self.network.modules():
                if isinstance(part, nn.Embedding) and part.num_embeddings == QUERIES:
                    part.weight.normal_(0, 2)
            classes = [e for e in self._linears() if e.out_features == CLASSES + 1][-1]
            self._centre(classes)
            masks = self._linears("mask_embedder", "mask_embed", "mask_head")[-1]
            self._centre(masks)
            found = self.queries(picture(*IMAGE_SIZES[-1]))
            for linear, scale in (
                (classes, found.class_queries_logits.std(1).mean() / 3),
                (masks, found.masks_queries_logits.std((2, 3)).mean() / 2),
            ):
                for value in linear.parameters():
                    value.div_(scale)

    def _linears(self, *heads: str) -> list[nn.Linear]:
        """Of the network, or of its parts of these names."""
        return [
            each
            for name, each in self.network.named_modules()
            if isinstance(each, nn.Linear) and (not heads or set(heads) & set(name.split(".")))
        ]

    def _centre(self, linear: nn.Linear) -> None:
        """What it makes of the queries is 0 in their mean."""
        made: list[torch.Tensor] = []
        hook = linear.register_forward_hook(lambda _m, _in, out: made.append(out))
        self.queries(picture(*IMAGE_SIZES[-1]))
        hook.remove()
        linear.bias -= made[-1].reshape(-1, linear.out_features).mean(0)


@pytest.fixture(scope="module", params=NETWORKS)
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Made:
    return Made(request.param, tmp_path_factory.mktemp(request.param))


@pytest.mark.parametrize("size", IMAGE_SIZES)
def test_labels_are_the_processors(made: Made, size: tuple[int, int]) -> None:
    """At the image's size, but for ties within 1e-4 of the largest score; maps are its shares."""
    image = picture(*size)
    (found,) = made.processor.post_process_semantic_segmentation(
        made.queries(image), target_sizes=[size], return_segmentation_scores=True
    )
    scores = found.segmentation_scores.numpy()
    assert len(found.segmentation.unique()) > 1, "a network that says one thing shows nothing"
    with etseg.ImageSegmentationModule() as module:
        module.load(made.report.path)
        assert module.spec.activation == "normalise"
        result = module.forward(image, range(CLASSES), resize=True)
    for label, expected in enumerate(scores / scores.sum(0)):
        assert np.abs(result[label] - expected).max() < 1e-3
    chosen = np.take_along_axis(scores, result.argmax[None].astype(np.int64), 0)[0]
    assert (scores.max(0) - chosen).max() <= 1e-4 * max(1, scores.max())


def test_what_the_maps_are_is_said(made: Made) -> None:
    assert any("divided by the sum over the classes" in note for note in made.report.notes)


def test_a_oneformer_without_its_tokenizer(tmp_path: Path) -> None:
    oneformer().save_pretrained(tmp_path)
    with pytest.raises(etseg.InvalidModelSourceError, match=r"tokenizer.*save_pretrained"):
        open_network(f"hf:{tmp_path}", None, None)


def test_an_eomt_amid_its_training_is_refused(tmp_path: Path) -> None:
    network: Any = eomt()
    network.attn_mask_probs[1] = 0.5
    network.save_pretrained(tmp_path)
    with pytest.raises(etseg.InvalidModelSourceError, match=r"random share \[1\.0, 0\.5\]"):
        open_network(f"hf:{tmp_path}", None, None)


def test_others_are_refused_by_name(tmp_path: Path) -> None:
    transformers.DetrConfig().save_pretrained(tmp_path)
    with pytest.raises(etseg.InvalidModelSourceError, match=r"is a detr.*mask2former"):
        open_network(f"hf:{tmp_path}", None, None)
