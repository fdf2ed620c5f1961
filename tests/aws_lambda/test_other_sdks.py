"""On Lambda's runtime: other SDKs are flushed with our events, and one that hangs costs neither function nor events."""

from __future__ import annotations

import pytest

from tests.aws_lambda.support import StartFunction, until
from zespan_serverless.testing import Backend

pytestmark = pytest.mark.host


def test_they_are_flushed_after_the_response_of_each_invocation(start: StartFunction, backend: Backend) -> None:
    """The next invocation finds that it has happened."""
    sandbox = start("with_others.handler")
    assert sandbox.invoke().payload == {"quick": 0, "slow": 0}
    until(lambda: '[["quick", "done"], ["slow", "done"]]' in sandbox.log())
    assert sandbox.invoke().payload == {"quick": 1, "slow": 1}
    until(lambda: len(backend.events) == 2)


@pytest.mark.parametrize("mode", ["after_response", "before_return"])
def test_one_that_hangs_costs_one_flush(mode: str, start: StartFunction, backend: Backend) -> None:
    """It is left alone when the time of the flush is over, and not waited for at the next one."""
    sandbox = start("with_others.handler", env={"HANGS": "100", "ZESPAN_FLUSH_MODE": mode}, timeout=20)
    answers = [sandbox.invoke() for _ in range(3)]
    assert [answer.payload for answer in answers] == [{"quick": n, "slow": min(n, 1)} for n in range(3)]
    until(lambda: len(backend.events) == 3)
    until(lambda: sandbox.log().count('["slow", "skipped"]') == 2)
    assert sandbox.log().count('["slow", "timeout"]') == 1
    assert [answer.timed_out for answer in answers] == [False] * 3
