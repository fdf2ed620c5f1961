"""On Lambda without the decorator: init, capture, flush and shutdown by hand."""

from __future__ import annotations

import pytest
from zespan_serverless_dev.emulator.model import ModelEndpoint

from tests.aws_lambda.support import StartFunction, calls
from zespan_serverless.testing import Backend

pytestmark = pytest.mark.host


def test_flush_in_the_handler_delivers(start: StartFunction, backend: Backend) -> None:
    """After init at module level, flush() in the handler delivers what it has captured, and says so."""
    sandbox = start("by_hand.handler")
    for number in (1, 2):
        assert sandbox.invoke().payload == {"delivered": 1, "pending": 0}
        assert len(calls(backend.events)) == len(backend.events) == number
    assert (backend.events[0]["environment"], backend.events[0]["user_id"]) == ("staging", "ada")
    assert "zespan-serverless" not in sandbox.log()  # no extension


def test_next_process_sends_what_a_crash_left_on_disk(start: StartFunction, backend: Backend) -> None:
    """What the process had not sent is on disk, and the next one sends it."""
    sandbox = start("by_hand.handler")
    sandbox.invoke({"exit": True})
    assert sandbox.invoke({}).status == 200
    assert len(backend.wait_for(2)) == 2


def test_events_after_a_shutdown_are_dropped(start: StartFunction, backend: Backend) -> None:
    """shutdown() delivers what there is; what comes later is dropped, and nothing fails."""
    sandbox = start("by_hand.handler_that_shuts_down")
    assert sandbox.invoke().payload == {"delivered": 1, "pending": 0, "after": 0}
    assert sandbox.invoke().status == 200
    assert len(backend.events) == 1


@pytest.mark.parametrize("handler", ["handler_with_model", "handler_with_wrapped_client"])
def test_patched_and_wrapped_clients_make_one_event_a_call(
    start: StartFunction, backend: Backend, model: ModelEndpoint, handler: str
) -> None:
    """patch_openai() traces every client, wrap_openai() one; both at once are one event a call."""
    env = {"OPENAI_BASE_URL": model.url, "OPENAI_API_KEY": "none", "PATCH": "patch_openai"}
    sandbox = start(f"by_hand.{handler}", env=env, timeout=20)
    for number in (1, 2):
        assert sandbox.invoke().payload == "Hello, serverless world!"
        assert len(calls(backend.events)) == len(backend.events) == number
