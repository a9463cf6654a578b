"""TLS on the loopback: only a server that is who it says it is gets a request."""

from __future__ import annotations

from pathlib import Path

import pytest

from downloading import load, only_model
from etseg import DownloadError, resources
from etseg._download.http import read_url
from http_server import Fault, Server
from raw_server import raw_serving, saying
from tls import Authority, serving_tls

pytestmark = pytest.mark.usefixtures("cache")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def trusted(authority: Authority, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    del cache  # sets its part of the environment first
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))


def refused(server: Server) -> str:
    """Why neither a model nor an image is asked for; without a second attempt."""
    url = server.add("/model.pte", b"")
    with pytest.raises(DownloadError, match="no safe connection to") as caught:
        resources.fetch(url)
    with pytest.raises(DownloadError, match="no safe connection to"):
        read_url(url)
    assert server.requests == []
    assert server.connections == 2
    return str(caught.value)


@pytest.mark.usefixtures("trusted")
def test_a_model_by_https(authority: Authority, cache: Path, program: bytes) -> None:
    with serving_tls(authority.context()) as server:
        url = server.add("/model.pte", program, faults=[Fault(cut=0.5)])
        load(url)
        assert only_model(cache) == program
        assert [request.start for request in server.requests] == [0, len(program) // 2]


def test_an_unknown_authority(authority: Authority) -> None:
    with serving_tls(authority.context()) as server:
        assert "unable to get local issuer certificate" in refused(server)


@pytest.mark.usefixtures("trusted")
def test_another_name(authority: Authority) -> None:
    with serving_tls(authority.context("models.example")) as server:
        assert "not valid for '127.0.0.1'" in refused(server)


@pytest.mark.usefixtures("trusted")
def test_an_expired_certificate(authority: Authority) -> None:
    with serving_tls(authority.context(expired=True)) as server:
        assert "certificate has expired" in refused(server)


@pytest.mark.usefixtures("trusted")
def test_a_server_without_tls() -> None:
    with raw_serving(saying(b"HTTP/1.1 400 Bad Request\r\n\r\n"), listens=False) as server:
        with pytest.raises(DownloadError, match="no safe connection to"):
            read_url(server.url.replace("http:", "https:"))
        assert server.connections == 1


@pytest.mark.usefixtures("trusted")
def test_no_way_back_to_http(authority: Authority, server: Server, program: bytes) -> None:
    plain = server.add("/model.pte", program)
    with serving_tls(authority.context()) as safe:
        answer = Fault(status=302, headers={"Location": plain})
        url = safe.add("/model.pte", b"", always=answer)
        with pytest.raises(DownloadError, match="away from https"):
            load(url)
    assert server.requests == []


@pytest.mark.usefixtures("trusted")
def test_the_certificates_are_those_of_the_environment_now(
    authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Authority(tmp_path)
    with serving_tls(authority.context()) as server:
        url = server.add("/image", b"all of it")
        assert read_url(url) == b"all of it"
        monkeypatch.setenv("SSL_CERT_FILE", str(other.file))
        with pytest.raises(DownloadError, match="no safe connection to"):
            read_url(url)
