"""A result as data: dicts, JSON, rows; and that result.schema.json describes them."""

from __future__ import annotations

import csv
import io
import json
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import etseg
from eyes import encoded, eyes, smooth
from http_server import Server
from result_schema import check_record


@pytest.fixture(scope="module")
def module() -> Iterator[Any]:
    with eyes() as module:
        yield module


def three(module: Any, **options: Any) -> Any:
    """A result of 4x3 pixels: two R, one G, nine B."""
    result = module.forward(np.zeros((3, 4, 3), np.uint8), **options, resize=True)
    result.argmax[:] = [[0, 0, 2, 2], [2, 1, 2, 2], [2, 2, 2, 2]]
    return result


def test_all_that_is_known(module: Any) -> None:
    result = three(module, classes_of_interest=["G"])
    result["G"][:] = np.arange(12).reshape(3, 4) / 12
    found = result.to_dict()
    check_record(found)
    assert found == {
        "schema": 1,
        "image": None,
        "model": found["model"],
        "width": 4,
        "height": 3,
        "map_width": 4,
        "map_height": 3,
        "labels": [
            {
                "label": "B", "index": 2, "pixels": 9, "share": 0.75, "mean_probability": None,
                "box": [0, 0, 4, 3], "rle": result.to_coco_rle("B"),
            },
            {
                "label": "R", "index": 0, "pixels": 2, "share": 2 / 12, "mean_probability": None,
                "box": [0, 0, 2, 1], "rle": result.to_coco_rle("R"),
            },
            {
                "label": "G", "index": 1, "pixels": 1, "share": 1 / 12,
                "mean_probability": pytest.approx(5.5 / 12),
                "box": [1, 1, 2, 2], "rle": result.to_coco_rle("G"),
            },
        ],
        "timings_ms": {
            stage: getattr(result.timings, stage) / 1e6
            for stage in ("decode", "preprocess", "inference", "postprocess", "total")
        },
    }  # fmt: skip
    assert json.loads(result.to_json()) == found
    assert result.to_json().isascii()
    assert "\n" not in result.to_json()


def test_of_the_image_whatever_the_size_of_the_maps(module: Any) -> None:
    result = module.forward(smooth(48, 80))
    found = result.to_dict()
    check_record(found)
    assert (found["width"], found["height"]) == (80, 48)
    assert (found["map_width"], found["map_height"]) == (40, 24)
    assert sum(each["pixels"] for each in found["labels"]) == 80 * 48
    for each in found["labels"]:
        assert each["rle"]["size"] == [48, 80]
        assert tuple(each["box"]) == result.boxes()[each["label"]]


def test_labels_that_are_asked_for(module: Any) -> None:
    result = three(module)
    result.argmax[result.argmax == 1] = 2
    names = [each["label"] for each in result.to_dict(["G", 2, "g"])["labels"]]
    assert names == ["B", "G"]  # each once, the largest first
    (green,) = result.to_dict("G")["labels"]
    check_record(result.to_dict("G"))
    assert (green["pixels"], green["share"], green["box"], green["rle"]) == (0, 0.0, None, None)
    assert result.to_dict([])["labels"] == []
    for wrong in ("X", ["G", 3], "ARGMAX", [True]):
        with pytest.raises(etseg.LabelError):
            result.to_dict(wrong)
        with pytest.raises(etseg.LabelError):
            result.to_rows(wrong)


def test_labels_of_equal_size_come_in_the_order_of_their_indices(module: Any) -> None:
    result = three(module)
    result.argmax[:] = [[2, 2, 1, 1], [0, 0, 2, 2], [1, 1, 0, 0]]
    assert [each["index"] for each in result.to_dict(["B", "R", "G"])["labels"]] == [0, 1, 2]


def test_what_takes_long_can_be_left_out(module: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    result = three(module)
    full = result.to_dict()

    def unwanted(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr("etseg._results.rle.encoded", unwanted)
    assert result.to_dict(rle=False)["labels"] == [{**e, "rle": None} for e in full["labels"]]
    found = result.to_dict(boxes=False, rle=False)
    check_record(found)
    assert all(each["box"] is each["rle"] is None for each in found["labels"])
    assert result.to_json(boxes=False, rle=False) == json.dumps(found)


def test_probabilities_that_are_no_numbers(module: Any) -> None:
    result = three(module, classes_of_interest=["B"])
    result["B"][0, 0] = np.nan
    assert result.to_dict()["labels"][0]["mean_probability"] is None
    json.loads(result.to_json())


def test_a_changed_argmax_is_an_error(module: Any) -> None:
    result = three(module)
    result.argmax[0, 0] = 7
    with pytest.raises(etseg.InvalidUserInputError, match="ARGMAX holds 7"):
        result.to_dict()


def test_rows_are_plain_and_of_a_table(module: Any, tmp_path: Path) -> None:
    path = tmp_path / "ä.png"
    path.write_bytes(encoded(smooth(), "PNG"))
    result = module.forward(path, ["R"])
    rows = result.to_rows()
    assert [row["label"] for row in rows] == [e["label"] for e in result.to_dict()["labels"]]
    for row, each in zip(rows, result.to_dict()["labels"], strict=True):
        assert list(row) == [
            "image", "model", "width", "height", "label", "index", "pixels", "share",
            "mean_probability", "x0", "y0", "x1", "y1",
        ]  # fmt: skip
        assert row["image"] == str(path)
        assert [row[key] for key in ("x0", "y0", "x1", "y1")] == each["box"]
        assert {type(value) for value in row.values()} <= {str, int, float, type(None)}
    file = io.StringIO()
    writer = csv.DictWriter(file, rows[0])
    writer.writerows(rows)
    assert len(file.getvalue().splitlines()) == len(rows)
    result.argmax[:] = 0
    (absent,) = result.to_rows(["G"])
    assert (absent["pixels"], absent["x0"], absent["y1"]) == (0, None, None)


def test_rows_make_a_table_of_pandas(module: Any) -> None:
    pandas: Any = pytest.importorskip("pandas")
    table = pandas.DataFrame([row for _ in range(2) for row in three(module).to_rows()])
    assert table.groupby("label")["pixels"].sum().to_dict() == {"B": 18, "G": 2, "R": 4}


class TestSource:
    def test_a_path_as_it_was_given(
        self, module: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "a.png").write_bytes(encoded(smooth(), "PNG"))
        monkeypatch.chdir(tmp_path)
        for given in ("a.png", Path("a.png"), tmp_path / "a.png"):
            assert module.forward(given).source == str(given)
        assert module.forward((tmp_path / "a.png").as_uri()).source == str(tmp_path / "a.png")
        with Path("a.png").open("rb") as file:
            assert module.forward(file).source == "a.png"

    def test_a_url_without_its_secrets(self, module: Any, server: Server) -> None:
        url = server.add("/a.png?token=secret", encoded(smooth(), "PNG"))
        result = module.forward(url)
        assert result.source == url.replace("token=secret", "...")
        assert "secret" not in result.to_json()

    def test_what_has_no_name(self, module: Any) -> None:
        data = encoded(smooth(), "PNG")
        for given in (smooth(), data, io.BytesIO(data)):
            assert module.forward(given).source is None

    def test_it_stays_when_a_result_is_pickled(self, module: Any, photo_path: Path) -> None:
        result = module.forward(photo_path)
        again = pickle.loads(pickle.dumps(result))
        assert again.source == str(photo_path)
        assert again.to_dict() == result.to_dict()
