"""The application, run by uvicorn: one process or several, reloaded by SIGHUP."""

from __future__ import annotations

import asyncio
import base64
import gc
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
from prometheus_client.multiprocess import mark_process_dead
from starlette.applications import Starlette
from uvicorn.supervisors import Multiprocess

from etseg._errors import InvalidConfigError
from etseg._threads import get_num_threads, set_num_threads

from ._app import create_app
from ._logs import Lines
from ._protocol import Protocol
from ._settings import Settings

#: How the settings come to workers, which are processes of their own.
_SETTINGS = "_ETSEG_SERVE_SETTINGS"
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
    _lines()
    shown = f"[{host}]" if ":" in host else host
    say = partial(print, f"http://{shown}:{listener.getsockname()[1]}/", flush=True)
    config = uvicorn.Config(
        "etseg.serve._server:of_environment",
        factory=True,
        http=Protocol,
        ws="none",
        lifespan="on",
        log_config=None,  # of all loggers: see _lines
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
            # Who comes before the workers have loaded waits in the socket's queue.
            listener.listen(config.backlog)
            say()
            _Supervisor(config, [listener]).run()


class _Server(uvicorn.Server):
    """Says when it listens."""

    def __init__(self, config: uvicorn.Config, say: Callable[[], object]) -> None:
        super().__init__(config)
        self._say = say

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._say()


class _Supervisor(Multiprocess):
    """Has its workers load anew, where uvicorn would put others in their place.

    A worker that ends closes connections on which nothing is under way, and a client may just then
    have sent its next request.
    """

    def handle_hup(self) -> None:
        for process in self.processes:
            # Before it is ready, the signal may end it. One that has ended is replaced anyway.
            if process.wait_until_ready(_START, self.should_exit) and process.pid is not None:
                os.kill(process.pid, signal.SIGHUP)

    def keep_subprocess_alive(self) -> None:
        before = {process.pid for process in self.processes}
        super().keep_subprocess_alive()
        for pid in before - {process.pid for process in self.processes}:
            mark_process_dead(pid)  # type: ignore[no-untyped-call]


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


def _lines() -> Lines:
    """Where all loggers of this process write, from the first call on."""
    root = logging.getLogger()
    found = next((handler for handler in root.handlers if isinstance(handler, Lines)), None)
    if found is None:
        found = Lines(2)  # stderr
        found.setFormatter(logging.Formatter("%(asctime)s %(name)s %(message)s"))
        root.addHandler(found)
        logging.getLogger("etseg.serve").setLevel(logging.INFO)
    return found


def of_environment() -> Starlette:
    """The application that :func:`run` has described, in whichever process this is."""
    settings, workers = pickle.loads(base64.b64decode(os.environ[_SETTINGS]))
    lines = _lines()
    if workers > 1:
        # Each has its share of the cores, and not all of them.
        set_num_threads(settings.concurrency or max(1, get_num_threads() // workers))
    app = create_app(settings)
    lines.on_drop = app.state.service.count_dropped_line
    inner = app.router.lifespan_context
    reloads: set[asyncio.Future[None]] = set()

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[Any]:
        if hasattr(signal, "SIGHUP"):
            # While the models are being loaded it means that they are to be, once more, after that.
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, _reload, app, reloads)
        # What has been imported stays: to look for garbage in it would at times stop all for 20 ms.
        gc.collect()
        gc.freeze()
        async with inner(app) as state:
            yield state

    app.router.lifespan_context = lifespan
    return app


def _reload(app: Starlette, reloads: set[asyncio.Future[None]]) -> None:
    async def work() -> None:
        try:
            await app.state.service.reload()
        except Exception:
            logging.getLogger("etseg.serve").exception("the models stay as they were")

    reload = asyncio.ensure_future(work())
    reloads.add(reload)  # or nobody would hold it
    reload.add_done_callback(reloads.discard)
