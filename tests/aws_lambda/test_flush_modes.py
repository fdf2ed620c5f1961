"""When events are sent: after the response where Lambda allows it, before it where that was asked for."""

from __future__ import annotations

import pytest

from tests.aws_lambda.support import StartFunction
from zespan_serverless.aws_lambda import LambdaHost, _extension
from zespan_serverless.testing import Backend

SLOW = 0.4


@pytest.mark.parametrize("mode", ["auto", "after_response"])
def test_after_response_keeps_the_backend_out_of_the_response_time(
    start: StartFunction, backend: Backend, mode: str
) -> None:
    """A slow backend is no part of the response time, and yet has everything when the invocation is over."""
    sandbox = start("steps.handler", env={"ZESPAN_FLUSH_MODE": mode})
    backend.latency = SLOW
    for number in (1, 2, 3):
        answer = sandbox.invoke()
        assert (
            len([request for request in backend.requests if request.events]) == number
        )  # another test may ask this port
        assert len(backend.events) == 2 * number
        assert answer.wall_ms > SLOW * 1000
        assert answer.response_ms is not None
        assert answer.response_ms - (answer.init_ms or 0) < SLOW * 1000 / 2


def test_before_return_delivers_before_the_answer(start: StartFunction, backend: Backend) -> None:
    """With before_return the backend has everything before the caller has its answer."""
    sandbox = start("steps.handler", env={"ZESPAN_FLUSH_MODE": "before_return"})
    backend.latency = SLOW
    for number in (1, 2):
        answer = sandbox.invoke()
        assert answer.response_ms is not None
        answered = backend.requests[-1].answered
        assert answered is not None
        assert answered < answer.sent + answer.response_ms / 1000
        assert len(backend.events) == 2 * number
    assert "subscribed to []" in sandbox.log()


@pytest.mark.parametrize(
    ("name", "value"), [("AWS_LAMBDA_INITIALIZATION_TYPE", "snap-start"), ("AWS_LAMBDA_MAX_CONCURRENCY", "8")]
)
def test_snapshots_and_managed_instances_register_nothing(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    """In a snapshot, and with several runtime processes in a sandbox, nothing is registered."""
    registered: list[str] = []
    monkeypatch.setattr(_extension, "in_runtime_process", lambda: True)
    monkeypatch.setattr(_extension, "register", lambda mode, *_: registered.append(mode))
    monkeypatch.setenv("ZESPAN_API_KEY", "zsp_test")
    LambdaHost().attach({})
    assert registered == ["auto"]
    monkeypatch.setenv(name, value)
    LambdaHost().attach({})
    assert registered == ["auto"]
