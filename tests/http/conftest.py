"""Servers on the loopback interface, plain and TLS."""

from __future__ import annotations

import gc
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trustme

from tests.http.support import Mute
from zespan_serverless._http.transport import Transport
from zespan_serverless.testing import Backend


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def trusted(authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The test's certificate authority is the one that OpenSSL trusts."""
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(path)
    monkeypatch.setenv("SSL_CERT_FILE", str(path))


@pytest.fixture
def tls_backend(authority: trustme.CA) -> Iterator[Backend]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", "localhost").configure_cert(context)
    with Backend(tls=context) as backend:
        yield backend


@pytest.fixture
def mute() -> Iterator[Mute]:
    with Mute() as mute:
        yield mute


@pytest.fixture
def connect() -> Iterator[Callable[[str], Transport]]:
    """connect(url): a transport, closed after the test; then no socket is left for the garbage collector to find."""
    made: list[Transport] = []

    def connect(url: str) -> Transport:
        made.append(Transport(url))
        return made[-1]

    yield connect
    for transport in made:
        transport.close()
    gc.collect()  # a socket that was not closed is an error here
