"""The code of docs/ runs, and the page of settings is what the code says. README has tests/test_readme.py."""

from __future__ import annotations

import json
import re
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws
from zespan_serverless_dev.emulator.model import ModelEndpoint

from tests.documentation import PAGES, blocks, run
from tests.outbound.server import Server
from tests.support import TRACE, TRACEPARENT
from tools import settings
from zespan_serverless import asgi, flush, init, shutdown, testing, types, wsgi
from zespan_serverless._replay import add_arguments
from zespan_serverless.exporters.stores import STORES, open_store
from zespan_serverless.settings._fields import FIELDS
from zespan_serverless.settings._stores import KNOWN
from zespan_serverless.testing import Backend


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Any:
    with ModelEndpoint(latency_ms=0) as endpoint:
        monkeypatch.setenv("OPENAI_BASE_URL", endpoint.url)
        monkeypatch.setenv("OPENAI_API_KEY", "sk-local")
        yield endpoint


def test_an_example_names_the_user_and_the_step() -> None:
    """with_context and span put the user on the step's event, and traceparent belongs to the same trace."""
    with testing.recording() as events:
        result = run(blocks(PAGES["traces"])[0]).handler({"user": "ada", "session": "s1"}, testing.LambdaContext())
    step, root = events
    assert (step["operation"], step["user_id"], step["session_id"]) == ("look up", "ada", "s1")
    assert step["metadata"] == {"found": 1}
    assert root["trace_id"] in result["headers"]["traceparent"]


def test_the_example_by_hand_delivers_before_it_returns() -> None:
    """init, span, capture and flush work without the decorator."""
    with testing.recording() as events:
        module = run(blocks(PAGES["by-hand"])[4])
        assert module.handler({}, None) == {"ok": True}
        assert [e["operation"] for e in events] == ["look up", "work"]


def test_every_block_is_run() -> None:
    """A new example needs a new test. The pages in a folder are counted by the folder's own tests."""
    assert {name: len(blocks(page)) for name, page in PAGES.items() if "/" not in name} == {
        "README": 0,
        "architecture": 0,
        "backends": 3,
        "benchmarks": 0,
        "by-hand": 5,
        "comparison": 0,
        "costs": 0,
        "frameworks": 3,  # in frameworks/test_hooks.py
        "deadlines": 1,
        "delivery": 0,
        "destinations": 1,
        "dev": 1,  # in dev/server/test_example.py
        "doctor": 0,
        "hosts": 0,
        "init": 0,
        "invoke": 0,
        "models": 1,
        "lambda-events": 1,
        "limits": 0,
        "log-lines": 0,
        "operations": 0,
        "troubleshooting": 0,
        "other-sdks": 3,  # two of them in opentelemetry/test_opentelemetry.py
        "parking": 1,
        "powertools": 2,
        "see-it": 0,
        "stores": 1,
        "style": 0,
        "support": 0,
        "testing": 6,  # in testing/test_page.py
        "security": 0,
        "settings": 0,
        "traces": 1,
        "tracing": 2,
        "tutorial": 3,  # in docs/test_tutorial.py
    }


def test_every_streamed_example_has_tokens() -> None:
    """OpenAI reports the tokens of a stream only to those who ask. Groq always does."""
    streams = {name for name, page in PAGES.items() for block in blocks(page) if "stream=True" in block}
    asking = {name for name, page in PAGES.items() for block in blocks(page) if '"include_usage": True' in block}
    assert streams - asking == {"providers/groq"}


@pytest.mark.parametrize(("middleware", "arguments"), [(asgi.ZespanMiddleware, 2), (wsgi.ZespanMiddleware, 3)])
def test_the_error_of_the_other_middleware_is_explained(middleware: Any, arguments: int) -> None:
    """Flask calls the ASGI middleware with two arguments, Starlette the WSGI middleware with three."""
    with pytest.raises(TypeError) as error:
        middleware(lambda *_: None)(*[{}] * arguments)
    name, _, detail = str(error.value).partition(" ")
    assert name in PAGES["troubleshooting"]
    assert f"`{detail}`" in PAGES["troubleshooting"]


def test_the_users_of_an_invocation() -> None:
    """A decorator reads the user from the event, and a block inside names the conversation."""
    with testing.recording() as events:
        run(blocks(PAGES["by-hand"])[0]).handler({"user": "ada", "thread": "t1"}, testing.LambdaContext())
    step, root = events
    assert [event["user_id"] for event in events] == ["ada", "ada"]
    assert [event["metadata"]["gen_ai.conversation.id"] for event in events] == ["t1", "t1"]
    assert (step["tags"], root["tags"]) == ({"feature": "search"}, {"feature": "search"})


def test_events_go_to_an_endpoint_of_opentelemetry() -> None:
    """The example is a handler that works with any backend."""
    with testing.recording() as events:
        assert run(blocks(PAGES["backends"])[0]).handler({}, testing.LambdaContext()) == {"statusCode": 200}
    assert len(events) == 1


def test_a_function_sends_to_carbon_by_hand(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The example delivers, and says so if Carbon is unavailable."""
    monkeypatch.setenv("CARBON_API_KEY", "carbon_key")
    with testing.Backend() as backend:
        monkeypatch.setenv("ZESPAN_BASE_URL", backend.url)
        monkeypatch.setenv("ZESPAN_ENABLED", "1")
        handler = run(blocks(PAGES["backends"])[1]).handler
        assert handler({}, testing.LambdaContext()) == {"statusCode": 200}
        assert [event["properties"]["tool"]["name"] for event in backend.events] == ["get_weather"]
        backend.mode = "hang"
        monkeypatch.setattr("zespan_serverless._process.container.Container.FLUSH_BY_HAND", 0.2)
        assert handler({}, testing.LambdaContext()) == {"statusCode": 200}
    assert "Carbon is unavailable for now: " in capsys.readouterr().out


def test_events_go_through_a_client_of_the_users() -> None:
    """The example makes a client, and its handler works."""
    module = run(blocks(PAGES["backends"])[2])
    module.make_client().close()
    with testing.recording() as events:
        assert module.handler({}, testing.LambdaContext()) == {"statusCode": 200}
    assert len(events) == 1


def test_a_function_that_has_no_time_left_says_so() -> None:
    """The example reads the deadline."""
    handler = run(blocks(PAGES["deadlines"])[0]).handler
    with testing.recording():
        answers = [handler({}, testing.LambdaContext(timeout=seconds))["answer"] for seconds in (2, 60)]
    assert answers == ["Please try again.", "..."]


def test_two_destinations_get_every_event(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The example's archive has the events that the backend has, and the one that is unavailable is named."""
    example = blocks(PAGES["destinations"])[0].replace("/tmp/events.jsonl", str(tmp_path / "events.jsonl"))
    with testing.Backend() as backend:
        monkeypatch.setenv("ZESPAN_BASE_URL", backend.url)
        handler = run(example).handler
        handler({}, testing.LambdaContext())
        backend.mode = "refuse"
        handler({}, testing.LambdaContext())
        lines = [json.loads(line) for line in (tmp_path / "events.jsonl").read_text().splitlines()]
        assert lines[:1] == backend.events
        assert len(lines) == 2
        assert "1 events wait for zespan: " in capsys.readouterr().out


def test_events_are_parked_while_the_backend_is_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the end, in the directory that the example names."""
    (block,) = blocks(PAGES["parking"])
    with Backend() as backend:
        backend.mode = "refuse"
        monkeypatch.setenv("ZESPAN_BASE_URL", backend.url)
        assert run(block.replace("/mnt/efs", str(tmp_path))).handler({}, testing.LambdaContext()) == {"ok": True}
        assert shutdown(2.0).parked == 1
    assert len([*(tmp_path / "parking").iterdir()]) == 1


def test_a_store_is_the_only_destination(tmp_path: Path) -> None:
    """The example of docs/stores.md puts its events into the store; and the options there are those of the command."""
    (block,) = blocks(PAGES["stores"])
    assert run(block.replace("sqs://parked-events", f"file://{tmp_path}/parked")).handler({}, testing.LambdaContext())
    assert shutdown(2.0).pending == 0
    assert len([*(tmp_path / "parked").iterdir()]) == 1
    (table,) = re.findall(r"\n\| `--to.*?\n\n", PAGES["stores"], re.DOTALL)
    parser = ArgumentParser()
    add_arguments(parser)
    assert set(re.findall(r"--[\w-]+", table)) | {"--help"} == set(re.findall(r"--[\w-]+", parser.format_help()))


def test_the_table_of_stores_has_every_store() -> None:
    """Each scheme has its row, with the limit that the store has."""
    rows = re.findall(r"^\| `(?:.*?`)?(\w+)://.*$", PAGES["stores"], re.MULTILINE)
    assert {*rows} == {*STORES}
    sizes = {"sqs": "768 KiB", "kinesis": "10 MiB", "firehose": "1,000 KiB", "pubsub": "7 MB", "azurequeue": "48 KiB"}
    limits = {"sqs": 768, "kinesis": 10_240, "firehose": 1000, "pubsub": 7_000_000 / 1024, "azurequeue": 48}  # KiB
    for scheme, text in sizes.items():
        assert re.search(rf"^\| `{scheme}://.*\| {text}", PAGES["stores"], re.MULTILINE), scheme
        assert 0 <= limits[scheme] * 1024 - open_store(KNOWN[scheme][0]).limit < 100, scheme


def test_another_sdk_is_flushed_with_our_events() -> None:
    """The example's own SDK is flushed; those that are named and not imported have nothing to flush."""
    with testing.recording():
        module = run(blocks(PAGES["other-sdks"])[0])
        assert module.handler({}, testing.LambdaContext()) == {"ok": True}
        assert module.metrics.waiting == []


def test_a_client_of_another_make_can_be_wrapped() -> None:
    """The example's call is one event."""
    with testing.recording() as events, init():
        run(blocks(PAGES["models"])[0])
        flush(5)
    assert [(event["model"], event["completion_text"]) for event in events] == [("my-own", "Hi")]


def test_a_call_by_hand_is_the_call_of_a_model(model: ModelEndpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    """With its tokens and their price."""
    monkeypatch.setenv("MODEL_URL", model.url)
    with testing.recording() as events:
        assert run(blocks(PAGES["by-hand"])[1]).handler({"prompt": "Hi"}, testing.LambdaContext())
    call, root = events
    assert (call["span_kind"], call["model"], call["input_tokens"]) == ("llm", "gpt-4o", 12)
    assert call["cost_usd"] > 0
    assert call["parent_span_id"] == root["span_id"]


def test_the_steps_of_an_agent() -> None:
    """All inside the agent's span are its own."""
    with testing.recording() as events:
        run(blocks(PAGES["by-hand"])[2]).handler({"prompt": "Paris?"}, testing.LambdaContext())
    *inside, _ = events
    assert [event["span_kind"] for event in inside] == ["planning", "retriever", "tool", "handoff", "agent"]
    assert {event["agent_name"] for event in inside} == {"researcher"}
    assert inside[2]["tool_call_args"] == '{"query":"Paris?"}'


def test_a_captured_event() -> None:
    """It has the fields that it is given."""
    with testing.recording() as events:
        run(blocks(PAGES["by-hand"])[3]).handler({}, testing.LambdaContext())
    assert events[0]["eval_scores"] == {"relevance": 0.9}


def test_powertools_example_has_both_telemetries(
    model: ModelEndpoint, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """Both telemetries are there: one trace of two events, its ids in the log line, the delivery's metrics."""
    monkeypatch.setenv("ZESPAN_EXPORTER", "memory")
    module = run(blocks(PAGES["powertools"])[0])
    assert module.handler({"prompt": "hi"}, testing.LambdaContext())["statusCode"] == 200
    shutdown(5.0)  # `on_flush` runs in the thread that sends
    module.client.close()
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line]
    (answered,) = [line for line in lines if line.get("message") == "answered"]
    assert (len(answered["trace_id"]), len(answered["span_id"])) == (32, 16)
    assert [line["Answers"] for line in lines if "Answers" in line] == [[1.0]]
    assert [line["EventsDelivered"] for line in lines if "EventsDelivered" in line] == [[2.0]]


def test_sender_example_sends_its_trace_along(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message that a traced function sends carries its trace."""
    with mock_aws():
        monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
        sqs = boto3.client("sqs")
        queue = sqs.create_queue(QueueName="questions")["QueueUrl"]
        with testing.recording() as events:
            run(blocks(PAGES["lambda-events"])[0]).handler({"queue": queue}, testing.LambdaContext())
        (message,) = sqs.receive_message(QueueUrl=queue, MessageAttributeNames=["All"])["Messages"]
    sent = message["MessageAttributes"]["traceparent"]["StringValue"]
    assert sent.split("-")[1:3] == [events[0]["trace_id"], events[0]["span_id"]]


def test_request_example_sends_its_trace_along() -> None:
    """The request of a traced function carries its trace, and what the caller has handed on."""
    event = {"headers": {"traceparent": TRACEPARENT, "tracestate": "a=1", "baggage": "b=2"}}
    with Server() as server, testing.recording() as events:
        run(blocks(PAGES["tracing"])[0]).handler({**event, "url": server.url()}, testing.LambdaContext())
    expected = {"traceparent": f"00-{TRACE}-{events[0]['span_id']}-01", "tracestate": "a=1", "baggage": "b=2"}
    assert server.contexts == [expected]


def test_propagating_example_sends_its_trace_along(monkeypatch: pytest.MonkeyPatch) -> None:
    """The request to a host of the list carries the trace, and so does the message."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    block = blocks(PAGES["tracing"])[1]
    with mock_aws(), Server() as server:
        sqs = boto3.client("sqs")
        queue = sqs.create_queue(QueueName="questions")["QueueUrl"]
        event = {"url": server.url(host="localhost"), "queue": queue, "question": "Why?"}
        with testing.recording() as events:
            run(block.replace(":8080", f":{server.port}")).handler(event, testing.LambdaContext())
        (message,) = sqs.receive_message(QueueUrl=queue, MessageAttributeNames=["All"])["Messages"]
    (header,) = [context["traceparent"] for context in server.contexts]
    assert header.split("-")[1:3] == [events[0]["trace_id"], events[0]["span_id"]]
    assert message["MessageAttributes"]["traceparent"]["StringValue"] == header


def test_powertools_batch_example_has_an_event_for_each_record() -> None:
    """Each record has its event, and the failed one its error."""
    records = [
        {"messageId": str(number), "body": body, "eventSource": "aws:sqs", "messageAttributes": {}}
        for number, body in enumerate(['{"prompt": "hi"}', "{}"])
    ]
    with testing.recording() as events:
        answer = run(blocks(PAGES["powertools"])[1]).handler({"Records": records}, testing.LambdaContext())
    assert answer == {"batchItemFailures": [{"itemIdentifier": "1"}]}
    assert [event["status"] for event in events] == ["success", "error", "success"]


def test_the_page_of_settings_is_made_from_the_code() -> None:
    """docs/settings.md is what `python -m tools.settings` writes, and it has a section for every setting."""
    assert PAGES["settings"] == settings.page()
    assert sorted(re.findall(r"^### `(\w+)`$", PAGES["settings"], re.MULTILINE)) == sorted(FIELDS)
    assert set(re.findall(r"`(\w+)`", PAGES["settings"].split("## Types")[1])) >= set(dir(types))
