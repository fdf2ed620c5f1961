"""The agents of the pages and examples, on their runtimes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.agents.support import Runtime
from tests.support import TRACE, TRACEPARENT, calls, roots
from zespan_serverless.testing import Backend

pytestmark = pytest.mark.host(seconds=2)


@pytest.mark.parametrize(
    ("environment", "source", "count"),
    [
        ("agentcore", "hosts/agentcore", 2),
        ("agentcore", "examples/agentcore/agent.py", 3),
        ("foundry", "hosts/foundry", 2),
        ("foundry", "examples/foundry/agent.py", 2),
    ],
)
def test_agents_answer_and_are_traced(
    start: Callable[..., Runtime], backend: Backend, environment: str, source: str, count: int
) -> None:
    """The answer comes; the model call is in the trace of the invocation, which is the caller's."""
    runtime = start(environment, "served.py", SOURCE=source, FOUNDRY_AGENT_NAME="demo")
    answer = runtime.ask("/invocations", {"prompt": "Hi", "user": "ada"}, traceparent=TRACEPARENT)
    assert answer.status == 200
    assert b"Hello" in answer.body
    events = backend.wait_for(count)
    assert {event["trace_id"] for event in events} == {TRACE}
    assert (len(events), len(roots(events)), len(calls(events))) == (count, 1, 1)
    if source == "examples/agentcore/agent.py":
        assert {event["user_id"] for event in events} == {"ada"}
