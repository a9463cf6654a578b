"""The memory of maps: what nobody refers to is the next result's; the rest is left alone."""

from __future__ import annotations

import gc
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import etseg
from children import PATIENCE, output_of
from etseg import ImageSegmentationModule
from programs import picture, program


def address(array: Any) -> int:
    return int(array.__array_interface__["data"][0])


@pytest.fixture
def module() -> Any:
    with ImageSegmentationModule.from_custom_model(program("logits_c3")) as module:
        yield module


def test_memory_of_a_dropped_result_is_used_again(module: ImageSegmentationModule) -> None:
    image = picture(300, 400)
    seen = set()
    for _ in range(5):
        result = module.forward(image, [0, 2], resize=True)
        seen.add(frozenset(address(plane) for plane in result.values()))
        del result
    assert len(seen) == 1


def test_memory_that_somebody_looks_at_is_left_alone(module: ImageSegmentationModule) -> None:
    """By way of the array, a view of it, or a memoryview."""
    images = [picture(300, 400, seed=i) for i in range(8)]
    kept: list[Any] = []
    expected = []
    for i, image in enumerate(images):
        result = module.forward(image, [1], resize=True)
        expected.append(result[1].copy())
        kept.append(
            (result[1], result[1][::2, ::-1], memoryview(result[1].data), result[1].reshape(-1))[
                i % 4
            ]
        )
        del result
    gc.collect()
    for _ in range(4):
        module.forward(picture(300, 400, seed=99), [1], resize=True)
    for i, (view, array) in enumerate(zip(kept, expected, strict=True)):
        now = (array, array[::2, ::-1], array, array.reshape(-1))[i % 4]
        assert np.array_equal(np.asarray(view), now)


def test_results_outlive_their_module_and_its_delete() -> None:
    module = ImageSegmentationModule.from_custom_model(program("logits_c3"))
    image = picture(300, 400)
    first, second = (module.forward(image, [1], resize=True) for _ in range(2))
    expected = second[1].copy()
    module.delete()
    del first
    module.load(program("logits_c21"))
    module.forward(image, [1], resize=True)
    del module
    gc.collect()
    assert np.array_equal(second[1], expected)
    for array in second.values():  # the caller's, to freeze and to write to
        array.setflags(write=False)
        array.setflags(write=True)
        array[:] = 1
        assert (array.flags.c_contiguous, array.flags.aligned) == (True, True)


def test_threads_get_memory_of_their_own() -> None:
    images = [picture(200 + 10 * i, 300, seed=i) for i in range(4)]
    with ImageSegmentationModule.from_custom_model(program("logits_c3"), concurrency=2) as module:
        expected = [module.forward(image, [1], resize=True)[1].copy() for image in images]
        started = threading.Barrier(4, timeout=PATIENCE)

        def forward(i: int) -> bool:
            started.wait()
            held: list[Any] = []
            for n in range(50):
                result = module.forward(images[i], [1], resize=True)
                held = [*held[-(n % 3) :], result] if n % 3 else [result]
                if not all(np.array_equal(one[1], expected[i]) for one in held):
                    return False
            return True

        with ThreadPoolExecutor(4) as pool:
            assert all(pool.map(forward, range(4)))


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="asks Linux's /proc")
def test_delete_returns_what_was_kept() -> None:
    held, dropped, deleted = map(
        int,
        output_of(
            """
            import sys
            from pathlib import Path
            import numpy as np
            import etseg

            def megabytes():
                return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 >> 20

            image = np.zeros((3000, 4000, 3), np.uint8)
            module = etseg.ImageSegmentationModule()
            module.load(sys.argv[1])
            for _ in range(3):
                result = module.forward(image, [1], resize=True)
            start = megabytes()
            del result
            dropped = megabytes()
            module.delete()
            print(start, dropped, megabytes())
            """,
            program("logits_c3"),
        ).split(),
    )
    one = 2 * 4 * 3000 * 4000 >> 20
    assert held - dropped < one + 8  # at most one result is kept beside the one that was held
    assert dropped - deleted > one - 8


def test_a_size_that_cannot_be_had_is_an_error_of_ours(module: ImageSegmentationModule) -> None:
    wide = np.lib.stride_tricks.as_strided(np.zeros(3, np.uint8), (1 << 22, 1 << 22, 3), (0, 0, 1))
    unlimited = etseg.Limits(max_pixels=1 << 60)
    with (
        ImageSegmentationModule.from_custom_model(program("logits_c3"), limits=unlimited) as large,
        pytest.raises(etseg.OutOfMemoryError, match="no memory for maps of 4194304x4194304 pixels"),
    ):
        large.forward(wide, [0], resize=True)
    assert module.forward(picture()).size == module.output_size
