"""docs/migrate/: each page's function before, beside and after, with the real SDK in its environment."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests import environments
from tests.documentation import DOCS, PAGES, blocks

pytestmark = pytest.mark.slow

ENVIRONMENTS = {
    "langfuse": "langfuse 5",
    "opentelemetry": "opentelemetry",
    "logfire": "logfire",
    "sentry": "sentry",
    "datadog": "ddtrace",
    "langsmith": "langsmith",
    "braintrust": "braintrust",
    "posthog": "posthog",
}
BEFORE, AFTER, BOTH = range(3)  # the blocks of a page
TRACE = [["tool", "look up", "ada"], ["llm", "chat", "ada"], ["general", "answer", "ada"]]
# OpenTelemetry's spans become events as well; that of its instrumentation has no tokens.
JOINED = [["general", "look up", "ada"], ["llm", "chat", "ada"], ["general", "chat gpt-4o", "ada"], TRACE[2]]


def played(page: str, block: int) -> Any:
    """What came of one call of the block's handler."""
    python = environments.installed("peers", ENVIRONMENTS[page])
    done = json.loads(environments.run(python, "tests.docs.migrating", page, str(block)).splitlines()[-1])
    assert (done["answer"], done["calls"]) == ("Hello, serverless world!", 1)
    return done


@pytest.mark.slow(seconds=8)
@pytest.mark.parametrize("page", ENVIRONMENTS)
def test_the_function_works_before_and_with_both(page: str) -> None:
    """Before, the tool alone gets the trace. With both, each backend gets it, and the call is one event here."""
    before, both = played(page, BEFORE), played(page, BOTH)
    assert before["tool"]
    assert before["events"] == []
    assert both["tool"]
    assert both["events"] == (JOINED if page == "opentelemetry" else TRACE)


def test_the_function_works_after() -> None:
    """It is the same on each page, and its trace has the user, the session, the tool and the call."""
    (block,) = {blocks(PAGES[f"migrate/{page}"])[AFTER] for page in ENVIRONMENTS}
    assert not [tool for tool in ENVIRONMENTS if tool in block]
    after = played("langfuse", AFTER)
    assert after["tool"] == []
    assert after["events"] == TRACE
    assert after["sessions"] == ["s1"] * 3


def test_each_page_has_the_same_parts() -> None:
    """Three functions and the same headings, so that a reader finds their way; the official SDK may stay as it is."""
    pages = {path.stem for path in (DOCS / "migrate").glob("*.md")}
    assert pages == {*ENVIRONMENTS, "zespan"}
    assert len(blocks(PAGES["migrate/zespan"])) == 1  # in sdks/test_adoption.py
    parts = {
        page: [line for line in PAGES[f"migrate/{page}"].splitlines() if line.startswith("## ")]
        for page in ENVIRONMENTS
    }
    assert len({tuple(headings) for headings in parts.values()}) == 1
    assert {len(blocks(PAGES[f"migrate/{page}"])) for page in ENVIRONMENTS} == {3}
