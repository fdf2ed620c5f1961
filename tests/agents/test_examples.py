"""The agents of the pages and examples, on their runtimes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.agents.support import Runtime
from tests.frameworks.model import reply
from tests.providers.endpoint import serving
from tests.support import ROOT, TRACE, TRACEPARENT, calls, roots
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


def test_the_agent_for_adk_is_traced(start: Callable[..., Runtime], backend: Backend) -> None:
    """Its run, its two model calls and its tool are one trace, with the user and the session."""
    with serving(reply) as gemini:
        env = {"GOOGLE_GEMINI_BASE_URL": gemini.url, "GOOGLE_API_KEY": "none", "GOOGLE_CLOUD_AGENT_ENGINE_ID": "42"}
        runtime = start("adk", "on_adk.py", HOW="example", AGENTS=str(ROOT / "examples" / "adk"), **env)
        assert runtime.ask("/apps/chat/users/ada/sessions/s1", {}).status == 200
        message = {"role": "user", "parts": [{"text": "When are you open in Bern?"}]}
        answer = runtime.ask("/run", {"app_name": "chat", "user_id": "ada", "session_id": "s1", "new_message": message})
    assert (answer.status, b"Sunny" in answer.body) == (200, True), runtime.log
    (root,) = roots(backend.events)
    assert [event["span_kind"] for event in backend.events] == ["llm", "tool", "llm", "general"]
    assert {(event["trace_id"], event["user_id"], event["session_id"]) for event in backend.events} == {
        (root["trace_id"], "ada", "s1")
    }
    assert {event["environment"] for event in backend.events} == {"staging"}
