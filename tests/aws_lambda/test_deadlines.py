"""On Lambda's runtime: a model that never answers does not take the function's answer with it."""

from __future__ import annotations

from pathlib import Path

import pytest
from zespan_serverless_dev.emulator import lambda_rie

from tests.providers.slow import slow
from zespan_serverless.testing import Backend

pytestmark = pytest.mark.host


def test_a_hanging_model_is_answered_for() -> None:
    """The function answers within its timeout, which the import counts for here; the call's event is an error."""
    with slow("hang") as model, Backend() as backend:
        env = {
            "ZESPAN_BASE_URL": backend.url,
            "OPENAI_BASE_URL": model.url,
            "OPENAI_API_KEY": "k",
            "ZESPAN_CAP_TIMEOUTS": "5.0",
        }
        folder = Path(__file__).parent / "functions"
        with lambda_rie.Sandbox("impatient.handler", folder, env=env, timeout=10) as sandbox:
            answer = sandbox.invoke({})
        assert answer.payload is not None, answer.log
        assert answer.payload["error"] == "APITimeoutError", answer
        assert answer.payload is not None, answer.log
        assert answer.payload["left"] > 0
        calls = [event for event in backend.events if event["span_kind"] == "llm"]
    assert [(event["status"], event["metadata"]["error.type"]) for event in calls] == [("error", "APITimeoutError")]
