"""Spans by OTLP from Lambda: after the response, and what a function leaves that does not get to its end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from zespan_serverless_dev.emulator.model import ModelEndpoint

from tests.aws_lambda.support import StartFunction, until
from tests.exporters.otlp.support import Endpoint, plain

TIMEOUT = 3  # seconds; with less, the init alone takes it up on a busy machine


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with Endpoint() as endpoint:
        yield endpoint


def environment(endpoint: Endpoint, **more: str) -> dict[str, str]:
    """OpenTelemetry's variables, in a format that a test can read."""
    standard = {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint.url, "OTEL_EXPORTER_OTLP_PROTOCOL": "http/json"}
    return {"ZESPAN_EXPORTER": "otlp", "ZESPAN_BASE_URL": "", **standard, **more}


def invocations(endpoint: Endpoint) -> list[dict[str, Any]]:
    """Return the attributes of the spans of invocations, each once, in order of arrival."""
    told: dict[str, dict[str, Any]] = {}
    for span in endpoint.spans():
        attributes = plain(span["attributes"])
        if attributes["zespan.span_kind"] == "invocation":
            told[span["spanId"]] = attributes
    return list(told.values())


def test_a_call_of_a_model_is_below_its_invocation(
    start: StartFunction, endpoint: Endpoint, model: ModelEndpoint
) -> None:
    """Both in one trace; the resource is the function."""
    env = environment(endpoint, OPENAI_BASE_URL=model.url, OPENAI_API_KEY="k", OTEL_RESOURCE_ATTRIBUTES="team=search")
    assert start("unfinished.handler", env=env).invoke({"ask": "Hi"}).payload == "answered"
    until(lambda: invocations(endpoint))
    spans = {span["name"]: span for span in endpoint.spans()}
    call = next(span for name, span in spans.items() if name.startswith("chat "))
    (root,) = [span for span in spans.values() if span["kind"] == 2]
    step = next(span for span in spans.values() if span["spanId"] == call["parentSpanId"])
    assert root["spanId"] in (step["spanId"], step.get("parentSpanId"))
    assert call["traceId"] == root["traceId"]
    assert plain(call["attributes"])["gen_ai.usage.input_tokens"] == 12
    attributes = plain(endpoint.documents()[-1]["resourceSpans"][0]["resource"]["attributes"])
    assert attributes["service.name"]
    assert (attributes["cloud.provider"], attributes["team"]) == ("aws", "search")


@pytest.mark.parametrize(
    ("event", "status"), [({"sleep": 30}, "timeout"), ({"kill": True}, "crashed"), ({"exit": 1}, "crashed")]
)
def test_what_does_not_get_to_its_end_is_a_span_that_failed(
    start: StartFunction, endpoint: Endpoint, event: dict[str, Any], status: str
) -> None:
    """The function's own timeout, SIGKILL, and the end of the process: told once, with the time that it took."""
    sandbox = start("unfinished.handler", env=environment(endpoint), timeout=TIMEOUT)
    assert sandbox.invoke(event).reset
    assert sandbox.invoke({}).payload == "answered"
    until(lambda: len(invocations(endpoint)) >= 2)
    sandbox.stop()
    # In any order: what the killed process has left may be sent after what its successor has.
    assert {one.get("error.type") for one in invocations(endpoint)} == {status, None}
    assert len(invocations(endpoint)) == 2
    (failed,) = [span for span in endpoint.spans() if span["kind"] == 2 and span["status"]]
    assert failed["status"]["code"] == 2
    assert failed["events"][0]["name"] == "exception"


def test_what_an_endpoint_did_not_take_the_next_process_sends(start: StartFunction, endpoint: Endpoint) -> None:
    """Spans wait in the journal while the endpoint is out of order, and outlive the process."""
    endpoint.status = 503
    sandbox = start("unfinished.handler", env=environment(endpoint), timeout=TIMEOUT)
    assert sandbox.invoke({}).payload == "answered"
    until(lambda: endpoint.requests)
    assert sandbox.invoke({"kill": True}).reset
    endpoint.requests.clear()
    endpoint.status = 200
    assert sandbox.invoke({}).payload == "answered"
    until(lambda: len(invocations(endpoint)) >= 3)
    assert [one.get("error.type") for one in invocations(endpoint)].count("crashed") == 1
