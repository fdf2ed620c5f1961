"""Telemetry that is off costs nothing, and changes nothing."""

from __future__ import annotations

import pytest

from tests.aws_lambda.support import StartFunction
from zespan_serverless.testing import Backend

pytestmark = pytest.mark.host


@pytest.mark.parametrize(
    ("env", "warnings"),
    [
        ({"ZESPAN_ENABLED": "0"}, 0),
        ({"ZESPAN_API_KEY": "", "ZESPAN_BASE_URL": ""}, 1),
        ({"ZESPAN_BASE_URL": "not a URL"}, 1),
    ],
    ids=["switched off", "no key", "no usable address"],
)
def test_switched_off_registers_and_sends_nothing(
    start: StartFunction, backend: Backend, env: dict[str, str], warnings: int
) -> None:
    """No extension is registered and nothing is sent; what is missing is said, once."""
    sandbox = start("steps.handler", env=env)
    for _ in range(3):
        assert sandbox.invoke().status == 200
    sandbox.invoke({"raise": "no luck"})
    log = sandbox.stop()
    assert log.count("[WARNING]\t") == warnings
    assert log.count("ZESPAN_") >= warnings
    assert "Internal agent" not in log
    assert (backend.connections, backend.requests) == (0, [])
