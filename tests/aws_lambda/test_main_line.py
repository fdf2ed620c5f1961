"""What an invocation on Lambda tells: one trace, whole by the time it is over, with all that Lambda says about it."""

from __future__ import annotations

import time
from typing import Any

import pytest
from zespan_serverless_dev.emulator.model import ModelEndpoint

from tests.aws_lambda.support import StartFunction, calls, roots
from zespan_serverless.aws_lambda import _cold_start
from zespan_serverless.testing import Backend

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACEPARENT = f"00-{TRACE}-{SPAN}-01"

HTTP_EVENTS: dict[str, Any] = {
    "apigateway-v2": {
        "version": "2.0",
        "routeKey": "GET /greetings/{name}",
        "rawPath": "/greetings/ada",
        "headers": {"traceparent": TRACEPARENT},
        "requestContext": {"domainName": "a1.execute-api.us-east-1.amazonaws.com", "http": {"method": "GET"}},
    },
    "function-url": {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": "/greetings/ada",
        "headers": {"traceparent": TRACEPARENT},
        "requestContext": {"domainName": "a1.lambda-url.us-east-1.on.aws", "http": {"method": "GET"}},
    },
    "apigateway": {
        "resource": "/greetings/{name}",
        "path": "/greetings/ada",
        "httpMethod": "GET",
        "headers": {"Host": "a1.execute-api.us-east-1.amazonaws.com"},
        "multiValueHeaders": {"TraceParent": [TRACEPARENT]},
        "requestContext": {"resourcePath": "/greetings/{name}"},
    },
    "alb": {
        "httpMethod": "GET",
        "path": "/greetings/ada",
        "headers": {"traceparent": TRACEPARENT},
        "requestContext": {"elb": {"targetGroupArn": "arn:aws:elasticloadbalancing:us-east-1:1:targetgroup/t/1"}},
    },
}


def test_each_invocation_is_one_trace_in_one_request(
    start: StartFunction, backend: Backend, model: ModelEndpoint
) -> None:
    """Each invocation sends its model call and itself, as one trace in one request, before it is over."""
    sandbox = start("chat.handler", env={"OPENAI_BASE_URL": model.url, "OPENAI_API_KEY": "none"}, timeout=20)
    for number in (1, 2, 3):
        answer = sandbox.invoke({})
        assert answer.payload == "Hello, serverless world!"
        assert len(backend.requests) == number
        ((call,), (root,)) = calls(backend.requests[-1].events), roots(backend.requests[-1].events)
        assert len(backend.events) == 2 * number
        assert call["trace_id"] == root["trace_id"]
        assert call["parent_span_id"] == root["span_id"]
        assert root["parent_span_id"] is None
        assert (call["model"], call["input_tokens"]) == ("gpt-4o-mini", 12)
    assert len({event["trace_id"] for event in backend.events}) == 3
    assert len({event["event_id"] for event in backend.events}) == 6
    assert backend.connections == 1


def test_what_the_root_event_says(start: StartFunction, backend: Backend) -> None:
    """The root event names function, version, request, trigger and memory, how it started and the time it had."""
    sandbox = start("steps.handler", timeout=10, memory=256)
    cold, warm = sandbox.invoke({"sleep": 0.1}), sandbox.invoke({"sleep": 0.1})
    first, second = (root["metadata"] for root in roots(backend.events))
    for said, answer in ((first, cold), (second, warm)):
        assert said["faas.name"] == "emulated"
        assert said["faas.version"] == "$LATEST"
        assert said["faas.invocation_id"] == answer.request_id
        assert said["faas.trigger"] == "other"
        assert said["faas.max_memory"] == 256 * 1024 * 1024
        assert said["aws.lambda.invoked_arn"].endswith(":function:emulated")
        assert said["cloud.resource_id"].startswith("arn:aws:lambda:us-east-1:")
        assert (said["cloud.provider"], said["cloud.region"]) == ("aws", "us-east-1")
        assert 100 <= said["handler_duration_ms"] <= answer.wall_ms
        assert 2000 < said["time_left_at_end_ms"] <= said["time_left_at_start_ms"] - 100 <= 9900
        assert 1_000_000 < said["memory_max_rss_bytes"] < 1_000_000_000
    assert (first["start_kind"], second["start_kind"]) == ("cold", "warm")
    assert (first["faas.coldstart"], second["faas.coldstart"]) == (True, False)
    assert cold.init_ms is not None
    assert 5 < first["init_duration_ms"] < cold.init_ms + 100
    assert "init_duration_ms" not in second
    assert roots(backend.events)[0]["operation"] == "emulated"


def test_exception_is_on_the_root_event_and_in_lambdas_answer(start: StartFunction, backend: Backend) -> None:
    """An exception is Lambda's to report as ever, and on the root event too."""
    answer = start("steps.handler").invoke({"raise": "no luck"})
    assert (answer.payload["errorType"], answer.payload["errorMessage"]) == ("ValueError", "no luck")
    assert not any("zespan_serverless" in frame for frame in answer.payload["stackTrace"][-1:])
    (root,) = roots(backend.events)
    assert (root["status"], root["error_message"]) == ("error", "no luck")
    assert root["metadata"]["error.type"] == "ValueError"


def test_traceparent_header_continues_the_callers_trace(start: StartFunction, backend: Backend) -> None:
    """A traceparent header makes the invocation part of the caller's trace, however the front end spells headers."""
    sandbox = start("steps.handler")
    for event in HTTP_EVENTS.values():
        assert sandbox.invoke(event).status == 200
    for source, root, call in zip(HTTP_EVENTS, roots(backend.events), calls(backend.events), strict=True):
        assert (root["trace_id"], root["parent_span_id"]) == (TRACE, SPAN)
        assert (call["trace_id"], call["parent_span_id"]) == (TRACE, root["span_id"])
        said = root["metadata"]
        assert (said["faas.trigger"], said["aws.lambda.event_source"]) == ("http", source)
        assert (said["http.request.method"], said["url.path"]) == ("GET", "/greetings/ada")


def test_xray_is_a_link(start: StartFunction, backend: Backend) -> None:
    """X-Ray's trace is linked to; it does not become the parent, since its spans are not where ours are."""
    sandbox = start("steps.handler")
    header = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=0"
    sandbox.invoke({}, headers={"x-amzn-trace-id": header})
    (root,) = roots(backend.events)
    link = {"type": "xray", "trace_id": "5759e988bd862e3fe1be46a994272793", "span_id": "53995c3f42cd8ad8"}
    assert root["metadata"]["links"] == [link]
    assert root["parent_span_id"] is None
    assert root["trace_id"] != link["trace_id"]


def test_provisioned_concurrency_is_not_a_cold_start(start: StartFunction, backend: Backend) -> None:
    """A sandbox that is paid for ahead of time says so, and does not count as a cold start."""
    sandbox = start("steps.handler", init_type="provisioned-concurrency")
    sandbox.invoke()
    (root,) = roots(backend.events)
    assert root["metadata"]["start_kind"] == "provisioned"
    assert root["metadata"]["faas.coldstart"] is False


def test_provisioned_sandbox_after_a_reset(start: StartFunction, backend: Backend) -> None:
    """What is paid for is that the first process is there in time; who comes after a timeout starts late."""
    sandbox = start("steps.handler", init_type="provisioned-concurrency", timeout=3)
    sandbox.invoke()
    assert sandbox.invoke({"sleep": 20}).timed_out
    sandbox.invoke()
    assert [root["metadata"]["start_kind"] for root in roots(backend.events)] == ["provisioned", "warm", "reinit"]


def test_root_event_names_the_tenant(start: StartFunction, backend: Backend) -> None:
    """Whose invocation it was, of a function that keeps its tenants apart."""
    sandbox = start("steps.handler")
    sandbox.invoke({}, headers={"X-Amz-Tenant-Id": "blue"})
    sandbox.invoke({})
    assert [root["metadata"].get("aws.lambda.tenant_id") for root in roots(backend.events)] == ["blue", None]


def test_start_after_a_reset(start: StartFunction, backend: Backend) -> None:
    """After a timeout the next process knows that it is not the sandbox's first, and says so."""
    sandbox = start("steps.handler", timeout=3)
    assert sandbox.invoke({"sleep": 20}).timed_out
    assert sandbox.invoke().status == 200
    late, root = roots(backend.events)
    assert (late["status"], late["metadata"]["start_kind"]) == ("timeout", "cold")
    assert root["metadata"]["start_kind"] == "reinit"
    assert root["metadata"]["init_duration_ms"] > 5


@pytest.mark.parametrize(
    ("waited", "known", "kind"),
    [(0.2, False, "cold"), (9.9, False, "cold"), (10.1, False, "proactive"), (0, True, "reinit"), (99, True, "reinit")],
)
def test_first_call_long_after_the_import_is_a_proactive_start(waited: float, known: bool, kind: str) -> None:
    """A long time between import and first call means that Lambda started the sandbox ahead of it."""
    assert _cold_start._kind(waited, known) == kind


def test_init_duration_is_the_process_age_at_import(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time that passes between import and the first call is none of the init's."""
    monkeypatch.setattr(_cold_start, "_imported_at", None)
    assert _cold_start._init_ms() is None
    _cold_start.imported()
    at_once = _cold_start._init_ms()
    time.sleep(0.3)
    later = _cold_start._init_ms()
    assert at_once is not None
    assert later is not None
    assert abs(later - at_once) < 100
