"""What callers get wrong: each a typed error that names the value and what was expected, and the
module as usable after it as before.
"""

from __future__ import annotations

import base64
import os
import socket
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import etseg
from etseg import ImageSegmentationModule
from programs import picture, program


@pytest.fixture(scope="module")
def loaded_module() -> ImageSegmentationModule:
    module = ImageSegmentationModule()
    module.load(program("logits_c21"))
    return module


@pytest.fixture
def module(loaded_module: ImageSegmentationModule) -> Iterator[ImageSegmentationModule]:
    """A loaded module; the test fails if it does not compute the same afterwards."""
    before = loaded_module.forward(picture(), ["CAT"])
    yield loaded_module
    after = loaded_module.forward(picture(), ["CAT"])
    for key in before:
        np.testing.assert_array_equal(after[key], before[key])


def refused(
    error_type: type[etseg.EtsegError], words: tuple[str, ...], call: Callable[[], object]
) -> None:
    """The call raises this error, saying these words, and not in a book."""
    with pytest.raises(error_type) as caught:
        call()
    message = str(caught.value)
    for word in words:
        assert word in message
    assert len(message) < 1000


# ---- Files of images.


def broken_files(photo: bytes) -> dict[str, tuple[bytes, tuple[str, ...]]]:
    """Contents of files that are no image, and what the message says."""
    import cv2

    png = cv2.imencode(".png", picture(60, 80))[1].tobytes()
    return {
        "empty.jpg": (b"", ("empty",)),
        "half.jpg": (photo[: len(photo) // 2], ("cut off",)),
        "almost.jpg": (photo[:-2], ("cut off",)),
        "head.jpg": (photo[:3], ()),
        "half.png": (png[: len(png) // 2], ("cut off",)),
        "almost.png": (png[:-12], ("cut off",)),
        "head.png": (png[:8], ()),
        "text.jpg": (b"This is no photograph.", ("no image", "b'This is '")),
        "html.png": (b"<!DOCTYPE html><html></html>" * 20, ("no image",)),
        "zeros.png": (bytes(1000), ("no image",)),
        "program.jpg": (program("logits_c3").read_bytes(), ("no image",)),
    }


@pytest.mark.parametrize("name", broken_files(b"\xff\xd8\xff"))
@pytest.mark.parametrize("way", ["path", "URI", "bytes", "data URI"])
def test_a_file_that_is_no_image(
    name: str, way: str, module: ImageSegmentationModule, tmp_path: Path, photo_path: Path
) -> None:
    content, words = broken_files(photo_path.read_bytes())[name]
    path = tmp_path / name
    path.write_bytes(content)
    source = {
        "path": path,
        "URI": path.as_uri(),
        "bytes": content,
        "data URI": "data:image/jpeg;base64," + base64.b64encode(content).decode(),
    }[way]
    if way in ("path", "URI"):
        words = (*words, name)
    refused(
        etseg.FileReadError, ("cannot decode", *words), lambda: module.forward(source, resize=True)
    )


@pytest.mark.parametrize("form", [str, Path, Path.as_uri])
@pytest.mark.parametrize("name", ["nowhere.jpg", "nowhere", "of/a/folder/nowhere", "file/nowhere"])
def test_no_such_file(
    form: Any, name: str, module: ImageSegmentationModule, tmp_path: Path
) -> None:
    """However it is spelled, and be it an image or a model."""
    (tmp_path / "file").touch()
    source = form(tmp_path / name)
    for use in (module.forward, module.load):
        with pytest.raises(FileNotFoundError, match=rf"no such file: .*{name}") as caught:
            use(source)
        assert type(caught.value) is etseg.FileMissingError


@pytest.mark.parametrize("name", ["nope.png", "photos/beach.jpg", "a/b", "./nope", "photo"])
def test_a_relative_path_of_no_file(name: str, module: ImageSegmentationModule) -> None:
    with pytest.raises(etseg.FileMissingError, match=rf"^no such file: '{name}'") as caught:
        module.forward(name)
    if "." in name:  # no base64 has one
        assert "base64" not in str(caught.value)


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (None, ("the image is a NoneType", "imread returns None")),
        (["a.jpg", "b.jpg"], ("the image is a list", "one image at a time", "map")),
        (("a.jpg",), ("the image is a tuple", "one image at a time")),
        (lambda: None, ("opens the image returned a NoneType", "imread returns None")),
        (7, ("the image is a int", "expected a path")),
    ],
)
def test_what_is_often_given(
    image: Any, words: tuple[str, ...], module: ImageSegmentationModule
) -> None:
    refused(etseg.InvalidUserInputError, words, lambda: module.forward(image))


def test_a_home_that_only_shells_know(module: ImageSegmentationModule) -> None:
    for use in (module.forward, module.load):
        with pytest.raises(etseg.FileMissingError, match=r"~.nope.jpg'.*expanduser\(\)"):
            use(Path("~/nope.jpg"))


@pytest.mark.parametrize(
    ("call", "taker"),
    [
        (lambda **options: etseg.segment(picture(), **options), "segment"),
        (ImageSegmentationModule, "ImageSegmentationModule"),
    ],
)
def test_an_option_that_there_is_not(call: Callable[..., object], taker: str) -> None:
    """It is told in the name of the function that was called."""
    expected = rf"^{taker}\(\) got an unexpected keyword argument 'concurency'.* concurrency, "
    with pytest.raises(TypeError, match=expected):
        call(concurency=2)


def test_what_is_no_regular_file(module: ImageSegmentationModule, tmp_path: Path) -> None:
    """It is refused without being opened: a FIFO without a writer would not even open."""
    os.mkfifo(tmp_path / "fifo")
    with socket.socket(socket.AF_UNIX) as unix:
        unix.bind(os.path.relpath(tmp_path / "socket"))
        for path, kind in (
            (tmp_path / "fifo", "FIFO"),
            (tmp_path / "socket", "socket"),
            (Path("/dev/zero"), "device"),
            (tmp_path, "directory"),
        ):
            for use in (module.forward, module.load):
                for source in (path, str(path), path.as_uri()):
                    refused(
                        etseg.FileReadError,
                        (str(path), f"it is a {kind}"),
                        partial(use, source),
                    )


@pytest.mark.skipif(not Path("/proc/kmsg").exists(), reason="no /proc")
def test_a_file_of_the_kernel_that_waits_for_ever(module: ImageSegmentationModule) -> None:
    refused(etseg.FileReadError, ("/proc/kmsg",), lambda: module.forward("/proc/kmsg"))


def test_a_directory(module: ImageSegmentationModule, tmp_path: Path) -> None:
    for source in (tmp_path, str(tmp_path), tmp_path.as_uri()):
        refused(
            etseg.FileReadError,
            (str(tmp_path), "directory"),
            lambda: module.forward(source),  # noqa: B023
        )


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_file(module: ImageSegmentationModule, tmp_path: Path) -> None:
    path = tmp_path / "secret.jpg"
    path.touch(mode=0)
    refused(etseg.FileReadError, ("secret.jpg", "Permission"), lambda: module.forward(path))


# ---- Strings.

STRINGS: dict[str, tuple[str, type[etseg.EtsegError], tuple[str, ...]]] = {
    "no such path": ("nowhere.jpg", etseg.FileMissingError, ("no such file: 'nowhere.jpg'",)),
    "empty": ("", etseg.InvalidUserInputError, ("empty string", "expected a path")),
    "blank": ("  ", etseg.InvalidUserInputError, ("expected a path",)),
    "base64 of text": (
        base64.b64encode(b"hello, world").decode(),
        etseg.FileMissingError,
        ("no such file", "nor is it base64 of an image"),
    ),
    "long base64 of nothing": ("QUJD" * 100_000, etseg.InvalidUserInputError, ("base64", "...")),
    "a long text": ("no base64! " * 100_000, etseg.InvalidUserInputError, ("...", "expected")),
    "a long path": ("/tmp/" + "x" * 5000, etseg.InvalidUserInputError, ("...", "expected")),
    "NUL": ("a\0b.jpg", etseg.InvalidUserInputError, ("a\\x00b.jpg", "expected")),
    "a lone surrogate": ("\udcff.jpg", etseg.FileMissingError, ("\\udcff",)),
    "ftp": ("ftp://host/a.jpg", etseg.InvalidUserInputError, ("'ftp'", "expected a path")),
    "content": ("content://media/1", etseg.InvalidUserInputError, ("'content'", "expected")),
    "file with NUL": ("file:///a%00b.jpg", etseg.FileReadError, ("a\\x00b.jpg",)),
    "file of another host": ("file://host/a.jpg", etseg.InvalidUserInputError, ("//host/a.jpg",)),
    "data without comma": ("data:image/png;base64", etseg.InvalidUserInputError, ("comma",)),
    "data that is not base64": (
        "data:image/png;base64,@@@@",
        etseg.InvalidUserInputError,
        ("not valid base64",),
    ),
    "data without data": ("data:image/png;base64,", etseg.FileReadError, ("empty",)),
    "data of text": ("data:,hello", etseg.FileReadError, ("no image",)),
}


@pytest.mark.parametrize("name", STRINGS)
def test_a_string_that_is_no_image(name: str, module: ImageSegmentationModule) -> None:
    text, error_type, words = STRINGS[name]
    refused(error_type, words, lambda: module.forward(text))


# ---- Objects.


@pytest.mark.parametrize("image", [None, 5, 1.5, True, object(), [[1, 2], [3, 4]], {}, ()])
def test_an_object_that_is_no_image(image: Any, module: ImageSegmentationModule) -> None:
    words = (type(image).__name__, "expected a path", "uint8 array (H, W, 3)")
    refused(etseg.InvalidUserInputError, words, lambda: module.forward(image))


ARRAYS: dict[str, tuple[Any, tuple[str, ...]]] = {
    "channels first": (np.zeros((3, 24, 40), np.uint8), ("(3, 24, 40)", "transpose(1, 2, 0)")),
    "a batch": (np.zeros((1, 24, 40, 3), np.uint8), ("(1, 24, 40, 3)", "array[0]")),
    "grey with a channel": (np.zeros((24, 40, 1), np.uint8), ("(24, 40, 1)", "array[..., 0]")),
    "two channels": (np.zeros((24, 40, 2), np.uint8), ("(24, 40, 2)",)),
    "five channels": (np.zeros((24, 40, 5), np.uint8), ("(24, 40, 5)",)),
    "a row": (np.zeros(24, np.uint8), ("(24,)",)),
    "a scalar": (np.array(5, np.uint8), ("()",)),
    "no height": (np.zeros((0, 40, 3), np.uint8), ("(0, 40, 3)", "not empty")),
    "no width": (np.zeros((24, 0), np.uint8), ("(24, 0)", "not empty")),
    "float32": (np.zeros((24, 40, 3), np.float32), ("float32", "* 255")),
    "float64": (np.zeros((24, 40, 3)), ("float64", "* 255")),
    "uint16": (np.zeros((24, 40, 3), np.uint16), ("uint16", ">> 8")),
    "int8": (np.zeros((24, 40, 3), np.int8), ("int8",)),
    "bool": (np.zeros((24, 40), bool), ("bool",)),
    "objects": (np.zeros((24, 40, 3), object), ("object",)),
    "strings": (np.zeros((24, 40), "U1"), ("<U1",)),
    "records": (np.zeros((24, 40), [("r", "u1"), ("g", "u1")]), ("'r'",)),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_an_array_that_is_no_image(name: str, module: ImageSegmentationModule) -> None:
    array, words = ARRAYS[name]
    words = (*words, "expected uint8 of shape (H, W, 3)")
    refused(etseg.InvalidUserInputError, words, lambda: module.forward(array, resize=True))


@pytest.mark.parametrize("data", [memoryview(b"abc"), bytearray(), b"", bytearray(b"\xff\xd8\xff")])
def test_bytes_that_are_no_image(data: Any, module: ImageSegmentationModule) -> None:
    refused(etseg.FileReadError, ("cannot decode the bytes",), lambda: module.forward(data))


def test_an_object_that_lies_about_its_memory(module: ImageSegmentationModule) -> None:
    """Whatever numpy makes of it, it is an error of ours."""

    class Liar:
        __array_interface__ = {"shape": (24, 40, 3), "typestr": "|u1", "version": 3}  # noqa: RUF012

    class Thrower:
        def __array__(self, *_: object, **__: object) -> Any:
            message = "not today"
            raise ValueError(message)

    for image in (Liar(), Thrower()):
        with pytest.raises(etseg.InvalidUserInputError):
            module.forward(image)


# ---- Before load and after delete.


def test_before_load_and_after_delete() -> None:
    module = ImageSegmentationModule()
    refused(etseg.ModuleNotLoadedError, ("load()",), lambda: module.forward(picture()))
    module.load(program("logits_c3"))
    module.delete()
    refused(etseg.ModuleNotLoadedError, ("load()",), lambda: module.forward(picture()))
    with pytest.raises(RuntimeError):
        module.forward(picture())


# ---- Models.


@pytest.mark.parametrize("model", [None, 5, b"a.pte", ["a.pte"], object(), {}, {"source": "a"}])
def test_an_object_that_is_no_model(model: Any, module: ImageSegmentationModule) -> None:
    words = ("expected", "ModelSpec", "path")
    refused(etseg.InvalidModelSourceError, words, lambda: module.load(model))


MODEL_STRINGS: dict[str, tuple[str, type[etseg.EtsegError], tuple[str, ...]]] = {
    "empty": ("", etseg.InvalidModelSourceError, ("empty", "expected a path")),
    "no such path": ("nowhere.pte", etseg.FileMissingError, ("'nowhere.pte'", "no such file")),
    "a name": (
        "selfie",
        etseg.FileMissingError,
        ("'selfie'", "catalogue", "mean 'selfie-"),
    ),
    "no such URI": ("file:///nowhere.pte", etseg.FileMissingError, ("nowhere.pte", "no such file")),
    "ftp": ("ftp://host/a.pte", etseg.InvalidModelSourceError, ("'ftp'", "expected a path")),
    "no such bundle": ("bundled:a.pte", etseg.InvalidModelSourceError, ("'a.pte'", "selfie")),
    "out of the bundle": ("bundled:../x", etseg.InvalidModelSourceError, ("'../x'", "selfie")),
    "NUL": ("a\0b.pte", etseg.FileReadError, ("a\\x00b.pte",)),
    "a long path": ("/tmp/" + "x" * 900, etseg.FileReadError, ("name too long",)),
    "a lone surrogate": ("/tmp/\udcff.pte", etseg.FileMissingError, ("no such file",)),
}


@pytest.mark.parametrize("name", MODEL_STRINGS)
def test_a_string_that_is_no_model(name: str, module: ImageSegmentationModule) -> None:
    text, error_type, words = MODEL_STRINGS[name]
    refused(error_type, words, lambda: module.load(text))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", ("0 bytes",)),
        (b"x", ("1 bytes",)),
        (b"PK\x03\x04" * 100, ("not an ExecuTorch program",)),
        (b"This is no program, but a text of more than a few bytes." * 10, ("not an Exec",)),
        (b"\xff\xfe\xfd\xfc" * 100, ("not an ExecuTorch program",)),
    ],
    ids=["empty", "one byte", "zip", "text", "not UTF-8"],
)
@pytest.mark.parametrize("name", ["model.pte", "Füße 猫.pte", os.fsdecode(b"\xff\xfe.pte")])
def test_a_file_that_is_no_program(
    content: bytes,
    words: tuple[str, ...],
    name: str,
    module: ImageSegmentationModule,
    tmp_path: Path,
) -> None:
    """Names that are not UTF-8 included: the error is about the file, not about its name."""
    path = tmp_path / name
    path.write_bytes(content)
    refused(etseg.InvalidModelError, (".pte", *words), lambda: module.load(path))


@pytest.mark.parametrize("name", ["Füße 猫.pte", os.fsdecode(b"\xff\xfe.pte"), "100% #?.pte"])
def test_a_program_of_any_name_loads(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(program("logits_c3").read_bytes())
    for source in (path, str(path), path.as_uri()):
        module = ImageSegmentationModule()
        module.load(source)
        assert module.forward(picture()).size == (24, 40)


def test_a_model_that_is_a_directory(module: ImageSegmentationModule, tmp_path: Path) -> None:
    refused(etseg.FileReadError, (tmp_path.name, "directory"), lambda: module.load(tmp_path))


def test_a_wrong_checksum(module: ImageSegmentationModule) -> None:
    spec = etseg.ModelSpec(model_source=program("logits_c3"), sha256="0" * 64)
    words = ("logits_c3.pte", "SHA-256", "0" * 64, "damaged")
    refused(etseg.InvalidModelError, words, lambda: module.load(spec))


# ---- The other arguments.


def test_arguments_of_the_wrong_kind(module: ImageSegmentationModule) -> None:
    with pytest.raises(TypeError):
        module.forward()  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        module.load()  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        module.load(program("logits_c3"), "not callable")  # type: ignore[arg-type]
    assert len(module.labels) == 22
