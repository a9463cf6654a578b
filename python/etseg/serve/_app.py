"""The application: routes, and the way of a request through them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from types import MappingProxyType

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from etseg._errors import EtsegError
from etseg._logs import logger as package_logger
from etseg._module import ImageSegmentationModule
from etseg._threads import get_num_threads

from . import _problem, _urls
from ._admission import Admission, GoneError, Left, Room
from ._body import body_of
from ._metrics import Metrics
from ._models import Models
from ._openapi import description
from ._pages import page
from ._posted import posted, takes_time
from ._problem import ProblemError
from ._settings import Settings
from ._work import Encoded, Wish, segment

#: Nobody reads it; what a log shows of a client that left.
_CLIENT_LEFT = 499
#: Images that are read by URL at a time: most of it is waiting for others' servers.
_FETCHES = 8

access = package_logger().getChild("serve.access")
logger = package_logger().getChild("serve")


def create_app(settings: Settings | None = None) -> Starlette:
    """An ASGI application that segments what is posted to it.

    A page to try it in at ``/``; ``POST /v1/segment``, ``GET /v1/models``, ``/healthz``,
    ``/readyz``, ``/metrics``, ``/openapi.json``. Models are loaded when it starts up (the ASGI
    lifespan); where it is mounted in another application, that one passes its lifespan on, see the
    guide.

    Args:
        settings: None for the selfie model, and the defaults of :class:`Settings`.

    Returns:
        a Starlette application; ``app.state.service.reload()`` loads all models anew.
    """
    service = _Service(settings or Settings())
    app = Starlette(
        routes=[
            Route("/v1/segment", _Segment(service), methods=["POST"]),
            Route("/v1/models", service.models),
            Route("/healthz", service.health),
            Route("/readyz", service.ready),
            Route("/metrics", service.metrics_text),
            Route("/openapi.json", service.openapi),
            Route("/", page),
            Route("/{name}", page),
        ],
        exception_handlers={
            ProblemError: _problem.of_problem,
            EtsegError: _problem.of_etseg,
            HTTPException: _problem.of_http,
            Exception: _problem.of_any,
        },
        lifespan=service.lifespan,
    )
    app.state.service = service
    return app


class _Segment:
    """``POST /v1/segment`` as ASGI: where the queue is full, nothing is made of a request."""

    def __init__(self, service: _Service) -> None:
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive, send)
        answer = self._service.refusal(request) or await self._service.segment(request)
        await answer(scope, receive, send)


class _Service:
    """What the requests of an application share."""

    def __init__(self, settings: Settings) -> None:
        concurrency = settings.concurrency or get_num_threads()
        self._settings = settings
        self._models = Models(
            settings.models,  # type: ignore[arg-type]  # specs, by now
            {
                "concurrency": concurrency,
                "limits": settings.limits,
                "packed_weights": settings.packed_weights,
            },
        )
        # One more where an instance has several cores: it decodes the next image meanwhile.
        self._threads = concurrency + (concurrency < get_num_threads())
        self._metrics = Metrics()
        self._room = Room(settings.max_held_bytes or 0)
        self._admission: Admission | None = None
        self._fetching: Admission | None = None
        self._reloading = asyncio.Lock()

    @asynccontextmanager
    async def lifespan(self, _app: Starlette) -> AsyncIterator[None]:
        """Models are there before the first request, and go after the last."""
        waiting, deadline = self._settings.max_waiting, self._settings.deadline
        self._admission = Admission(
            self._threads,
            waiting,
            deadline,
            "etseg.serve",
            self._settings.nice,
            self._metrics.count,
        )
        self._fetching = Admission(_FETCHES, waiting, deadline, "etseg.serve.url")
        async with self._reloading:
            await asyncio.to_thread(self._models.load)
        try:
            yield
        finally:
            # The server has waited for the requests that run.
            self._models.delete()
            self._fetching.close()
            self._admission.close()

    async def reload(self) -> None:
        """Loads all models anew, from where they were; requests go on meanwhile.

        Raises:
            EtsegError: whatever loading raises; the models that were there stay.
        """
        async with self._reloading:
            await asyncio.to_thread(self._models.load)
        logger.info("models loaded anew")

    def count_dropped_line(self) -> None:
        """For ``/metrics``: one of the log that is lost. On any thread."""
        self._metrics.dropped()

    def refusal(self, request: Request) -> Response | None:
        """The answer to a request that is not looked into: as many wait as may."""
        if self._admission is None or (problem := self._admission.refusal) is None:
            return None
        self._say(problem.status, 0.0)
        return _problem.of_problem(request, problem)

    async def segment(self, request: Request) -> Response:
        """``POST /v1/segment``."""
        start = time.perf_counter()
        status, model = 500, "-"
        stages: Mapping[str, int] = {}
        try:
            encoded, model = await self._segmented(request)
            status, stages = 200, encoded.stages
            self._metrics.observe(model, stages)
            return Response(encoded.body, media_type=encoded.media_type)
        except ProblemError as problem:
            status = problem.status
            raise
        except EtsegError as error:
            status = _problem.of_etseg(request, error).status_code
            raise
        except (GoneError, ClientDisconnect):
            status = _CLIENT_LEFT
            return Response(status_code=_CLIENT_LEFT)
        finally:
            self._say(status, time.perf_counter() - start, model, stages)

    def _say(
        self,
        status: int,
        seconds: float,
        model: str = "-",
        stages: Mapping[str, int] = MappingProxyType({}),
    ) -> None:
        """To the log and to Prometheus."""
        self._metrics.answered(status)
        shown = " ".join(f"{name}={ns / 1e6:.1f}" for name, ns in stages.items())
        access.info("POST /v1/segment %d %.1f ms model=%s %s", status, seconds * 1e3, model, shown)

    async def models(self, _request: Request) -> Response:
        """``GET /v1/models``."""
        return JSONResponse({"models": self._models.described()})

    async def health(self, _request: Request) -> Response:
        """``GET /healthz``: the process answers."""
        return PlainTextResponse("ok\n")

    async def ready(self, _request: Request) -> Response:
        """``GET /readyz``: there are models to segment with."""
        if not self._models.are_loaded:
            return PlainTextResponse("no model is loaded\n", 503)
        return PlainTextResponse("ok\n")

    async def metrics_text(self, _request: Request) -> Response:
        """``GET /metrics``."""
        return Response(self._metrics.text(), media_type="text/plain; version=0.0.4")

    async def openapi(self, _request: Request) -> Response:
        """``GET /openapi.json``."""
        names = [model["name"] for model in self._models.described()]
        return JSONResponse(description(names, self._settings))

    async def _segmented(self, request: Request) -> tuple[Encoded, str]:
        if self._admission is None:
            raise ProblemError(503, "the service has not started: its lifespan was not run")
        with self._admission.place() as place, self._room.share() as take:
            settings, headers = self._settings, request.headers
            start = time.perf_counter_ns()
            body = await body_of(request, settings.max_body_bytes, settings.body_seconds, take)
            kind = headers.get("content-type", "")
            read = partial(posted, body, kind, request.query_params)
            sent = await asyncio.to_thread(read) if takes_time(body, kind) else read()
            wish = Wish.of(sent.options, headers.get("accept", ""))
            name, module = self._models.get(sent.options.get("model"))
            left = partial(_left, request)
            image = sent.image
            if sent.url is not None:
                place.leave()  # others' turns are not for waiting for somebody's server
                image = await self._fetched(sent.url, left)
                take(len(image))
            there = time.perf_counter_ns()
            begin, encoded = await place.work(partial(_timed, name, module, image, wish), left)
        stages = {"body": there - start, "wait": begin - there, **encoded.stages}
        return replace(encoded, stages=stages), name

    async def _fetched(self, url: str, left: Left) -> bytes:
        """An image by URL."""
        settings = self._settings
        if not settings.allow_urls:
            raise ProblemError(403, "this service takes no URLs; send the image itself")
        assert self._fetching is not None
        read = partial(_urls.read, url, settings.max_body_bytes, settings.body_seconds)
        with self._fetching.place() as place:
            return await place.work(read, left)


def _timed(
    name: str, module: ImageSegmentationModule, image: bytes, wish: Wish
) -> tuple[int, Encoded]:
    """:func:`segment`, and when it began."""
    return time.perf_counter_ns(), segment(name, module, image, wish)


async def _left(request: Request) -> None:
    """Until the client has left. The body has been read: nothing else comes."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
