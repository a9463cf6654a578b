"""Secrets: what is in a login, a query, a token or a proxy's URL stands nowhere that it need not.

Everything that comes out is looked through for a canary: messages with all that is behind them,
logs of every library at every level, reprs, records, notes, names of files, output of commands.
"""

from __future__ import annotations

import io
import logging
import os
import pickle
import re
import socket
import stat
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

import etseg
from downloading import files, load, only_model
from etseg import ImageSegmentationModule, resources
from etseg._cli import main
from etseg._download.http import read_url
from etseg._messages import redacted, shown, source_for_people
from http_server import Fault, Server, serving
from raw_server import raw_serving

pytestmark = pytest.mark.usefixtures("cache")

CANARY = "c4n4ry"


class Outputs:
    """All that was said since the test began."""

    def __init__(self, cache: Path) -> None:
        self.texts: list[str] = []
        self._cache = cache
        self.log = io.StringIO()

    def of(self, call: Callable[[], object]) -> BaseException | None:
        """Makes a call; keeps what it raises, with causes and contexts, shown or not."""
        try:
            self.texts.append(repr(call()))
        except Exception as error:
            self._add(error, 0)
            return error
        return None

    def _add(self, error: BaseException, depth: int) -> None:
        self.texts += [str(error), repr(error), repr(error.args)]
        self.texts += traceback.format_exception(error)
        for behind in (error.__cause__, error.__context__):
            if behind is not None and depth < 10:
                self._add(behind, depth + 1)

    def everything(self) -> str:
        on_disk = [
            f"{path}\n" + (path.read_bytes().decode("latin-1") if path.is_file() else "")
            for path in self._cache.rglob("*")
        ]
        # Code that a traceback quotes may have the canary: this file's.
        quoted = [re.sub(r"(?m)^    .*$", "", text) for text in self.texts]
        return "\n".join([*quoted, self.log.getvalue(), *on_disk])


@pytest.fixture
def outputs(cache: Path) -> Iterator[Outputs]:
    """Listens, and at the end of the test looks for the canary."""
    listening = Outputs(cache)
    handler = logging.StreamHandler(listening.log)
    handler.setFormatter(logging.Formatter("%(name)s %(message)s"))
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield listening
    root.removeHandler(handler)
    root.setLevel(level)
    assert listening.texts, "the test said nothing"
    said = listening.everything()
    where = said.find(CANARY)
    assert where < 0, said[max(0, where - 200) : where + 100]


def secret(url: str) -> str:
    """The URL with a login and a query, both secret."""
    return url.replace("//", f"//{CANARY}user:{CANARY}pass@") + f"?sig={CANARY}&x=1#{CANARY}"


def cli(outputs: Outputs, *arguments: str) -> None:
    outputs.texts.append(CliRunner().invoke(main, arguments).output)


def test_what_goes_well(server: Server, cache: Path, program: bytes, outputs: Outputs) -> None:
    url = secret(server.add("/model.pte", program).partition("#")[0])
    server.files[f"/model.pte?sig={CANARY}&x=1"] = server.files["/model.pte"]
    with ImageSegmentationModule() as module:
        outputs.of(lambda: module.load(url))
        outputs.texts += [repr(module), str(module), repr(module.spec)]
        assert module.is_loaded
    assert server.requests[0].path == f"/model.pte?sig={CANARY}&x=1"
    assert "authorization" in server.requests[0].headers
    (model,) = resources.list_downloaded_models()
    outputs.texts += [repr(model), model.url]
    assert model.url == f"{server.address}/model.pte?..."
    cli(outputs, "cache", "list")
    cli(outputs, "cache", "list", "--json")
    for path in cache.rglob("*"):
        if path.is_file() and path.suffix != ".lock" and path.name != ".etseg":
            assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    assert resources.delete_resources(url) > len(program)


@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=404),
        Fault(status=401),
        Fault(status=503),
        Fault(cut=0.5),
        Fault(headers={"Content-Length": "9" * 5000}),
        Fault(status=302, headers={"Location": f"https://[{CANARY}"}),
        Fault(status=302, headers={"Location": f"ftp://{CANARY}:{CANARY}@h/?{CANARY}"}),
        Fault(status=302, headers={"Location": f"//{CANARY}@127.0.0.1:1/?{CANARY}"}),
    ],
    ids=lambda fault: str(fault.status or next(iter(fault.headers), "cut")),
)
def test_what_goes_wrong(server: Server, fault: Fault, outputs: Outputs, program: bytes) -> None:
    url = secret(server.add("/model.pte", program).partition("#")[0])
    path = f"/model.pte?sig={CANARY}&x=1"
    server.files[path] = server.files["/model.pte"]
    server.files[path].always = fault
    assert outputs.of(lambda: resources.fetch(url)) is not None
    assert outputs.of(lambda: read_url(url)) is not None
    outputs.of(lambda: resources.get_files_total_size(url))
    cli(outputs, "fetch", url)
    cli(outputs, "cache", "list")


ECHOES = {
    "status line": lambda head: head,
    "reason": lambda head: b"HTTP/1.1 404 " + head + b"\r\n",
    "header": lambda head: b"HTTP/1.1 200 OK\r\n" + head,
    "bad headers": lambda head: b"HTTP/1.1 200 OK\r\n " + head.split(b"\r\n")[0] + b"\r\n\r\n",
    "length": lambda head: b"HTTP/1.1 200 OK\r\nContent-Length: " + head,
    "chunk": lambda head: b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + head,
    "encoding": lambda head: (
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 50\r\n\r\n" + head
    ),
}


@pytest.mark.parametrize("how", ECHOES)
def test_a_server_that_echoes(how: str, outputs: Outputs) -> None:
    """What it was sent comes back where the HTTP library does not expect it, and quotes it."""

    def script(connection: socket.socket, head: bytes) -> None:
        assert CANARY.encode() in head
        connection.sendall(ECHOES[how](head))
        connection.shutdown(socket.SHUT_RDWR)

    with raw_serving(script) as server:
        outputs.of(lambda: read_url(secret(server.url)))
        outputs.of(lambda: resources.fetch(secret(server.url)))


@pytest.mark.parametrize(
    "url",
    [
        f"http://user:{CANARY}@127.0.0.1:port/model.pte",
        f"http://user:{CANARY}@127.0.0.1:99999/model.pte",
        f"http://user:{CANARY}@[::1/model.pte",
        f"http://user:{CANARY}@a..b/model.pte",
        f"http://user:{CANARY}@\u2100/model.pte",
        f"http://user:{CANARY}@/model.pte",
        f"http://user:{CANARY}/x@127.0.0.1:1/model.pte",
        f"http://user:1/{CANARY}@127.0.0.1:1/model.pte",
        f"http://user:{CANARY}\u0416@127.0.0.1:1/model.pte",
        f"http://127.0.0.1:1/model.pte?{CANARY}\x00\n",
        f"http://127.0.0.1\n:1/model.pte?{CANARY}",
        f"http://{'a' * 300}/model.pte?{CANARY}",
        f"http://127.0.0.1:1/model.pte#{CANARY}",
        f"ftp://user:{CANARY}@127.0.0.1/model.pte?{CANARY}",
        f"s3://{CANARY}:{CANARY}@bucket/model.pte",
        f"file://user:{CANARY}@host/model.pte",
        f"hf://user:{CANARY}@host",
        f"hf://owner/?{CANARY}",
    ],
)
def test_bad_urls(url: str, outputs: Outputs, selfie: ImageSegmentationModule) -> None:
    for call in (
        lambda: ImageSegmentationModule().load(url),
        lambda: ImageSegmentationModule().load({"model_source": url}),
        lambda: resources.get_files_total_size(url),
        lambda: resources.fetch({"model_sauce": url}),
        lambda: repr(etseg.ModelSpec(model_source=url)),
        lambda: selfie.forward(url),
    ):
        outputs.of(call)
    cli(outputs, "fetch", url)
    cli(outputs, "cache", "clear", url)


def test_command_segment(
    server: Server, outputs: Outputs, photo_path: Path, tmp_path: Path
) -> None:
    path = f"/photo.jpg?sig={CANARY}&x=1"
    server.add(path, photo_path.read_bytes())
    for url in (secret(server.url("/photo.jpg")), secret(server.url("/nothing"))):
        for options in ((), ("--json",), ("--mask", str(tmp_path / "masks"))):
            cli(outputs, "segment", url, *options)
    assert [request.path for request in server.requests].count(path) >= 2


def test_an_image_that_cannot_be_decoded(
    server: Server, outputs: Outputs, selfie: ImageSegmentationModule
) -> None:
    server.add(f"/image?sig={CANARY}&x=1", b"\x89PNG\r\n\x1a\n nothing")
    error = outputs.of(lambda: selfie.forward(secret(server.url("/image"))))
    assert isinstance(error, etseg.EtsegError)
    assert f"{server.address}/image?..." in str(error)


def test_a_result_does_not_carry_it_along(
    server: Server, outputs: Outputs, selfie: ImageSegmentationModule, photo_path: Path
) -> None:
    server.add(f"/photo.jpg?sig={CANARY}&x=1", photo_path.read_bytes())
    result = selfie.forward(secret(server.url("/photo.jpg")))
    outputs.texts += [repr(result), pickle.dumps(result).decode("latin-1")]
    outputs.of(result.overlay)  # the image is not asked for again


@pytest.mark.parametrize("part", ["pass", "sig"])
def test_another_secret_voids_the_resume(
    server: Server, cache: Path, program: bytes, part: str
) -> None:
    """Who asks with another login may get another file."""
    url = secret(server.add("/model.pte", program).partition("#")[0])
    for sig in (CANARY, "other"):
        server.files[f"/model.pte?sig={sig}&x=1"] = server.files["/model.pte"]
    server.files["/model.pte"].always = Fault(cut=0.0)
    server.files["/model.pte"].faults = [Fault(cut=0.5)]
    with pytest.raises(etseg.DownloadError):
        load(url)
    assert files(cache) == ["partial", "partial.note"]
    server.files["/model.pte"].always = Fault()
    asked = len(server.requests)
    other = url.replace(f"{CANARY}pass", "other").replace("sig=" + CANARY, "sig=" + CANARY)
    if part == "sig":
        other = url.replace(f"sig={CANARY}", "sig=other")
    load(other)
    assert [request.start for request in server.requests[asked:]] == [0]
    if part == "pass":
        assert only_model(cache) == program


def test_a_login_stays_behind_at_a_redirect(server: Server) -> None:
    with serving() as elsewhere:
        target = elsewhere.add("/image", b"all of it")
        server.add("/there", b"", always=Fault(status=302, headers={"Location": target}))
        url = server.add("/here", b"", always=Fault(status=302, headers={"Location": "/there"}))
        assert read_url(url.replace("//", "//user:pass@")) == b"all of it"
        assert ["authorization" in request.headers for request in server.requests] == [True, True]
        assert ["authorization" in request.headers for request in elsewhere.requests] == [False]


def test_the_same_login_goes_on(server: Server, cache: Path, program: bytes) -> None:
    url = server.add("/model.pte", program).replace("//", "//user:pass@")
    server.files["/model.pte"].always = Fault(cut=0.0)
    server.files["/model.pte"].faults = [Fault(cut=0.5)]
    with pytest.raises(etseg.DownloadError):
        load(url)
    server.files["/model.pte"].always = Fault()
    load(url)
    assert server.requests[-1].start > 0
    assert only_model(cache) == program


def test_what_is_public_is_readable(server: Server, cache: Path, program: bytes) -> None:
    before = os.umask(0o022)
    try:
        load(server.add("/model.pte", program))
    finally:
        os.umask(before)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in cache.rglob("*.*")}
    assert modes["model.pte"] == modes["record.json"] == 0o644


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://host/a/model.pte", "https://host/a/model.pte"),
        ("https://u:p@host:8443/model.pte?a=b#c", "https://host:8443/model.pte?..."),
        ("https://u@v@host/", "https://host/"),
        ("https://host/@scope/file", "https://host/@scope/file"),
        ("https://host?q", "https://host?..."),
        ("https://[::1]:80/x", "https://[::1]:80/x"),
        ("https://u:p/x@host/", "https://..."),
        ("https://u:12/p@host/", "https://..."),
        ("https://u:p?x@host/", "https://..."),
        ("https://u:p#x@host/", "https://..."),
        ("no url", "..."),
    ],
)
def test_redacted(url: str, expected: str) -> None:
    assert redacted(url) == expected
    assert shown(url) == repr(expected)


def test_paths_are_shown_as_they_are() -> None:
    for path in ("a/b?c#d.pte", "file:///a?b", "user@host:x", "bundled:x"):
        assert source_for_people(path) == path
    assert source_for_people("https://u:p@host/x?y") == "https://host/x?..."
