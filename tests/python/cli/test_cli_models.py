"""`etseg models NAME|FILE`, and what `etseg segment` says of a model in its place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

import etseg
from etseg import resources
from etseg._cli import main
from etseg._cli.values import names_of_labels
from programs import program

pytestmark = pytest.mark.usefixtures("cache")


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, list(map(str, arguments)))


def told(*arguments: object) -> dict[str, Any]:
    ended = run("models", *arguments, "--json")
    assert (ended.exit_code, ended.stderr) == (0, ""), ended.output
    found: dict[str, Any] = json.loads(ended.stdout)
    return found


class TestModels:
    def test_of_the_package(self) -> None:
        path = resources.fetch("selfie-segmentation")
        assert told("selfie-segmentation") == {
            "name": "selfie-segmentation",
            "size": path.stat().st_size,
            "labels": ["SELFIE", "BACKGROUND"],
            "where": "package",
            "url": None,
            "path": str(path),
            "input_size": [256, 256],
            "output_size": [256, 256],
            "assumed": [],
            "forward_ms": None,
            "mean": [0, 0, 0],
            "std": [1, 1, 1],
            "pixels": "floats",
            "activation": "none",
            "resample": "antialias",
            "background": "BACKGROUND",
            "licence": "Apache-2.0",
            "origin": "MediaPipe, its package of PyPI",
        }

    def test_that_is_not_downloaded(self) -> None:
        """What the catalogue knows; nothing is downloaded for it."""
        found = told("deeplab-v3-resnet50")
        assert found["where"] == "internet"
        assert found["labels"][15] == "PERSON"
        assert found["mean"] == [0.485, 0.456, 0.406]
        assert found["path"] is found["input_size"] is found["licence"] is None
        text = run("models", "deeplab-v3-resnet50").stdout
        assert "not known until it is downloaded" in text
        assert text.count(found["url"]) == 1
        assert found["url"].startswith(found["origin"] + "/")
        assert "licence    not known here; its origin's page says it\n" in text
        assert resources.list_downloaded_models() == []

    @pytest.mark.parametrize("name", ["uint8_input", "uint8_nhwc"])
    def test_that_takes_bytes(self, name: str) -> None:
        """It normalises them itself: there is no mean, and nothing is assumed of it."""
        found = told(program(name))
        assert (found["mean"], found["std"], found["pixels"]) == (None, None, "bytes")
        assert not any("pixels" in one for one in found["assumed"])
        text = run("models", program(name)).stdout
        assert "pixels     0..255, the program normalises them itself\n" in text
        assert "mean" not in text

    def test_of_a_file_that_says_nothing(self) -> None:
        found = told(program("logits_c3"))
        assert found["name"] is None
        assert (found["where"], found["path"]) == ("file", str(program("logits_c3")))
        assert found["assumed"] == [
            "pixels of 0..1 with mean 0 and std 1",
            "labels CLASS_0, CLASS_1, CLASS_2",
            "activation 'softmax'",
        ]
        text = run("models", program("logits_c3")).stdout
        assert "assumed    pixels of 0..1 with mean 0 and std 1; labels CLASS_0, CLASS_1," in text
        assert "input      40x24 pixels" in text
        assert "licence    not said" in text

    def test_of_a_file_that_says_all(self) -> None:
        found = told(program("described_c3"))
        assert (found["name"], found["licence"]) == ("three-classes", "CC0-1.0")
        assert found["assumed"] == []
        assert "assumed" not in run("models", program("described_c3")).stdout

    def test_labels_without_names_are_not_listed(self) -> None:
        text = run("models", program("logits_c300")).stdout
        assert "classes    300 without names: CLASS_0 to CLASS_299\n" in text

    def test_time(self) -> None:
        assert told("--time", program("logits_c3"))["forward_ms"] > 0
        assert "forward    " in run("models", "--time", program("logits_c3")).stdout

    @pytest.mark.parametrize(
        ("arguments", "status", "words"),
        [
            (["--time"], 2, "--time needs a model"),
            (["selfie"], 2, "is no file and no known model; did you mean 'selfie-segmentation' or"),
            (["person"], 2, "is no file and no known model; known: deeplab"),
            (["--time", "fcn-resnet50"], 1, "download it first: etseg fetch fcn-resnet50"),
            (["https://u:secret@127.0.0.1/x.pte"], 1, "etseg fetch https://127.0.0.1/x.pte"),
            (["nowhere/x.pte"], 1, "no such file: 'nowhere/x.pte'"),
            ([program("classifier")], 1, "classifier.pte"),
        ],
    )
    def test_errors(self, arguments: list[object], status: int, words: str) -> None:
        ended = run("models", *arguments)
        assert ended.exit_code == status
        assert words in ended.stderr
        assert "secret" not in ended.output


class TestSaidOfAModel:
    def test_nothing_to_cut_out(self, photo: Path, tmp_path: Path) -> None:
        """In the command's words, before any photo is read."""
        words = ["segment", photo, "--model", program("logits_c3"), "--cutout"]
        ended = run(*words, tmp_path / "c.png")
        assert ended.exit_code == 2
        assert "say with --classes what is to be cut out" in ended.stderr
        assert run(*words, tmp_path / "c.png", "--classes", "class_1").exit_code == 0

    @pytest.fixture
    def photo(self, tmp_path: Path) -> Path:
        Image.fromarray(np.full((24, 40, 3), 128, np.uint8)).save(tmp_path / "a.png")
        return tmp_path / "a.png"

    def labels(self, photo: Path, *options: object) -> list[str]:
        ended = run("segment", photo, "--model", program("logits_c3"), "--json", *options)
        assert ended.exit_code == 0, ended.output
        return [each["label"] for each in json.loads(ended.stdout)["labels"]]

    def test_labels(self, photo: Path, tmp_path: Path) -> None:
        (there,) = self.labels(photo)
        index = int(there.removeprefix("CLASS_"))
        assert self.labels(photo, "--labels", "sky, road,sea") == [["SKY", "ROAD", "SEA"][index]]
        (tmp_path / "labels.txt").write_text("sky\n\nroad\nsea\n", encoding="utf-8")
        chosen = ["--labels", tmp_path / "labels.txt", "--classes", "sea"]
        assert self.labels(photo, *chosen) == ["SEA"]

    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
    def test_a_file_of_labels_has_a_mark_before_them_or_none(
        self, encoding: str, tmp_path: Path
    ) -> None:
        labels = tmp_path / "labels.txt"
        labels.write_text("sky\n\nroad\r\n", encoding=encoding)
        assert names_of_labels(str(labels)) == ["sky", "road"]

    @pytest.mark.parametrize("names", ["a,b", "a,a,b", ",,", "."])
    def test_labels_that_do_not_fit(self, names: str, photo: Path) -> None:
        ended = run("segment", photo, "--model", program("logits_c3"), "--labels", names)
        assert ended.exit_code == 1
        assert "label" in ended.stderr

    def test_the_file_of_labels_is_not_written_over(self, photo: Path, tmp_path: Path) -> None:
        labels = tmp_path / "labels.png"
        labels.write_text("a\nb\nc\n", encoding="utf-8")
        ended = run(
            *("segment", photo, "--model", program("logits_c3"), "--labels", labels),
            *("--mask", labels),
        )
        assert ended.exit_code == 2
        assert labels.read_text(encoding="utf-8") == "a\nb\nc\n"

    def test_normalisation(self, photo: Path, tmp_path: Path) -> None:
        ended = run(
            *("segment", photo, "--model", program("logits_c3"), "--npz", tmp_path / "a.npz"),
            *("--mean", "0.5,0.25,0.125", "--std", "0.5,1,2", "--classes", "class_1"),
        )
        assert ended.exit_code == 0, ended.output
        module = etseg.ImageSegmentationModule(
            {
                "model_source": program("logits_c3"),
                "mean": [0.5, 0.25, 0.125],
                "std": [0.5, 1, 2],
            }
        )
        expected = module.forward(photo, ["CLASS_1"], resize=True)["CLASS_1"]
        with np.load(tmp_path / "a.npz") as there:
            np.testing.assert_allclose(there["CLASS_1"], expected, atol=1e-6)

    @pytest.mark.parametrize(
        ("option", "value", "status", "words"),
        [
            ("--mean", "0.5", 2, "expected red,green,blue"),
            ("--std", "a,b,c", 2, "expected red,green,blue"),
            ("--mean", "124,116,104", 1, "divide mean and std by 255"),
            ("--std", "0,1,1", 1, "above 0"),
        ],
    )
    def test_normalisation_that_is_none(
        self, option: str, value: str, status: int, words: str, photo: Path
    ) -> None:
        ended = run("segment", photo, option, value)
        assert ended.exit_code == status
        assert words in ended.stderr
