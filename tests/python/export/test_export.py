"""export(), from a network to a file that etseg runs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

pytest.importorskip("torch", reason="needs the extra 'export'")
pytest.importorskip("executorch", reason="needs the extra 'export'")

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

import etseg
from etseg._cli import main
from etseg.export import ExportError, ExportReport, _building, export
from etseg.export._verification.labels import agreement, labels_of
from networks import CLASSES, Segmentation, build, seeded

SIZE = (48, 64)
MEAN, STD = (0.5, 0.4, 0.3), (0.25, 0.5, 0.3)
LABELS = ["sky", "wet road", "tree", "house", "cat"]
#: Larger and smaller than the network's input, and of other shapes.
IMAGE_SIZES = [(48, 64), (30, 41), (97, 64), (200, 333)]


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> ExportReport:
    return export(
        build(),
        tmp_path_factory.mktemp("export") / "net.pte",
        size=SIZE,
        labels=LABELS,
        mean=MEAN,
        std=STD,
        background="sky",
        name="five",
        licence="CC0-1.0",
        origin="a test",
        low_stride=True,
        least_agreement=0,
    )


def picture(height: int, width: int) -> np.ndarray:
    """Smooth colours, some noise."""
    y, x = np.mgrid[:height, :width] / max(height, width)
    colours = np.stack([np.sin(9 * x), np.cos(7 * y), np.sin(5 * (x + y))], -1) * 100 + 128
    noise = np.random.default_rng(height).normal(0, 12, colours.shape)
    return (colours + noise).clip(0, 255).astype(np.uint8)


def network_input(image: np.ndarray) -> torch.Tensor:
    """As torchvision's presets have it: antialiased, then mean and std."""
    pixels = torch.from_numpy(image).permute(2, 0, 1)[None] / 255
    small = F.interpolate(pixels, SIZE, mode="bilinear", antialias=True)
    return (small - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]


def assert_same(result: etseg.SegmentationResult, scores: torch.Tensor) -> None:
    """ARGMAX equal but for ties within 1e-4, probabilities within 1e-3."""
    probabilities = scores.softmax(1)[0].numpy()
    for index in range(CLASSES):
        assert np.abs(result[index] - probabilities[index]).max() < 1e-3
    best = scores[0].amax(0).numpy()
    chosen = np.take_along_axis(scores[0].numpy(), result.argmax[None].astype(np.int64), 0)[0]
    assert (best - chosen).max() <= 1e-4


@pytest.mark.parametrize("size", IMAGE_SIZES)
def test_it_computes_what_the_network_does(exported: ExportReport, size: tuple[int, int]) -> None:
    image = picture(*size)
    with torch.no_grad():
        logits = build().backbone(network_input(image))
    full = F.interpolate(logits, size, mode="bilinear", align_corners=False)
    with etseg.ImageSegmentationModule() as module:
        module.load(exported.path)
        assert_same(module.forward(image, range(CLASSES), resize=True), full)
        assert_same(module.forward(image, range(CLASSES)), logits)


def test_the_whole_network_on_request(tmp_path: Path) -> None:
    report = export(build(), tmp_path / "whole.pte", size=SIZE, mean=MEAN, std=STD,
                    low_stride=False)  # fmt: skip
    assert report.cut is None
    assert report.output_size == SIZE
    assert report.agreement > 0.999
    image = picture(100, 150)
    with torch.no_grad():
        logits = build()(network_input(image))["out"]
    with etseg.ImageSegmentationModule() as module:
        module.load(report.path)
        full = F.interpolate(logits, (100, 150), mode="bilinear")
        assert_same(module.forward(image, range(CLASSES), resize=True), full)


def test_the_file_says_what_it_is(exported: ExportReport) -> None:
    with etseg.ImageSegmentationModule() as module:
        module.load(exported.path)
        spec = module.spec
        names = [label.name for label in module.labels]
    assert names == ["SKY", "WET_ROAD", "TREE", "HOUSE", "CAT", "ARGMAX"]
    assert spec.mean == pytest.approx(MEAN)
    assert spec.std == pytest.approx(STD)
    assert (spec.activation, spec.background, spec.resample) == ("softmax", 0, "antialias")
    assert (spec.name, spec.licence, spec.origin) == ("five", "CC0-1.0", "a test")
    assert exported.metadata["labels"] == LABELS


def test_only_what_the_logits_need_is_in_the_file(exported: ExportReport) -> None:
    """The auxiliary head alone has 64 * 5 * 49 weights."""
    assert exported.file_bytes == exported.path.stat().st_size
    assert exported.file_bytes < 64 * 5 * 49 * 4
    assert exported.cut is not None
    assert (exported.cut.logits, exported.cut.output) == ((12, 16), SIZE)
    assert exported.output_size == (12, 16)
    assert exported.partitions == 1
    assert exported.left == {}
    assert exported.plan_bytes < 4 * (3 * 48 * 64 + CLASSES * 12 * 16) * 1.1


def test_the_report(exported: ExportReport) -> None:
    content = json.loads(exported.as_json())
    assert content["input_size"] == list(SIZE)
    assert content["cut"]["grid"] == "half-pixel"
    assert content["share_delegated"] == 1
    assert [photo["photo"] for photo in content["photos"]][-1] == "random noise"
    assert len(content["photos"]) == 4
    table = exported.table()
    for word in ("astronaut", "random noise", "12x16 to 48x64", "labels equal"):
        assert word in table
    assert all(one.scores_differ <= 1e-3 * one.scores_reach for one in exported.photos)
    assert min(exported.load_ms, exported.forward_ms, exported.seconds) > 0


class _Smooth(Segmentation):
    """Logits that do not bend within a cell: cut or not, each pixel keeps its label."""

    def forward(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
        pooled = F.avg_pool2d(image, 24)
        logits = torch.cat((pooled, -pooled[:, :2]), 1)
        return {"out": self.upsample(logits, image.shape[-2:])}


def test_the_upsampling_is_kept_where_photos_want_it(tmp_path: Path) -> None:
    """Decided on the photos, either way."""
    rough = export(build(), tmp_path / "a.pte", size=SIZE, least_agreement=0)
    assert rough.cut is None
    assert any("upsampling at the end is kept" in note for note in rough.notes)
    smooth = export(_Smooth(), tmp_path / "b.pte", size=(192, 192))
    assert smooth.cut is not None
    assert smooth.agreement >= 0.995


def test_a_program_that_does_not_agree_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the lowering did wrong: nothing is written, and what was there stays."""
    lower = _building.lower

    def wrong(graph: nn.Module, *rest: object) -> object:
        for parameter in graph.buffers():
            parameter.data = parameter.data * 1.1
        lowered = lower(graph, *rest)  # type: ignore[arg-type]
        for parameter in graph.buffers():
            parameter.data = parameter.data / 1.1
        return lowered

    path = tmp_path / "net.pte"
    path.write_bytes(b"what was there")
    monkeypatch.setattr(_building, "lower", wrong)
    with pytest.raises(ExportError, match=r"scores differ.*no file was written") as caught:
        export(build(), path, size=SIZE, low_stride=True, least_agreement=0)
    assert path.read_bytes() == b"what was there"
    assert [p.name for p in tmp_path.iterdir()] == ["net.pte"]
    assert caught.value.report is not None
    assert "astronaut" in str(caught.value)


def test_too_little_agreement_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"100\.00% were asked for"):
        export(build(), tmp_path / "net.pte", size=SIZE, low_stride=True, least_agreement=1)
    assert list(tmp_path.iterdir()) == []


class _Branching(nn.Module):
    def forward(self, image: torch.Tensor) -> torch.Tensor:
        if image.mean() > 0:
            return image
        return -image


def test_what_cannot_be_traced_is_named(tmp_path: Path) -> None:
    with pytest.raises(ExportError) as caught:
        export(_Branching(), tmp_path / "net.pte", size=SIZE)
    assert "test_export.py" in str(caught.value)
    assert "if image.mean() > 0" in str(caught.value)
    assert "depends on the image's values" in str(caught.value)


class _Fixed(nn.Module):
    def __init__(self, function: object) -> None:
        super().__init__()
        self.function = function

    def forward(self, image: torch.Tensor) -> object:
        return self.function(image)  # type: ignore[operator]


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (lambda x: x.mean((2, 3)), r"\[1, 3\]; expected scores"),
        (lambda x: x > 0, "bool"),
        (lambda x: x.reshape(7, -1), "fails on an image"),
        (lambda _: None, "no tensor"),
    ],
)
def test_what_returns_no_scores_is_refused(tmp_path: Path, function: object, said: str) -> None:
    with pytest.raises(ExportError, match=said):
        export(_Fixed(function), tmp_path / "net.pte", size=SIZE)


def test_labels_that_do_not_fit(tmp_path: Path) -> None:
    with pytest.raises(etseg.InvalidConfigError, match="2 labels, but the network tells 5"):
        export(build(), tmp_path / "net.pte", size=SIZE, labels=["a", "b"])
    with pytest.raises(etseg.InvalidUserInputError, match="which size"):
        export(build(), tmp_path / "net.pte")


@pytest.mark.parametrize("size", IMAGE_SIZES)
def test_aligned_corners(cornered: ExportReport, size: tuple[int, int]) -> None:
    """The logits lie on another grid: the program says so, and etseg upsamples by it."""
    image = picture(*size)
    with torch.no_grad():
        logits = seeded(Segmentation(corners=True)).backbone(network_input(image))
    with etseg.ImageSegmentationModule() as module:
        module.load(cornered.path)
        assert module.spec.logits_grid == etseg.LogitsGrid("align-corners", SIZE)
        assert_same(module.forward(image, range(CLASSES)), logits)
        result = module.forward(image, range(CLASSES), resize=True)
    # Pixels by half-pixel centres in the network's output, and that by its corners in the logits.
    rows, columns = (
        ((np.arange(pixels) + 0.5) * points / pixels - 0.5).clip(0, points - 1)
        for pixels, points in zip(size, SIZE, strict=True)
    )
    y, x = 2 * rows / (SIZE[0] - 1) - 1, 2 * columns / (SIZE[1] - 1) - 1
    places = torch.from_numpy(np.stack(np.meshgrid(x, y), -1)[None])
    assert_same(result, F.grid_sample(logits.double(), places, align_corners=True).float())


@pytest.fixture(scope="module")
def cornered(tmp_path_factory: pytest.TempPathFactory) -> ExportReport:
    network = seeded(Segmentation(corners=True))
    path = tmp_path_factory.mktemp("corners") / "net.pte"
    return export(network, path, size=SIZE, mean=MEAN, std=STD, low_stride=True, least_agreement=0)


def test_one_channel(tmp_path: Path) -> None:
    """A logit, and its sigmoid is the probability of label 0."""
    network = seeded(Segmentation(channels=1))
    report = export(network, tmp_path / "net.pte", size=SIZE, mean=MEAN, std=STD,
                    activation="sigmoid", low_stride=True, least_agreement=0)  # fmt: skip
    image = picture(90, 70)
    with torch.no_grad():
        logits = network.backbone(network_input(image))
    full = F.interpolate(logits, (90, 70), mode="bilinear")[0, 0].numpy()
    with etseg.ImageSegmentationModule() as module:
        module.load(report.path)
        result = module.forward(image, [0], resize=True)
    assert np.abs(result[0] - 1 / (1 + np.exp(-full))).max() < 1e-3
    sure = np.abs(full) > 1e-3
    assert np.array_equal(result.argmax[sure], (full < 0)[sure])


def test_labels_that_do_not_exclude_each_other(tmp_path: Path) -> None:
    """A sigmoid a channel, and one label more, for where none is likely."""
    network = seeded(Segmentation())
    report = export(network, tmp_path / "net.pte", size=SIZE, mean=MEAN, std=STD, labels=[*LABELS,
                    "none"], activation="sigmoid", low_stride=True, least_agreement=0)  # fmt: skip
    image = picture(90, 70)
    with torch.no_grad():
        logits = network.backbone(network_input(image))
    full = F.interpolate(logits, (90, 70), mode="bilinear")[0].numpy()
    with etseg.ImageSegmentationModule() as module:
        module.load(report.path)
        result = module.forward(image, range(CLASSES), resize=True)
    for index in range(CLASSES):
        assert np.abs(result[index] - 1 / (1 + np.exp(-full[index]))).max() < 1e-3
    sure = np.abs(np.sort(full, 0)[-1]) > 1e-3
    expected = np.where(full.max(0) >= 0, full.argmax(0), CLASSES)
    assert 0 < (expected == CLASSES).mean() < 1
    assert np.mean(result.argmax[sure] == expected[sure]) > 0.999
    assert all(photo.agreement > 0.8 for photo in report.photos)
    with pytest.raises(etseg.InvalidConfigError, match="5 labels, but the network tells 6"):
        export(network, tmp_path / "net.pte", size=SIZE, labels=LABELS, activation="sigmoid")


def test_the_label_for_none_is_compared_too() -> None:
    scores = torch.tensor([[1.0, -1.0, -2.0, 0.0], [0.5, -3.0, -0.5, 0.0]]).reshape(1, 2, 1, 4)
    assert labels_of(scores, "sigmoid").tolist() == [[0, 2, 2, 0]]
    assert labels_of(scores, "softmax").tolist() == [[0, 0, 1, 0]]
    assert agreement(scores, "sigmoid", np.array([[0, 2, 1, 2]])) == (0.5, 0.75)


def test_the_command(tmp_path: Path) -> None:
    weights = tmp_path / "w.pt"
    torch.save(build().state_dict(), weights)
    script = tmp_path / "mynet.py"
    script.write_text(
        "from networks import Segmentation\n\n\ndef build():\n    return Segmentation()\n"
    )
    (tmp_path / "labels.txt").write_text("\n".join(LABELS) + "\n")
    path = tmp_path / "net.pte"
    done = CliRunner().invoke(
        main,
        ["export", f"{script}:build", "-o", str(path), "--weights", str(weights), "--size", "48x64",
         "--labels", str(tmp_path / "labels.txt"), "--mean", "0.5,0.4,0.3", "--std", "0.25,0.5,0.3",
         "--keep-upsampling", "--json"],
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    content = json.loads(done.stdout)
    assert content["network"] == "mynet"
    assert content["metadata"]["labels"] == LABELS
    assert content["agreement"] > 0.999
    with etseg.ImageSegmentationModule() as module:
        module.load(path)
        assert module.input_size == SIZE


class _Summing(nn.Sequential):
    """Ends in an operator that XNNPACK's partitioner does not take."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return super().forward(image).cumsum(1)


def test_what_is_left_has_its_share_of_the_time(tmp_path: Path) -> None:
    network = seeded(_Summing(nn.Conv2d(3, 4, 1)))
    report = export(network, tmp_path / "net.pte", size=SIZE, least_agreement=0)
    assert report.left == {"cumsum": 1}
    assert set(report.left_time) == {"cumsum"}
    assert 0 < report.left_time["cumsum"] < 1
    assert json.loads(report.as_json())["left_time"] == report.left_time
    assert f"of a forward's time {report.left_time['cumsum']:.1%}: cumsum" in report.table()


def test_where_nothing_is_left_there_is_no_share(exported: ExportReport) -> None:
    assert (exported.left, exported.left_time) == ({}, {})
