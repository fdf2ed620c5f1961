"""What is too much for an event is cut, and says so; it costs neither the event nor the function's time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import zespan_serverless
from tests.never_harm import CONTEXT
from zespan_serverless import asgi, testing, zespan_lambda
from zespan_serverless._trace import parse_traceparent
from zespan_serverless.testing import Backend

MEGABYTE = 1_000_000


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch) -> Iterator[Backend]:
    with Backend() as backend:
        monkeypatch.setenv("ZESPAN_BASE_URL", backend.url)
        yield backend


def _sent(backend: Backend, **event: Any) -> dict[str, Any]:
    zespan_serverless.init()
    zespan_serverless.capture({"operation": "x", **event})
    report = zespan_serverless.flush(10)
    assert (report.delivered, report.dropped, report.pending) == (1, 0, 0)
    return backend.wait_for(1)[0]


def test_a_prompt_of_many_megabytes_is_cut(backend: Backend) -> None:
    """Its beginning arrives, and how much is missing; everything else of the event is as it was."""
    prompt = "Grüße! " + "x" * (20 * MEGABYTE)
    event = _sent(backend, prompt_text=prompt, model="gpt-4o", metadata={"found": 3})
    text, _, marker = event["prompt_text"].rpartition(" [")
    assert prompt.startswith(text)
    assert len(text) > 500_000
    assert marker == f"{len(prompt) - len(text)} of {len(prompt)} characters cut]"
    assert (event["model"], event["metadata"]) == ("gpt-4o", {"found": 3})


@pytest.mark.parametrize(
    "metadata",
    [
        {"text": "\0" * (4 * MEGABYTE)},  # six bytes each, in JSON
        {"texts": ["y" * 1000] * 20_000},
        {"numbers": list(range(MEGABYTE))},
        {"keys": {f"{i}" * 10: i for i in range(200_000)}},
        {"k" * (5 * MEGABYTE): 1},
        {"bytes": b"\xff" * (3 * MEGABYTE)},
        {"sets": {(i, "x" * 100) for i in range(50_000)}},
        {"deep": [[["z" * (5 * MEGABYTE)]]]},
    ],
    ids=lambda metadata: next(iter(metadata))[:10],
)
def test_whatever_is_too_large_in_an_event(backend: Backend, metadata: dict[str, Any]) -> None:
    """Texts, lists, keys: the event arrives, and a text in it says what does not."""
    event = _sent(backend, metadata=metadata)
    assert "cut]" in str(event["metadata"]) or "left out]" in str(event["metadata"]) or len(str(event)) < 2 * MEGABYTE
    assert len(str(event)) < 4 * MEGABYTE


def test_a_cycle_that_is_too_large(backend: Backend) -> None:
    """Has an end."""
    loop: dict[str, Any] = {"text": "x" * (5 * MEGABYTE)}
    loop["again"] = loop
    assert _sent(backend, metadata=loop)["metadata"]["again"] in ("[DEPTH_LIMIT]", "[REDACTED_DEPTH_LIMIT]")


def test_an_event_fits_into_a_small_buffer(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is cut to what the buffer may hold, if that is less than a request."""
    monkeypatch.setenv("ZESPAN_MAX_BYTES", "2048")
    assert _sent(backend, prompt_text="x" * 5000)["prompt_text"].endswith("characters cut]")


def test_what_fits_is_not_touched(backend: Backend) -> None:
    """To the last character."""
    assert _sent(backend, prompt_text="x" * 3_500_000)["prompt_text"] == "x" * 3_500_000


def test_a_shortened_event_keeps_its_secrets(backend: Backend) -> None:
    """What is redacted is redacted before anything is cut."""
    event = _sent(backend, metadata={"password": "p" * (5 * MEGABYTE), "text": "x" * (5 * MEGABYTE)})
    assert event["metadata"]["password"] == "[REDACTED]"


def test_tags_and_ids_have_an_end(backend: Backend) -> None:
    """Every event carries them: 100 tags of 1,024 characters, and ids of no more."""
    zespan_serverless.init()
    many: Any = {f"tag{i}" + "n" * 5000: "v" * 5000 for i in range(5000)}
    with zespan_serverless.with_context(user_id="u" * MEGABYTE, session_id="s" * MEGABYTE, tags=many):
        zespan_serverless.capture({"operation": "x"})
    zespan_serverless.flush(10)
    event = backend.wait_for(1)[0]
    assert len(event["tags"]) == 100
    assert {len(text) for pair in event["tags"].items() for text in pair} == {1024}
    assert (len(event["user_id"]), len(event["session_id"])) == (1024, 1024)


def _quickest(call: Callable[[], object]) -> float:
    took = []
    for _ in range(20):
        began = time.perf_counter()
        call()
        took.append(time.perf_counter() - began)
    return min(took)


HOSTILE: list[dict[str, Any]] = [
    {"headers": {"traceparent": "0" * MEGABYTE, "host": "h" * MEGABYTE}},
    {"headers": {f"x-{i}": "v" for i in range(10_000)}},
    {"headers": {"traceparent": "\0\r\n" * 1000}},
    {"requestContext": {"http": {"method": "G" * MEGABYTE, "path": "/" * MEGABYTE}}, "rawPath": "/" * MEGABYTE},
    {"Records": [{"eventSource": "aws:sqs", "body": '{"traceparent": "' + "x" * 10_000}] * 1000},
]


@pytest.mark.parametrize("event", HOSTILE, ids=["long", "many", "control", "path", "records"])
def test_a_hostile_lambda_event_costs_nothing(event: dict[str, Any]) -> None:
    """Megabytes of headers, or thousands of them, are not gone through."""

    @zespan_lambda
    def handler(event: object, context: object) -> None: ...

    with testing.recording() as events:
        assert _quickest(lambda: handler(event, CONTEXT)) < 0.02
    assert all(len(str(event)) < 300_000 for event in events)


@pytest.mark.parametrize(
    "headers",
    [
        [(b"traceparent", b"0" * MEGABYTE), (b"host", b"h" * MEGABYTE)],
        [(b"x-%d" % i, b"v") for i in range(10_000)],
        [(b"host", b"\x00\xff\r\n"), (b"traceparent", b"\xff" * 55)],
    ],
    ids=["long", "many", "bytes"],
)
def test_a_hostile_request_costs_nothing(headers: list[tuple[bytes, bytes]]) -> None:
    """The same for a web application."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def nothing(*_: object) -> Any: ...

    middleware = asgi.ZespanMiddleware(app)
    scope = {"type": "http", "method": "GET", "path": "/" + "p" * MEGABYTE, "headers": headers}

    def serve() -> None:
        with pytest.raises(StopIteration):  # it waits for nothing: no loop is needed
            middleware(scope, nothing, nothing).send(None)

    with testing.recording(flush_mode="after_response") as events:
        assert _quickest(serve) < 0.02
        zespan_serverless.flush(10)
        assert all(len(str(event)) < 10_000 for event in events)


def test_a_traceparent_of_a_megabyte_is_not_read() -> None:
    """Nor one of any length that W3C does not know."""
    assert parse_traceparent("00-" + "a" * MEGABYTE) is None
    assert parse_traceparent(f"00-{'a' * 32}-{'b' * 16}-01" + "-x" * MEGABYTE) is None
