"""Whatever stands in the fields of a spec, in metadata, records and notes: an error of our own."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import textwrap
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import etseg
from etseg import (
    EtsegError,
    InvalidConfigError,
    InvalidModelError,
    Limits,
    ModelSpec,
    resources,
)
from etseg._download.headers import (
    content_length,
    content_range,
    seconds_to_wait,
    still_is,
    validator_of,
)
from etseg._download.hub import url_of_reference
from etseg._download.partial import Version, parse_note
from etseg._download.program_check import program_length
from etseg._download.records import Record, parse_record
from etseg._label_enums import normalize_labels
from etseg._messages import brief, redacted
from etseg._model.metadata import complete

DEEP = "[" * 100_000
HUGE = 10**400
LONGEST = 10**5000  # has no repr


class Unshowable:
    def __repr__(self) -> str:
        raise ZeroDivisionError


#: Values that some function of Python does not take, by an error that is not expected there.
ODD: list[Any] = [
    None,
    True,
    -1,
    HUGE,
    LONGEST,
    float("inf"),
    float("nan"),
    Fraction(1, 2),
    1e308,
    "",
    "x" * 100_000,
    "\0",
    "\ud800",
    b"bytes",
    (),
    (1, 2),
    [[[]]],
    {},
    {"a": 1},
    {float("inf"): "a"},
    {0.5: "a"},
    {True: "a"},
    {"\u0663": "a"},
    {"1" * 5000: "a"},
    (HUGE, 0, 0),
    (LONGEST, 0, 0),
    (float("nan"), 0, 0),
    ("1", "2", "3"),
    "123",
    (True, 0, 0),
    range(3),
    object(),
    Unshowable(),
    np.zeros((2, 2)),
    np.float32(0.5),
    int,
]
FIELDS = ("labels", "mean", "std", "activation", "resample", "sha256")


@pytest.mark.parametrize("field", FIELDS)
def test_odd_values_in_a_spec(field: str) -> None:
    for value in ODD:
        try:
            said = repr(ModelSpec(model_source="model.pte", **{field: value}))
        except InvalidConfigError as error:
            said = str(error)
        assert field.rstrip("s") in said
        assert len(said) < 600


@pytest.mark.parametrize("field", ["max_pixels", "max_redirects", "read_timeout", "total_timeout"])
def test_odd_values_in_limits(field: str) -> None:
    for value in ODD:
        try:
            said = str(Limits(**{field: value})) if value is not LONGEST else field
        except InvalidConfigError as error:
            said = str(error)
        assert field in said


def test_odd_sources() -> None:
    for value in ODD:
        for call in (resources.fetch, resources.delete_resources):
            message = ""
            try:
                call(value)
            except EtsegError as error:
                message = str(error)
            assert len(message) < 600


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("mean", (HUGE, 0, 0)),
        ("mean", "123"),
        ("std", (1, 1)),
        ("sha256", int("1" * 64)),
        ("sha256", b"0" * 64),
        ("labels", {float("inf"): "a"}),
        ("labels", {0.5: "a"}),
        ("labels", {True: "a", 0: "b"}),
        ("labels", {0: "a", 2: "b"}),
    ],
)
def test_refused(field: str, value: Any) -> None:
    with pytest.raises(InvalidConfigError, match=field):
        ModelSpec(model_source="model.pte", **{field: value})


def test_indices_of_labels() -> None:
    expected = ("sky", "road")
    assert normalize_labels({1: "road", 0: "sky"}) == expected
    assert normalize_labels({"0": "sky", "1": "road"}) == expected
    assert normalize_labels({np.int64(0): "sky", np.uint8(1): "road"}) == expected


class CountedName(str):
    """A label that counts how often it is compared."""

    compared = 0
    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        CountedName.compared += 1
        return str.__eq__(self, other)

    __hash__ = str.__hash__


def test_a_repeated_label_is_found_in_one_pass() -> None:
    names = [CountedName(f"label {index}") for index in range(20_000)]
    with pytest.raises(InvalidConfigError, match="'label 19999' stands twice"):
        normalize_labels([*names, CountedName("label 19999")])
    assert CountedName.compared < 3 * len(names)


# Paths.


def test_paths_of_bytes(tmp_path: Path, program: bytes) -> None:
    (tmp_path / "model.pte").write_bytes(program)
    (entry,) = os.scandir(os.fsencode(tmp_path))
    with etseg.ImageSegmentationModule() as module:
        module.load(entry)  # type: ignore[arg-type]  # its path is of bytes
        assert module.spec.model_source == tmp_path / "model.pte"
        repr(module)
    with pytest.raises(etseg.InvalidModelSourceError, match="of type bytes"):
        resources.fetch(os.fsencode(tmp_path / "model.pte"))  # type: ignore[arg-type]


@pytest.mark.skipif(not Path("/proc/kmsg").exists(), reason="no /proc")
def test_a_file_without_a_size_is_not_hashed_to_its_end() -> None:
    """The kernel's messages never end."""
    with pytest.raises(InvalidModelError, match="has SHA-256"):
        resources.fetch(ModelSpec(model_source="/proc/kmsg", sha256="0" * 64))


class NoPath(os.PathLike[str]):
    def __fspath__(self) -> str:
        raise ZeroDivisionError


def test_a_path_that_gives_none() -> None:
    with pytest.raises(etseg.InvalidModelSourceError, match="a NoPath that gives no path"):
        resources.fetch(NoPath())


CACHE_DIRECTORY = """
    import os, sys, etseg
    import platformdirs  # whoever is unknown may not read where that lies
    from etseg import resources
    os.environ.pop("HOME", None)
    try:
        if sys.argv[1] == "unknown":
            os.setuid(54321)
        else:
            os.environ["ETSEG_CACHE"] = sys.argv[1]
        resources.fetch("http://127.0.0.1:1/model.pte")
    except etseg.FileWriteError as error:
        print(error)
"""


@pytest.mark.parametrize("cache", ["unknown", "~nobody-of-that-name/x"])
def test_without_a_home(cache: str) -> None:
    if cache == "unknown" and (not hasattr(os, "getuid") or os.getuid() != 0):
        pytest.skip("only root may become somebody unknown")
    environment = {
        k: v for k, v in os.environ.items() if k not in ("ETSEG_CACHE", "XDG_CACHE_HOME")
    }
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(CACHE_DIRECTORY), cache],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    assert "Set ETSEG_CACHE to a directory" in done.stdout, done.stderr


# What was written by others.


@pytest.mark.parametrize(
    "metadata",
    [
        DEEP,
        '{"a":' * 100_000,
        '{"schema": 1, "x-": ' + DEEP,
        '{"schema": ' + "1" * 5000 + "}",
        '{"schema": true}',
        '{"schema": 1.0}',
        '{"schema": 1, "mean": [1e400, 0, 0]}',
        '{"schema": 1, "mean": [' + "9" * 400 + ", 0, 0]}",
        '{"schema": 1, "mean": "123"}',
        '{"schema": 1, "labels": {"0.5": "a"}}',
        '{"schema": 1, "labels": {"' + "1" * 5000 + '": "a"}}',
        '{"schema": 1, "name": ' + json.dumps(["x" * 100_000]) + "}",
        '{"schema": 1, "' + "x" * 100_000 + '": 1}',
        "\ud800",
        "NaN",
    ],
    ids=lambda text: text[:30],
)
def test_metadata(metadata: str) -> None:
    with pytest.raises(InvalidModelError, match="is malformed") as caught:
        complete(ModelSpec(model_source="model.pte"), metadata, "model.pte")
    assert len(str(caught.value)) < 1000


NOTE = (
    b'{"salt": "00", "asked": "11", "validator": "\\"1\\"", "total": 100}\n'
    b"10 " + b"0" * 64 + b" " + b"0" * 32 + b"\n"
)

#: Pure readers of what others wrote, each with an example of what it is for.
READERS: list[tuple[Callable[[bytes], object], bytes]] = [
    (parse_record, Record("https://host/x", 1, "0" * 64).to_bytes()),
    (parse_note, NOTE),
    (lambda data: program_length(data[:40]), bytes(8) + b"eh00" + bytes(28)),
    (lambda data: content_range(_text(data)), b"bytes 1-2/3"),
    (lambda data: seconds_to_wait(_text(data), 0.0), b"Wed, 01 Jan 2025 00:00:00 -0000"),
    (lambda data: validator_of(_headers(data)), b"Sat, 01 Feb 2025 10:00:00 GMT"),
    (lambda data: still_is(_text(data), _headers(data)), b'"etag"'),
    (lambda data: redacted(_text(data)), b"https://user:pass@host:80/path?query#fragment"),
    (lambda data: brief(data), b"x"),
    (lambda data: _or_value_error(content_length, data), b"100, 100"),
    (lambda data: _or_value_error(url_of_reference, data), b"hf://owner/repo/a/b@rev"),
]


def _text(data: bytes) -> str:
    return data.decode("latin-1")


def _headers(data: bytes) -> dict[str, str]:
    return dict.fromkeys(("ETag", "Last-Modified", "Date", "Content-Encoding"), _text(data))


def _or_value_error(read: Callable[[str], object], data: bytes) -> object:
    try:
        return read(_text(data))
    except ValueError:
        return None


def mutated(example: bytes, chance: random.Random) -> bytes:
    """The example with pieces repeated, cut, nested, exchanged, or with long numbers in it."""
    data = bytearray(example)
    for _ in range(chance.randrange(1, 4)):
        at = chance.randrange(len(data) + 1)
        end = min(len(data), at + chance.randrange(1, 20))
        piece = bytes(data[at:end])
        data[at:end] = chance.choice(
            [
                b"",
                piece * chance.choice([2, 50, 3000]),
                b"[" * chance.choice([1, 5000]),
                b'{"":' * 3000,
                b"9" * chance.choice([18, 19, 20, 5000]),
                chance.randbytes(len(piece)),
                bytes([chance.randrange(256)]),
                b"-1",
                b"1e999",
                b"\xff\xfe\n\r\x00",
            ]
        )
    return bytes(data)


@pytest.mark.parametrize("number", range(len(READERS)))
def test_readers_raise_nothing_else(number: int) -> None:
    read, example = READERS[number]
    chance = random.Random(number)
    read(example)
    for data in (b"", DEEP.encode(), b"9" * 10_000, b"\xff" * 100):
        read(data)
    for _ in range(1000):
        read(mutated(example, chance))


def test_readers_read_what_is_right() -> None:
    record = Record("https://host/x", 1, "0" * 64, 2, 3, 4)
    assert parse_record(record.to_bytes()) == record
    note = parse_note(NOTE)
    assert note is not None
    assert note.version == Version("00", "11", '"1"', 100)
    assert note.points == ()  # of a wrong checksum
    assert content_length("100, 100") == content_length("100") == 100
    for wrong in ("", "-1", "1, 2", "+1", "1e3", "9" * 5000, "\u0663"):
        with pytest.raises(ValueError, match="no number of bytes"):
            content_length(wrong)
    found = content_range("bytes 1-2/*")
    assert found is not None
    assert (found.first, found.last, found.total) == (1, 2, None)
    assert [content_range(text) for text in ("bytes 2-1/3", "bytes 0-3/3", "bytes 1-/3")] == [
        None
    ] * 3


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"ETag": '"1"'}, '"1"'),
        ({"ETag": 'W/"1"'}, ""),
        ({"ETag": '"1'}, ""),
        ({"ETag": '"1"', "Content-Encoding": "gzip"}, ""),
        ({"ETag": '"1"', "Accept-Ranges": "none"}, ""),
        ({"Last-Modified": "Sat, 01 Feb 2025 10:00:00 GMT"}, ""),
        (
            {
                "Last-Modified": "Sat, 01 Feb 2025 10:00:00 GMT",
                "Date": "Sat, 01 Feb 2025 10:01:00 GMT",
            },
            "Sat, 01 Feb 2025 10:00:00 GMT",
        ),
        (
            {
                "Last-Modified": "Sat, 01 Feb 2025 10:00:00 GMT",
                "Date": "Sat, 01 Feb 2025 10:00:59 GMT",
            },
            "",
        ),
    ],
)
def test_validators(headers: dict[str, str], expected: str) -> None:
    """A date counts once it lies so far back that the file cannot change again within it."""
    assert validator_of(headers) == expected
