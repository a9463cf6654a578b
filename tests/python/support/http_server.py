"""A server on the loopback that misbehaves as it is told to."""

from __future__ import annotations

import gzip
import re
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

from children import PATIENCE


@dataclass
class Fault:
    """What goes wrong with one GET. By default nothing does."""

    status: int | None = None  # answered instead of the file
    headers: dict[str, str] = field(default_factory=dict)  # these win
    part: float | None = None  # of a range that is asked for, only this share is sent
    cut: float | None = None  # the connection ends after this share of what was asked for
    hold: threading.Event | None = None  # ... or waits there until it is set, then goes on
    drip: bool = False  # one byte at a time, slowly, for as long as the client stays
    surplus: int = 0  # bytes announced above what there is; below, where negative


@dataclass
class File:
    """What stands behind a path, and the faults of its next requests, in order."""

    body: bytes
    etag: str | None = '"1"'
    ranges: bool = True
    heeds_if_range: bool = True
    gzipped: bool = False
    chunked: bool = False
    faults: list[Fault] = field(default_factory=list)
    always: Fault = field(default_factory=Fault)


@dataclass(frozen=True)
class Request:
    """What a client asked for."""

    method: str
    path: str
    headers: dict[str, str]

    @property
    def start(self) -> int:
        """Where the range begins that was asked for; 0 without one."""
        match = re.fullmatch(r"bytes=(\d+)-", self.headers.get("range", ""))
        return int(match[1]) if match else 0


class Server:
    """Serves `files` (by path), and remembers the `requests`."""

    def __init__(self, port: int, scheme: str) -> None:
        self.address = f"{scheme}://127.0.0.1:{port}"
        self.connections = 0
        self.files: dict[str, File] = {}
        self.requests: list[Request] = []
        self.closing = threading.Event()

    def url(self, path: str) -> str:
        return self.address + path

    def add(self, path: str, body: bytes, **options: Any) -> str:
        """The URL of a new file."""
        self.files[path] = File(body, **options)
        return self.url(path)


@contextmanager
def serving(tls: ssl.SSLContext | None = None) -> Iterator[Server]:
    """A server on a free port; with TLS, where a context for it is given."""

    class Bound(_Handler):
        pass

    http = _Listener(("127.0.0.1", 0), Bound)
    http.tls = tls
    Bound.server_state = server = Server(http.server_port, "http" if tls is None else "https")
    http.server_state = server
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.closing.set()
        http.shutdown()
        http.server_close()
        thread.join()


class _Listener(ThreadingHTTPServer):
    daemon_threads = True
    tls: ssl.SSLContext | None = None
    server_state: Server

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """The handshake is done on the connection's own thread."""
        self.server_state.connections += 1
        if self.tls is not None:
            try:
                request = self.tls.wrap_socket(request, server_side=True)
            except OSError:  # the client does not like what it sees
                self.shutdown_request(request)
                return
        super().process_request_thread(request, client_address)

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that end in the middle of a request are what the tests are about."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_state: ClassVar[Server]

    def log_message(self, *args: object) -> None:
        pass

    def do_HEAD(self) -> None:  # the base class's name
        self._answer(Fault())

    def do_GET(self) -> None:
        file = self.server_state.files.get(self.path)
        fault = file.faults.pop(0) if file and file.faults else (file.always if file else Fault())
        try:
            self._answer(fault)
        except OSError:  # the client has gone
            self.close_connection = True

    def _answer(self, fault: Fault) -> None:
        request = Request(
            self.command, self.path, {key.lower(): value for key, value in self.headers.items()}
        )
        self.server_state.requests.append(request)
        file = self.server_state.files.get(self.path)
        if file is None or fault.status is not None:
            self.send_response(404 if file is None else fault.status or 200)
            for key, value in {"Content-Length": "0", **fault.headers}.items():
                self.send_header(key, value)
            self.end_headers()
            return
        body = self._head(file, fault, request)
        if self.command == "HEAD":
            return
        end = len(body) if fault.cut is None else int(len(body) * fault.cut)
        if fault.drip:
            self._drip(body)
        else:
            self._send(body[:end], file.chunked)
        if fault.hold is not None:
            self.wfile.flush()
            assert fault.hold.wait(PATIENCE)
            self._send(body[end:], file.chunked)
        elif fault.cut is not None or fault.surplus or fault.drip:
            self.close_connection = True
            return
        if file.chunked:
            self.wfile.write(b"0\r\n\r\n")

    def _head(self, file: File, fault: Fault, request: Request) -> bytes:
        body, status, start = file.body, 200, request.start
        validator = request.headers.get("if-range")
        same = validator is None or validator == file.etag or not file.heeds_if_range
        headers: dict[str, str] = {}
        if file.ranges and start and same:
            if start >= len(body):
                status, headers["Content-Range"] = 416, f"bytes */{len(body)}"
                body = b""
            else:
                status = 206
                end = len(body) if fault.part is None else start + int(len(body) * fault.part)
                headers["Content-Range"] = f"bytes {start}-{end - 1}/{len(body)}"
                body = body[start:end]
        if file.etag:
            headers["ETag"] = file.etag
        if file.gzipped:
            body = gzip.compress(body, 1)
            headers["Content-Encoding"] = "gzip"
        if file.chunked:
            headers["Transfer-Encoding"] = "chunked"
        else:
            headers["Content-Length"] = str(len(body) + fault.surplus)
        self.send_response(status)
        for key, value in {**headers, **fault.headers}.items():
            self.send_header(key, value)
        self.end_headers()
        return body

    def _send(self, body: bytes, chunked: bool) -> None:
        if chunked and body:
            self.wfile.write(b"%x\r\n%b\r\n" % (len(body), body))
        elif body:
            self.wfile.write(body)

    def _drip(self, body: bytes) -> None:
        for index in range(len(body)):
            self.wfile.write(body[index : index + 1])
            self.wfile.flush()
            if self.server_state.closing.wait(0.02):
                return
