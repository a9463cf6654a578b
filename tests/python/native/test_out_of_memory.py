"""Too little memory: an OutOfMemoryError, and all is well again when there is some.

In processes of their own whose address space is limited, and whose allocator gives back what is
freed: what the heap keeps would be above the limit.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import etseg
from children import output_of

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/statm").exists(), reason="asks Linux's /proc for the address space"
)

# From 0.5 MB, where hardly anything fits, to 64, where all does; a quarter more each time.
LIMITS = [0.5 * 1.25**i for i in range(22)] + [64.0]

_PRELUDE = """
import gc, resource, sys
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from etseg import FileReadError, ImageSegmentationModule, OutOfMemoryError

path = Path(sys.argv[1])
concurrency = int(sys.argv[2])
limits = [float(word) for word in sys.argv[3:]]
image = np.random.default_rng(0).integers(0, 256, (500, 400, 3), np.uint8)

@contextmanager
def limited(megabytes):
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    size = pages * resource.getpagesize() + int(megabytes * 2**20)
    resource.setrlimit(resource.RLIMIT_AS, (size, resource.RLIM_INFINITY))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

def same(result, expected):
    return all(np.array_equal(result[label], expected[label]) for label in expected)

def loaded(source=path, **options):
    return ImageSegmentationModule.from_custom_model(source, **options)

beside = loaded()  # shares the delegate's workspace with those that fail
expected = beside.forward(image, resize=True)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A model's file that may be changed."""
    bundled = Path(etseg.__file__).parent / "_bundled"
    return Path(
        shutil.copyfile(bundled / "selfie_segmentation_xnnpack_fp32.pte", tmp_path / "model.pte")
    )


def run(
    script: str, path: Path, concurrency: int, limits: list[float], weights: str = "memory"
) -> set[str]:
    """The words that a script prints."""
    printed = output_of(
        _PRELUDE + script,
        *(path, concurrency, *limits),
        MALLOC_MMAP_THRESHOLD_="65536",
        ETSEG_PACKED_WEIGHTS=weights,
        ETSEG_CACHE=str(path.with_name("cache")),
    )
    return set(printed.split())


@pytest.mark.parametrize("weights", ["memory", "file"])
@pytest.mark.parametrize("concurrency", [1, 2])
def test_forward_without_memory(path: Path, concurrency: int, weights: str) -> None:
    script = """
for limit in limits:
    results = []
    with loaded(concurrency=concurrency) as module:
        with limited(limit):
            for _ in range(3):
                try:
                    results.append(module.forward(image, resize=True))
                except OutOfMemoryError:
                    print("none")
        for result in results:
            print(same(result, expected))
        for _ in range(concurrency):
            assert same(module.forward(image, resize=True), expected)
    assert same(beside.forward(image, resize=True), expected)
"""
    words = run(script, path, concurrency, LIMITS, weights)
    # With its weights mapped an instance may need so little that all limits leave it enough.
    assert words in ({"none", "True"}, {"none", "True"} if weights == "memory" else {"True"})


@pytest.mark.parametrize("weights", ["memory", "file"])
@pytest.mark.parametrize("concurrency", [1, 4])
def test_load_without_memory(path: Path, concurrency: int, weights: str) -> None:
    script = """
for limit in limits:
    with limited(limit):
        for _ in range(2):
            try:
                with loaded(concurrency=concurrency):
                    print("loaded")
            except OutOfMemoryError:
                print("none")
    with loaded(concurrency=concurrency) as module:
        assert same(module.forward(image, resize=True), expected)
"""
    assert run(script, path, concurrency, [0.1, *LIMITS], weights) == {"none", "loaded"}


def test_an_instance_cannot_be_made_anew_of_another_file(path: Path) -> None:
    script = """
module = loaded()
with limited(limits[0]):
    try:
        module.forward(image)
    except OutOfMemoryError:
        print("none")
path.write_bytes(path.read_bytes()[:-1])
try:
    module.forward(image)
except FileReadError as error:
    assert "changed" in str(error), error
    print("refused")
module.load(path.with_name("other.pte"))
print(same(module.forward(image, resize=True), expected))
"""
    shutil.copyfile(path, path.with_name("other.pte"))
    assert run(script, path, 1, [3.0]) == {"none", "refused", "True"}
