"""Requests of the real libraries, to a real server: which carry the trace context, and which do not."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Iterator
from typing import Any

import aiohttp
import httpx
import httpx2
import pytest
import requests
import urllib3

from tests.outbound.server import Server
from tests.support import TRACE, TRACEPARENT
from zespan_serverless import _outbound, flush, span, testing, zespan_lambda
from zespan_serverless._outbound import http as injecting
from zespan_serverless._outbound.headers import trace_headers
from zespan_serverless.testing import LambdaContext

EVENT = {"headers": {"traceparent": TRACEPARENT, "tracestate": "a=1", "baggage": "b=2"}}


def by_httpx(module: Any) -> Callable[..., int]:
    def send(url: str, **headers: str) -> int:
        return int(module.get(url, headers=headers, follow_redirects=True, verify=False).status_code)

    return send


def by_async_httpx(module: Any) -> Callable[..., int]:
    def send(url: str, **headers: str) -> int:
        async def ask() -> int:
            async with module.AsyncClient(verify=False) as client:
                return int((await client.get(url, headers=headers, follow_redirects=True)).status_code)

        return asyncio.run(ask())

    return send


def by_requests(url: str, **headers: str) -> int:
    return requests.get(url, headers=headers, timeout=10).status_code


def by_urllib3(url: str, **headers: str) -> int:
    return urllib3.PoolManager().request("GET", url, headers=headers or None).status


def by_aiohttp(url: str, **headers: str) -> int:
    async def ask() -> int:
        async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as answer:
            return answer.status

    return asyncio.run(ask())


SENDERS: dict[str, Callable[..., int]] = {
    "httpx": by_httpx(httpx),
    "httpx async": by_async_httpx(httpx),
    "httpx2": by_httpx(httpx2),
    "httpx2 async": by_async_httpx(httpx2),
    "requests": by_requests,
    "urllib3": by_urllib3,
    "aiohttp": by_aiohttp,
}


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        yield server


@pytest.fixture(params=SENDERS)
def send(request: pytest.FixtureRequest) -> Callable[..., int]:
    return SENDERS[request.param]


def traced(work: Callable[[], object], *hosts: str, event: Any = EVENT, **settings: Any) -> list[dict[str, Any]]:
    """Return the events of an invocation that does this."""

    @zespan_lambda(propagate_to=hosts, **settings)
    def handler(event: Any, context: object) -> None:
        with span("ask"):
            work()

    with testing.recording() as events:
        handler(event, LambdaContext())
        flush(5)
    return events


def test_a_request_to_a_host_of_the_list_joins_the_trace(send: Callable[..., int], server: Server) -> None:
    """As a child of the span that it is made in, with state and baggage."""
    step, _ = traced(lambda: send(server.url()), "127.0.0.1")
    expected = {"traceparent": f"00-{TRACE}-{step['span_id']}-01", "tracestate": "a=1", "baggage": "b=2"}
    assert server.contexts == [expected]


@pytest.mark.parametrize("hosts", [(), ("localhost",), ("127.0.0.1:1",), ("*.localhost",), ("aws:sqs",)])
def test_a_request_to_any_other_host_is_the_users_own(
    send: Callable[..., int], server: Server, hosts: tuple[str, ...]
) -> None:
    """Also to another port of a host that is allowed."""
    traced(lambda: send(server.url()), *hosts)
    assert server.contexts == [{}]


def test_outside_an_invocation_nothing_is_added(send: Callable[..., int], server: Server) -> None:
    """There is no trace to join."""
    traced(lambda: send(server.url()), "127.0.0.1")
    send(server.url())
    assert [bool(context) for context in server.contexts] == [True, False]


def test_what_the_user_has_set_stays(send: Callable[..., int], server: Server) -> None:
    """A trace of another tool's is not ours to replace, and our state does not belong to it; baggage is no trace."""
    theirs = f"00-{'c' * 32}-{'d' * 16}-00"
    traced(lambda: send(server.url(), traceparent=theirs), "127.0.0.1")
    traced(lambda: send(server.url(), Baggage="mine=1"), "127.0.0.1")
    first, second = server.contexts
    assert first == {"traceparent": theirs, "baggage": "b=2"}
    assert (second["baggage"], second["tracestate"]) == ("mine=1", "a=1")


def test_a_redirect_to_another_host_carries_nothing(send: Callable[..., int], server: Server) -> None:
    """The other host is asked without what the first one got."""
    away = server.url(f"/redirect?to={server.url('/there', 'localhost')}")
    traced(lambda: send(away), f"127.0.0.1:{server.port}")
    assert [bool(context) for context in server.contexts] == [True, False]
    assert server.requests[1][":path"] == "/there"


def test_a_redirect_from_another_host_carries_the_context(send: Callable[..., int], server: Server) -> None:
    """Each hop is judged by itself, in both directions, and on the same host."""
    back = server.url(f"/redirect?to={server.url('/redirect?to=/there')}", "localhost")
    traced(lambda: send(back), "127.0.0.1")
    assert [bool(context) for context in server.contexts] == [False, True, True]
    assert server.contexts[1] == server.contexts[2]


def test_a_request_that_is_signed_for_aws_stays_as_it_is(send: Callable[..., int], server: Server) -> None:
    """The signature would not cover the headers."""
    traced(lambda: send(server.url(), Authorization="AWS4-HMAC-SHA256 Credential=..."), "127.0.0.1")
    traced(lambda: send(server.url(), Authorization="Bearer x"), "127.0.0.1")
    assert [bool(context) for context in server.contexts] == [False, True]


@pytest.mark.parametrize("failing", ["allowed", "headers_beside"])
def test_an_internal_failure_does_not_stop_the_request(
    send: Callable[..., int], server: Server, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    """Once, without the context, and with the library's own answer."""

    def fail(*_: object) -> Any:
        raise RuntimeError("ours")

    answers: list[int] = []
    monkeypatch.setattr(injecting, failing, fail)
    events = traced(lambda: answers.append(send(server.url())), "127.0.0.1")
    assert answers == [200]
    assert server.contexts == [{}]
    assert [event["status"] for event in events] == ["success", "success"]


def test_a_refused_connection_is_the_librarys_own_exception(send: Callable[..., int], server: Server) -> None:
    """It passes through."""
    caught: list[BaseException] = []

    def ask() -> None:
        try:
            send("http://127.0.0.1:1/")
        except Exception as error:
            caught.append(error)

    traced(ask, "127.0.0.1")
    (error,) = caught
    assert type(error).__module__.partition(".")[0] in ("httpx", "httpx2", "requests", "urllib3", "aiohttp")


def test_the_users_request_and_headers_are_not_changed(server: Server) -> None:
    """An object that is sent twice carries the span of each time."""
    headers = {"x": "y"}

    def ask() -> None:
        with httpx.Client(verify=False) as client:
            request = client.build_request("GET", server.url(), headers=headers)
            for _ in range(2):
                with span("one"):
                    answer = client.send(request)
                assert answer.request is request
                assert "traceparent" not in request.headers
        prepared = requests.Request("GET", server.url(), headers=headers).prepare()
        with requests.Session() as session:
            session.send(prepared)
        assert "traceparent" not in prepared.headers
        urllib3.PoolManager(headers=headers).request("GET", server.url())
        assert headers == {"x": "y"}

    events = traced(ask, "127.0.0.1")
    spans = [context["traceparent"].split("-")[2] for context in server.contexts]
    step = next(event["span_id"] for event in events if event["operation"] == "ask")
    assert spans[:2] == [event["span_id"] for event in events if event["operation"] == "one"]
    assert spans[2:] == [step, step]


def test_a_proxy_is_judged_by_whom_the_request_is_for(server: Server) -> None:
    """urllib3 sends the whole URL to a proxy: the host in it counts, and not that of the proxy."""

    def ask() -> None:
        proxy = urllib3.ProxyManager(server.url())
        proxy.request("GET", "http://api.example.com/a")
        proxy.request("GET", "http://127.0.0.1:9/b")

    traced(ask, "*.example.com")
    assert [request[":path"] for request in server.requests] == ["http://api.example.com/a", "http://127.0.0.1:9/b"]
    assert [bool(context) for context in server.contexts] == [True, False]


def test_a_path_is_no_host(send: Callable[..., int], server: Server) -> None:
    """One that begins with `//` looks like a host, and one may be in the query."""
    traced(lambda: send(server.url("//api.example.com/a")), "api.example.com")
    traced(lambda: send(server.url("/a?http://api.example.com")), "api.example.com")
    traced(lambda: send(server.url("//api.example.com/a")), "127.0.0.1")
    assert [bool(context) for context in server.contexts] == [False, False, True]


def test_a_body_that_is_streamed_is_sent_whole(server: Server) -> None:
    """The request that is sent in the place of the user's has the same body."""
    sent: list[bool] = []

    def ask() -> None:
        with httpx.Client(verify=False) as client:
            answer = client.post(server.url(), content=iter([b"a" * 10, b"b" * 10]), headers={"content-length": "20"})
            sent.append(answer.is_success)

    traced(ask, "127.0.0.1")
    assert sent == [True]
    assert server.requests[0]["content-length"] == "20"
    assert "traceparent" in server.contexts[0]


def test_patching_is_idempotent(server: Server) -> None:
    """However often: one wrapper, one set of headers."""
    traced(lambda: httpx.get(server.url()), "127.0.0.1")
    method = httpx.HTTPTransport.handle_request
    _outbound.watch()
    assert httpx.HTTPTransport.handle_request is method
    assert inspect.iscoroutinefunction(httpx.AsyncHTTPTransport.handle_async_request)
    assert inspect.iscoroutinefunction(aiohttp.ClientRequest.send)


def test_the_trace_is_not_random_where_the_caller_does_not_say_so(server: Server) -> None:
    """The header is what `trace_headers` gives."""
    made: list[dict[str, str]] = []

    def ask() -> None:
        made.append(trace_headers())
        httpx.get(server.url())

    traced(ask, "127.0.0.1", event={})
    assert server.contexts == made
