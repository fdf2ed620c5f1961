"""Other tools that trace openai, and we: neither notices the other, in either order of patching.

For each tool, in each order and for each kind of call: what the user gets and what the tool records is what it would be
without us, and our event is what it would be without the tool.
"""

from __future__ import annotations

import functools
import json
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests import environments
from tests.peers import calls

pytestmark = pytest.mark.host(seconds=10)

PEERS = environments.ENVIRONMENTS["peers"]
ORDERS = ("below", "above")

# Fields that differ from call to call.
PASSING = re.compile(
    r"(^|[._])(id|ids|uuid|time|timestamp|start|end|created|duration|latency|pid|port|stack|stacktrace|lineno|hash"
    r"|hostname|thread.*|version)($|[._])|_ms$|^(start|end)_|_(id|at)$|_time|time_|time$|Id$|Time$|Timestamp$"
    r"|second|code\.|_dd\.|runtime|random|elapsed|exec_counter"
)
PASSING_TEXTS = re.compile(
    r"127\.0\.0\.1:\d+|0x[0-9a-f]+|[0-9a-f]{8}-[0-9a-f-]{27}|[0-9a-f]{16,}|\d{4}-\d\d-\d\d[T ][\d:.+Z]+|\d+\.\d\ds"
    r"|(?s:Traceback \(most recent call last\):.*)"
)


def steady(value: Any) -> Any:
    """Return the records without the fields that differ from call to call."""
    if isinstance(value, dict):
        return {name: steady(inner) for name, inner in sorted(value.items()) if not PASSING.search(name)}
    if isinstance(value, list):
        return [steady(inner) for inner in value]
    if isinstance(value, str):
        if value[:1] in ("{", "["):
            try:
                return steady(json.loads(value))
            except ValueError:
                pass
        return PASSING_TEXTS.sub("*", value)
    return value


def event_of(seen: dict[str, Any]) -> Any:
    return [{**steady(event), "has ttft_ms": "ttft_ms" in event} for event in seen["events"]]


def _run(python: Path, peer: str, *orders: str) -> dict[str, Any]:
    seen: dict[str, Any] = json.loads(environments.run(python, "tests.peers.calls", peer, *orders).splitlines()[-1])
    return seen


@functools.cache
def runs(peer: str) -> dict[str, dict[str, Any]]:
    """Order -> call -> record; `none` is without us. The tool alone and we above it are of one process, in this order.

    Most of the time of a process goes to the imports of the tool.
    """
    python = Path(sys.executable) if peer == "nobody" else environments.installed("peers", peer)
    with ThreadPoolExecutor(2) as pool:
        below = pool.submit(_run, python, peer, "below")
        return {**_run(python, peer, "none", "above"), **below.result()}


CELLS = [f"{kind} {client}" for kind in calls.SCENARIOS for client in ("OpenAI", "AsyncOpenAI")]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("peer", ["nobody", *PEERS])
def test_the_user_sees_no_difference(peer: str, order: str) -> None:
    """Results, chunks, types and exceptions are those that the tool alone gives."""
    without, with_us = runs(peer)["none"], runs(peer)[order]
    for cell in CELLS:
        assert steady(with_us[cell]["result"]) == steady(without[cell]["result"]), cell


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("peer", PEERS)
def test_the_tool_sees_no_difference(peer: str, order: str) -> None:
    """What it records, and when: at the end of the same call."""
    without, with_us = runs(peer)["none"], runs(peer)[order]
    assert any(without[cell]["spans"] for cell in CELLS)
    for cell in CELLS:
        assert steady(with_us[cell]["spans"]) == steady(without[cell]["spans"]), cell


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("peer", PEERS)
def test_we_see_no_difference(peer: str, order: str) -> None:
    """One event a call, and it says what it says without the tool, where the tool leaves the call what it is."""
    alone, with_tool = runs("nobody")["below"], runs(peer)[order]
    for cell in CELLS:
        if cell.startswith("missing_arguments") and not with_tool[cell]["events"]:
            continue  # nothing was sent, and the tool kept the method that it had found in the client before we came
        if steady(with_tool[cell]["result"]) == steady(alone[cell]["result"]):
            assert event_of(with_tool[cell]) == event_of(alone[cell]), cell
