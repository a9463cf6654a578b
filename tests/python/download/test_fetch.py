"""Downloads through load(), from a server that does whatever servers and networks do."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import etseg
from children import PATIENCE
from downloading import PICTURE, files, load, only_model
from etseg import DownloadError, ErrorCode, ImageSegmentationModule, resources
from etseg._download.errors import PassingError
from etseg._download.http import read_url
from etseg._download.redirects import redirected
from etseg._download.retrying import TRIES, retried
from etseg._download.watch import Watch
from http_server import Fault, Server

pytestmark = pytest.mark.usefixtures("cache")


# What servers do.


def test_downloads_once(server: Server, cache: Path, program: bytes) -> None:
    url = server.add("/a/model.pte", program)
    progress = load(url)
    assert progress[0] == 0.0
    assert only_model(cache) == program
    assert load(url) == [1.0]
    assert load(url + "#fragment") == [1.0]
    assert len(server.requests) == 1
    assert server.requests[0].headers["accept-encoding"] == "identity"
    assert server.requests[0].headers["user-agent"] == f"etseg/{etseg.__version__}"


def test_a_downloaded_model_gives_what_the_file_gives(
    server: Server, program: bytes, selfie: ImageSegmentationModule
) -> None:
    url = server.add("/model.pte", program)
    with ImageSegmentationModule() as module:
        module.load(replace(etseg.SELFIE_SEGMENTATION, model_source=url))
        result = module.forward(PICTURE, ["SELFIE"])
    expected = selfie.forward(PICTURE, ["SELFIE"])
    np.testing.assert_array_equal(result["SELFIE"], expected["SELFIE"])


@pytest.mark.parametrize("ranges", [True, False])
@pytest.mark.parametrize("cut", [0.1, 0.5, 0.99])
def test_goes_on_after_a_disconnection(
    server: Server, cache: Path, program: bytes, cut: float, ranges: bool
) -> None:
    url = server.add("/model.pte", program, ranges=ranges, faults=[Fault(cut=cut)])
    load(url)
    assert only_model(cache) == program
    assert [request.start for request in server.requests] == [0, int(len(program) * cut)]
    assert server.requests[1].headers["if-range"] == '"1"'


def test_a_server_that_sends_less_than_the_range(
    server: Server, cache: Path, program: bytes
) -> None:
    url = server.add("/model.pte", program, faults=[Fault(cut=0.5), Fault(part=0.25)])
    load(url)
    starts = [int(len(program) * share) for share in (0, 0.5, 0.75)]
    assert [request.start for request in server.requests] == starts
    assert only_model(cache) == program


@pytest.mark.parametrize(
    "content_range", ["bytes 0-{last}/{size}", "bytes {half}-{last}/{last}", ""]
)
def test_a_server_that_sends_another_range(
    server: Server, cache: Path, program: bytes, content_range: str
) -> None:
    size = len(program)
    lie = content_range.format(size=size, last=size - 1, half=size // 2)
    faults = [Fault(cut=0.5), Fault(headers={"Content-Range": lie})]
    url = server.add("/model.pte", program, faults=faults)
    load(url)
    assert [request.start for request in server.requests] == [0, size // 2, 0]
    assert only_model(cache) == program


def test_starts_over_without_a_validator(server: Server, cache: Path, program: bytes) -> None:
    url = server.add("/model.pte", program, etag=None, faults=[Fault(cut=0.5)])
    load(url)
    assert only_model(cache) == program
    assert [request.start for request in server.requests] == [0, 0]


def test_a_weak_etag_is_no_validator_but_a_date_is(server: Server, program: bytes) -> None:
    date = {"Last-Modified": "Sat, 01 Feb 2025 10:00:00 GMT"}
    url = server.add(
        "/model.pte",
        program,
        etag='W/"1"',
        heeds_if_range=False,
        faults=[Fault(headers=date, cut=0.5), Fault(headers=date)],
    )
    load(url)
    assert server.requests[1].headers["if-range"] == date["Last-Modified"]
    assert server.requests[1].start == len(program) // 2


def test_gives_up_where_nothing_comes_and_goes_on_later(
    server: Server, cache: Path, program: bytes
) -> None:
    url = server.add("/model.pte", program, faults=[Fault(cut=0.5)], always=Fault(cut=0.0))
    with pytest.raises(DownloadError, match="gave up") as caught:
        load(url)
    assert caught.value.code == ErrorCode.DOWNLOAD_INTERRUPTED
    assert len(server.requests) == TRIES
    assert files(cache) == ["partial", "partial.note"]
    server.files["/model.pte"].always = Fault()
    progress = load(url)
    assert min(filter(None, progress)) == 0.5
    assert server.requests[-1].start == len(program) // 2
    assert only_model(cache) == program


def test_attempts_that_advance_are_not_counted(server: Server, cache: Path) -> None:
    large = bytes(12 << 20)
    cuts = [Fault(cut=0.15)] * (TRIES + 2)
    url = server.add("/model.bin", large, faults=cuts)
    with pytest.raises(etseg.InvalidModelError, match="is no ExecuTorch program"):
        load(url)
    assert len(server.requests) == TRIES + 3
    assert files(cache) == []


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_a_refusal_is_final(server: Server, cache: Path, program: bytes, status: int) -> None:
    url = server.add("/model.pte", program, faults=[Fault(status=status)])
    with pytest.raises(DownloadError, match=f"answered {status}") as caught:
        load(url)
    assert caught.value.code == ErrorCode.RESOURCE_FETCHER_DOWNLOAD_FAILED
    assert len(server.requests) == 1
    assert files(cache) == []
    load(url)
    assert only_model(cache) == program


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_trouble_is_waited_out(server: Server, cache: Path, program: bytes, status: int) -> None:
    trouble = Fault(status=status, headers={"Retry-After": "0"})
    url = server.add("/model.pte", program, faults=[trouble, trouble])
    load(url)
    assert len(server.requests) == 3
    assert only_model(cache) == program


def test_trouble_that_stays(server: Server, program: bytes) -> None:
    url = server.add("/model.pte", program, always=Fault(status=500))
    with pytest.raises(DownloadError, match=r"answered 500 .* gave up after 5 attempts") as caught:
        load(url)
    assert caught.value.code == ErrorCode.RESOURCE_FETCHER_DOWNLOAD_FAILED
    assert len(server.requests) == TRIES


def test_nobody_listens(cache: Path) -> None:
    with socket.socket() as taken:  # bound, so that nobody else gets it; but not listening
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(DownloadError, match="gave up") as caught:
            load(f"http://127.0.0.1:{taken.getsockname()[1]}/model.pte")
    assert caught.value.code == ErrorCode.RESOURCE_FETCHER_DOWNLOAD_FAILED
    assert files(cache) == []


@pytest.mark.parametrize(("asked", "pauses"), [("7", [7.0] * 4), ("soon", None), (None, None)])
def test_pauses(
    server: Server, monkeypatch: pytest.MonkeyPatch, asked: str | None, pauses: list[float] | None
) -> None:
    slept: list[float] = []
    monkeypatch.setattr("etseg._download.retrying.FIRST_PAUSE", 0.5)
    monkeypatch.setattr("etseg._download.watch.Watch.pause", lambda _, pause: slept.append(pause))
    headers = {"Retry-After": asked} if asked else {}
    url = server.add("/model.pte", b"", always=Fault(status=503, headers=headers))
    with pytest.raises(DownloadError):
        load(url)
    if pauses is not None:
        assert slept == pauses
    else:
        for pause, about in zip(slept, [0.5, 1, 2, 4], strict=True):
            assert 0.75 * about <= pause <= 1.25 * about


def test_fewer_bytes_than_announced(server: Server, cache: Path, program: bytes) -> None:
    url = server.add("/model.pte", program, always=Fault(surplus=100))
    with pytest.raises(DownloadError) as caught:
        load(url)
    assert caught.value.code == ErrorCode.DOWNLOAD_INTERRUPTED
    assert list(cache.rglob("*.pte")) == []


def test_more_bytes_than_announced(server: Server, cache: Path, program: bytes) -> None:
    url = server.add("/model.pte", program, always=Fault(surplus=-100))
    with pytest.raises(etseg.InvalidModelError, match="the server sends it cut off"):
        load(url)
    assert files(cache) == []


def test_chunks(server: Server, cache: Path, program: bytes) -> None:
    url = server.add("/model.pte", program, chunked=True, faults=[Fault(cut=0.5)])
    progress = load(url)
    assert only_model(cache) == program
    assert set(progress) == {0.0, 1.0}  # the length is not known


def test_compressed_all_the_same(server: Server, cache: Path, program: bytes) -> None:
    url = server.add("/model.pte", program, gzipped=True, faults=[Fault(cut=0.5)])
    load(url)
    assert only_model(cache) == program
    assert [request.start for request in server.requests] == [0, 0]


@pytest.mark.parametrize("stalls", ["drips", "is silent"])
def test_a_stalled_server(
    server: Server, cache: Path, program: bytes, stalls: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clock goes on from the first bytes of the body, and not before."""
    time, step = 1000.0, 0.0

    def now() -> float:
        nonlocal time
        time += step
        return time

    def begin(progress: float) -> None:
        nonlocal step
        step = 0.5 if progress > 0 else step

    hold = threading.Event()
    fault = Fault(drip=True) if stalls == "drips" else Fault(cut=0.1, hold=hold)
    url = server.add("/model.pte", program, always=fault)
    with monkeypatch.context() as patch:
        patch.setattr("etseg._download.retrying.TRIES", 1)
        patch.setattr("etseg._download.watch.now", now)
        with ImageSegmentationModule(limits=etseg.Limits(read_timeout=2)) as module:
            with pytest.raises(DownloadError, match=r"timed out: stalled: \d+ bytes in") as caught:
                module.load(url, begin)
            assert caught.value.code == ErrorCode.DOWNLOAD_INTERRUPTED
    hold.set()
    server.files["/model.pte"].always = Fault()
    load(url)
    assert only_model(cache) == program


# Redirects.


def redirect(server: Server, path: str, target: str, status: int = 302) -> str:
    return server.add(path, b"", always=Fault(status=status, headers={"Location": target}))


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_follows_redirects(server: Server, cache: Path, program: bytes, status: int) -> None:
    server.add("/real/model.pte", program)
    server.files["/real/model.pte"].faults = [Fault(cut=0.5)]
    redirect(server, "/two", "real/model.pte", status)
    url = redirect(server, "/one", server.url("/two"), status)
    load(url)
    assert only_model(cache) == program
    assert load(url) == [1.0]
    paths = [request.path for request in server.requests]
    assert paths == ["/one", "/two", "/real/model.pte"] * 2


def test_a_redirect_loop(server: Server) -> None:
    url = redirect(server, "/loop", "/loop")
    with pytest.raises(DownloadError, match="the 5 redirects of Limits"):
        load(url)
    assert len(server.requests) == 6
    limits = etseg.Limits(max_redirects=0)
    with pytest.raises(DownloadError, match="the 0 redirects of Limits"):
        ImageSegmentationModule(limits=limits).load(url)
    assert len(server.requests) == 7


@pytest.mark.parametrize(
    "target",
    ["file:///etc/hostname", "ftp://127.0.0.1/model.pte", "data:,x", "http://["],
)
def test_redirects_go_to_http_only(server: Server, cache: Path, target: str) -> None:
    url = redirect(server, "/model.pte", target)
    with pytest.raises(DownloadError, match=r"; only http and https are followed|what is no URL"):
        load(url)
    assert len(server.requests) == 1
    assert files(cache) == []


def test_no_redirect_away_from_https() -> None:
    with pytest.raises(DownloadError, match="away from https"):
        redirected("https://models.invalid/a", "http://models.invalid/a")
    assert redirected("http://models.invalid/a", "https://models.invalid/b").startswith("https:")


# Versions and checksums.


@pytest.mark.parametrize("heeds_if_range", [True, False])
def test_the_file_changes_between_attempts(
    server: Server, cache: Path, program: bytes, heeds_if_range: bool
) -> None:
    other = bytes(reversed(program))
    url = server.add("/model.pte", other, always=Fault(cut=0.5), heeds_if_range=heeds_if_range)
    failed: list[float] = []

    def stop(progress: float) -> None:
        failed.append(progress)
        if progress >= 0.4:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        ImageSegmentationModule().load(url, stop)
    server.files["/model.pte"].always = Fault()
    server.files["/model.pte"].etag = '"2"'
    server.files["/model.pte"].body = program
    load(url)
    assert only_model(cache) == program


def test_a_longer_file_under_the_same_etag(server: Server, cache: Path, program: bytes) -> None:
    url = server.add("/model.pte", program[:-5000], faults=[Fault(cut=0.5)])
    file = server.files["/model.pte"]

    def grow(progress: float) -> None:
        if progress > 0:
            file.body = program

    with ImageSegmentationModule() as module:
        module.load(url, grow)
    assert only_model(cache) == program


def test_a_wrong_checksum(server: Server, cache: Path, program: bytes) -> None:
    url = server.add("/model.pte", program)
    with pytest.raises(etseg.InvalidModelError, match=f"SHA-256 .* but {'0' * 64} is expected"):
        load(url, sha256="0" * 64)
    assert files(cache) == []
    load(url, sha256=etseg.SELFIE_SEGMENTATION.sha256)
    with pytest.raises(etseg.InvalidModelError):
        load(url, sha256="0" * 64)
    assert only_model(cache) == program


def test_a_partial_file_that_was_damaged(server: Server, cache: Path, program: bytes) -> None:
    url = server.add("/model.pte", program, always=Fault(cut=0.0), faults=[Fault(cut=0.5)])
    with pytest.raises(DownloadError):
        load(url)
    (partial,) = cache.rglob("partial")
    partial.write_bytes(bytes(partial.stat().st_size))
    server.files["/model.pte"].always = Fault()
    load(url, sha256=etseg.SELFIE_SEGMENTATION.sha256)
    assert only_model(cache) == program


@pytest.mark.parametrize("note", ["", "[]", '{"url": 1}', "{"])
def test_a_note_that_was_damaged(server: Server, cache: Path, program: bytes, note: str) -> None:
    url = server.add("/model.pte", program, always=Fault(cut=0.0), faults=[Fault(cut=0.5)])
    with pytest.raises(DownloadError):
        load(url)
    (path,) = cache.rglob("partial.note")
    path.write_text(note)
    server.files["/model.pte"].always = Fault()
    load(url)
    assert server.requests[-1].start == 0
    assert only_model(cache) == program


def test_all_bytes_are_here_but_the_name(
    server: Server, cache: Path, program: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = server.add("/model.pte", program)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("etseg._download.cache.check_program", killed)
        with pytest.raises(KeyboardInterrupt):
            load(url)
    assert files(cache) == ["partial", "partial.note"]
    load(url)
    assert len(server.requests) == 1
    assert only_model(cache) == program


def test_a_page_is_no_program(server: Server, cache: Path) -> None:
    url = server.add("/model.pte", b"<!DOCTYPE html><title>Log in</title>")
    with pytest.raises(etseg.InvalidModelError, match="starts with b'<!DOCTYPE html>"):
        load(url)
    assert files(cache) == []


# Cancelling.


class CancelError(Exception):
    pass


@pytest.mark.parametrize("error", [CancelError, KeyboardInterrupt, OSError])
def test_the_callback_cancels(
    server: Server, cache: Path, program: bytes, error: type[BaseException]
) -> None:
    url = server.add("/model.pte", program, faults=[Fault(cut=0.5, hold=threading.Event())])

    def cancel(progress: float) -> None:
        if progress > 0:
            raise error("enough")

    with ImageSegmentationModule() as module:
        module.load(etseg.SELFIE_SEGMENTATION)
        with pytest.raises(error, match="enough"):
            module.load(url, cancel)
        assert module.is_loaded
        assert module.spec.name == "selfie-segmentation"
    server.files["/model.pte"].faults.clear()
    server.closing.set()
    assert files(cache) == ["partial", "partial.note"]
    load(url)
    assert server.requests[-1].start > 0
    assert only_model(cache) == program


LOAD = """
    import sys, etseg

    def say(progress):
        print(progress, flush=True)

    with etseg.ImageSegmentationModule() as module:
        module.load(sys.argv[1], say)
        module.warmup()
    print("done", flush=True)
"""


@pytest.fixture
def child() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """child(script, *arguments) in a process of its own, that does not outlive the test."""
    children: list[subprocess.Popen[str]] = []

    def start(script: str, *arguments: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(script), *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        children.append(process)
        return process

    yield start
    for process in children:
        process.kill()
        process.communicate()


def wait_for_progress(process: subprocess.Popen[str], at_least: float) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if line != "done\n" and float(line) >= at_least:
            return
    raise AssertionError(process.communicate())


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_process_ends_in_the_middle(
    server: Server, cache: Path, program: bytes, child: Callable[..., Any], how: signal.Signals
) -> None:
    hold = threading.Event()
    url = server.add("/model.pte", program, faults=[Fault(cut=0.5, hold=hold)])
    process = child(LOAD, url)
    wait_for_progress(process, 0.49)
    process.send_signal(how)
    assert process.wait(PATIENCE) != 0
    assert ("KeyboardInterrupt" in process.stderr.read()) == (how == signal.SIGINT)
    hold.set()
    assert files(cache) == ["partial", "partial.note"]
    progress = load(url)
    assert progress[0] >= 0.49 - 2**16 / len(program)  # as far as the note had come
    assert only_model(cache) == program


def test_processes_share_one_download(
    server: Server, cache: Path, program: bytes, child: Callable[..., Any]
) -> None:
    hold = threading.Event()
    url = server.add("/model.pte", program, faults=[Fault(cut=0.5, hold=hold)])
    processes = [child(LOAD, url) for _ in range(2)]
    for process in processes:  # one has begun, the other waits for it
        wait_for_progress(process, 0.0)
    hold.set()
    for process in processes:
        out, err = process.communicate(timeout=PATIENCE)
        assert (process.returncode, err) == (0, "")
        assert out.endswith("1.0\ndone\n")
    assert len(server.requests) == 1
    assert only_model(cache) == program


def test_threads_share_one_download(server: Server, cache: Path, program: bytes) -> None:
    hold = threading.Event()
    url = server.add("/model.pte", program, faults=[Fault(cut=0.5, hold=hold)])
    begun = [threading.Event() for _ in range(3)]
    paths: list[Path] = []

    def fetch(event: threading.Event) -> None:
        paths.append(resources.fetch(url, lambda _: event.set()))

    threads = [threading.Thread(target=fetch, args=(event,)) for event in begun]
    for thread in threads:
        thread.start()
    assert all(event.wait(PATIENCE) for event in begun)
    hold.set()
    for thread in threads:
        thread.join(PATIENCE)
    assert len(paths) == 3
    assert len(set(paths)) == 1
    assert len(server.requests) == 1
    assert only_model(cache) == program


# What the machine does.


def test_offline(server: Server, monkeypatch: pytest.MonkeyPatch, program: bytes) -> None:
    url, other = server.add("/model.pte", program), server.add("/other.pte", program)
    load(url)
    monkeypatch.setenv("ETSEG_OFFLINE", "1")
    assert load(url) == [1.0]
    with pytest.raises(DownloadError, match="ETSEG_OFFLINE is set"):
        load(other)
    with pytest.raises(DownloadError, match="ETSEG_OFFLINE is set"):
        read_url(other)
    assert len(server.requests) == 1
    monkeypatch.setenv("ETSEG_OFFLINE", "0")
    load(other)


def test_a_cache_directory_that_cannot_be(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: bytes
) -> None:
    file = tmp_path / "file"
    file.write_text("")
    monkeypatch.setenv("ETSEG_CACHE", str(file))
    url = server.add("/model.pte", program)
    with pytest.raises(etseg.FileWriteError, match="set ETSEG_CACHE to another directory"):
        load(url)
    assert server.requests == []


@pytest.fixture
def tmpfs(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """tmpfs(options): a file system in memory; skips where it cannot be mounted."""
    mounted: list[Path] = []

    def mount(options: str) -> Path:
        path = tmp_path / "tmpfs"
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(path)]
        if not path.exists():
            path.mkdir()
        if shutil.which("mount") is None:
            pytest.skip("there is no mount")
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            pytest.skip(f"may not mount: {done.stderr.strip()}")
        mounted.append(path)
        return path

    yield mount
    for path in mounted:
        subprocess.run(["umount", "-l", str(path)], check=True)


def test_a_read_only_cache(
    server: Server,
    tmpfs: Callable[[str], Path],
    monkeypatch: pytest.MonkeyPatch,
    program: bytes,
) -> None:
    url, other = server.add("/model.pte", program), server.add("/other.pte", program)
    cache = tmpfs("size=4m")
    monkeypatch.setenv("ETSEG_CACHE", str(cache))
    load(url)
    subprocess.run(["mount", "-o", "remount,ro", str(cache)], check=True)
    assert load(url) == [1.0]
    with pytest.raises(etseg.FileWriteError, match=r"[Rr]ead-only"):
        load(other)
    with pytest.raises(etseg.FileWriteError, match=r"[Rr]ead-only"):
        resources.delete_resources(url)
    assert only_model(cache) == program


@pytest.mark.parametrize("chunked", [False, True])
def test_a_full_disk(
    server: Server,
    tmpfs: Callable[[str], Path],
    monkeypatch: pytest.MonkeyPatch,
    program: bytes,
    chunked: bool,
) -> None:
    cache = tmpfs("size=256k")
    monkeypatch.setenv("ETSEG_CACHE", str(cache))
    url = server.add("/model.pte", program, chunked=chunked)
    why = "No space left" if chunked else "needs 474120 bytes"
    with pytest.raises(etseg.FileWriteError, match=why):
        load(url)
    assert files(cache) == []


def test_a_file_that_may_not_grow(
    server: Server, cache: Path, program: bytes, child: Callable[..., Any]
) -> None:
    pytest.importorskip("resource", reason="limits of a process are POSIX's")
    url = server.add("/model.pte", program)
    script = """
        import resource, sys, etseg
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        try:
            etseg.ImageSegmentationModule().load(sys.argv[1])
        except etseg.FileWriteError as error:
            print(error)
    """
    out, err = child(script, url).communicate(timeout=PATIENCE)
    assert "cannot write" in out, err
    assert files(cache) == []


# URLs.


def test_a_login_in_the_url(server: Server, program: bytes) -> None:
    url = server.add("/model.pte", program).replace("//", "//user:p%40ss@")
    load(url)
    assert server.requests[0].headers["authorization"] == "Basic dXNlcjpwQHNz"
    assert "p%40ss" not in resources.list_downloaded_models()[0].url
    with pytest.raises(DownloadError) as caught:
        load(url.replace("model", "other"))
    assert "user" not in str(caught.value)


def test_a_proxy(server: Server, monkeypatch: pytest.MonkeyPatch, program: bytes) -> None:
    monkeypatch.setenv("http_proxy", server.address)
    server.add("http://models.invalid/model.pte", program)
    load("http://models.invalid/model.pte")
    assert [request.path for request in server.requests] == ["http://models.invalid/model.pte"]


@pytest.mark.parametrize(
    "url",
    [
        "http://",
        "http://[",
        "http://[::1",
        "http://:80/",
        "http://127.0.0.1:99999/",
        "http://127.0.0.1:port/",
        "http://a..b/",
        "http://\u2100/",
        "http://" + "a" * 300 + "/",
        "http://127.0.0.1\x00/",
        "https://\ud800/",
        "ftp://127.0.0.1/model.pte",
        "sftp://127.0.0.1/model.pte",
    ],
)
def test_bad_urls(url: str, cache: Path) -> None:
    with pytest.raises((DownloadError, etseg.InvalidModelSourceError)):
        load(url)
    assert files(cache) == []


@pytest.mark.parametrize(
    "path", ["/", "", "/%2e%2e/%2e%2e/x", "/a%00b", "/" + "n" * 400 + ".pte", "/é.pte", "/a b"]
)
def test_names_that_are_no_file_names(
    server: Server, cache: Path, program: bytes, path: str
) -> None:
    for sent in (path or "/", "/%2E%2E/%2E%2E/x", "/%C3%A9.pte", "/a%20b"):
        server.add(sent, program)
    load(server.url(path))
    assert only_model(cache) == program


# read_url: images.


def test_reads_into_memory(server: Server) -> None:
    url = server.add("/image", b"x" * 1000, faults=[Fault(status=503), Fault(cut=0.5)])
    assert read_url(url, etseg.Limits(max_download_bytes=1000)) == b"x" * 1000
    assert [request.start for request in server.requests] == [0, 0, 0]


@pytest.mark.parametrize("options", [{}, {"chunked": True}, {"gzipped": True}])
def test_reads_no_more_than_allowed(server: Server, options: dict[str, Any]) -> None:
    url = server.add("/image", bytes(50_000_000), **options)
    with pytest.raises(DownloadError, match="more than the 1,000 bytes of Limits"):
        read_url(url, etseg.Limits(max_download_bytes=1000))


def test_only_what_passes_is_tried_again() -> None:
    attempts = []

    def attempt() -> None:
        attempts.append(1)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        retried(Watch("http://a.invalid/", etseg.Limits(), None), attempt)
    assert len(attempts) == 1
    assert not issubclass(PassingError, etseg.EtsegError)
