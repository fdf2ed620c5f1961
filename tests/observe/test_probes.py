"""Health checks and what platforms announce: no events, unless there is something to tell."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest

from tests.wsgi.test_wsgi import environ, serve
from zespan_serverless import capture, span, testing, traceparent
from zespan_serverless._observe.web import WebHost
from zespan_serverless._record.invocation import ColdStart
from zespan_serverless.wsgi import ZespanMiddleware


def _app(given: dict[str, Any], start_response: Any) -> list[bytes]:
    status = "503 Sorry" if "sick" in given["QUERY_STRING"] else "200 OK"
    if "step" in given["QUERY_STRING"]:
        with span("step"):
            pass
    if "event" in given["QUERY_STRING"]:
        capture({"operation": "event"})
    if "asks" in given["QUERY_STRING"]:
        traceparent()
    if "fails" in given["QUERY_STRING"]:
        raise LookupError
    start_response(status, [])
    return [b"x"]


def _asked(path: str, query: str = "", agent: str = "curl/8", **more: str) -> list[dict[str, Any]]:
    app = ZespanMiddleware(_app)
    with testing.recording() as events, contextlib.suppress(LookupError):
        serve(app, environ(path, {"QUERY_STRING": query, "HTTP_USER_AGENT": agent, **more}))
    return events


@pytest.mark.parametrize("path", ["/health", "/healthz", "/Ping", "/readyz/", "/pre-stop", "/_ah/warmup"])
def test_a_health_check_that_finds_all_well_has_no_event(path: str) -> None:
    """By its path."""
    assert _asked(path) == []


@pytest.mark.parametrize("agent", ["kube-probe/1.31", "GoogleHC/1.0", "ELB-HealthChecker/2.0", "AlwaysOn"])
def test_a_health_check_is_known_by_who_asks(agent: str) -> None:
    """Wherever it looks."""
    assert _asked("/", agent=agent) == []
    assert len(_asked("/")) == 1


def test_hooks_of_a_platform_have_no_event() -> None:
    """Their names are not those of applications."""
    assert _asked("/aws/lambda-microvms/runtime/v1/suspend", REQUEST_METHOD="POST") == []


@pytest.mark.parametrize(
    ("query", "count"), [("sick", 1), ("fails", 1), ("step", 2), ("event", 2), ("asks", 1), ("", 0)]
)
def test_a_health_check_with_something_to_tell_has_its_event(query: str, count: int) -> None:
    """That it has failed, or what has happened in it, of which other events are parts."""
    assert len(_asked("/health", query)) == count


@pytest.mark.parametrize("path", ["/health/records", "/healthy", "/orders/ping", "/"])
def test_other_paths_are_those_of_requests(path: str) -> None:
    """Only what is nothing but a health check."""
    assert len(_asked(path)) == 1


def test_the_first_reported_request_is_the_cold_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Though a health check came before it."""
    monkeypatch.setattr(WebHost, "origin", lambda self: ColdStart("cold"))
    app = ZespanMiddleware(_app)
    with testing.recording() as events:
        for path in ("/health", "/", "/"):
            serve(app, environ(path, {"QUERY_STRING": ""}))
    assert [event["metadata"]["start_kind"] for event in events] == ["cold", "warm"]
