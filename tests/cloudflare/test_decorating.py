"""`@zespan_cloudflare` on classes that need no Worker."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from zespan_serverless import zespan_cloudflare


def test_fetch_without_a_request_has_its_event(zespan_events: Any, caplog: pytest.LogCaptureFixture) -> None:
    """Cloudflare passes a handler as many arguments as it has parameters; its own examples have `fetch(self)`."""

    @zespan_cloudflare
    class Default:
        async def fetch(self) -> Any:
            return response

    response = SimpleNamespace(status=200, headers={})
    assert asyncio.run(Default().fetch()) is response
    assert [(event["operation"], event["metadata"]["faas.trigger"]) for event in zespan_events] == [("fetch", "http")]
    assert "telemetry failed" not in caplog.text
