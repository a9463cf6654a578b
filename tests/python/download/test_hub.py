"""Files on the hub, from a server on the loopback that HF_ENDPOINT names."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import etseg
from downloading import load, only_model
from etseg import CATALOGUE, DownloadError, ImageSegmentationModule, resources
from etseg._download import hub
from etseg._download.http import read_url
from http_server import Fault, Server, serving

pytestmark = pytest.mark.usefixtures("cache")

PATH = "/owner/repo/resolve/main/model.pte"
TOKEN = "hf_t0k3n"


@pytest.fixture
def mirror(server: Server, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Server:
    del cache  # sets its part of the environment first
    monkeypatch.setenv("HF_ENDPOINT", server.address + "/")
    return server


@pytest.fixture
def token(cache: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    del cache  # likewise
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    return TOKEN


def logins(server: Server) -> list[str | None]:
    return [request.headers.get("authorization") for request in server.requests]


@pytest.mark.parametrize(
    ("reference", "path"),
    [
        ("hf://owner/repo/model.pte", "owner/repo/resolve/main/model.pte"),
        ("HF://owner/repo/a/b%20c.pte", "owner/repo/resolve/main/a/b%20c.pte"),
        ("hf://o.w-n/r_e.p/model.pte@v0.9.0", "o.w-n/r_e.p/resolve/v0.9.0/model.pte"),
        ("hf://owner/repo@v0.9.0/model.pte", "owner/repo/resolve/v0.9.0/model.pte"),
        ("hf://owner/repo/model.pte@refs/pr/1", "owner/repo/resolve/refs%2Fpr%2F1/model.pte"),
        ("hf://owner/repo/a%40b?c#d.pte", "owner/repo/resolve/main/a%40b%3Fc%23d.pte"),
    ],
)
def test_references(reference: str, path: str) -> None:
    assert hub.url_of_reference(reference) == f"https://huggingface.co/{path}"


@pytest.mark.parametrize(
    "reference",
    [
        "hf://",
        "hf://owner",
        "hf://owner/repo",
        "hf://owner/repo/",
        "hf://owner/repo/a//b",
        "hf://owner/repo/../x",
        "hf://owner/repo/%2e%2e/x",
        "hf://owner/repo@a/x@b",
        "hf://owner/repo/x@",
        "hf://owner/repo/x@a@b",
        "hf://../repo/x",
        "hf://user:pass@owner/repo/x",
    ],
)
def test_what_is_no_reference(reference: str, selfie: ImageSegmentationModule) -> None:
    with pytest.raises(etseg.InvalidModelSourceError, match=r"expected hf://owner|the file in it"):
        resources.fetch(reference)
    with pytest.raises(etseg.InvalidUserInputError, match="names no file"):
        selfie.forward(reference)


def test_a_model_from_the_hub(mirror: Server, cache: Path, program: bytes, token: str) -> None:
    mirror.add(PATH, program)
    load("hf://owner/repo/model.pte")
    assert logins(mirror) == [f"Bearer {token}"]
    assert only_model(cache) == program
    (model,) = resources.list_downloaded_models()
    assert model.url == "https://huggingface.co" + PATH
    load("https://huggingface.co" + PATH)  # the same, by its URL
    assert len(mirror.requests) == 1


def test_the_catalogue_comes_from_the_endpoint(
    mirror: Server, program: bytes, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for spec in CATALOGUE.values():
        source = str(spec.model_source)
        if source.startswith("bundled:"):
            continue
        mirror.add(source.removeprefix("https://huggingface.co"), program)
        resources.fetch(replace(spec, sha256=None))
    assert len(mirror.requests) == len(CATALOGUE) - 2
    assert set(logins(mirror)) == {f"Bearer {token}"}
    monkeypatch.delenv("HF_ENDPOINT")
    monkeypatch.setenv("ETSEG_OFFLINE", "1")
    resources.fetch(etseg.FCN_RESNET50)  # it is the same file, wherever it came from


def test_an_image_from_the_hub(mirror: Server, photo_path: Path) -> None:
    mirror.add("/owner/repo/resolve/main/photo.jpg", photo_path.read_bytes())
    with ImageSegmentationModule() as module:
        module.load(etseg.SELFIE_SEGMENTATION)
        result = module.forward("hf://owner/repo/photo.jpg", resize=True)
    assert result.argmax.shape == (512, 512)


@pytest.mark.usefixtures("token")
def test_the_token_goes_nowhere_else(server: Server, program: bytes) -> None:
    load(server.add("/model.pte", program))
    read_url(server.add(PATH, b"the path alone makes no hub"))
    assert logins(server) == [None, None]


def test_the_token_stays_behind_at_a_redirect(mirror: Server, program: bytes, token: str) -> None:
    with serving() as elsewhere:
        target = elsewhere.add("/model.pte", program)
        mirror.add("/moved", b"", always=Fault(status=307, headers={"Location": target}))
        mirror.add(PATH, b"", always=Fault(status=302, headers={"Location": "/moved"}))
        load("hf://owner/repo/model.pte")
        assert logins(mirror) == [f"Bearer {token}"] * 2
        assert logins(elsewhere) == [None]


@pytest.mark.usefixtures("token")
def test_nobody_else_leads_to_the_hub_with_it(mirror: Server, program: bytes) -> None:
    """A redirect from elsewhere to the hub would fetch what its maker may not, and I may."""
    mirror.add(PATH, program)
    with serving() as elsewhere:
        answer = Fault(status=302, headers={"Location": mirror.url(PATH)})
        load(elsewhere.add("/model.pte", b"", always=answer))
        assert logins(mirror) == logins(elsewhere) == [None]


@pytest.mark.parametrize(
    ("endpoint", "url", "sent"),
    [
        ("", "https://huggingface.co/x", True),
        ("", "https://HuggingFace.co:443/x", True),
        ("", "http://huggingface.co/x", False),
        ("", "https://huggingface.co.evil.invalid/x", False),
        ("", "https://evil.invalid/huggingface.co", False),
        ("", "https://huggingface.co:444/x", False),
        ("", "https://cdn-lfs.huggingface.co/x", False),
        ("https://mirror.invalid/hub", "https://mirror.invalid/hub/x", True),
        ("https://mirror.invalid", "https://huggingface.co/x", False),
        ("http://mirror.invalid", "http://mirror.invalid/x", False),
        ("http://localhost:1", "http://localhost:1/x", True),
    ],
)
@pytest.mark.usefixtures("token")
def test_who_sees_the_token(
    endpoint: str, url: str, sent: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", endpoint)
    assert (hub.token_for(url) == TOKEN) == sent


def test_a_login_in_the_url_comes_first(mirror: Server, program: bytes, token: str) -> None:
    mirror.add(PATH, program)
    load(mirror.url(PATH).replace("//", "//user:pass@"))
    assert logins(mirror) == ["Basic dXNlcjpwYXNz"]
    assert token not in str(mirror.requests)


@pytest.mark.parametrize("status", [401, 403, 404])
def test_what_a_refusal_of_the_hub_means(mirror: Server, status: int) -> None:
    mirror.add(PATH, b"", always=Fault(status=status))
    with pytest.raises(DownloadError, match=f"answered {status}: .* set HF_TOKEN"):
        resources.fetch("hf://owner/repo/model.pte")


def test_offline(mirror: Server, program: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    mirror.add(PATH, program)
    with serving() as elsewhere:
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
        with pytest.raises(DownloadError, match="HF_HUB_OFFLINE is set"):
            resources.fetch("hf://owner/repo/model.pte")
        assert mirror.requests == []
        load(elsewhere.add("/model.pte", program))


@pytest.mark.parametrize("endpoint", ["nonsense", "ftp://host", "https://[", "https://"])
def test_an_endpoint_that_is_none(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", endpoint)
    with pytest.raises(DownloadError, match="HF_ENDPOINT is"):
        resources.fetch("hf://owner/repo/model.pte")


@pytest.mark.usefixtures("mirror")
def test_a_token_that_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "two\nlines-c4n4ry")
    with pytest.raises(DownloadError, match="HF_TOKEN is no token") as caught:
        resources.fetch("hf://owner/repo/model.pte")
    assert "c4n4ry" not in str(caught.value)
