"""etseg.batch.Segmenter: columns for batches of every kind."""

from __future__ import annotations

import os
import pickle
import threading
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import etseg
from children import output_of
from conftest import Image
from etseg.batch import Segmenter
from etseg.batch._pixels import PixelBudget, pixels_of
from programs import program

pa = pytest.importorskip("pyarrow")
pd = pytest.importorskip("pandas")

ADDED = ["size", "areas", "boxes", "rle", "mask_png", "error", "timings"]
ALL = ("areas", "boxes", "rle", "mask_png")


@pytest.fixture(scope="module")
def segmenter() -> Segmenter:
    return Segmenter(etseg.SELFIE_SEGMENTATION, outputs=ALL)


@pytest.fixture(scope="module")
def expected(photo_path: Path) -> etseg.SegmentationResult:
    with etseg.ImageSegmentationModule() as module:
        module.load(etseg.SELFIE_SEGMENTATION)
        return module.forward(photo_path, resize=True)


def plain(value: Any) -> Any:
    return value.as_py() if hasattr(value, "as_py") else value


def batches(paths: list[str]) -> list[Any]:
    return [
        pytest.param({"path": np.array(paths)}, id="arrays"),
        pytest.param({"path": paths}, id="lists"),
        pytest.param(pd.DataFrame({"path": paths}, index=[7, 3]), id="pandas"),
        pytest.param(pa.table({"path": paths}), id="arrow"),
    ]


PHOTO = str(Path(__file__).resolve().parents[2] / "data" / "astronaut.jpg")


@pytest.mark.parametrize("batch", batches([PHOTO, "nowhere.jpg"]))
def test_a_batch_of_each_kind(
    segmenter: Segmenter, batch: Any, expected: etseg.SegmentationResult
) -> None:
    names = list(getattr(batch, "column_names", batch))
    out = segmenter(batch)
    assert type(out) is type(batch)
    assert list(getattr(out, "column_names", out)) == ["path", *ADDED]
    assert list(getattr(batch, "column_names", batch)) == names  # it is as it was
    good, bad = ({name: plain(list(out[name])[i]) for name in ADDED} for i in (0, 1))

    assert good["size"] == {"height": 512, "width": 512}
    areas, boxes = expected.areas(), expected.boxes()
    assert good["areas"] == [
        {"label": m.name, "pixels": areas[m].pixels, "share": areas[m].share}
        for m in expected.present_labels()
    ]
    assert [tuple(box[k] for k in ("x0", "y0", "x1", "y1")) for box in good["boxes"]] == [
        boxes[m] for m in expected.present_labels()
    ]
    assert good["rle"] == [
        {"label": m.name, **expected.to_coco_rle(m)} for m in expected.present_labels()
    ]
    mask = cv2.imdecode(np.frombuffer(good["mask_png"], np.uint8), cv2.IMREAD_UNCHANGED)
    assert mask is not None
    np.testing.assert_array_equal(mask, expected.argmax)
    assert good["error"] is None
    assert 0 < good["timings"]["inference"] < good["timings"]["total"]

    assert bad["error"]["message"].count("nowhere.jpg") == 1
    assert all(bad[name] is None for name in ADDED if name != "error")


def test_the_index_of_a_frame_stays(segmenter: Segmenter) -> None:
    frame = segmenter(pd.DataFrame({"path": [PHOTO, PHOTO]}, index=["b", "a"]))
    assert list(frame.index) == ["b", "a"]


@pytest.mark.parametrize("kind", ["bytes", "image", "table of bytes"])
def test_columns_of_what_is_read_already(
    segmenter: Segmenter, astronaut: Image, expected: etseg.SegmentationResult, kind: str
) -> None:
    data = Path(PHOTO).read_bytes()
    batch: Any = {
        "bytes": {"path": ["nowhere.jpg"], "bytes": [data]},  # what is read comes first
        "image": {"image": np.stack([astronaut])},
        "table of bytes": pa.table({"bytes": [data]}),
    }[kind]
    out = segmenter(batch)
    (areas,) = (plain(value) for value in out["areas"])
    share = expected.areas()["SELFIE"].share
    assert areas[0]["share"] == pytest.approx(share, abs=1e-3)  # a file is decoded smaller


def test_no_label_no_row_of_it_and_only_those_asked_for() -> None:
    only = Segmenter(etseg.SELFIE_SEGMENTATION, classes=["SELFIE"], outputs=["areas"])
    grey = np.full((64, 64, 3), 128, np.uint8)
    out = only({"image": [cv2.imread(PHOTO), grey]})
    assert [[a["label"] for a in areas] for areas in out["areas"]] == [["SELFIE"], []]


def test_a_pickle_is_small_and_loads_where_it_is_used(segmenter: Segmenter) -> None:
    segmenter.load()
    data = pickle.dumps(segmenter)
    assert len(data) < 2000
    copy = pickle.loads(data)
    assert copy({"path": [PHOTO]})["error"][0] is None


def test_what_an_opener_raises_is_its_images_error(segmenter: Segmenter) -> None:
    def fails() -> bytes:
        raise ConnectionError("the store is away")

    rows = segmenter.rows([Path(PHOTO), fails, lambda: Path(PHOTO)])
    assert [row["error"] and row["error"]["name"] for row in rows] == [
        None,
        "ConnectionError",
        None,
    ]
    assert rows[1]["error"]["message"] == "the store is away"


def test_masks_of_more_than_256_labels() -> None:
    segmenter = Segmenter(program("logits_c300"), outputs=["mask_png"], resize=False)
    image = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    (png,) = segmenter({"image": [image]})["mask_png"]
    mask = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_UNCHANGED)
    assert mask is not None
    with etseg.ImageSegmentationModule() as module:
        module.load(program("logits_c300"))
        np.testing.assert_array_equal(mask, module.forward(image).argmax)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"outputs": ["polygons"]}, r"outputs has \['polygons'\]; expected some of"),
        ({"threads": 0}, "threads is 0; expected an integer, 1 or more"),
        ({"max_pixels_in_hand": 1.5}, "max_pixels_in_hand is 1.5"),
        ({"concurrency": 2}, "concurrency follows from threads"),
    ],
)
def test_bad_arguments(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(etseg.InvalidUserInputError, match=message):
        Segmenter(etseg.SELFIE_SEGMENTATION, **arguments)


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        ([PHOTO], r"the batch is a builtins.list; expected a dict"),
        ({"file": [PHOTO]}, r"no column one of \['bytes', 'image', 'path'\]; it has \['file'\]"),
        ({"path": [PHOTO], "size": [1]}, r"has columns \['size'\] already; a prefix"),
    ],
)
def test_bad_batches(segmenter: Segmenter, batch: Any, message: str) -> None:
    with pytest.raises(etseg.InvalidUserInputError, match=message):
        segmenter(batch)


def test_a_prefix_and_a_column() -> None:
    segmenter = Segmenter(
        etseg.SELFIE_SEGMENTATION, outputs=["areas"], column="file", prefix="etseg_"
    )
    out = segmenter({"file": [PHOTO], "size": [1]})
    assert list(out) == [
        "file", "size", "etseg_size", "etseg_areas", "etseg_error", "etseg_timings",
    ]  # fmt: skip


def test_a_class_that_the_model_does_not_have_ends_the_job() -> None:
    segmenter = Segmenter(etseg.SELFIE_SEGMENTATION, classes=["CAT"])
    with pytest.raises(etseg.LabelError, match="'CAT' is not a label of this model"):
        segmenter({"path": [PHOTO]})


def test_pixels_are_told_without_decoding(astronaut: Image) -> None:
    assert pixels_of(astronaut) == 512 * 512
    assert pixels_of(Path(PHOTO)) == pixels_of(PHOTO) == 512 * 512
    assert pixels_of(Path(PHOTO).read_bytes()) == 512 * 512
    assert pixels_of("https://example.org/a.jpg") == pixels_of("nowhere.jpg") == 24_000_000


def test_pixels_in_hand_are_those_of_all_who_call(
    astronaut: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    budgets = []
    room_for = PixelBudget.room_for

    def noted(budget: PixelBudget, pixels: int) -> Any:
        budgets.append(budget)
        return room_for(budget, pixels)

    monkeypatch.setattr(PixelBudget, "room_for", noted)
    segmenter = Segmenter(etseg.SELFIE_SEGMENTATION, threads=1)
    for _ in range(2):
        segmenter.rows([astronaut])
    assert len(budgets) == 2
    assert budgets[0] is budgets[1]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_says_so_and_does_not_wait(photo_path: Path) -> None:
    script = """
        import os, signal, sys, warnings
        from etseg.batch import Segmenter
        warnings.simplefilter("ignore", DeprecationWarning)  # of forks with threads
        segmenter = Segmenter("selfie-segmentation")
        segmenter({"path": [sys.argv[1]]})
        child = os.fork()
        if child == 0:
            signal.alarm(60)
            try:
                segmenter({"path": [sys.argv[1]]})
            except RuntimeError as error:
                os._exit("whose threads are not in this one" not in str(error))
            os._exit(2)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        """
    assert output_of(script, photo_path) == "0"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_fork_while_another_thread_loads_it(photo_path: Path) -> None:
    """The child has not that thread: it loads by itself, or says why it cannot."""
    script = """
        import os, signal, sys, threading, warnings
        import etseg
        from etseg.batch import Segmenter

        warnings.simplefilter("ignore", DeprecationWarning)  # of forks with threads
        load, begun, gate = etseg.ImageSegmentationModule.load, threading.Event(), threading.Event()

        def held(module, *arguments):
            begun.set()
            gate.wait()
            load(module, *arguments)

        etseg.ImageSegmentationModule.load = held
        segmenter = Segmenter("selfie-segmentation")
        thread = threading.Thread(target=segmenter.load)
        thread.start()
        begun.wait()
        child = os.fork()
        if child == 0:
            signal.alarm(60)
            gate.set()
            try:
                (row,) = segmenter.rows([sys.argv[1]])
                os._exit(row["error"] is not None)
            except etseg.ForkedProcessError:
                os._exit(0)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        gate.set()
        thread.join()
        """
    assert output_of(script, photo_path) == "0"


def test_one_that_is_too_large_goes_in_alone() -> None:
    budget = PixelBudget(100)
    with budget.room_for(1000):
        entered = threading.Event()

        def visit() -> None:
            with budget.room_for(1):
                entered.set()

        thread = threading.Thread(target=visit)
        thread.start()
        assert not entered.is_set()
    thread.join(60)
    assert entered.is_set()
