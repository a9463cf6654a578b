"""Memory: what repeats does not grow, and no intermediate image or plane exists.

Each test measures a process of its own: here, others' garbage would be counted. Linux only, where
the kernel says what a process holds and the highest it ever held.

Growth is counted after a warm-up that has seen the largest image, twice in a row: what leaks grows
each time, what is only rearranged does not. The allocator is as users have it, but for loads: glibc
raises, as it goes, the size from which a freed block returns to the system, and then a deleted
program's 4.6 MB stay with the process or do not, as the end of the heap happens to be used; that
goes up and down by 4.6 or 9.2 MB over hundreds of loads, and does not grow. There the size is fixed
by MALLOC_MMAP_THRESHOLD_, so that what is still held is what is still in use.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

import etseg
from children import output_of

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/clear_refs").exists(), reason="asks Linux's /proc"
)
MB = 1 << 20
Measured = Callable[[str, object], None]

_PRELUDE = """
import gc
from pathlib import Path

import numpy as np

import etseg

def status(field):
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024

def held():
    gc.collect()
    return status("VmRSS")

def print_growth(work, warm_up, times):
    work(warm_up)
    for _ in range(2):
        before = held()
        work(times)
        print(held() - before)

def forget_peak():
    Path("/proc/self/clear_refs").write_text("5")

def photo(height, width):
    image = np.random.default_rng(1).integers(0, 256, (height, width, 3), np.uint8)
    image[height // 4 : height // 2] = (224, 172, 105)  # something to find edges of
    return image

def loaded(source=None, **fields):
    module = etseg.ImageSegmentationModule()
    spec = etseg.SELFIE_SEGMENTATION
    module.load(spec if source is None else etseg.ModelSpec(model_source=source, **fields))
    return module
"""


def in_a_process(code: str, *arguments: str, **environment: str) -> list[int]:
    """The integers that the code prints."""
    script = _PRELUDE + textwrap.dedent(code)
    return [int(word) for word in output_of(script, *arguments, cwd=None, **environment).split()]


def test_500_forwards_do_not_grow(measured: Measured) -> None:
    grown = in_a_process("""
        module = loaded()
        image = photo(1080, 1920)
        def work(times):
            for _ in range(times):
                module.forward(image, ["SELFIE", "BACKGROUND"], resize=True)
        print_growth(work, 20, 250)
    """)
    measured("growth", grown)
    assert min(grown) < MB


def test_forwards_of_changing_sizes_do_not_grow(measured: Measured) -> None:
    """Scratch memory follows the image: it must not pile up when sizes alternate."""
    grown = in_a_process("""
        module = loaded()
        sizes = ((1080, 1920), (1, 1), (480, 640), (1000, 31), (256, 256))
        images = [photo(*size) for size in sizes]
        def work(times):
            for i in range(times):
                module.forward(images[i % 5], ["SELFIE"], resize=i % 2 == 0)
        print_growth(work, 30, 150)
    """)
    measured("growth", grown)
    assert min(grown) < MB


def test_50_loads_and_deletes_do_not_grow(measured: Measured) -> None:
    """With a forward each: what a program allocates at its first run is freed too."""
    grown = in_a_process(
        """
        image = photo(480, 640)
        module = etseg.ImageSegmentationModule()
        def work(times):
            for _ in range(times):
                module.load(etseg.SELFIE_SEGMENTATION)
                module.forward(image, ["SELFIE"], resize=True)
                module.delete()
        print_growth(work, 10, 25)
        """,
        MALLOC_MMAP_THRESHOLD_="65536",
    )
    measured("growth", grown)
    assert min(grown) < MB


def test_modules_that_are_dropped_are_freed(measured: Measured) -> None:
    """Without delete(): the garbage collector is enough."""
    grown = in_a_process(
        """
        image = photo(480, 640)
        def work(times):
            for _ in range(times):
                loaded().forward(image, ["SELFIE"])
        print_growth(work, 10, 25)
        """,
        MALLOC_MMAP_THRESHOLD_="65536",
    )
    measured("growth", grown)
    assert min(grown) < MB


def test_errors_do_not_grow(measured: Measured) -> None:
    grown = in_a_process("""
        module = loaded()
        image = photo(480, 640)
        bad = image.astype(np.float32)
        def work(times):
            for _ in range(times):
                for call in (lambda: module.forward(bad), lambda: module.forward(image, ["CAT"]),
                             lambda: module.forward(b"no image"), lambda: module.load("nowhere")):
                    try:
                        call()
                    except etseg.EtsegError:
                        pass
                    else:
                        raise SystemExit("no error")
        print_growth(work, 50, 250)
    """)
    measured("growth", grown)
    assert min(grown) < MB


def test_trimming_gives_back_what_is_kept(measured: Measured) -> None:
    """The maps of a result that is gone, which are kept for the next: 48 MB and more."""
    kept, given_back, taken_again = in_a_process("""
        module = loaded()
        image = photo(3024, 4032)
        module.forward(image, resize=True)
        before = held()
        module.trim()
        trimmed = held()
        module.forward(image, resize=True)
        print(before, before - trimmed, held() - trimmed)
        module.delete()
        module.trim()
    """)
    measured("given back", given_back)
    assert given_back > 40 * MB
    assert taken_again > 40 * MB
    assert kept > given_back


_PEAK = """
    import sys
    path, classes = sys.argv[1], [int(word) for word in sys.argv[2].split(",") if word]
    module = loaded(path or None)
    module.warmup()
    image = photo(3024, 4032)
    before = held()
    forget_peak()
    result = module.forward(image, classes, resize=True)
    peak = status("VmHWM") - before
    arrays = sum(result[key].nbytes for key in result)
    # The arrays are whole in memory: what is above them is all that anything else took.
    print(peak, arrays, status("VmRSS") - before)
"""


@pytest.mark.parametrize("classes", ["", "0", "0,1"], ids=["none", "one", "all"])
def test_peak_at_12_megapixels(classes: str, measured: Measured) -> None:
    """The selfie model: 20 MB above the arrays that are returned, at most."""
    check_peak("", classes, measured)


@pytest.mark.parametrize("classes", ["", "15", "0,5,15"], ids=["none", "one", "some"])
def test_peak_at_12_megapixels_of_21_classes(
    classes: str, spec_of: Callable[[str], etseg.ModelSpec], measured: Measured
) -> None:
    """The 21 planes of logits, upsampled, would be a gigabyte."""
    check_peak(str(spec_of("deeplab-257").model_source), classes, measured)


def check_peak(source: str, classes: str, measured: Measured) -> None:
    peak, arrays, after = in_a_process(_PEAK, source, classes)
    measured("peak above the arrays", peak - arrays)
    assert arrays == 3024 * 4032 * 4 * (1 + len([word for word in classes.split(",") if word]))
    assert after >= arrays  # they were really written, or the figure would mean nothing
    assert peak - arrays <= 20 * MB


def test_out_is_no_new_memory(measured: Measured) -> None:
    """A result that is reused: the peak does not rise at all, but for scratch."""
    [extra] = in_a_process("""
        module = loaded()
        image = photo(3024, 4032)
        result = module.forward(image, ["SELFIE"], resize=True)
        before = held()
        forget_peak()
        for _ in range(3):
            module.forward(image, ["SELFIE"], resize=True, out=result)
        print(status("VmHWM") - before)
    """)
    measured("peak above what was held", extra)
    assert extra < 4 * MB
