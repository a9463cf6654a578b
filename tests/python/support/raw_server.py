"""A server on the loopback that says exactly what a test has it say, byte for byte."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from children import PATIENCE

#: What is done with a connection, once the head of a request has been read from it.
Script = Callable[[socket.socket, bytes], object]


class RawServer:
    """Does `script` with every connection, and remembers the heads of the requests.

    Args:
        listens: whether it waits for the head of a request; else it speaks first.
    """

    def __init__(self, script: Script, listens: bool = True) -> None:
        self.requests: list[bytes] = []
        self.connections = 0
        self._script = script
        self._listens = listens
        self._open: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/image"
        self._threads = [threading.Thread(target=self._listen)]
        self._threads[0].start()

    def close(self) -> None:
        # Closing alone does not wake who accepts.
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._open:  # clients keep theirs
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(PATIENCE)
            assert not thread.is_alive()

    def _listen(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(connection)
            thread = threading.Thread(target=self._serve, args=(connection,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        connection.settimeout(PATIENCE)
        with connection, suppress(OSError):
            if not self._listens:
                self._script(connection, b"")
                return
            while head := read_head(connection):
                self.requests.append(head)
                self._script(connection, head)


def read_head(connection: socket.socket) -> bytes:
    """A request up to its empty line; b"" at the end."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = connection.recv(1)
        if not byte:
            return b""
        head += byte
    return head


@contextmanager
def raw_serving(script: Script, listens: bool = True) -> Iterator[RawServer]:
    """A server that does `script`."""
    server = RawServer(script, listens)
    try:
        yield server
    finally:
        server.close()


def saying(answer: bytes) -> Script:
    """A script that answers, and ends the connection."""

    def script(connection: socket.socket, _: bytes) -> None:
        connection.sendall(answer)
        connection.shutdown(socket.SHUT_RDWR)

    return script
