"""Palettes: which colours labels get, from which description, and what is refused."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import etseg
from etseg import DeeplabLabel
from eyes import eyes, smooth
from programs import program

#: Of Pascal VOC's development kit, as its documentation shows them.
VOC = {
    "BACKGROUND": (0, 0, 0), "AEROPLANE": (128, 0, 0), "BICYCLE": (0, 128, 0),
    "BIRD": (128, 128, 0), "BOAT": (0, 0, 128), "BOTTLE": (128, 0, 128), "BUS": (0, 128, 128),
    "CAR": (128, 128, 128), "CAT": (64, 0, 0), "CHAIR": (192, 0, 0), "COW": (64, 128, 0),
    "DININGTABLE": (192, 128, 0), "DOG": (64, 0, 128), "HORSE": (192, 0, 128),
    "MOTORBIKE": (64, 128, 128), "PERSON": (192, 128, 128), "POTTEDPLANT": (0, 64, 0),
    "SHEEP": (128, 64, 0), "SOFA": (0, 192, 0), "TRAIN": (128, 192, 0), "TVMONITOR": (0, 64, 128),
}  # fmt: skip
OKABE_ITO = ["e69f00", "56b4e9", "009e73", "f0e442", "0072b2", "d55e00", "cc79a7"]
UNPAINTED = [0, 0, 0, 0]


class Pets(IntEnum):
    CAT = 0
    DOG = 1
    NEITHER = 2


def module_of(name: str, **fields: Any) -> etseg.ImageSegmentationModule:
    module = etseg.ImageSegmentationModule()
    module.load({"model_source": program(name), **fields})
    return module


def colours(module: etseg.ImageSegmentationModule, palette: Any, **options: Any) -> list[Any]:
    """What colorize() paints each label with, in the order of their indices."""
    count = sum(label.name != "ARGMAX" for label in module.labels)
    result = module.forward(np.zeros((1, count, 3), np.uint8), resize=True)
    result.argmax[0] = np.arange(count)
    painted: list[Any] = result.colorize(palette, **options)[0].tolist()
    return painted


class TestBright:
    def test_is_the_default(self) -> None:
        module = module_of("logits_c21")
        result = module.forward(np.zeros((1, 21, 3), np.uint8), resize=True)
        result.argmax[0] = np.arange(21)
        painted = result.colorize()[0].tolist()
        assert painted == colours(module, "bright")
        assert painted[0] == UNPAINTED
        assert (
            painted[1] == colours(module_of("logits_c1"), "bright")[0]
        )  # the first that is painted

    @pytest.mark.parametrize(("first", "apart"), [(7, 59), (20, 27), (32, 20)])
    def test_stays_apart(self, first: int, apart: float) -> None:
        painted = colours(module_of("logits_c300"), "bright")[:first]
        assert least_distance(painted, ["all"]) > apart
        assert least_distance(colours(module_of("logits_c21"), "voc")[1:21], ["all"]) < 27

    def test_is_bright(self) -> None:
        """None is dark, pale or grey; Pascal VOC's are among them."""
        assert is_bright(colours(module_of("logits_c300"), "bright")[:32])
        assert not is_bright(colours(module_of("logits_c21"), "voc")[1:2])

    @pytest.mark.parametrize(
        "common",
        [(0, 0, 0), (128, 128, 128), (255, 255, 255),
         (115, 82, 68), (194, 150, 130), (98, 122, 157), (87, 108, 67)],
        ids=["black", "grey", "white", "dark skin", "light skin", "sky", "foliage"],
    )  # fmt: skip
    def test_is_unlike_what_photographs_are_made_of(self, common: tuple[int, ...]) -> None:
        painted = colours(module_of("logits_c300"), "bright")[:7]
        assert least_distance([*painted, [*common, 255]], ["all"]) > 45

    def test_of_hundreds_of_labels(self) -> None:
        """After 32 Pascal VOC's go on."""
        painted = colours(module_of("logits_c300"), "bright")
        assert len({tuple(colour) for colour in painted[:255]}) >= 250
        assert painted[32:300] == colours(module_of("logits_c300"), "voc")[31:299]


class TestVoc:
    def test_is_pascal_vocs(self) -> None:
        expected = [[*VOC[label.name], 255] for label in DeeplabLabel if label.name != "ARGMAX"]
        assert colours(module_of("logits_c21"), "voc") == [UNPAINTED, *expected[1:]]

    def test_black_is_for_backgrounds_alone(self) -> None:
        """Where label 0 is none, all move on by one."""
        assert colours(module_of("logits_c3", labels=Pets), "voc") == [
            [128, 0, 0, 255], [0, 128, 0, 255], [128, 128, 0, 255],
        ]  # fmt: skip
        assert colours(module_of("logits_c3", labels=Pets, background="DOG"), "voc") == [
            [128, 0, 0, 255], UNPAINTED, [128, 128, 0, 255],
        ]  # fmt: skip
        assert colours(module_of("logits_c1"), "voc") == [[128, 0, 0, 255], UNPAINTED]

    def test_of_hundreds_of_labels(self) -> None:
        """256 are different; index 300 would be that of 44."""
        painted = colours(module_of("logits_c300"), "voc")
        assert len({tuple(colour) for colour in painted[:255]}) == 255
        assert painted[14] == [*VOC["PERSON"], 255]


class TestColorblind:
    def test_begins_with_okabe_and_itos(self) -> None:
        expected = [[*bytes.fromhex(colour), 255] for colour in OKABE_ITO]
        assert colours(module_of("logits_c3", labels=Pets), "colorblind") == expected[:3]
        assert colours(module_of("logits_c21"), "colorblind")[:8] == [UNPAINTED, *expected]
        assert colours(module_of("logits_c1"), "colorblind") == [expected[0], UNPAINTED]

    def test_starts_over_after_32(self) -> None:
        painted = colours(module_of("logits_c300"), "colorblind")
        assert len({tuple(colour) for colour in painted}) == 32
        assert painted[32:64] == painted[:32]

    @pytest.mark.parametrize(("first", "apart"), [(7, 16), (20, 15), (32, 12)])
    def test_stays_apart_for_every_eye(self, first: int, apart: float) -> None:
        """The least CIELAB distance of two colours, as people with each kind of cones see them."""
        painted = colours(module_of("logits_c300"), "colorblind")
        assert least_distance(painted[:first]) > apart
        assert least_distance(colours(module_of("logits_c21"), "voc")[1 : first + 1]) < 4


#: Machado, Oliveira and Fernandes (2009), severity 1: linear RGB as seen without one kind of cones.
CONES = {
    "all": np.eye(3),
    "no red": [
        [0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "no green": [
        [0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "no blue": [
        [1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}  # fmt: skip
XYZ = [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750],
       [0.0193339, 0.1191920, 0.9503041]]  # fmt: skip
WHITE = [0.95047, 1.0, 1.08883]


def lab(linear: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """CIELAB of linear sRGB, D65."""
    relative = np.clip(linear, 0, 1) @ np.transpose(XYZ) / WHITE
    root = np.where(relative > (6 / 29) ** 3, np.cbrt(relative), relative * 841 / 108 + 4 / 29)
    x, y, z = root.T
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def linear_of(painted: list[Any]) -> npt.NDArray[Any]:
    encoded = np.array(painted)[:, :3] / 255
    return np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)


def is_bright(painted: list[Any]) -> bool:
    lightness, *opponent = lab(linear_of(painted)).T
    chroma = np.hypot(*opponent)
    return bool((lightness >= 55).all() and (lightness <= 92).all() and (chroma >= 60).all())


def least_distance(painted: list[Any], eyes: Iterable[str] = CONES) -> float:
    linear, least = linear_of(painted), np.inf
    for eye in eyes:
        seen = lab(linear @ np.transpose(CONES[eye]))
        distance = np.linalg.norm(seen[:, None] - seen, axis=-1)
        least = min(least, distance[~np.eye(len(seen), dtype=bool)].min())
    return float(least)


class TestCustom:
    @pytest.mark.parametrize("dtype", [np.uint8, np.int64, list])
    def test_an_array_by_index(self, dtype: Any) -> None:
        values = [[1, 2, 3], [255, 0, 9], [7, 7, 7], [5, 5, 5]]
        palette = values if dtype is list else np.array(values, dtype)
        painted = colours(module_of("logits_c3", labels=Pets, background="DOG"), palette)
        assert painted == [[1, 2, 3, 255], UNPAINTED, [7, 7, 7, 255]]
        assert np.array(palette).tolist() == values  # as it was

    def test_a_mapping_paints_what_it_names(self) -> None:
        module = module_of("logits_c3", labels=Pets, background="DOG")
        assert colours(module, {"cat": (1, 2, 3)}) == [[1, 2, 3, 255], UNPAINTED, UNPAINTED]
        assert colours(module, {}) == [UNPAINTED] * 3
        mixed = {Pets.DOG: "#ff8000", 2: np.array([9, 8, 7])}
        assert colours(module, mixed) == [UNPAINTED, [255, 128, 0, 255], [9, 8, 7, 255]]

    @pytest.mark.parametrize(
        ("palette", "words"),
        [
            ("viridis", ("'viridis'", "'bright'", "'voc'", "'colorblind'")),
            (None, ("NoneType", "'voc'")),
            (7, ("int", "'voc'")),
            (np.zeros((2, 3), np.uint8), ("2 colours", "3 labels", "mapping")),
            (np.zeros((3, 4), np.uint8), ("(3, 4)", "(labels, 3)")),
            (np.zeros((3, 3), np.float32), ("float32", "integers 0..255")),
            (np.full((3, 3), 256), ("256", "0..255")),
            (np.full((3, 3), -1), ("-1", "0..255")),
            ([(1, 2, 3), (1, 2)], ("list", "(labels, 3)")),
            ({"R": (1, 2)}, ("'R'", "(1, 2)", "(red, green, blue)")),
            ({"R": (1, 2, 256)}, ("'R'", "256")),
            ({"R": (1, 2, -1)}, ("'R'", "-1")),
            ({"R": (0.5, 0.5, 0.5)}, ("'R'", "0.5", "0..255")),
            ({"R": "reddish"}, ("'R'", "'reddish'", "'#rrggbb'", "black, silver")),
            ({"R": "#ff80"}, ("'R'", "'#ff80'")),
            ({"R": None}, ("'R'", "None")),
        ],
    )
    def test_what_is_no_palette(self, palette: Any, words: tuple[str, ...]) -> None:
        with eyes() as module:
            result = module.forward(smooth())
        for call in (result.colorize, lambda p: result.overlay(palette=p)):
            with pytest.raises(etseg.InvalidUserInputError) as caught:
                call(palette)
            for word in words:
                assert word in str(caught.value)

    def test_labels_that_are_none(self) -> None:
        with eyes() as module:
            result = module.forward(smooth())
        with pytest.raises(etseg.LabelError, match=r"'CAT' is not a label.*R, G, B"):
            result.colorize({"CAT": (1, 2, 3)})
        with pytest.raises(etseg.LabelError, match="names ARGMAX"):
            result.colorize({"ARGMAX": (1, 2, 3)})
