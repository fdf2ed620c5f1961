"""`propagate_to`: what its entries mean, and that what cannot be understood is refused."""

from __future__ import annotations

import logging
import subprocess
import sys
import textwrap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zespan_serverless import ConfigurationError
from zespan_serverless._outbound.allowed import Allowed
from zespan_serverless.settings import check, resolve


def entries(*given: str) -> tuple[str, ...]:
    found: tuple[str, ...] = check({"propagate_to": given})["propagate_to"]
    return found


@pytest.mark.parametrize(
    ("entry", "url", "expected"),
    [
        ("api.example.com", ("https", "api.example.com", None), True),
        ("api.example.com", ("http", "API.example.com.", 8080), True),
        ("API.Example.com.", ("https", "api.example.com", 443), True),
        ("api.example.com", ("https", "api.example.com.evil.com", None), False),
        ("api.example.com", ("https", "evilapi.example.com", None), False),
        ("api.example.com", ("https", "a.api.example.com", None), False),
        ("api.example.com:443", ("https", "api.example.com", None), True),
        ("api.example.com:443", ("http", "api.example.com", None), False),
        ("api.example.com:8443", ("https", "api.example.com", 8443), True),
        ("api.example.com:8443", ("https", "api.example.com", 443), False),
        ("*.example.com", ("https", "a.b.example.com", None), True),
        (".example.com", ("https", "a.example.com", None), True),
        ("*.example.com", ("https", "example.com", None), False),
        ("*.example.com", ("https", "badexample.com", None), False),
        ("*.example.com", ("https", ".example.com", None), False),
        ("*.example.com:80", ("http", "a.example.com", None), True),
        ("*.example.com:80", ("https", "a.example.com", None), False),
        ("*.svc.cluster.local", ("http", "orders.shop.svc.cluster.local", 8080), True),
        ("localhost", ("http", "localhost", 3000), True),
        ("127.0.0.1", ("http", "127.0.0.1", 1), True),
        ("[::1]", ("http", "::1", 1), True),
        ("[::1]:8080", ("http", "[::1]", 8080), True),
        ("[::1]:8080", ("http", "::1", 80), False),
        ("aws:sqs", ("https", "sqs", None), False),
        ("aws:sqs", ("https", "aws", None), False),
        ("sqs.eu-west-1.amazonaws.com", ("https", "sqs.eu-west-1.amazonaws.com", None), True),
        ("example.com", ("https", "", None), False),
    ],
)
def test_which_hosts_an_entry_is_for(entry: str, url: tuple[str, str, int | None], expected: bool) -> None:
    """A host at any port or at one, or all hosts below a domain, which is not among them."""
    assert Allowed(entries(entry)).host(*url) is expected


def test_services_of_aws_are_named() -> None:
    """A host of AWS's says nothing of messages, and a service nothing of requests."""
    where = Allowed(entries("aws:sqs", "AWS:Lambda", "*.amazonaws.com"))
    assert [where.service(name) for name in ("sqs", "lambda", "sns", "events", "")] == [True, True, False, False, False]


@pytest.mark.parametrize(
    "entry",
    [
        *("*", "*.", ".", "*.*", "a.*.com", "*example.com", "a..b", "-a.com", "a-.com", "a b.com", "a.com:", "a.com:0"),
        *(
            "a.com:65536",
            "a.com:x",
            "https://a.com",
            "a.com/path",
            "user@a.com",
            "bücher.example",
            "::1",
            "[::1",
            "[x]",
        ),
        *("[::1]:0", "*.0.0.1", "*.1", "aws:s3", "aws:", "aws:*", "a.com?x", "a,b", "a\nb", "a.com:443:443", "[::1]x"),
    ],
)
def test_what_cannot_be_understood_is_refused(entry: str) -> None:
    """While configuring, with what to write instead."""
    with pytest.raises(ConfigurationError, match="propagate_to"):
        entries("api.example.com", entry)


@given(st.text(max_size=30), st.text(max_size=30))
def test_whatever_is_accepted_is_no_wildcard_for_all(entry: str, host: str) -> None:
    """An entry that is accepted is for hosts that end as it does."""
    try:
        (accepted,) = entries(entry) or ("nothing",)
    except ConfigurationError:
        return
    if Allowed((accepted,)).host("https", host, None):
        ending = accepted.removeprefix("*").removesuffix(":443").strip("[]")
        assert host.lower().strip("[]").removesuffix(".").endswith(ending)
        assert len(ending) > 1 or ending == host.lower().strip("[]").removesuffix(".")


def test_a_mistake_in_the_environment_allows_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """Not even the entries beside it, and the log says what to write."""
    assert resolve({}, {"ZESPAN_PROPAGATE_TO": "API.example.com, *.internal;aws:sqs"}).propagate_to == (
        *("api.example.com", "*.internal", "aws:sqs"),
    )
    with caplog.at_level(logging.WARNING):
        assert resolve({}, {"ZESPAN_PROPAGATE_TO": "api.example.com,*"}).propagate_to == ()
    assert "ZESPAN_PROPAGATE_TO" in caplog.text


def test_nothing_is_patched_or_imported_without_the_setting() -> None:
    """The libraries' methods stay unpatched, and no module of the package is imported."""
    script = """
        import sys
        from zespan_serverless import init
        init(exporter="memory")
        import httpx, urllib3, aiohttp, botocore.client
        assert not [name for name in sys.modules if name.startswith("zespan_serverless._outbound")]
        for method in (httpx.HTTPTransport.handle_request, urllib3.HTTPConnectionPool._make_request,
                       aiohttp.ClientRequest.send, botocore.client.BaseClient._make_api_call):
            assert not hasattr(method, "__zespan_outbound__")
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=True, timeout=60)


def test_libraries_are_patched_when_they_are_imported_and_not_imported() -> None:
    """Whichever comes first."""
    script = """
        import sys
        import urllib3
        from zespan_serverless import init
        init(exporter="memory", propagate_to=["api.example.com"])
        assert not {"httpx", "aiohttp", "botocore"} & sys.modules.keys()
        import httpx, aiohttp, botocore.client
        for method in (httpx.HTTPTransport.handle_request, urllib3.HTTPConnectionPool._make_request,
                       aiohttp.ClientRequest.send, botocore.client.BaseClient._make_api_call):
            assert hasattr(method, "__zespan_outbound__")
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=True, timeout=60)
