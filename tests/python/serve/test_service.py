"""etseg.serve: what is answered, who waits, and what is refused."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import os
import re
import socket
import sys
import threading
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import etseg

pytest.importorskip("starlette", reason='needs pip install "etseg[serve]"')
pytest.importorskip("prometheus_client")
pytest.importorskip("python_multipart")

from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.testclient import TestClient

from etseg.serve import Settings, _urls, _work, create_app
from etseg.serve._admission import Admission, GoneError, Left, _Job
from etseg.serve._problem import ProblemError
from http_server import Fault, Server
from programs import program
from result_schema import check_record

PATIENCE = 60


@pytest.fixture(scope="module")
def settings() -> Settings:
    return Settings(
        models=[etseg.SELFIE_SEGMENTATION, program("logits_c3")],
        concurrency=2,
        max_body_bytes=200_000,
        max_pixels=1_000_000,
    )


@pytest.fixture(scope="module")
def client(settings: Settings) -> Iterator[TestClient]:
    with TestClient(create_app(settings), raise_server_exceptions=False) as client:
        yield client


@pytest.fixture(scope="module")
def expected(photo_path: Path) -> etseg.SegmentationResult:
    with etseg.ImageSegmentationModule() as module:
        module.load(etseg.SELFIE_SEGMENTATION)
        return module.forward(photo_path.read_bytes(), ["SELFIE"], resize=True)


def timeless(record: dict[str, Any]) -> dict[str, Any]:
    """All but what differs from one time to the next, and probabilities of maps not asked for."""
    labels = [{**entry, "mean_probability": None} for entry in record["labels"]]
    return {**record, "labels": labels, "timings_ms": list(record["timings_ms"])}


def picture(data: bytes) -> Any:
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)


@pytest.mark.parametrize("way", ["body", "form", "base64", "data URI"])
def test_an_image_in_each_way(
    client: TestClient, photo_path: Path, expected: etseg.SegmentationResult, way: str
) -> None:
    data = photo_path.read_bytes()
    text = base64.b64encode(data).decode()
    sent: dict[str, Any] = {
        "body": {"content": data, "params": {"rle": "true"}},
        "form": {"files": {"image": ("a.jpg", data)}, "data": {"rle": "true"}},
        "base64": {"json": {"image": text, "rle": True}},
        "data URI": {"json": {"image": f"data:image/jpeg;base64,{text}", "rle": True}},
    }[way]
    answer = client.post("/v1/segment", **sent)
    assert answer.status_code == 200, answer.text
    content = answer.json()
    assert content["model"] == "selfie-segmentation"
    check_record(content)
    assert timeless(content) == timeless({**expected.to_dict(), "image": None})


def test_each_output(
    client: TestClient, photo_path: Path, expected: etseg.SegmentationResult
) -> None:
    data = photo_path.read_bytes()

    def get(**params: str) -> bytes:
        answer = client.post("/v1/segment", content=data, params=params)
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"] == _work.ENCODERS[params["output"]][0]
        return answer.content

    np.testing.assert_array_equal(picture(get(output="mask")), expected.argmax)
    np.testing.assert_array_equal(
        picture(get(output="overlay")), expected.overlay(photo_path)[..., ::-1]
    )
    cutout = cv2.cvtColor(picture(get(output="cutout", label="SELFIE")), cv2.COLOR_BGRA2RGBA)
    np.testing.assert_array_equal(cutout, expected.cutout("SELFIE", photo_path))
    own = get(output="cutout", label="SELFIE", foreground="image", haze="0.3")
    np.testing.assert_array_equal(
        cv2.cvtColor(picture(own), cv2.COLOR_BGRA2RGBA),
        expected.cutout("SELFIE", photo_path, foreground="image", haze=0.3),
    )
    assert (cutout != cv2.cvtColor(picture(own), cv2.COLOR_BGRA2RGBA)).any()
    arrays = np.load(io.BytesIO(get(output="npz", classes="SELFIE")))
    assert sorted(arrays) == ["ARGMAX", "SELFIE"]
    np.testing.assert_array_equal(arrays["SELFIE"], expected["SELFIE"])
    np.testing.assert_array_equal(arrays["ARGMAX"], expected.argmax, strict=True)


@pytest.mark.parametrize(
    ("accept", "media"),
    [
        ("application/json", "application/json"),
        ("image/webp, image/png;q=0.9", "image/png"),
        ("application/json;q=0.5, image/png;q=0.9, application/x-npz;q=no", "image/png"),
        ("image/png;q=0, */*;q=0.1", "application/json"),
        ("application/x-npz", "application/x-npz"),
        ("*/*", "application/json"),
    ],
)
def test_accept(client: TestClient, photo_path: Path, accept: str, media: str) -> None:
    answer = client.post("/v1/segment", content=photo_path.read_bytes(), headers={"Accept": accept})
    assert (answer.status_code, answer.headers["content-type"]) == (200, media)


def test_models_and_the_rest(client: TestClient, photo_path: Path) -> None:
    names = [model["name"] for model in client.get("/v1/models").json()["models"]]
    assert names == ["selfie-segmentation", "logits_c3"]
    answer = client.post(
        "/v1/segment", content=photo_path.read_bytes(), params={"model": "logits_c3"}
    )
    assert answer.json()["model"] == "logits_c3"
    assert client.get("/healthz").text == client.get("/readyz").text == "ok\n"
    metrics = client.get("/metrics").text
    assert 'etseg_stage_seconds_count{model="logits_c3",stage="inference"} 1.0' in metrics
    assert 'etseg_requests_total{status="200"}' in metrics
    described = client.get("/openapi.json").json()
    assert described["openapi"].startswith("3.1")
    parameters = described["paths"]["/v1/segment"]["post"]["parameters"]
    assert parameters[0]["schema"]["enum"] == names
    json_of = described["paths"]["/v1/segment"]["post"]["responses"]["200"]["content"]
    check_record(json_of["application/json"]["example"])


def test_every_reference_of_the_description_is_there(client: TestClient) -> None:
    text = client.get("/openapi.json").text
    described = json.loads(text)
    for name in re.findall(r'"\$ref":"([^"]*)"', text):
        place = described
        for step in name.removeprefix("#/").split("/"):
            place = place[step]


def test_classes_are_listed_whether_they_are_there_or_not(
    client: TestClient, photo_path: Path
) -> None:
    answer = client.post(
        "/v1/segment", content=photo_path.read_bytes(), params={"classes": "BACKGROUND"}
    )
    assert [entry["label"] for entry in answer.json()["labels"]] == ["BACKGROUND"]


@pytest.mark.parametrize(
    ("sent", "status", "detail"),
    [
        ({"content": b""}, 400, "there is no image"),
        ({"content": b"no image at all"}, 422, "neither|no image|known format|decode"),
        ({"content": b"\xff\xd8\xff\xe0" + bytes(100)}, 422, ""),
        ({"content": b"x" * 200_001}, 413, "more than 200000 bytes"),
        ({"content": b"{", "headers": {"Content-Type": "application/json"}}, 400, "is no JSON"),
        ({"content": b"[" * 99_999, "headers": {"Content-Type": "application/json"}}, 400, "JSON"),
        ({"json": [1]}, 400, "is no object"),
        ({"json": {}}, 400, "needs one of 'image'"),
        ({"json": {"image": "a", "url": "b"}}, 400, "needs one of"),
        ({"json": {"image": "/etc/passwd"}}, 400, "no base64"),
        ({"json": {"image": "L2V0Yy9wYXNzd2Q="}}, 422, ""),  # of "/etc/passwd": bytes, no path
        ({"json": {"url": "http://example.org/"}}, 403, "takes no URLs"),
        ({"content": b"x", "params": {"model": "nope"}}, 404, "no model 'nope'"),
        ({"content": b"x", "params": {"output": "gif"}}, 400, "output is 'gif'"),
        ({"content": b"x", "params": {"size": "1"}}, 400, r"unknown options \['size'\]"),
        ({"content": b"x", "params": {"rle": "yes please"}}, 400, "rle is 'yes please'"),
        ({"content": b"x", "params": {"mask": "2"}}, 400, "mask is '2'; expected true or false"),
        (
            {"content": b"x", "params": {"foreground": "x"}},
            400,
            "foreground is 'x'; expected one of",
        ),
        ({"content": b"x", "params": {"haze": "much"}}, 400, "haze is 'much'; expected a number"),
        ({"content": b"x", "params": {"output": "cutout"}}, 400, "needs label=NAME"),
        ({"content": b"x", "headers": {"Accept": "text/html"}}, 406, "cannot answer with"),
        (
            {"content": b"--", "headers": {"Content-Type": "multipart/form-data"}},
            400,
            "boundary",
        ),
        (
            {
                "content": b"--b\r\nContent-Disposition: form-data; name=image\r\n\r\nno end",
                "headers": {"Content-Type": "multipart/form-data; boundary=b"},
            },
            400,
            "",
        ),
    ],
)
def test_refusals(client: TestClient, sent: dict[str, Any], status: int, detail: str) -> None:
    answer = client.post("/v1/segment", **sent)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == status
    assert re.search(detail, problem["detail"]), problem
    assert "Traceback" not in answer.text


def test_errors_of_etseg_have_its_codes(client: TestClient, photo_path: Path) -> None:
    answer = client.post(
        "/v1/segment",
        content=photo_path.read_bytes(),
        params={"output": "cutout", "label": "CAT"},
    )
    assert answer.status_code == 400
    assert answer.json()["name"] in etseg.ErrorCode.__members__
    assert "'CAT' is not a label" in answer.json()["detail"]


@pytest.mark.parametrize("haze", ["0.5", "-1", "nan"])
def test_a_haze_that_cannot_be(client: TestClient, photo_path: Path, haze: str) -> None:
    params = {"output": "cutout", "label": "SELFIE", "haze": haze}
    answer = client.post("/v1/segment", content=photo_path.read_bytes(), params=params)
    assert answer.status_code == 422
    assert f"haze is {haze}" in answer.json()["detail"]


def test_images_with_too_many_pixels(client: TestClient) -> None:
    big = cv2.imencode(".png", np.zeros((1001, 1000), np.uint8))[1].tobytes()
    answer = client.post("/v1/segment", content=big)
    assert answer.status_code == 422
    assert "1,000,000" in answer.json()["detail"]


def test_a_mistake_of_ours_says_nothing(
    settings: Settings, photo_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise ZeroDivisionError("of our own, with a secret in it")

    with TestClient(create_app(settings), raise_server_exceptions=False) as client:
        monkeypatch.setattr("etseg.serve._app.segment", fails)
        answer = client.post("/v1/segment", content=photo_path.read_bytes())
    assert answer.status_code == 500
    assert "secret" not in answer.text


def test_other_methods_and_paths(client: TestClient) -> None:
    assert client.get("/v1/segment").status_code == 405
    answer = client.get("/nowhere")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_model_of_many_labels(photo_path: Path) -> None:
    """More than fit into a byte, also where it takes the place of one of few."""
    app = create_app(Settings(models=[program("logits_c300")], concurrency=1))
    with TestClient(app) as client, etseg.ImageSegmentationModule() as module:
        module.load(program("logits_c300"))
        expected = module.forward(photo_path.read_bytes(), resize=True)
        assert client.portal is not None
        for _ in range(2):
            answer = client.post(
                "/v1/segment", content=photo_path.read_bytes(), params={"output": "mask"}
            )
            np.testing.assert_array_equal(picture(answer.content), expected.argmax)
            client.portal.call(app.state.service.reload)


def test_it_can_be_mounted(settings: Settings, photo_path: Path) -> None:
    inner = create_app(settings)
    outer = Starlette(routes=[Mount("/etseg", inner)], lifespan=inner.router.lifespan_context)
    with TestClient(outer) as client:
        answer = client.post("/etseg/v1/segment", content=photo_path.read_bytes())
    assert answer.status_code == 200


def test_without_its_lifespan_it_says_so(settings: Settings) -> None:
    client = TestClient(create_app(settings))
    answer = client.post("/v1/segment", content=b"x")
    assert (answer.status_code, "lifespan" in answer.json()["detail"]) == (503, True)
    assert client.get("/readyz").status_code == 503


def test_reloading_keeps_what_is_there_when_it_fails(photo_path: Path, tmp_path: Path) -> None:
    model = tmp_path / "model.pte"
    model.write_bytes(program("logits_c3").read_bytes())
    app = create_app(Settings(models=[model], concurrency=1))
    with TestClient(app) as client:
        assert client.portal is not None
        client.portal.call(app.state.service.reload)
        model.write_bytes(b"damaged")
        with pytest.raises(etseg.InvalidModelError):
            client.portal.call(app.state.service.reload)
        assert client.post("/v1/segment", content=photo_path.read_bytes()).status_code == 200


# ---- Who waits


def run(work: Callable[[], Any]) -> Any:
    return asyncio.run(asyncio.wait_for(work(), PATIENCE))


@asynccontextmanager
async def held_up(waiting: int = 9, deadline: float = PATIENCE) -> AsyncIterator[Held]:
    held = Held(waiting, deadline)
    while held.admission.running == 0:
        await asyncio.sleep(0)
    # Without a turn of the loop between: a deadline must not end the first visitor's wait.
    assert held.begun.wait(PATIENCE)
    yield held
    await held.end()


class Held:
    """Work that goes on until the test says so, on the only thread of an admission."""

    def __init__(self, waiting: int, deadline: float) -> None:
        self.admission = Admission(1, waiting, deadline, "test")
        self.begun, self._leave = threading.Event(), threading.Event()
        self.visitors = [asyncio.ensure_future(self.visit(self._work))]

    def _work(self) -> str:
        self.begun.set()
        assert self._leave.wait(PATIENCE)
        return "done"

    async def visit(self, work: Callable[[], str], left: Left | None = None) -> str:
        with self.admission.place() as place:
            return await place.work(work, left or never)

    async def another(self, work: Callable[[], str], left: Left | None = None) -> Any:
        """A visitor, once he waits."""
        before = self.admission.waiting
        visitor = asyncio.ensure_future(self.visit(work, left))
        while self.admission.waiting == before:
            await asyncio.sleep(0)
        return visitor

    async def end(self) -> None:
        self._leave.set()
        for visitor in self.visitors:
            assert await visitor == "done"
        assert (self.admission.running, self.admission.waiting) == (0, 0)
        self.admission.close()


def test_no_more_than_the_queue_holds() -> None:
    async def work() -> None:
        async with held_up(waiting=1) as held:
            assert held.admission.refusal is None
            held.visitors.append(await held.another(lambda: "done"))
            refusal = held.admission.refusal
            assert refusal is not None
            with pytest.raises(ProblemError, match="1 requests wait already") as refused:
                await held.visit(lambda: "done")
            assert refused.value.status == refusal.status == 503
            assert int(refused.value.headers["Retry-After"]) >= 1

    run(work)


@pytest.mark.skipif(sys.platform != "linux", reason="threads have a niceness of their own on Linux")
def test_who_computes_yields_to_the_event_loop() -> None:
    async def work() -> None:
        admission = Admission(1, 0, PATIENCE, "test", nice=3)
        with admission.place() as place:
            found = await place.work(lambda: os.nice(0), never)
        admission.close()
        assert found == min(19, os.nice(0) + 3)

    run(work)


def test_they_come_in_turn() -> None:
    async def work() -> None:
        order: list[int] = []

        def comes(number: int) -> str:
            order.append(number)
            return "done"

        async with held_up() as held:
            for number in range(5):
                held.visitors.append(await held.another(partial(comes, number)))
        assert order == list(range(5))

    run(work)


def test_what_the_work_raises_is_raised() -> None:
    async def work() -> None:
        admission = Admission(1, 0, PATIENCE, "test")
        with admission.place() as place, pytest.raises(ZeroDivisionError):
            await place.work(lambda: 1 // 0, never)
        assert admission.refusal is None  # the place is free again
        admission.close()

    run(work)


@pytest.mark.parametrize("how", ["deadline", "gone", "cancelled"])
def test_one_that_leaves_the_queue_takes_no_place(how: str) -> None:
    async def work() -> None:
        gone = asyncio.Event()

        def computed() -> str:
            raise AssertionError("it has left")

        async with held_up(waiting=1, deadline=0.001 if how == "deadline" else PATIENCE) as held:
            visitor = await held.another(computed, gone.wait)
            if how == "gone":
                gone.set()
            elif how == "cancelled":
                visitor.cancel()
            error = {
                "deadline": ProblemError, "gone": GoneError, "cancelled": asyncio.CancelledError,
            }[how]  # fmt: skip
            with pytest.raises(error):
                await visitor
            assert (held.admission.running, held.admission.waiting) == (1, 0)
            assert held.admission.refusal is None

    run(work)


def test_what_was_withdrawn_holds_no_image() -> None:
    """It stays in the queue of the threads until one of them passes it over."""

    async def work() -> None:
        image: set[int] = set()
        kept = weakref.ref(image)
        job = _Job(partial(len, image), asyncio.get_running_loop().create_future())
        job.future = Future()
        del image
        job.withdraw(GoneError())
        assert kept() is None

    run(work)


def test_a_place_is_kept_from_the_head_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whose body comes at once is not sent away after it; whose body does not loses his place."""

    async def work() -> None:
        admission = Admission(1, 0, PATIENCE, "test")
        with admission.place() as place:
            assert admission.refusal is not None
            assert await place.work(lambda: "done", never) == "done"
        monkeypatch.setattr("etseg.serve._admission._KEPT", 0.0)
        with admission.place() as slow:
            while admission.refusal is not None:
                await asyncio.sleep(0)
            monkeypatch.setattr("etseg.serve._admission._KEPT", PATIENCE)
            with admission.place(), pytest.raises(ProblemError, match="wait already"):
                await slow.work(lambda: "done", never)
            assert await slow.work(lambda: "done", never) == "done"
        admission.close()

    run(work)


def test_a_client_that_left_while_it_waited_is_not_computed(
    photo_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the level of ASGI: the first request holds the only places; the second leaves."""
    entered, leave = threading.Event(), threading.Event()
    computed = []
    original = _work.segment

    def held(*arguments: Any) -> Any:
        computed.append(1)
        entered.set()
        assert leave.wait(PATIENCE)
        return original(*arguments)

    monkeypatch.setattr("etseg.serve._app.segment", held)
    app = create_app(Settings(concurrency=1))
    data = photo_path.read_bytes()

    async def request(gone: asyncio.Event) -> list[Any]:
        sent: list[Any] = []
        bodies = iter([{"type": "http.request", "body": data, "more_body": False}])

        async def receive() -> Any:
            for message in bodies:
                return message
            await gone.wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            sent.append(message)

        await app(scope_of_a_post(), receive, send)
        return sent

    async def work() -> None:
        async with app.router.lifespan_context(app):
            stays, leaves = asyncio.Event(), asyncio.Event()
            service = app.state.service
            threads = service._admission.threads
            running = [asyncio.ensure_future(request(stays)) for _ in range(threads)]
            await asyncio.to_thread(entered.wait, PATIENCE)
            while service._admission.running < threads:
                await asyncio.sleep(0)
            waits = asyncio.ensure_future(request(leaves))
            while service._admission.waiting < 1:
                await asyncio.sleep(0)
            leaves.set()
            await waits
            leave.set()
            for sent in await asyncio.gather(*running):
                assert sent[0]["status"] == 200

    run(work)
    assert len(computed) == app.state.service._threads


async def never() -> Any:
    """A message that does not come."""
    await asyncio.Event().wait()


def scope_of_a_post(**headers: str) -> dict[str, Any]:
    """A request at the level of ASGI."""
    given = [(name.replace("_", "-").encode(), text.encode()) for name, text in headers.items()]
    return {
        "type": "http", "method": "POST", "path": "/v1/segment", "raw_path": b"/v1/segment",
        "query_string": b"", "http_version": "1.1", "scheme": "http", "root_path": "",
        "server": ("test", 80), "client": ("test", 1), "headers": given,
    }  # fmt: skip


async def ignored(_message: Any) -> None:
    """Where an answer goes that nobody looks at."""


async def asked(
    app: Starlette, receive: Callable[[], Awaitable[Any]], **headers: str
) -> tuple[dict[str, Any], dict[str, Any]]:
    """What an application that runs answers at the level of ASGI: its start, and its problem."""
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    await app(scope_of_a_post(**headers), receive, send)
    return sent[0], json.loads(sent[1]["body"])


def test_a_body_that_drips_is_not_waited_for() -> None:
    app = create_app(Settings(concurrency=1, body_seconds=0.01))

    async def work() -> None:
        async with app.router.lifespan_context(app):
            start, _ = await asked(app, never, content_length="100")
            assert start["status"] == 408
            assert (b"connection", b"close") in start["headers"]

    run(work)


def test_no_body_is_read_where_the_queue_is_full() -> None:
    """It is refused by its head: there is no message of its body to come."""
    app = create_app(Settings(concurrency=1, max_waiting=0))

    async def work() -> None:
        async with app.router.lifespan_context(app):
            with ExitStack() as full:
                for _ in range(app.state.service._threads):
                    full.enter_context(app.state.service._admission.place())
                start, problem = await asked(app, never, content_length="100")
                assert start["status"] == 503
                assert b"retry-after" in dict(start["headers"])
                assert b"connection" not in dict(start["headers"])
                assert "wait already" in problem["detail"]
                # It waits to be told to send its body, and may send another request instead.
                start, _ = await asked(app, never, content_length="100", expect="100-continue")
                assert dict(start["headers"])[b"connection"] == b"close"

    run(work)


def test_all_bodies_together_have_bounds() -> None:
    """One that is half there takes the room of another, and gives it back when its client goes."""
    app = create_app(Settings(concurrency=1, max_body_bytes=100, max_held_bytes=100))

    async def work() -> None:
        gone = asyncio.Event()
        half = iter([{"type": "http.request", "body": bytes(60), "more_body": True}])
        there = asyncio.Event()

        async def stops() -> Any:
            for message in half:
                return message
            there.set()
            await gone.wait()
            return {"type": "http.disconnect"}

        async def whole() -> Any:
            return {"type": "http.request", "body": bytes(60), "more_body": False}

        async with app.router.lifespan_context(app):
            first = asyncio.ensure_future(app(scope_of_a_post(), stops, ignored))
            await there.wait()
            start, problem = await asked(app, whole)
            assert (start["status"], "too many bodies" in problem["detail"]) == (503, True)
            gone.set()
            await first
            start, _ = await asked(app, whole)
            assert start["status"] == 422  # it is no image, and was read

    run(work)


def test_a_url_that_is_waited_for_is_nobodys_turn(
    photo_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked_for, let_go = threading.Event(), threading.Event()

    def read(*_: object) -> bytes:
        asked_for.set()
        assert let_go.wait(PATIENCE)
        return photo_path.read_bytes()

    monkeypatch.setattr(_urls, "read", read)
    app = create_app(Settings(concurrency=1, allow_urls=True))
    with TestClient(app) as client, ThreadPoolExecutor(4) as threads:
        fetched = [
            threads.submit(client.post, "/v1/segment", json={"url": "http://example.org/a.jpg"})
            for _ in range(4)  # more than there are places
        ]
        assert asked_for.wait(PATIENCE)
        assert client.post("/v1/segment", content=photo_path.read_bytes()).status_code == 200
        let_go.set()
        assert [answer.result(PATIENCE).status_code for answer in fetched] == 4 * [200]


# ---- Images by URL


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1:248:1893:25c8:1946", True),
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.0.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("::1", False),
        ("fe80::1%eth0", False),
        ("fd00::1", False),
        ("::ffff:127.0.0.1", False),
        ("2002:7f00:1::", False),
    ],
)
def test_addresses(address: str, expected: bool) -> None:
    assert _urls.is_public(address) is expected


@pytest.mark.parametrize(
    ("url", "status"),
    [
        ("file:///etc/passwd", 400),
        ("ftp://example.org/a", 400),
        ("http://", 400),
        ("http://[", 400),
        ("http://127.0.0.1:1/a.jpg", 403),
        ("http://localhost/a.jpg", 403),
        ("http://[::1]/a.jpg", 403),
        ("http://0x7f000001/a.jpg", 403),
        ("https://169.254.169.254/latest/meta-data", 403),
    ],
)
def test_urls_that_are_not_followed(url: str, status: int) -> None:
    with pytest.raises(ProblemError) as refused:
        _urls.read(url, 1000, 5)
    assert refused.value.status == status


def test_a_redirect_to_an_inner_address_is_not_followed(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first host is taken for a public one, the second is not."""
    seen: list[str] = []

    def only_the_first(address: str) -> bool:
        seen.append(address)
        return len(seen) == 1

    inner = server.url("/b.jpg").replace("127.0.0.1", "localhost")
    there = Fault(status=302, headers={"Location": inner})
    url = server.add("/a.jpg", b"", faults=[there])
    monkeypatch.setattr(_urls, "is_public", only_the_first)
    with pytest.raises(ProblemError) as refused:
        _urls.read(url, 1000, 5)
    assert refused.value.status == 403
    assert len(seen) == 2


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"HTTP/1.1 2", id="head"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n1", id="body"),
        pytest.param(b"HTTP/1.1 200 OK\r\n\r\n1", id="body without a length"),
    ],
)
def test_a_url_whose_answer_does_not_end(sent: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is hung up on at the deadline, however long a single read may wait."""
    monkeypatch.setattr(_urls, "is_public", lambda _: True)
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer() -> None:
            connection = listening.accept()[0]
            with connection, suppress(ConnectionError):
                connection.sendall(sent)
                while connection.recv(4096):  # until the client goes
                    pass

        answering = threading.Thread(target=answer, daemon=True)
        answering.start()
        with pytest.raises(ProblemError) as refused:
            _urls.read(f"http://127.0.0.1:{listening.getsockname()[1]}/a.jpg", 1000, 0.5)
        answering.join()
    assert refused.value.status == 504


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"models": []}, "models is empty"),
        ({"max_waiting": -1}, "max_waiting is -1; expected an int, 0 or more"),
        ({"deadline": 0}, "deadline is 0; expected seconds, above 0"),
        ({"nice": -1}, "nice is -1; expected an int, 0 or more"),
        ({"max_body_bytes": True}, "max_body_bytes is True"),
    ],
)
def test_bad_settings(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(etseg.InvalidConfigError, match=message):
        Settings(**changed)


def test_json_with_the_mask(
    client: TestClient, photo_path: Path, expected: etseg.SegmentationResult
) -> None:
    answer = client.post("/v1/segment", content=photo_path.read_bytes(), params={"mask": "true"})
    content = json.loads(answer.text)
    assert content["timings_ms"]["total"] > 0
    np.testing.assert_array_equal(picture(base64.b64decode(content["mask_png"])), expected.argmax)


def test_confidence(client: TestClient, photo_path: Path) -> None:
    answer = client.post(
        "/v1/segment", content=photo_path.read_bytes(), params={"output": "confidence"}
    )
    with etseg.ImageSegmentationModule() as module:
        module.load(etseg.SELFIE_SEGMENTATION)
        result = module.forward(photo_path.read_bytes(), ["SELFIE", "BACKGROUND"])
    expected = np.maximum(result["SELFIE"], result["BACKGROUND"])
    np.testing.assert_allclose(picture(answer.content) / 255, expected, atol=0.003)


def test_the_page_and_nothing_beside_it(client: TestClient) -> None:
    answer = client.get("/")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'self'" in answer.headers["content-security-policy"]
    assert client.get("/app.js").status_code == 200
    for path in ("/nothing.js", "/..%2f_app.py", "/__init__.py"):
        assert client.get(path).status_code == 404
    size = sum(len(client.get(f"/{n}").content) for n in ("", "app.js", "style.css", "icon.svg"))
    assert size < 150_000
