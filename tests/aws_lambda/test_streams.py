"""Handlers that are generators, on a runtime that streams what they yield."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.aws_lambda.runtime_api import RuntimeApi
from tests.aws_lambda.support import StartFunction, until
from tests.support import below, roots
from zespan_serverless.testing import Backend

pytestmark = [
    pytest.mark.host,
    pytest.mark.skipif(sys.platform != "linux", reason="Lambda's runtime client is for Linux only"),
]

RUNTIME = Path(__file__).with_name("streaming_runtime.py")
Serve = Callable[..., RuntimeApi]
EVENTS: list[tuple[dict[str, Any], str]] = [({}, "0\n1\n2\n"), ({"fails": 1}, "0\n1\n"), ({"pause": 0.01}, "0\n1\n2\n")]
each_kind = pytest.mark.parametrize("handler", ["streams.handler", "streams.asynchronous"])


@pytest.fixture
def serve(backend: Backend) -> Iterator[Serve]:
    """The streaming runtime where it gets no extension, so that events are sent before the end of a stream."""
    with ExitStack() as stack:

        def serve(handler: str, **env: str) -> RuntimeApi:
            api = RuntimeApi(handler, {"ZESPAN_BASE_URL": backend.url, **env}, [str(RUNTIME)])
            return stack.enter_context(api)

        yield serve


@each_kind
def test_events_are_sent_after_the_last_piece_and_the_response(
    start: StartFunction, backend: Backend, tmp_path: Path, handler: str
) -> None:
    """The invocation ends with its last piece; its events are sent after the response. An exception in the middle fails
    the invocation."""
    wrapper = tmp_path / "wrapper"
    wrapper.write_text(f'#!/bin/sh\nexec {sys.executable} {RUNTIME} "$_HANDLER"\n')
    wrapper.chmod(0o755)
    sandbox = start(handler, wrapper=wrapper)
    for number, (event, body) in enumerate(EVENTS, start=1):
        backend.latency = 0.5 if number == len(EVENTS) else 0
        answer = sandbox.invoke(event)
        sandbox.freeze()
        assert answer.body == body
        assert len(roots(backend.events)) == number
        if backend.latency:  # the runtime was done before the backend answered
            assert answer.handler_ms is not None
            assert answer.handler_ms < 500 < answer.wall_ms
    whole, failed, slow = roots(backend.events)
    assert [len(below(root, backend.events)) for root in (whole, failed, slow)] == [3, 2, 3]
    assert [root["metadata"].get("error.type") for root in (whole, failed, slow)] == [None, "LookupError", None]
    assert slow["latency_ms"] > 20  # its last piece came after two pauses of 10 ms


@each_kind
def test_no_piece_waits_for_the_backend(serve: Serve, backend: Backend, handler: str) -> None:
    """Where events are sent before the end of a stream, its pieces have left by then, and the wait ends in time."""
    backend.mode = "hang"
    api = serve(handler, ZESPAN_FLUSH_TIMEOUT="60")
    request_id = api.invoke(seconds=3)
    until(lambda: len(api.pieces) == 3)
    assert request_id not in api.answers
    began = time.monotonic()
    assert api.answer(request_id) == {}
    assert time.monotonic() - began < 3
    backend.mode = "ok"
    api.answer(api.invoke({"fails": 0}))
    assert [root["status"] for root in roots(backend.events)][-1] == "error"
    assert len({root["span_id"] for root in roots(backend.events)}) == 2


@each_kind
def test_stream_whose_caller_leaves(serve: Serve, backend: Backend, handler: str) -> None:
    """An invocation whose stream is given up ends there; its events are sent, at the latest with the next ones."""
    api = serve(handler)
    api.leaves = 1
    api.invoke({"pieces": 10_000, "size": 10_000})
    until(lambda: api.pieces)
    api.leaves = -1
    assert api.answer(api.invoke()) == {}
    until(lambda: len(roots(backend.events)) == 2)
    left, whole = sorted(roots(backend.events), key=lambda root: str(root["timestamp"]))
    assert left["status"] == whole["status"] == "success"
    assert 0 < len(below(left, backend.events)) < 10_000
    assert len(below(whole, backend.events)) == 3


def test_runtime_that_reads_no_generator(start: StartFunction, backend: Backend) -> None:
    """The runtime client of today refuses the result of such a handler with its usual error, and at once."""
    sandbox = start("streams.handler")
    answer = sandbox.invoke()
    assert answer.payload["errorType"] == "Runtime.MarshalError"
    assert "Object of type generator is not JSON serializable" in answer.payload["errorMessage"]
    assert not answer.timed_out
