"""Programs delegated to OpenVINO: where it is installed, where it is not, where it is broken."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import etseg
from children import output_of
from etseg import _openvino
from programs import Image, logits, picture, program, softmax

needs_openvino = pytest.mark.skipif(
    find_spec("openvino") is None, reason="needs OpenVINO: pip install 'etseg[openvino]'"
)
#: Of the program's metadata.
MEAN, STD = np.array([0.25, 0.5, 0.125]), np.array([0.5, 0.25, 1.0])
INSTALL = 'pip install "etseg[openvino]"'

#: In a process of its own, since a library that was opened stays open.
LOAD = """
import sys, etseg
from etseg import _openvino
from pathlib import Path

_openvino.find_library = lambda: Path(sys.argv[2]) if sys.argv[2] else None
module = etseg.ImageSegmentationModule()
try:
    module.load(sys.argv[1])
except etseg.UnsupportedModelError as error:
    print(int(error.code), error)
"""


def what_the_error_says(library: Path | str) -> str:
    """Of loading the program with a library, "" for none."""
    said = output_of(LOAD, program("openvino_c3"), library)
    assert said.startswith("16 cannot load '")
    assert "openvino_c3.pte" in said
    assert INSTALL in said
    return said


def test_without_the_package_the_message_says_how_to_install_it() -> None:
    assert "the Python package openvino" in what_the_error_says("")


def test_a_library_that_cannot_be_loaded(tmp_path: Path) -> None:
    broken = tmp_path / "libopenvino_c.so"
    broken.write_bytes(b"no library")
    for path in (broken, tmp_path / "nowhere.so"):
        said = what_the_error_says(path)
        assert "cannot be loaded" in said
        assert str(path) in said


def test_a_library_of_another_kind() -> None:
    """As one of a version whose functions are others."""
    libraries = Path(etseg.__file__).parent / "_vendor"
    other = next(libraries.glob("libetseg_threadpool.*"))
    assert "it has no ov_get_last_err_msg" in what_the_error_says(other)


def test_what_is_installed_later_is_found() -> None:
    """A failure is not kept: the next load looks again."""
    script = """
    import sys, etseg
    from etseg import _openvino

    found = _openvino.find_library
    module = etseg.ImageSegmentationModule()
    for find in (lambda: None, found):
        _openvino.find_library = find
        try:
            module.load(sys.argv[1])
        except etseg.UnsupportedModelError as error:
            print("not installed" in str(error), "cannot be loaded" in str(error))
        else:
            print("loaded")
    """
    first, second = output_of(script, program("openvino_c3")).splitlines()
    assert first == "True False"
    assert second == ("True False" if find_spec("openvino") is None else "loaded")


def test_other_programs_do_not_open_it() -> None:
    script = """
    import sys, etseg
    from pathlib import Path

    etseg.ImageSegmentationModule().load(sys.argv[1])
    print("openvino" in sys.modules, "libopenvino" in Path("/proc/self/maps").read_text())
    """
    assert output_of(script, program("logits_c3")) == "False False"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_fork_while_the_library_is_being_opened(tmp_path: Path) -> None:
    """By a thread that the child does not have: it says so, and does not wait for that one."""
    script = """
    import os, signal, sys, threading, warnings, etseg
    from pathlib import Path
    from etseg import _openvino

    warnings.simplefilter("ignore", DeprecationWarning)  # of forks with threads
    fifo = Path(sys.argv[2])
    _openvino.find_library = lambda: fifo

    def load():
        try:
            etseg.ImageSegmentationModule().load(sys.argv[1])
        except etseg.EtsegError as error:
            return type(error).__name__

    said = []
    thread = threading.Thread(target=lambda: said.append(load()))
    thread.start()
    writer = os.open(fifo, os.O_WRONLY)  # until the loader has opened it; now that reads
    child = os.fork()
    if child == 0:
        signal.alarm(60)
        os._exit(load() != "ForkedProcessError")
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    os.close(writer)
    thread.join()
    print(status, *said)
    """
    fifo = tmp_path / "libopenvino_c.so"
    os.mkfifo(fifo)
    assert output_of(script, program("openvino_c3"), fifo) == "0 UnsupportedModelError"


def test_the_variable_says_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENVINO_LIB_PATH", "/somewhere/libopenvino_c.so")
    assert _openvino.find_library() == Path("/somewhere/libopenvino_c.so")


def test_it_is_found_without_being_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENVINO_LIB_PATH", raising=False)
    package = tmp_path / "openvino"
    (package / "libs").mkdir(parents=True)
    (package / "__init__.py").write_text("raise AssertionError('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    assert _openvino.find_library() is None
    library = package / "libs" / "libopenvino_c.so.2541"
    library.touch()
    assert _openvino.find_library() == library


def loaded_or_skipped(module: etseg.ImageSegmentationModule, path: Path) -> None:
    """Loads a program, if this OpenVINO on this CPU is what it was made for."""
    try:
        module.load(path)
    except etseg.UnsupportedModelError as error:
        if "made with ov=" not in str(error):
            raise
        pytest.skip(f"made for another: {error}")


@pytest.fixture
def openvino_c3() -> Path:
    path = program("openvino_c3")
    with etseg.ImageSegmentationModule() as module:
        loaded_or_skipped(module, path)
    return path


def expected(image: Image) -> Any:
    """The program's logits, in numpy: its metadata has mean and std."""
    standard = ((image / 255 - MEAN) / STD) * 255  # logits() divides by 255
    return logits(standard, 3)


@needs_openvino
def test_it_computes_its_function(openvino_c3: Path) -> None:
    image = picture()
    with etseg.ImageSegmentationModule() as module:
        module.load(openvino_c3)
        names = [label.name for label in module.labels]
        result = module.forward(image, (0, 1, 2))
    assert names == ["WATER", "DRY_LAND", "SKY", "ARGMAX"]
    probabilities = softmax(expected(image))
    maps = np.stack([result[index] for index in range(3)])
    np.testing.assert_allclose(maps, probabilities, rtol=0, atol=2e-6)
    chosen = np.take_along_axis(probabilities, result.argmax[None].astype(np.int64), 0)[0]
    np.testing.assert_allclose(chosen, probabilities.max(axis=0), rtol=0, atol=2e-6)


@needs_openvino
@pytest.mark.parametrize("concurrency", [1, 2])
def test_many_threads(openvino_c3: Path, concurrency: int) -> None:
    images = [picture(seed=seed) for seed in range(8)]
    with etseg.ImageSegmentationModule(concurrency=concurrency) as module:
        module.load(openvino_c3)
        one_by_one = [module.forward(image).argmax for image in images]
        with ThreadPoolExecutor(4) as pool:
            together = list(pool.map(lambda image: module.forward(image).argmax, images))
    for image, one, other in zip(images, one_by_one, together, strict=True):
        np.testing.assert_array_equal(one, expected(image).argmax(0))
        np.testing.assert_array_equal(other, one)


@needs_openvino
@pytest.mark.parametrize(("place", "other"), [(b";isa=", b";isb="), (b"<?xml ", b"<!xml ")])
def test_a_program_of_another_version_or_a_damaged_one(
    openvino_c3: Path, tmp_path: Path, place: bytes, other: bytes
) -> None:
    data = openvino_c3.read_bytes()
    assert data.count(place) == 1
    path = tmp_path / "other.pte"
    path.write_bytes(data.replace(place, other))
    with etseg.ImageSegmentationModule() as module:
        with pytest.raises(etseg.UnsupportedModelError, match=r"OpenVINO 20.* says: ") as caught:
            module.load(path)
        assert "which was made with ov=20" in str(caught.value)
        assert INSTALL in str(caught.value)
        module.load(openvino_c3)  # nothing of it is left


@needs_openvino
def test_the_same_network_on_both_backends(shared: Path) -> None:
    """The real DeepLab, on photos: float32 on both, however fast this CPU is with bfloat16."""
    stem = "deeplabv3_mnv2_dm05_pascal_257"
    with (
        etseg.ImageSegmentationModule() as xnnpack,
        etseg.ImageSegmentationModule() as openvino,
    ):
        xnnpack.load(shared / "models" / f"{stem}_xnnpack_fp32.pte")
        loaded_or_skipped(openvino, shared / "models" / f"{stem}_openvino_fp32.pte")
        for photo in sorted((shared / "images").glob("*.png")):
            one, other = (
                module.forward(photo, range(21), resize=True) for module in (xnnpack, openvino)
            )
            for index in range(21):
                np.testing.assert_allclose(other[index], one[index], rtol=0, atol=1e-3)
            assert (one.argmax == other.argmax).mean() > 0.9995


#: A thread that takes part in a forward sleeps again after it, and the system counts that. All the
#: others have to sleep before the next forward: the pool's and numpy's turn in circles for a while
#: after their work. That is of no forward, but would be CPU time during one.
WOKEN = """
import os, sys, etseg
import numpy as np
from pathlib import Path

def others():
    for task in Path("/proc/self/task").iterdir():
        if int(task.name) != os.getpid():
            lines = (task / "status").read_text().splitlines()
            yield task.name, dict(line.split(":\t", 1) for line in lines if ":\t" in line)

def times_asleep():
    while not all(said["State"].startswith("S") for _, said in others()):
        os.sched_yield()
    return {name: int(said["voluntary_ctxt_switches"]) for name, said in others()}

path, threads, concurrency, forwards = sys.argv[1], *map(int, sys.argv[2:])
etseg.set_num_threads(threads)
module = etseg.ImageSegmentationModule(concurrency=concurrency)
module.load(path)
image = np.zeros((24, 40, 3), np.uint8)
module.forward(image)
before = times_asleep()
for _ in range(forwards):
    module.forward(image)
    after = times_asleep()
print(*(after[name] - before.get(name, 0) for name in after))
"""


@needs_openvino
@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="reads /proc")
@pytest.mark.parametrize(
    ("threads", "concurrency", "alone"), [(1, 1, True), (2, 2, True), (2, 1, False)]
)
def test_alone_it_computes_on_the_thread_that_calls(
    openvino_c3: Path, threads: int, concurrency: int, alone: bool
) -> None:
    """With one thread, and with an instance of several: no forward wakes another thread."""
    forwards = 100
    said = output_of(WOKEN, openvino_c3, threads, concurrency, forwards)
    woken = [int(times) for times in said.split()]
    # With two threads the pool's second is woken by each: what is counted is there. And who is
    # woken once or twice, by something else, has not computed a hundred times.
    assert all(times < forwards // 2 for times in woken) == alone, woken
