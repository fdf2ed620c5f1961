"""The example of docs/dev.md."""

from __future__ import annotations

import json

import pytest

from tests.dev.server.support import event
from tests.documentation import PAGES, blocks, run
from zespan_serverless._process.container import build_exporter
from zespan_serverless.settings import Settings


@pytest.mark.parametrize("loses", [False, True])
def test_the_example_tells_whether_events_wait(loses: bool) -> None:
    """It passes for functions that deliver after an outage, and fails for those that do not."""
    waiting: list[bytes] = []

    def call_my_functions(url: str) -> None:
        waiting.append(json.dumps(event()).encode())
        exporter = build_exporter(Settings(base_url=url, api_key="zsp_local"))
        if exporter.send(waiting, 10).verdict == "delivered" or loses:
            waiting.clear()
        exporter.close()

    example = run(blocks(PAGES["dev"])[0]).test_an_outage_costs_no_event
    if loses:
        with pytest.raises(AssertionError):
            example(call_my_functions)
    else:
        example(call_my_functions)
