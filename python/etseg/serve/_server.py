"""The application, run by uvicorn: one process or several, reloaded by SIGHUP."""

from __future__ import annotations

import asyncio
import base64
import logging
import os
import pickle
import signal
import socket
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import uvicorn
from starlette.applications import Starlette
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.supervisors import Multiprocess

from etseg._errors import InvalidConfigError
from etseg._threads import get_num_threads, set_num_threads

from ._app import create_app
from ._settings import Settings

#: How the settings come to workers, which are processes of their own.
_SETTINGS = "_ETSEG_SERVE_SETTINGS"
#: In which the head of a request has to arrive, in seconds.
HEAD_SECONDS = float(os.environ.get("_ETSEG_SERVE_HEAD_SECONDS", "10"))  # less in tests
#: What runs when the server is told to end is waited for so long.
_GRACE = 30
#: In which a worker has to load its models, or answer its supervisor, in seconds.
_START = 120


def run(settings: Settings, host: str, port: int, workers: int) -> None:
    """Serves until a signal ends it: SIGINT and SIGTERM finish what runs, SIGHUP loads anew.

    Prints the address once it listens.

    Raises:
        InvalidConfigError: it cannot listen there.
    """
    # Bound here: the address can be told, with port 0 too, and workers share it.
    listener = _listener(host, port)
    # Of this process for its own workers; nobody else writes its environment.
    os.environ[_SETTINGS] = base64.b64encode(pickle.dumps((settings, workers))).decode()
    _set_up_logging()
    shown = f"[{host}]" if ":" in host else host
    say = partial(print, f"http://{shown}:{listener.getsockname()[1]}/", flush=True)
    config = uvicorn.Config(
        "etseg.serve._server:of_environment",
        factory=True,
        http=Protocol,
        ws="none",
        lifespan="on",
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_keep_alive=10,
        timeout_graceful_shutdown=_GRACE,
        timeout_worker_healthcheck=_START,
        workers=workers,
    )
    with listener:
        if workers == 1:
            _Server(config, say).run([listener])
            return
        with tempfile.TemporaryDirectory(prefix="etseg-metrics-") as folder:
            os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
            # Its answer to SIGHUP are new workers, one after the other. Who comes before they
            # have loaded waits in the socket's queue.
            listener.listen(config.backlog)
            say()
            Multiprocess(config, [listener]).run()


class _Server(uvicorn.Server):
    """Says when it listens."""

    def __init__(self, config: uvicorn.Config, say: Callable[[], object]) -> None:
        super().__init__(config)
        self._say = say

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._say()


def _listener(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise InvalidConfigError(f"cannot listen on {host} port {port}: {error.strerror}") from None
    listener.set_inheritable(True)
    return listener


def _set_up_logging() -> None:
    logging.basicConfig(format="%(asctime)s %(name)s %(message)s")
    logging.getLogger("etseg.serve").setLevel(logging.INFO)


def of_environment() -> Starlette:
    """The application that :func:`run` has described, in whichever process this is."""
    settings, workers = pickle.loads(base64.b64decode(os.environ[_SETTINGS]))
    _set_up_logging()
    if workers > 1:
        # Each has its share of the cores, and not all of them.
        set_num_threads(settings.concurrency or max(1, get_num_threads() // workers))
    app = create_app(settings)
    inner = app.router.lifespan_context

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[Any]:
        async with inner(app) as state:
            if workers == 1 and hasattr(signal, "SIGHUP"):
                asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, _reload, app)
            yield state

    app.router.lifespan_context = lifespan
    return app


def _reload(app: Starlette) -> None:
    async def work() -> None:
        try:
            await app.state.service.reload()
        except Exception:
            logging.getLogger("etseg.serve").exception("the models stay as they were")

    app.state.reloading = asyncio.ensure_future(work())


class Protocol(H11Protocol):
    """Closes a connection whose request does not come: uvicorn waits for ever for its head."""

    _head: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._expect_a_head()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            self._forget()
        elif self._head is None and not self.transport.is_closing():
            self._expect_a_head()  # the first bytes of another request

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget()
        super().connection_lost(exc)

    def _expect_a_head(self) -> None:
        self._head = self.loop.call_later(HEAD_SECONDS, self._too_late)

    def _forget(self) -> None:
        if self._head is not None:
            self._head.cancel()
            self._head = None

    def _too_late(self) -> None:
        self._head = None
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()
