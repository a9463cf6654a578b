"""What is fuzzed: how a case is made from chance, and what is done with it.

Whatever `run` raises that is no error of etseg is a find; so is an error that says that etseg
itself is at fault, or memory used up.
"""

from __future__ import annotations

import os
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import texts
from chances import Random
from image_files import image_file, samples

import etseg

TESTS = Path(__file__).parents[1]
MAX_PIXELS = 1_000_000

Run = Callable[[Any], object]


class Target(NamedTuple):
    """Something that takes what strangers give."""

    case: Callable[[Random], Any] | None  # from chance; None where cases are files
    opened: Callable[[], Any]  # a context: what it yields is called with each case
    cases: int  # of a process, before the next one
    share: float  # of the time; 0 for what is tried only where it is named
    most: int = sys.maxsize  # cases that there are


@contextmanager
def _forwards() -> Iterator[Run]:
    """A whole forward, of a program that costs nothing beside the decoder."""
    with _module(etseg.Limits(max_pixels=MAX_PIXELS)) as module:

        def run(data: Any) -> object:
            return module.forward(data, resize=len(data) % 2 == 0)

        yield run


@contextmanager
def _module(limits: etseg.Limits) -> Iterator[etseg.ImageSegmentationModule]:
    """One whose program returns its input. What decoders keep is there already."""
    program = TESTS / "data" / "programs" / "identity.pte"
    with etseg.ImageSegmentationModule(limits=limits) as module:
        module.load({"model_source": program, "activation": "none", "labels": list("RGB")})
        for _, sample in samples():
            for resize in (False, True):
                module.forward(sample, resize=resize)
        yield module


@contextmanager
def _metadata() -> Iterator[Run]:
    from etseg._labels import LabelSet
    from etseg._model.metadata import complete
    from etseg._model.spec import ModelSpec

    def run(text: Any) -> object:
        spec = complete(ModelSpec(model_source="net.pte"), text, "net.pte")
        return LabelSet(spec.labels) if spec.labels is not None else None

    yield run


@contextmanager
def _records() -> Iterator[Run]:
    from etseg._download.partial import parse_note
    from etseg._download.records import parse_record

    def run(content: Any) -> object:
        return parse_record(content), parse_note(content)

    yield run


@contextmanager
def _headers() -> Iterator[Run]:
    from etseg._download import headers

    def run(fields: Any) -> object:
        with suppress(ValueError):
            headers.content_length(fields.get("Content-Length"))
        headers.content_range(fields.get("Content-Range"))
        assert headers.seconds_to_wait(fields.get("Retry-After"), 0.0) >= 0
        headers.still_is(headers.validator_of(fields), fields)
        return headers.is_encoded(fields)

    yield run


@contextmanager
def _responses() -> Iterator[Run]:
    """Images from a server that answers each request with the case, and closes."""
    from etseg._download import retrying, watch

    assert callable(watch.sleep)
    retrying.FIRST_PAUSE = 0.0
    watch.sleep = lambda _: None  # whatever Retry-After says
    answer = b""
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            connection, _ = server.accept()
            with connection, suppress(OSError):
                request = b""
                while b"\r\n\r\n" not in request and (more := connection.recv(65536)):
                    request += more
                connection.sendall(answer)

    threading.Thread(target=serve, daemon=True).start()
    limits = etseg.Limits(max_pixels=MAX_PIXELS, max_download_bytes=1 << 20, total_timeout=5)
    with _module(limits) as module:

        def run(data: Any) -> object:
            nonlocal answer
            answer = data
            return module.forward(f"http://127.0.0.1:{server.getsockname()[1]}/a.png")

        yield run


CORPUS = sorted((TESTS / "fuzz" / "corpus").iterdir())


@contextmanager
def _faults() -> Iterator[Run]:
    """Each kind of find, and what is none: for the test of the campaign itself."""

    def run(fault: Any) -> object:
        if fault == "foreign":
            raise KeyError
        if fault == "ours":
            raise etseg.FileReadError("as it should be")
        if fault == "memory":
            raise etseg.OutOfMemoryError("a limit passed") if _takes(1 << 30) else AssertionError
        if fault == "said":
            os.write(2, b"a word")
        if fault == "crash":
            os.abort()
        if fault == "hang":
            while True:
                pass
        return None

    yield run


def _takes(size: int) -> bool:
    """Whether so much memory is more than there is."""
    try:
        bytearray(size)
    except MemoryError:
        return True
    return False


FAULTS = ("none", "foreign", "ours", "memory", "said", "crash", "none", "hang", "none")

TARGETS: dict[str, Target] = {
    # What was found once, or comes from a mistake that was: each file, in order.
    "corpus": Target(None, _forwards, 1000, 0.02, len(CORPUS)),
    "images": Target(image_file, _forwards, 3000, 0.7),
    "sources": Target(texts.source, _forwards, 5000, 0.06),
    "metadata": Target(texts.metadata, _metadata, 5000, 0.06),
    "records": Target(texts.record, _records, 5000, 0.06),
    "headers": Target(texts.headers, _headers, 20000, 0.04),
    "responses": Target(texts.response, _responses, 1000, 0.08),
    "faults": Target(None, _faults, 1000, 0.0, len(FAULTS)),
}


def outcome(run: Run, case: Any) -> tuple[str, str]:
    """What became of a case, and what is wrong about it; empty where nothing is."""
    try:
        run(case)
    except (etseg.InternalError, etseg.OutOfMemoryError) as error:
        return type(error).__name__, f"{type(error).__name__}: {error}"
    except etseg.EtsegError as error:
        return type(error).__name__, ""
    except BaseException as error:
        import traceback

        return type(error).__name__, "".join(traceback.format_exception(error))[-3000:]
    return "result", ""


def case_of(target: str, seed: str, index: int) -> Any:
    """A case: the same for the same arguments."""
    case = TARGETS[target].case
    if target == "faults":
        return FAULTS[index]
    if case is None:
        return CORPUS[index].read_bytes()
    return case(Random(f"{target} {seed} {index}"))


if __name__ == "__main__":  # one case, to look at
    name, its_seed, its_index = sys.argv[1:4]
    made = case_of(name, its_seed, int(its_index))
    sys.stdout.buffer.write(made if isinstance(made, bytes) else repr(made).encode())
