"""The result mapping: whose arrays they are, which keys there are, what survives a pickle.

test_module.py looks at the results of one program in passing; here are the corners: other enums,
names that are no identifiers, hundreds of labels, other processes.
"""

from __future__ import annotations

import itertools
import pickle
from collections.abc import Callable
from enum import IntEnum
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import etseg
from children import output_of
from conftest import Image
from etseg import DeeplabLabel, SelfieSegmentationLabel


class Pets(IntEnum):
    """An enum of the caller's, without ARGMAX."""

    CAT = 0
    DOG = 1
    NEITHER = 2


class Animals(IntEnum):
    """Compares equal to Pets, member by member, and is another enum."""

    CAT = 0
    DOG = 1
    NEITHER = 2
    ARGMAX = 3


@pytest.fixture
def load(data: Path) -> Callable[..., etseg.ImageSegmentationModule]:
    """load(program, argmax_dtype=..., **spec): one of the small programs; its maps are 24x40."""

    def make(
        name: str, argmax_dtype: Any = "int32", **fields: Any
    ) -> etseg.ImageSegmentationModule:
        path = data / "programs" / f"{name}.pte"
        module = etseg.ImageSegmentationModule(argmax_dtype=argmax_dtype)
        module.load(etseg.ModelSpec(model_source=path, **fields))
        return module

    return make


@pytest.fixture
def image() -> Image:
    return np.random.default_rng(2).integers(0, 256, (24, 40, 3), np.uint8)


class TestKeys:
    def test_members_of_the_enum_that_the_spec_names(self, load: Any, image: Image) -> None:
        result = load("logits_c3", labels=Animals).forward(image, [Animals.DOG])
        assert list(result) == [Animals.ARGMAX, Animals.DOG]
        assert result.labels is Animals
        assert all(isinstance(key, Animals) for key in result)
        assert result["dog"] is result[1] is result[Animals.DOG]

    def test_members_of_another_enum_are_refused(self, load: Any, image: Image) -> None:
        """Though they compare, and hash, equal."""
        module = load("logits_c3", labels=Animals)
        result = module.forward(image, [Animals.DOG])
        assert Pets.DOG == Animals.DOG
        assert Pets.DOG not in result
        assert DeeplabLabel.ARGMAX not in result
        with pytest.raises(KeyError, match="another enum"):
            result[Pets.DOG]
        with pytest.raises(etseg.LabelError, match=r"another enum.*CAT, DOG, NEITHER"):
            module.forward(image, [Pets.DOG])

    def test_an_enum_without_argmax(self, load: Any, image: Image) -> None:
        """ARGMAX is there all the same, by its name."""
        result = load("logits_c3", labels=Pets).forward(image, list(Pets))
        assert list(result) == ["ARGMAX", *Pets]
        assert result["ARGMAX"] is result["argmax"] is result.argmax
        assert "ARGMAX" in result

    def test_argmax_has_no_index(self, selfie: Any, astronaut: Image) -> None:
        """2 is one past the classes: an index that is off by one must not find a map."""
        result = selfie.forward(astronaut, [0, 1])
        assert int(SelfieSegmentationLabel.ARGMAX) == 2
        assert 2 not in result
        for key in (2, -1, np.int64(2)):
            with pytest.raises(KeyError, match="indices go from 0 to 1"):
                result[key]
            with pytest.raises(etseg.LabelError, match="indices go from 0 to 1"):
                selfie.forward(astronaut, [key])

    @pytest.mark.parametrize("key", [True, False, np.True_, 1.0, None, "SOFA", "", (0,), b"SELFIE"])
    def test_what_is_no_label_is_a_key_error(self, key: Any, selfie: Any, astronaut: Image) -> None:
        """True is 1 to a dictionary, and 1.0 too; here they are mistakes, with a message."""
        result = selfie.forward(astronaut, [0, 1])
        with pytest.raises(KeyError, match=r"is not a label of this model.*PERSON, BACKGROUND"):
            result[key]
        with pytest.raises(ValueError, match="is not a label of this model"):
            selfie.forward(astronaut, [key])
        assert key not in result
        assert result.get(key) is None

    def test_a_label_that_was_not_asked_for(self, selfie: Any, astronaut: Image) -> None:
        result = selfie.forward(astronaut, ["BACKGROUND"])
        with pytest.raises(KeyError, match=r"SELFIE was asked for.*There are: ARGMAX, BACKGROUND"):
            result["SELFIE"]

    def test_in_the_order_asked_and_once(self, load: Any, image: Image) -> None:
        result = load("logits_c21").forward(image, ["TRAIN", 3, DeeplabLabel.CAT, "bird", 8])
        assert list(result) == [
            DeeplabLabel.ARGMAX,
            DeeplabLabel.TRAIN,
            DeeplabLabel.BIRD,
            DeeplabLabel.CAT,
        ]
        assert len(result) == len(list(result.values())) == len(dict(result.items())) == 4

    def test_names_that_are_no_identifiers(self, load: Any, image: Image) -> None:
        """Asked for as they were given; their members are spelt as Python can."""
        names = ("traffic light", "3d-printer", "été")
        members = ["ARGMAX", "TRAFFIC_LIGHT", "CLASS_3D_PRINTER", "ÉTÉ"]
        module = load("logits_c3", labels=names)
        result = module.forward(image, names)
        assert [key.name for key in result] == members
        for index, name in enumerate(names):
            assert result[name] is result[index] is result[name.upper()]
        # What the module says of itself loads the same model.
        again = load("logits_c3", labels=module.spec.labels)
        assert again.labels is module.labels
        assert list(again.forward(image, names)) == list(result)

    @pytest.mark.parametrize("names", [("a", "A_2", "A"), ("B", "b", "b_1"), ("c d", "c-d", "C_D")])
    def test_names_that_are_all_but_equal(self, names: Any, load: Any, image: Image) -> None:
        """Each finds its own map: spelling before case, case before what Python makes of it."""
        result = load("logits_c3", labels=names).forward(image, names)
        assert len(result) == 4
        for index, name in enumerate(names):
            assert result[name] is result[index], name

    def test_a_class_called_argmax(self, load: Any, image: Image) -> None:
        """Its index finds it; the name stays that of the label map."""
        result = load("logits_c3", labels=("a", "argmax", "c")).forward(image, [1])
        assert len(result) == 2
        assert result["ARGMAX"] is result.argmax
        assert result[1].dtype == np.float32

    def test_nothing_can_be_put_in_or_taken_out(self, selfie: Any, astronaut: Image) -> None:
        result = selfie.forward(astronaut, [0])
        with pytest.raises(TypeError):
            result[0] = result[0]
        with pytest.raises(TypeError):
            del result[0]
        for attribute in ("argmax", "labels", "size", "image_size", "timings"):
            with pytest.raises(AttributeError):
                setattr(result, attribute, None)


class TestArrays:
    @pytest.mark.parametrize("resize", [False, True])
    @pytest.mark.parametrize("dtype", ["int32", "uint8"])
    def test_are_owned_writeable_contiguous_and_apart(
        self, dtype: str, resize: bool, load: Any
    ) -> None:
        image = np.zeros((31, 57, 3), np.uint8)
        module = load("logits_c21", argmax_dtype=dtype)
        result = module.forward(image, range(21), resize=resize)
        assert result.argmax.dtype == dtype
        arrays = list(result.values())
        assert len(arrays) == 22
        for array in arrays:
            assert array.shape == result.size == ((31, 57) if resize else (24, 40))
            assert array.flags.owndata
            assert array.flags.writeable
            assert array.flags.c_contiguous
            assert array.flags.aligned
        assert all(array.dtype == np.float32 for array in arrays[1:])
        for one, other in itertools.combinations(arrays, 2):
            assert not np.shares_memory(one, other)

    def test_writing_to_them_reaches_nobody_else(self, selfie: Any, astronaut: Image) -> None:
        """Not the next result, not the model: the arrays are no view of its memory."""
        one = selfie.forward(astronaut, [0])
        kept = one[0].copy()
        one[0][:] = 7
        one.argmax[:] = 7
        np.testing.assert_array_equal(selfie.forward(astronaut, [0])[0], kept)

    def test_bytes_hold_256_labels_and_no_more(self, load: Any, image: Image) -> None:
        """Not wrapped around: refused."""
        module = load("logits_c300", argmax_dtype="uint8")
        with pytest.raises(etseg.InvalidConfigError, match="300 labels"):
            module.forward(image)
        wide = load("logits_c300").forward(image, [299, "CLASS_256"])
        assert wide.argmax.dtype == np.int32
        assert wide.argmax.max() < 300
        assert len(wide) == 3


class TestOut:
    def test_gives_what_a_new_result_would(
        self, selfie: Any, photo_of_size: Callable[[int, int], Image]
    ) -> None:
        """Nothing of the earlier image shows through: NaN would stay where nothing is written."""
        image = photo_of_size(333, 517)
        new = selfie.forward(image, ["SELFIE", "BACKGROUND"], resize=True)
        old = selfie.forward(image[::-1], ["SELFIE", "BACKGROUND"], resize=True)
        for label in (0, 1):
            old[label].fill(np.nan)
        old.argmax.fill(-5)
        assert selfie.forward(image, ["SELFIE", 1], resize=True, out=old) is old
        for key in new:
            np.testing.assert_array_equal(old[key], new[key])

    def test_timings_are_those_of_the_last_forward(self, selfie: Any, astronaut: Image) -> None:
        out = selfie.forward(astronaut)
        before = out.timings
        selfie.forward(astronaut, out=out)
        assert out.timings is not before
        assert out.timings.total > 0

    def test_serves_another_module_of_the_same_labels(
        self, selfie: Any, loaded: Any, astronaut: Image
    ) -> None:
        out = selfie.forward(astronaut, [0], resize=True)
        landscape = loaded("selfie-landscape")
        expected = landscape.forward(astronaut, [0], resize=True)
        landscape.forward(astronaut, [0], resize=True, out=out)
        np.testing.assert_array_equal(out[0], expected[0])
        with pytest.raises(etseg.InvalidUserInputError, match="its size is"):
            landscape.forward(astronaut, [0], out=out)  # 512x512 is not the output's 144x256

    def test_a_frozen_array_is_not_written(self, selfie: Any, astronaut: Image) -> None:
        """The caller made it read-only: an error, and it keeps what it holds."""
        out = selfie.forward(astronaut, [0])
        kept = out[0].copy()
        out[0].setflags(write=False)
        with pytest.raises(etseg.InvalidUserInputError, match="writeable"):
            selfie.forward(astronaut[::-1], [0], out=out)
        np.testing.assert_array_equal(out[0], kept)
        out[0].setflags(write=True)
        selfie.forward(astronaut[::-1], [0], out=out)
        assert not np.array_equal(out[0], kept)

    def test_an_image_that_fails_leaves_out_usable(self, selfie: Any, astronaut: Image) -> None:
        out = selfie.forward(astronaut, [0])
        kept = out[0].copy()
        with pytest.raises(etseg.EtsegError):
            selfie.forward(b"no image", [0], out=out)
        with pytest.raises(etseg.EtsegError):
            selfie.forward(astronaut.astype(np.float32), [0], out=out)
        np.testing.assert_array_equal(selfie.forward(astronaut, [0], out=out)[0], kept)


class TestPickle:
    """Results travel between the processes of a pool."""

    def test_members(self, load: Any) -> None:
        generated = load("logits_c2").labels
        named = load("logits_c3", labels=("traffic light", "3d-printer", "été")).labels
        for enum in (DeeplabLabel, SelfieSegmentationLabel, Animals, generated, named):
            for member in enum:
                for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
                    assert pickle.loads(pickle.dumps(member, protocol)) is member

    def test_members_in_another_process(self, load: Any, data: Path) -> None:
        """Unpickled before anything is loaded there, a generated label is the model's own."""
        member = load("logits_c2").labels["CLASS_1"]
        code = """
import pickle, sys
import etseg
member = pickle.loads(bytes.fromhex(sys.argv[1]))
with etseg.ImageSegmentationModule() as module:
    module.load(sys.argv[2])
    assert member is module.labels["CLASS_1"], (member, module.labels)
"""
        program = str(data / "programs" / "logits_c2.pte")
        assert output_of(code, pickle.dumps(member).hex(), program) == ""

    @pytest.mark.parametrize("labels", [None, Animals, ("a b", "c", "d")])
    def test_results(self, labels: Any, load: Any, image: Image) -> None:
        result = load("logits_c3", labels=labels).forward(image, [2, 0])
        back = pickle.loads(pickle.dumps(result))
        assert list(back) == list(result)
        assert back.labels is result.labels
        assert back.timings == result.timings
        assert (back.size, back.image_size) == (result.size, result.image_size) == ((24, 40),) * 2
        for key in result:
            np.testing.assert_array_equal(back[key], result[key])
            assert back[key].dtype == result[key].dtype

    def test_errors_keep_their_code(self, selfie: Any, astronaut: Image) -> None:
        with pytest.raises(etseg.LabelError) as caught:
            selfie.forward(astronaut, ["SOFA"])
        back = pickle.loads(pickle.dumps(caught.value))
        assert type(back) is etseg.LabelError
        assert (str(back), back.code) == (str(caught.value), caught.value.code)


class TestTimings:
    def test_are_whole_nanoseconds_and_frozen(self, selfie: Any, photo_path: Path) -> None:
        timings = selfie.forward(photo_path, [0], resize=True).timings
        fields = ("decode", "preprocess", "inference", "postprocess", "total")
        values = [getattr(timings, field) for field in fields]
        assert all(type(value) is int and value > 0 for value in values)
        assert sum(values[:-1]) <= values[-1]
        with pytest.raises(AttributeError):
            timings.total = 0


def test_a_result_equals_itself_and_nothing_else(selfie: Any, photo_path: Path) -> None:
    """The mapping's own comparison would end in numpy's complaint about ambiguous truth."""
    one, two = (selfie.forward(photo_path, [0]) for _ in range(2))
    assert one == one
    assert one != two
    assert len({one, two}) == 2
