"""Certificates for the loopback, and a server that uses them."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path

import pytest

from http_server import Server, serving

trustme = pytest.importorskip("trustme", reason="needs trustme, of the test group")


class Authority:
    """Signs certificates; `file` is what those who trust it are given."""

    def __init__(self, folder: Path) -> None:
        self._authority = trustme.CA()
        self.file = folder / "authority.pem"
        self._authority.cert_pem.write_to_path(str(self.file))

    def context(self, name: str = "127.0.0.1", *, expired: bool = False) -> ssl.SSLContext:
        """What a server of that name listens with."""
        until = datetime(2020, 1, 1, tzinfo=timezone.utc) if expired else None
        certificate = self._authority.issue_cert(name, not_after=until)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.configure_cert(context)
        return context


@contextmanager
def serving_tls(context: ssl.SSLContext) -> Iterator[Server]:
    """A server whose address begins with https."""
    with serving(context) as server:
        yield server
