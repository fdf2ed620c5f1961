"""The functions of the pages and examples, on their runtimes."""

from __future__ import annotations

from pathlib import Path

import pytest
from zespan_serverless_dev.emulator.model import ModelEndpoint

from tests.documentation import PAGES, blocks
from tests.faas.support import Fn, variables
from tests.support import ROOT, TRACE, TRACEPARENT, calls, roots
from zespan_serverless.testing import Backend

pytestmark = pytest.mark.host(seconds=2)


@pytest.mark.parametrize("source", ["page", "example"])
def test_a_function_on_oracle(source: str, backend: Backend, model: ModelEndpoint, tmp_path: Path) -> None:
    """It answers, and the model call is in the trace of the call, which is the caller's."""
    file = ROOT / "examples" / "oracle" / "func.py"
    if source == "page":
        file = tmp_path / "func.py"
        file.write_text(blocks(PAGES["hosts/oracle"])[0])
    with Fn("handler", variables(backend, model.url), file) as function:
        answer = function.call({"prompt": "Hi", "user": "ada"}, {"traceparent": TRACEPARENT})
    assert answer.status == 200
    assert b"Hello" in answer.body
    events = backend.events
    assert {event["trace_id"] for event in events} == {TRACE}
    assert (len(events), len(roots(events)), len(calls(events))) == (2 if source == "page" else 3, 1, 1)
    if source == "example":
        assert {event["user_id"] for event in events} == {"ada"}
