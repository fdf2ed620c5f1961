"""Encrypted connections, and connections through proxies."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import trustme

from tests.http.support import Proxy, post
from zespan_serverless._http.answer import Answer
from zespan_serverless._http.transport import Transport, _Connection
from zespan_serverless.testing import Backend

# ---------------------------------------------------------------------- TLS


def test_tls_with_a_trusted_certificate(
    tls_backend: Backend, connect: Callable[[str], Transport], trusted: None
) -> None:
    """The certificate is valid by name or address. The connection is kept alive, and replaced when dead."""
    transport = connect(tls_backend.url)
    assert [post(transport), post(transport)] == [200, 200]
    assert tls_backend.connections == 1
    tls_backend.close_connections()
    assert post(transport) == 200
    assert tls_backend.connections == 2
    by_name = connect(tls_backend.url.replace("127.0.0.1", "localhost"))
    by_name.connect(5)
    assert post(by_name) == 200


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://a.example", "a.example"),
        ("https://a.example:443", "a.example"),
        ("https://a.example:80", "a.example:80"),
        ("http://a.example:80/v2", "a.example"),
        ("http://a.example:443", "a.example:443"),
        ("http://user:80@a.example", "a.example"),
        ("http://[::1]:80", "[::1]"),
        ("http://[::1]:8080", "[::1]:8080"),
    ],
)
def test_host_header_omits_the_default_port(monkeypatch: pytest.MonkeyPatch, url: str, host: str) -> None:
    """The Host header has any other port, as browsers send it."""
    said: list[Mapping[str, str]] = []

    def exchange(_: _Connection, request: tuple[str, str, bytes, Mapping[str, str]], whole: bool) -> Answer:
        said.append(request[3])
        return Answer(200, {}, b"")

    monkeypatch.setattr(_Connection, "request", exchange)
    Transport(url).post("/", b"", {}, 1)
    assert said == [{"host": host}]


def test_untrusted_certificate_is_refused(tls_backend: Backend, connect: Callable[[str], Transport]) -> None:
    """No key is sent to a server without a valid certificate."""
    with pytest.raises(ssl.SSLCertVerificationError):
        post(connect(tls_backend.url))
    assert tls_backend.requests == []


def test_certificate_for_another_name_is_refused(
    authority: trustme.CA, connect: Callable[[str], Transport], trusted: None
) -> None:
    """No key is sent to a server with a certificate for another name."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("elsewhere.example").configure_cert(context)
    with Backend(tls=context) as backend:
        with pytest.raises(ssl.SSLCertVerificationError):
            post(connect(backend.url))
        assert backend.requests == []


def test_tls_to_a_plain_server_is_an_oserror(backend: Backend, connect: Callable[[str], Transport]) -> None:
    """The post raises OSError."""
    with pytest.raises(ssl.SSLError):
        post(connect(backend.url.replace("http:", "https:")))


# ---------------------------------------------------------------------- proxies


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_plain_proxy_forwards_the_request(
    backend: Backend, connect: Callable[[str], Transport], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Gets the whole URL; its connection is kept too."""
    with Proxy() as proxy:
        monkeypatch.setenv(name, f"http://{proxy.address}")
        transport = connect(backend.url + "/prefix")
        assert [post(transport), post(transport)] == [200, 200]
        assert proxy.asked == [f"POST {backend.url}/prefix/v1/ingest"] * 2
        assert backend.requests[0].headers["host"] == backend.url.removeprefix("http://")


@pytest.mark.parametrize("scheme", ["http://", ""])
def test_https_goes_through_a_tunnel(
    authority: trustme.CA,
    connect: Callable[[str], Transport],
    trusted: None,
    monkeypatch: pytest.MonkeyPatch,
    scheme: str,
) -> None:
    """TLS goes through a proxy that cannot read it, with the certificate of who is at its end."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    with Proxy() as proxy, Backend(tls=context) as backend:
        monkeypatch.setenv("HTTPS_PROXY", scheme + proxy.address)
        netloc = backend.url.removeprefix("https://").replace("127.0.0.1", "localhost")
        transport = connect(f"https://{netloc}")
        transport.connect(5)
        assert [post(transport), post(transport)] == [200, 200]
        assert proxy.asked == [f"CONNECT {netloc}"]
        assert backend.requests[0].headers["host"] == netloc
        transport.close()


def test_proxy_gets_the_credentials_of_its_url(
    backend: Backend,
    tls_backend: Backend,
    connect: Callable[[str], Transport],
    trusted: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Credentials in its URL, percent-encoded; the backend does not see them."""
    with Proxy("user:p@ss") as proxy:
        for name in ("HTTP_PROXY", "HTTPS_PROXY"):
            monkeypatch.setenv(name, f"http://user:p%40ss@{proxy.address}")
        secure = connect(tls_backend.url)
        assert [post(connect(backend.url)), post(secure)] == [200, 200]
        assert "proxy-authorization" not in backend.requests[0].headers | tls_backend.requests[0].headers
        secure.close()
        for name in ("HTTP_PROXY", "HTTPS_PROXY"):
            monkeypatch.setenv(name, f"http://{proxy.address}")
        assert post(connect(backend.url)) == 407
        with pytest.raises(OSError, match="407"):
            post(connect(tls_backend.url))


@pytest.mark.parametrize(
    ("no_proxy", "direct"),
    [
        ("127.0.0.1", True),
        ("*", True),
        ("example.com, 127.0.0.1", True),
        ("127.0.0.1:{port}", True),
        ("127.0.0.1:1", False),
        ("example.com", False),
        ("", False),
    ],
)
def test_no_proxy_excludes_hosts(
    backend: Backend,
    connect: Callable[[str], Transport],
    monkeypatch: pytest.MonkeyPatch,
    no_proxy: str,
    direct: bool,
) -> None:
    """Names who is to be asked directly, with or without a port."""
    with Proxy() as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://{proxy.address}")
        monkeypatch.setenv("NO_PROXY", no_proxy.format(port=backend.url.rpartition(":")[2]))
        assert post(connect(backend.url)) == 200
        assert (proxy.asked == []) is direct


@pytest.fixture
def proxy_context(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


def test_proxy_over_tls(
    backend: Backend,
    tls_backend: Backend,
    proxy_context: ssl.SSLContext,
    connect: Callable[[str], Transport],
    trusted: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """https:// in its URL is meant so: no password goes out in clear. TLS to the backend goes through that to it."""
    with Proxy("user:pass", proxy_context) as proxy:
        for name in ("HTTP_PROXY", "HTTPS_PROXY"):
            monkeypatch.setenv(name, f"https://user:pass@{proxy.address}")
        secure, plain = connect(tls_backend.url), connect(backend.url)
        large = b'{"n": "%b"}' % (b"x" * 3_000_000)
        assert [post(secure), post(secure, large), post(plain), post(plain)] == [200] * 4
        assert proxy.asked == [f"CONNECT {tls_backend.url[8:]}", *[f"POST {backend.url}/v1/ingest"] * 2]
        assert len(tls_backend.requests[1].events[0]["n"]) == 3_000_000
        secure.close()
        plain.close()


def test_proxy_with_an_untrusted_certificate_is_refused(
    tls_backend: Backend, proxy_context: ssl.SSLContext, connect: Callable[[str], Transport], monkeypatch: Any
) -> None:
    """Nothing is sent to such a proxy."""
    with Proxy("user:pass", proxy_context) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"https://user:pass@{proxy.address}")
        with pytest.raises(ssl.SSLCertVerificationError):
            post(connect(tls_backend.url))
        assert proxy.asked == []


def test_https_proxy_that_speaks_plain_http_is_an_oserror(
    tls_backend: Backend, connect: Callable[[str], Transport], trusted: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Does not get the password either."""
    with Proxy("user:pass") as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"https://user:pass@{proxy.address}")
        with pytest.raises(OSError):  # noqa: PT011
            post(connect(tls_backend.url))
        assert proxy.asked == []


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("http://proxy:port", "port"),
        ("http://user:hunter2@proxy:port", "port"),
        ("http://user:hun/ter2@proxy", "port"),
        ("http://user:hunter2@[proxy", "port"),
        ("socks5://user:hunter2@proxy:1080", "socks5:// is not supported"),
    ],
)
def test_invalid_proxy_url_is_an_error_without_its_password(
    backend: Backend, connect: Callable[[str], Transport], monkeypatch: pytest.MonkeyPatch, url: str, problem: str
) -> None:
    """An odd variable is an error of the request, like any other; and then of none. Its password is not in it."""
    transport = connect(backend.url)
    monkeypatch.setenv("HTTP_PROXY", url)
    with pytest.raises(ValueError, match=problem) as caught:
        post(transport)
    assert "hun" not in f"{caught.value} {caught.value.__cause__}"
    assert transport.destination == backend.url
    monkeypatch.delenv("HTTP_PROXY")
    assert post(transport) == 200
