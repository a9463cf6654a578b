"""`etseg serve` as a process: it starts, holds, reloads, and ends when what runs is done."""

from __future__ import annotations

import asyncio
import base64
import gc
import json
import logging
import pickle
import re
import signal
import socket
import sys
import time
from http.client import HTTPConnection
from pathlib import Path

import pytest

from children import PATIENCE, finished
from programs import program
from servers import ENDED, served

pytest.importorskip("uvicorn", reason='needs pip install "etseg[serve]"')
pytest.importorskip("httptools")

from etseg.serve import Settings, _server


@pytest.mark.parametrize("workers", [1, 2])
def test_it_serves_and_ends(photo_path: Path, workers: int) -> None:
    with served("--workers", workers) as server:
        status, body = server.post(photo_path.read_bytes())
        assert (status, json.loads(body)["model"]) == (200, "selfie-segmentation")
        assert server.end() in ENDED


def test_workers_share_their_weights(tmp_path: Path) -> None:
    """Both map one file, sooner or later."""
    model = program("quantized_c3")
    with served("--workers", 2, "--model", model, ETSEG_CACHE=str(tmp_path)) as server:
        pid = server.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children")
        end = time.monotonic() + PATIENCE
        shared = False
        while not shared and time.monotonic() < end:
            maps = [Path(f"/proc/{child}/maps") for child in children.read_text().split()]
            found = [re.findall(rf"{tmp_path}/weights/\S+", each.read_text()) for each in maps]
            mapped = [set(paths) for paths in found if paths]
            shared = len(mapped) == 2 and mapped[0] == mapped[1]
            time.sleep(0.05)
        assert shared, mapped
        assert server.end() in ENDED


def test_a_head_that_does_not_come_is_not_waited_for(photo_path: Path) -> None:
    """Neither the first one nor the next on a connection that was used; others are served."""
    with served(_ETSEG_SERVE_HEAD_SECONDS="1") as server:
        used = server.connect()
        used.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
        assert used.recv(1000).startswith(b"HTTP/1.1 200")
        used.sendall(b"GET /healthz HT")
        silent, slow = server.connect(), server.connect()
        slow.sendall(b"POST /v1/segment HTTP/1.1\r\nHost: a\r\nX-")
        assert server.post(photo_path.read_bytes())[0] == 200
        for connection in (silent, slow, used):
            with connection:
                while connection.recv(1000):  # what is left of the answer, then the end
                    pass


@pytest.mark.parametrize(
    "sent",
    [
        b"nonsense\r\n\r\n",
        b"POST /v1/segment HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
        b"POST /v1/segment HTTP/1.1\r\nHost: a\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n",
        b"POST /v1/segment HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 20_000 + b"\r\n",
        b"POST /v1/segment HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
    ids=["nonsense", "negative", "5000 digits", "20000 headers", "bad chunk"],
)
def test_broken_requests_are_answered_or_closed(sent: bytes, photo_path: Path) -> None:
    with served(_ETSEG_SERVE_HEAD_SECONDS="2") as server:
        with server.connect() as connection:
            connection.sendall(sent)
            answer = b""
            try:
                while data := connection.recv(4096):
                    answer += data
            except ConnectionResetError:  # what it had not read yet
                pass
        assert not answer or re.match(rb"HTTP/1.1 4\d\d", answer), answer
        assert server.post(photo_path.read_bytes())[0] == 200


def asked(connection: HTTPConnection) -> bytes:
    """Whether it is there, on a connection that stays open."""
    connection.request("GET", "/healthz")
    return connection.getresponse().read()


@pytest.mark.parametrize("workers", [1, 2])
def test_sighup_loads_the_models_anew(tmp_path: Path, photo_path: Path, workers: int) -> None:
    """Of each worker in its place: a connection that was open stays so."""
    model = tmp_path / "model.pte"
    model.write_bytes(program("logits_c3").read_bytes())
    with served("--model", model, "--workers", workers) as server:
        query = "?output=json"
        before = json.loads(server.post(photo_path.read_bytes(), query)[1])
        assert {entry["label"] for entry in before["labels"]} <= {"CLASS_0", "CLASS_1", "CLASS_2"}
        kept = HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
        kept.connect()
        connection = kept.sock
        assert asked(kept) == b"ok\n"
        replacement = tmp_path / "new.pte"
        replacement.write_bytes(program("sigmoid_c1").read_bytes())
        replacement.replace(model)
        server.process.send_signal(signal.SIGHUP)
        assert server.process.stderr is not None
        said = 0
        for line in server.process.stderr:  # says so, and every request meanwhile was answered
            assert server.post(photo_path.read_bytes(), query)[0] == 200
            said += "models loaded anew" in line
            if said == workers:
                break
        assert asked(kept) == b"ok\n"
        assert kept.sock is connection
        kept.close()
        after = json.loads(server.post(photo_path.read_bytes(), query)[1])
        assert {entry["label"] for entry in after["labels"]} <= {"SELFIE", "BACKGROUND", "PERSON"}


def test_what_runs_is_finished_when_it_is_told_to_end(photo_path: Path) -> None:
    """The request's body comes in two halves, the signal between them."""
    data = photo_path.read_bytes()
    with served() as server, server.connect() as connection:
        head = f"POST /v1/segment HTTP/1.1\r\nHost: a\r\nContent-Length: {len(data)}\r\n\r\n"
        connection.sendall(head.encode() + data[:1000])
        assert server.post(data)[0] == 200  # the half is there by now
        server.process.send_signal(signal.SIGTERM)
        assert server.process.stderr is not None
        connection.sendall(data[1000:])
        answer = b""
        while part := connection.recv(65536):
            answer += part
        assert answer.startswith(b"HTTP/1.1 200"), answer[:200]
        assert server.process.wait(PATIENCE) in ENDED


def test_an_access_log_of_one_line_a_request(photo_path: Path) -> None:
    with served() as server:
        assert server.post(photo_path.read_bytes())[0] == 200
        assert server.post(b"")[0] == 400
        server.process.send_signal(signal.SIGTERM)
        _, text = server.process.communicate(timeout=PATIENCE)
    lines = [line for line in text.splitlines() if "POST /v1/segment" in line]
    assert re.search(
        r" 200 [\d.]+ ms model=selfie-segmentation body=[\d.]+ wait=[\d.]+ decode=[\d.]+ .*encode=",
        lines[0],
    )
    assert re.search(r" 400 [\d.]+ ms model=- *$", lines[1])
    assert len(lines) == 2


def test_garbage_is_not_looked_for_in_what_was_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_server, "_lines", lambda: logging.NullHandler())
    described = base64.b64encode(pickle.dumps((Settings(), 1))).decode()
    monkeypatch.setenv(_server._SETTINGS, described)
    app = _server.of_environment()

    async def work() -> int:
        async with app.router.lifespan_context(app):
            return len(gc.get_objects())

    gc.unfreeze()
    all_there = len(gc.get_objects())
    try:
        assert asyncio.run(work()) < all_there / 10
    finally:
        gc.unfreeze()


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = finished(sys.executable, "-m", "etseg", "serve", "--port", port, cwd=tmp_path)
    assert done.returncode == 1
    assert "Error: cannot listen on 127.0.0.1" in done.stderr
    assert "Traceback" not in done.stderr
