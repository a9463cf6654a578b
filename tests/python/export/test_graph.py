"""The graph of a network: where it ends, what is cut, folded and dropped."""

from __future__ import annotations

from collections.abc import Callable

import pytest

pytest.importorskip("torch", reason="needs the extra 'export'")
pytest.importorskip("executorch", reason="needs the extra 'export'")

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from etseg.export._graph.capture import capture
from etseg.export._graph.masked_writes import choose_where_masked
from etseg.export._graph.rewrites import rewritten
from etseg.export._graph.simplify import simplified
from etseg.export._graph.tail import find_tail
from networks import Backbone, build, seeded

SIZE = (48, 64)
Ending = Callable[[torch.Tensor], torch.Tensor]


class Ended(nn.Module):
    """Logits [1, 5, 12, 16], and something behind them."""

    def __init__(self, ending: Ending) -> None:
        super().__init__()
        self.backbone = Backbone()
        self.ending = ending

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.ending(self.backbone(image))


def up(logits: torch.Tensor, corners: bool = False) -> torch.Tensor:
    return F.interpolate(logits, SIZE, mode="bilinear", align_corners=corners)


@pytest.mark.parametrize(
    "ending",
    [
        up,
        lambda x: up(x).clone(),
        lambda x: up(x).to(torch.float64),
        lambda x: F.dropout(up(x), 0.5, training=False),
        lambda x: F.interpolate(x, scale_factor=4, mode="bilinear"),
        lambda x: up(x).permute(0, 2, 3, 1),
        lambda x: up(x).permute(0, 2, 3, 1).permute(0, 3, 1, 2),
        lambda x: up(x).transpose(1, 2).transpose(2, 1),
    ],
    ids=["plain", "copied", "cast", "dropout", "by factor", "to NHWC", "there and back", "swapped"],
)
def test_an_upsampling_at_the_end_is_cut(ending: Ending) -> None:
    network = seeded(Ended(ending))
    found = simplified(network, SIZE, cut=True)
    assert found.tail is not None
    assert (found.tail.source, found.tail.target) == ((12, 16), SIZE)
    assert found.tail.grid == "half-pixel"
    image = torch.rand(1, 3, *SIZE)
    with torch.no_grad():
        torch.testing.assert_close(found.graph(image), network.backbone(image))


def test_aligned_corners_are_told_apart() -> None:
    tail = find_tail(capture(seeded(Ended(lambda x: up(x, corners=True))), SIZE))
    assert tail is not None
    assert tail.grid == "align-corners"


@pytest.mark.parametrize(
    "ending",
    [
        lambda x: x,
        lambda x: up(x) + 1,
        lambda x: up(x)[:, :, 1:],
        lambda x: up(x).transpose(2, 3),  # rows and columns change places
        lambda x: up(x).flip(3),
        lambda x: F.interpolate(x, SIZE, mode="nearest"),
        lambda x: F.interpolate(x, x.shape[-2:], mode="bilinear"),  # nothing is upsampled
        # 12 * 3.99 is 47 rows, 3.99 apart: they end short of the image's edge.
        lambda x: F.interpolate(x, scale_factor=3.99, mode="bilinear"),
    ],
    ids=["none", "then more", "cropped", "turned", "mirrored", "nearest", "same size", "uneven"],
)
def test_what_is_no_upsampling_of_the_whole_image_stays(ending: Ending) -> None:
    network = seeded(Ended(ending))
    found = simplified(network, SIZE, cut=True)
    assert found.tail is None
    image = torch.rand(1, 3, *SIZE)
    with torch.no_grad():
        torch.testing.assert_close(found.graph(image), network(image))


def test_what_nobody_reads_is_gone() -> None:
    """The auxiliary head with its weights, and every batch norm."""
    graph = simplified(build(), SIZE, cut=True).graph
    names = {str(node.target) for node in graph.graph.nodes if node.op == "call_function"}
    assert names == {"aten.conv2d.default", "aten.relu.default"}
    stored = sum(value.numel() for value in graph.state_dict().values())
    assert (
        stored
        == sum(
            parameter.numel()
            for layer in build().backbone
            if isinstance(layer, nn.Conv2d)
            for parameter in layer.parameters()
        )
        + 8
    )  # the bias that the batch norm became


def test_what_is_computed_of_weights_alone_is_computed_once() -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.rand(5, 3, 1, 1))
            self.gain = nn.Parameter(torch.rand(5, 1, 1, 1))

        def forward(self, image: torch.Tensor) -> torch.Tensor:
            return F.conv2d(image, self.weight * self.gain.exp() / self.weight.norm())

    network = Scaled().eval()
    graph = simplified(network, SIZE, cut=True).graph
    assert [str(n.target) for n in graph.graph.nodes if n.op == "call_function"] == [
        "aten.conv2d.default"
    ]
    image = torch.rand(1, 3, *SIZE)
    with torch.no_grad():
        torch.testing.assert_close(graph(image), network(image))


def test_a_convolution_that_others_read_keeps_its_weights() -> None:
    class Shared(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.convolution, self.norm = nn.Conv2d(3, 5, 1), nn.BatchNorm2d(5)

        def forward(self, image: torch.Tensor) -> torch.Tensor:
            before = self.convolution(image)
            return self.norm(before) - before

    network = seeded(Shared())
    image = torch.rand(1, 3, *SIZE)
    with torch.no_grad():
        torch.testing.assert_close(simplified(network, SIZE, cut=True).graph(image), network(image))


class Attention(nn.Module):
    """What a transformer's block has around its convolutions."""

    def __init__(self, affine: bool) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(16, eps=1e-3, elementwise_affine=affine)
        self.turn = nn.Linear(3, 16)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        tokens = self.norm(self.turn(image.flatten(2).transpose(1, 2)))
        heads = F.dropout(tokens, 0.5, self.training).reshape(1, -1, 2, 8).transpose(1, 2)
        weights = (heads @ heads.transpose(2, 3)).softmax(-1)
        mixed = (weights @ heads).transpose(1, 2).reshape(1, -1, 16)
        return mixed.transpose(1, 2).reshape(1, 16, *image.shape[-2:])


@pytest.mark.parametrize("affine", [True, False])
def test_what_a_backend_does_not_take_is_written_otherwise(affine: bool) -> None:
    network = seeded(Attention(affine))
    graph = simplified(network, (6, 8), cut=True).graph
    before = [str(node.target) for node in graph.graph.nodes]
    found = rewritten(graph)
    names = {str(node.target) for node in found.graph.nodes}
    assert not names & {"aten.layer_norm.default", "aten.matmul.default"}
    assert {"aten.layer_norm.default", "aten.matmul.default"} <= set(before)
    assert [str(node.target) for node in graph.graph.nodes] == before, "the one given stays"
    image = torch.rand(1, 3, 6, 8)
    with torch.no_grad():
        torch.testing.assert_close(found(image), network(image))


def test_products_that_broadcast_stay() -> None:
    class Broadcast(nn.Module):
        def forward(self, image: torch.Tensor) -> torch.Tensor:
            return image @ image[:, :1].transpose(2, 3)

    network = Broadcast().eval()
    graph = simplified(network, (6, 8), cut=True).graph
    image = torch.rand(1, 3, 6, 8)
    torch.testing.assert_close(rewritten(graph)(image), network(image))


def test_constants_have_the_strides_of_their_shape() -> None:
    """Of axes of length 1, too: XNNPACK takes [1, 1, H, W] with others for channels last."""
    graph = simplified(_Shifted(), (8, 8), cut=False).graph
    (value,) = graph.buffers()
    assert tuple(value.shape) == (1, 1, 8, 8)
    assert value.stride() == (64, 64, 8, 1)


class _Shifted(nn.Module):
    """Adds what is computed of a weight alone, whose strides contiguous() leaves as they come."""

    def __init__(self) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.rand(8, 8, 1))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return image + self.bias.permute(2, 0, 1).contiguous().unsqueeze(0)


def test_checks_of_constants_are_no_work_for_the_program() -> None:
    """They read a number out of a tensor, which the runtime would have to."""
    graph = simplified(_Checked(), (8, 8), cut=False).graph
    assert [n.target for n in graph.graph.nodes if n.op == "call_function"] == [
        torch.ops.aten.relu.default
    ]


class _Checked(nn.Module):
    def forward(self, image: torch.Tensor) -> torch.Tensor:
        sides = torch.tensor([[8, 8], [4, 4]])
        torch._check((sides[:, 0] * sides[:, 1]).sum().item() == 80)
        return image.relu()


class Masked(nn.Module):
    """Assigns to a copy of the image, [1, 3, H, W], what a function says."""

    def __init__(self, assign: Callable[[torch.Tensor], object]) -> None:
        super().__init__()
        self.assign = assign

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        image = image.clone()
        self.assign(image)
        return image


def by_mask(x: torch.Tensor) -> None:
    x[x > 0.5] = 0.25


def by_places(x: torch.Tensor) -> None:
    x[torch.where(x.sum(-1) > 32)] = 0.25


def by_nonzero(x: torch.Tensor) -> None:
    x[(x.sum(-1) > 32).nonzero(as_tuple=True)] = 0.25


def rows(x: torch.Tensor) -> None:
    x[x.sum(-1) > 32] = torch.arange(SIZE[1]) / SIZE[1]


@pytest.mark.parametrize("assign", [by_mask, by_places, by_nonzero, rows])
def test_an_assignment_by_a_mask_is_a_choice(assign: Callable[[torch.Tensor], object]) -> None:
    network = Masked(assign).eval()
    found = simplified(network, SIZE, cut=True)
    left = {node.target for node in found.graph.graph.nodes}
    assert torch.ops.aten.index_put.default not in left
    assert not left & {torch.ops.aten.where.default, torch.ops.aten.nonzero_numpy.default}
    image = torch.rand(1, 3, *SIZE)
    changed = network(image)
    assert not torch.equal(changed, image)
    torch.testing.assert_close(found.graph(image), changed, rtol=0, atol=0)


def other_axes(x: torch.Tensor) -> None:
    below, behind, row = torch.where(x.sum(-1) > 32)
    x[below, behind, SIZE[0] - 1 - row] = 0.25


def added(x: torch.Tensor) -> None:
    x.index_put_(torch.where(x > 0.5), torch.tensor(0.25), accumulate=True)


def of_each_place(x: torch.Tensor) -> None:
    x[torch.tensor([0]), torch.tensor([1])] = torch.zeros(1, *SIZE)


@pytest.mark.parametrize("assign", [other_axes, added, of_each_place])
def test_other_assignments_stay(assign: Callable[[torch.Tensor], object]) -> None:
    graph = capture(Masked(assign).eval(), SIZE)
    assert choose_where_masked(graph) == 0
    image = torch.rand(1, 3, *SIZE)
    torch.testing.assert_close(graph(image), Masked(assign)(image))
