"""Carbon: the events that its pages describe, its requests, and its key."""

from __future__ import annotations

import json
import logging
import re
import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import zespan_serverless
from zespan_serverless import ConfigurationError, FlushIncomplete, capture, flush_pending_events, testing, zespan_lambda
from zespan_serverless._process import container as _container
from zespan_serverless._process.container import build_exporter, journal_of
from zespan_serverless._record.model import Answer, Model, Prompt
from zespan_serverless._record.policy import Policy
from zespan_serverless._record.record import Record, Resource
from zespan_serverless._record.step import Step
from zespan_serverless._trace import Span, new_span
from zespan_serverless.exporters import Outcome
from zespan_serverless.exporters._carbon import carbon_event_of
from zespan_serverless.exporters.carbon import CarbonExporter
from zespan_serverless.settings import Settings, resolve, usable
from zespan_serverless.testing import Backend

UUID4 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
COUNTS = {
    "inputTokens": int,
    "inputTokenDetails": {"uncachedTokens": int, "cacheReadTokens": int, "cacheWriteTokens": int},
    "outputTokens": int,
    "outputTokenDetails": {"reasoningTokens": int, "responseTokens": int},
    "totalTokens": int,
}
TOOL = {"name": str, "input": str, "output": str}
LLM = {"model": str, "usage": COUNTS}
CONTENT = {
    "input": {"system": str, "prompt": str, "tools": list},
    "output": {"mode": str, "response": str, "toolCalls": list},
}
COMMON = {
    "id": str,
    "type": str,
    "traceId": str,
    "startTimeMs": int,
    "endTimeMs": int,
    "durationMs": int,
    "status": {"state": str},
    "instrumentation": {"provider": str, "sourceProvider": str, "sourcePackage": str},
    "context": dict,
    "additionalProperties": dict,
    "properties": dict,
}


def assert_of(shape: Any, value: Any, optional: tuple[str, ...] = ()) -> None:
    """That a value has these keys, with values of these types, and no others."""
    if not isinstance(shape, dict):
        assert type(value) is shape, (shape, value)
        return
    assert set(shape) - set(optional) <= set(value) <= set(shape), value
    for name in value:
        assert_of(shape[name], value[name])


def assert_valid(event: dict[str, Any]) -> None:
    """That an event is what https://docs.oncarbon.site/api-reference/schemas/event-schema describes."""
    assert_of(COMMON, event, optional=("traceId",))
    for name in ("id", "traceId"):
        assert name not in event or UUID4.fullmatch(event[name]), event[name]
    assert event["status"]["state"] in ("ok", "error")
    assert set(event["context"]) <= {"userId", "agentId", "agentGroupId", "threadId"}
    assert {type(value) for value in event["context"].values()} <= {str}
    assert {type(value) for value in event["additionalProperties"].values()} <= {str, int, float}
    assert event["endTimeMs"] >= event["startTimeMs"] >= 0 <= event["durationMs"]
    kind = event["type"]
    assert [*event["properties"]] == [kind]
    if kind == "llm":
        assert_of({**LLM, **CONTENT}, event["properties"]["llm"], optional=("input", "output"))
        usage = event["properties"]["llm"]["usage"]
        assert min(usage["totalTokens"], *usage["inputTokenDetails"].values()) >= 0
    else:
        assert_of({"tool": TOOL}, event["properties"])


def called(**settings: Any) -> Record:
    """Return a model call with everything in it, as it may be sent."""
    prompt = Prompt([{"role": "user", "content": "the question"}])
    prompt.system = "the rules"
    answer = Answer()
    answer.model, answer.text, answer.known = "gpt-4o-mini", "the answer", True
    answer.input_tokens, answer.cached_tokens, answer.cache_write_tokens = 100, 60, 10
    answer.output_tokens, answer.reasoning_tokens = 30, 12
    answer.tool("weather", '{"city": "Bern"}')
    span = Span("a" * 32, "b" * 16, "c" * 16, "user-481", "session-9", {"tier": "gold"})
    resource = Resource(Settings(), {"team": "search"})
    record = Record(span, resource, "llm", "chat", 812.6, answer.attributes, 1700000000.5)
    record.model = Model("openai", "gpt-4o", prompt, answer)
    return Policy(Settings(**settings)).applied(record)


def test_a_call_of_a_model_is_an_llm_event() -> None:
    """Model, content, tokens by kind, times, ids: each where Carbon has a place for it."""
    record = called()
    event = carbon_event_of(record)
    assert_valid(event)
    assert (event["type"], event["id"], event["status"]) == ("llm", record.event_id, {"state": "ok"})
    assert (event["startTimeMs"], event["endTimeMs"], event["durationMs"]) == (1699999999687, 1700000000500, 813)
    assert event["instrumentation"]["sourceProvider"] == "openai"
    assert event["context"] == {"userId": "user-481", "threadId": "session-9"}
    llm = event["properties"]["llm"]
    assert llm["model"] == "gpt-4o-mini"
    assert llm["input"] == {
        "system": "the rules",
        "prompt": '[{"role":"user","content":"the question"}]',
        "tools": [],
    }
    assert llm["output"] == {"mode": "generate", "response": "the answer", "toolCalls": []}
    assert llm["usage"] == {
        "inputTokens": 100,
        "inputTokenDetails": {"uncachedTokens": 30, "cacheReadTokens": 60, "cacheWriteTokens": 10},
        "outputTokens": 30,
        "outputTokenDetails": {"reasoningTokens": 12, "responseTokens": 18},
        "totalTokens": 130,
    }


def test_what_carbon_has_no_place_for_is_an_additional_property() -> None:
    """As texts and numbers: tags, tools, the ids of the span, and the provider."""
    more = carbon_event_of(called())["additionalProperties"]
    expected = {
        "trace_id": "a" * 32,
        "span_id": "b" * 16,
        "parent_span_id": "c" * 16,
        "tag.team": "search",
        "tag.tier": "gold",
        "provider": "openai",
        "tools_used": '["weather"]',
        "tool_call_args": '{"weather":{"city":"Bern"}}',
        "stream": "false",
        "environment": "production",
        "span_kind": "llm",
    }
    assert {name: more.get(name) for name in expected} == expected


def test_without_prompts_nothing_that_was_said_is_sent() -> None:
    """The numbers are."""
    event = carbon_event_of(called(store_prompts=False))
    assert_valid(event)
    assert [*event["properties"]["llm"]] == ["model", "usage"]
    assert not re.search("the question|the rules|the answer|Bern", json.dumps(event))


def test_a_trace_id_becomes_a_uuid_of_version_4() -> None:
    """Carbon wants one; the same of every event of the trace, and of no other."""
    spans = [Span(number * 32, "b" * 16) for number in "abcdef0123456789"]
    records = [Record(span, Resource(Settings()), "general", "x") for span in (*spans, *spans)]
    ids = [carbon_event_of(record)["traceId"] for record in records]
    assert ids[:16] == ids[16:]
    assert {uuid.UUID(one).version for one in ids} == {4}
    others = [Record(new_span(), Resource(Settings()), "general", "x") for _ in range(500)]
    assert len({carbon_event_of(record)["traceId"] for record in others}) == 500


def test_a_tool_is_a_tool_event() -> None:
    """With its name, and what it got and gave as text."""
    record = Record(new_span(), Resource(Settings()), "tool", "look it up", 4)
    record.step = Step()
    record.step.tool, record.step.arguments, record.step.result = "get_weather", {"city": "Bern"}, "sunny"
    event = carbon_event_of(Policy(Settings()).applied(record))
    assert_valid(event)
    assert event["properties"]["tool"] == {"name": "get_weather", "input": '{"city":"Bern"}', "output": "sunny"}


def test_a_search_has_its_query_and_its_documents() -> None:
    """As what a tool gets and gives."""
    record = Record(new_span(), Resource(Settings()), "retriever", "search")
    record.step = Step()
    record.step.query, record.step.documents, record.step.count = "Bern", [{"content": "a city"}], 1
    event = carbon_event_of(Policy(Settings()).applied(record))
    assert_valid(event)
    expected = {"name": "search", "input": "Bern", "output": '[{"content":"a city"}]'}
    assert event["properties"]["tool"] == expected
    assert event["additionalProperties"]["span_kind"] == "retriever"


def test_a_failure_has_its_text() -> None:
    """The status is `error` for whatever has gone wrong, and the text is an additional property."""
    record = Record(new_span(), Resource(Settings(service_name="checkout")), "invocation", "handler", 3000)
    record.fail(TimeoutError("too late"))
    record.status = "timeout"
    event = carbon_event_of(Policy(Settings()).applied(record))
    assert_valid(event)
    assert (event["status"], event["properties"]["tool"]["name"]) == ({"state": "error"}, "checkout")
    more = event["additionalProperties"]
    assert (more["status"], more["error_message"]) == ("timeout", "too late")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
NAMES = [
    *("event_id", "trace_id", "span_id", "timestamp", "latency_ms", "status", "operation", "span_kind", "model"),
    *("input_tokens", "output_tokens", "reasoning_tokens", "cached_tokens", "cost_usd", "metadata", "tags", "user_id"),
    *("session_id", "prompt_text", "completion_text", "system_prompt", "tools_used", "tool_call_args", "agent_id"),
    *("tool_call_result", "provider", "sdk_name", "stream", "error_message", "gen_ai.conversation.id"),
]


@given(st.dictionaries(st.sampled_from(NAMES), JSON), st.sampled_from(["llm", "embedding", "tool", "general", None]))
def test_whatever_a_user_captures_is_a_valid_event(fields: dict[str, Any], kind: str | None) -> None:
    """Fields may have values of any type."""
    record = Record(new_span(), Resource(Settings()), "general", "custom")
    record.fields = {**fields, **({"span_kind": kind} if kind else {})}
    assert_valid(json.loads(CarbonExporter("k").encode(Policy(Settings()).applied(record))))


def test_ids_and_times_of_a_users_own_are_kept() -> None:
    """As far as they are what Carbon takes."""
    record = Record(new_span(), Resource(Settings()), "general", "custom")
    mine = "7d9f2a4e-3c1b-4f6a-9e8d-2b5c7a1f4e3d"
    record.fields = {"event_id": mine, "timestamp": "2023-11-14T22:13:20.500Z", "latency_ms": 500, "trace_id": None}
    event = carbon_event_of(record)
    assert_valid(event)
    assert (event["id"], event["startTimeMs"], event["endTimeMs"]) == (mine, 1700000000000, 1700000000500)
    assert "traceId" not in event


def test_a_request_is_one_document_with_the_key() -> None:
    """JSON to /v1/ingest-events, with the key as a bearer token; 202 is Carbon's yes."""
    with Backend() as backend:
        backend.mode, backend.api_key = 202, "carbon_key"
        exporter = CarbonExporter("carbon_key", base_url=backend.url)
        batch = [exporter.encode(called()), exporter.encode(called())]
        assert exporter.send(batch, 5) == Outcome("delivered")
        exporter.close()
        (request,) = backend.requests
        assert request.path == "/v1/ingest-events"
        assert request.headers["authorization"] == "Bearer carbon_key"
        assert request.headers["content-type"] == "application/json"
        assert "content-encoding" not in request.headers
        for event in request.events:
            assert_valid(event)
        assert len(request.events) == 2


VERDICTS = {
    "delivered": (200, 202),
    "unauthorized": (401,),
    "refused": (400, 413),
    "retry": (408, 409, 425, 429, 500, 503),
}


@pytest.mark.parametrize(("status", "verdict"), [(s, verdict) for verdict, all_ in VERDICTS.items() for s in all_])
def test_statuses_mean_what_carbon_says(backend: Backend, status: int, verdict: str) -> None:
    """Retried is what its own SDK retries; 413 is halved."""
    backend.mode = status
    exporter = CarbonExporter("k", base_url=backend.url)
    assert exporter.send([exporter.encode(called())], 5).verdict == verdict
    exporter.close()


def test_the_key_is_that_of_carbons_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    """With or without quotes; Zespan's key is not sent to Carbon."""
    with Backend() as backend:
        monkeypatch.setenv("CARBON_API_KEY", " 'carbon_key' ")
        settings = resolve({"exporter": "carbon", "base_url": backend.url, "api_key": "zsp_key"})
        exporter = build_exporter(settings)
        assert exporter.send([exporter.encode(called())], 5).verdict == "delivered"
        exporter.close()
        assert backend.requests[0].headers["authorization"] == "Bearer carbon_key"
        assert "x-api-key" not in backend.requests[0].headers


def test_the_address_is_carbons_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also beside Zespan, whose `base_url` it does not take."""
    monkeypatch.setenv("CARBON_API_KEY", "carbon_key")
    alone = resolve({"exporter": "carbon", "enabled": True})
    both = resolve({"exporter": ("zespan", "carbon"), "base_url": "https://zespan.example", "enabled": True})
    for settings in (alone, both.alone("carbon")):
        exporter: Any = build_exporter(settings)
        assert exporter.destination == "https://ingest.oncarbon.site"


@pytest.mark.parametrize("key", ["", "carbon\u00e9", "a\x07b"])
def test_without_a_valid_key_telemetry_is_off(
    key: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The log says what to set; beside another destination that one gets its events."""
    monkeypatch.setenv("CARBON_API_KEY", key)
    assert usable(resolve({"exporter": "carbon", "enabled": True})) is None
    assert "telemetry is off: set CARBON_API_KEY (or ZESPAN_ENABLED=0)" in caplog.text
    other = usable(resolve({"exporter": ("memory", "carbon"), "enabled": True}))
    assert other is not None
    assert other.exporter == "memory"
    with pytest.raises(ConfigurationError, match="not allowed in an HTTP header"):
        CarbonExporter(key or "\n")


def test_tests_do_not_send_to_carbon(monkeypatch: pytest.MonkeyPatch) -> None:
    """As with Zespan, telemetry is off in pytest."""
    monkeypatch.setenv("CARBON_API_KEY", "carbon_key")
    monkeypatch.delenv("ZESPAN_ENABLED", raising=False)
    monkeypatch.setenv("PYTEST_VERSION", "9")
    assert not resolve({"exporter": "carbon"}).enabled
    assert resolve({"exporter": "carbon", "base_url": "http://127.0.0.1:9"}).enabled


def test_a_key_that_is_refused_is_named_by_its_variable(
    backend: Backend, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """And Zespan's variables are not mentioned."""
    monkeypatch.setenv("CARBON_API_KEY", "carbon_live_0123456789")
    backend.mode = 401
    zespan_serverless.init(exporter="carbon", base_url=backend.url)
    capture({"operation": "x"})
    assert zespan_serverless.flush(5).dropped == 1
    assert f"HTTP 401 from {backend.url} for the key ending in 6789: set CARBON_API_KEY to a valid one" in caplog.text
    assert "ZESPAN_API_KEY" not in caplog.text


def test_another_accounts_journal_is_left_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """The key decides in whose space events arrive, so it tells journals apart; Zespan's key does not."""
    journals = []
    for carbon, zespan in (("one", "zsp_1"), ("one", "zsp_2"), ("two", "zsp_1")):
        monkeypatch.setenv("CARBON_API_KEY", carbon)
        given = {"exporter": "carbon", "api_key": zespan, "journal": f"{tmp_path}/", "base_url": "http://127.0.0.1:9"}
        settings = resolve(given)
        journal: Any = journal_of(settings, build_exporter(settings))
        journals.append(vars(journal))
    names = [{name: str(value) for name, value in one.items() if type(value) in (str, bytes)} for one in journals]
    assert names[0] == names[1] != names[2]


def test_a_function_sends_to_carbon(monkeypatch: pytest.MonkeyPatch) -> None:
    """A step and the invocation arrive in one trace; `root_event=False` leaves the invocation out."""
    monkeypatch.setenv("CARBON_API_KEY", "carbon_key")
    with Backend() as backend:

        @zespan_lambda(exporter="carbon", base_url=backend.url, flush_mode="before_return")
        def handler(event: Any, context: Any) -> str:
            with zespan_serverless.span("look up", kind="tool"):
                return "done"

        assert handler({}, testing.LambdaContext()) == "done"
        tool, root = backend.wait_for(2)
    for event in (tool, root):
        assert_valid(event)
    assert tool["traceId"] == root["traceId"]
    assert tool["additionalProperties"]["parent_span_id"] == root["additionalProperties"]["span_id"]
    assert root["additionalProperties"]["span_kind"] == "invocation"


class TestFlushPendingEvents:
    """The contract of `flushPendingEvents` in Carbon's guide to serverless functions."""

    @pytest.fixture(autouse=True)
    def started(self, backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("CARBON_API_KEY", "carbon_key")
        zespan_serverless.init(exporter="carbon", base_url=backend.url, flush_timeout=0.5)

    def test_it_returns_when_everything_is_delivered(self, backend: Backend) -> None:
        """Also if there was nothing."""
        assert flush_pending_events().delivered == 0
        capture({"operation": "x"})
        assert flush_pending_events().delivered == 1
        assert len(backend.events) == 1

    def test_it_returns_when_events_were_dropped(self, backend: Backend, caplog: pytest.LogCaptureFixture) -> None:
        """That is deliberate, and has been reported."""
        caplog.set_level(logging.WARNING)
        backend.mode = 400
        capture({"operation": "x"})
        assert flush_pending_events().dropped == 1
        assert "dropped" in caplog.text

    def test_it_raises_when_a_failure_leaves_events(self, backend: Backend) -> None:
        """They stay, and a later call delivers them."""
        backend.mode = 503
        capture({"operation": "x"})
        with pytest.raises(FlushIncomplete) as caught:
            flush_pending_events(0.3)
        assert caught.value.report.pending == 1
        backend.mode = "ok"
        container = _container.current()
        assert container is not None
        container.delivery.resume()  # as after a while
        assert flush_pending_events(10).delivered == 1
