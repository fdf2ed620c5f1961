"""`EventFields`, the page that lists them, and the events that are sent: all have the same names."""

from __future__ import annotations

import ast
import itertools
import re
from pathlib import Path
from typing import Any, get_type_hints

import pytest

from zespan_serverless import capture, flush, span, testing, types, with_context
from zespan_serverless.exporters import fields

ROOT = Path(__file__).parents[2]
ALL = list(types.EventFields.__annotations__)


def documented() -> dict[str, str]:
    """Return what editors show of each field: the text below its line."""
    body = ast.parse(Path(fields.__file__).read_text()).body
    (kind,) = [node for node in body if isinstance(node, ast.ClassDef) and node.name == "EventFields"]
    texts: dict[str, str] = {}
    for node, text in itertools.pairwise(kind.body):
        if isinstance(node, ast.AnnAssign) and isinstance(text, ast.Expr):
            texts[ast.unparse(node.target)] = " ".join(str(ast.literal_eval(text.value)).split())
    return texts


def everything() -> list[dict[str, Any]]:
    """Return an event of each kind, with all that there is to say."""
    with testing.recording(tags={"a": "b"}) as events:
        with with_context(user_id="u", session_id="s", conversation_id="c"), span("a", kind="agent", tools=[{}]):
            with span("m", kind="llm", model="gpt-4o", provider="openai", system="s", tools=[{"name": "t"}]) as call:
                call.first_token()
                call.output("x", tools={"t": 1}, finish_reason="stop")
                call.usage(input_tokens=5, output_tokens=5, cached_tokens=1, cache_write_tokens=1)
            with span("t", kind="tool", arguments=1, result=1):
                pass
            with span("r", kind="retriever", query="q") as search:
                search.documents(["x"])
            with span("p", kind="planning", steps=[1], rationale="r"):
                pass
            with span("h", kind="handoff", reason="r"):
                pass
            capture({})
        flush()
    return events


def test_every_field_of_a_sent_event_is_known() -> None:
    """Of models, steps, agents and captures."""
    sent = {name for event in everything() for name in event}
    assert sent <= set(ALL)
    # The rest is for those who capture: nothing here knows of it.
    by_users_only = {"error_code", "eval_scores", "ab_test", "ab_test_variant"}
    assert set(ALL) - sent == by_users_only


def test_fields_with_a_star_are_filled_in() -> None:
    """An empty capture, inside an agent, has these and no others."""
    (captured,) = (event for event in everything() if event["operation"] == "custom")
    assert set(captured) - {"metadata"} == {name for name, text in documented().items() if text.startswith("*")}


def test_the_page_lists_every_field() -> None:
    """In the same order, with what editors show of them."""
    section = (ROOT / "docs/by-hand.md").read_text().split("## Fields of an event")[1]
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \| (.*) \|$", section, re.MULTILINE)
    assert {name: text for name, _, text in rows} == documented()
    assert [name for name, _, _ in rows] == ALL
    assert list(get_type_hints(types.EventFields)) == ALL


def test_a_name_that_resembles_a_field_is_logged_once_and_sent(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A backend may know more than this version; what resembles nothing is not worth a word."""
    monkeypatch.setattr(fields, "_checked", set())  # another test may have had this name looked at
    event: Any = {"input_token": 5, "something_of_mine": 1, 3: "odd"}
    with testing.recording() as events:
        capture(event)
        capture(event)
        flush()
    assert [(one["input_token"], one["something_of_mine"], one["3"]) for one in events] == [(5, 1, "odd")] * 2
    assert [record.getMessage() for record in caplog.records] == [
        "zespan-serverless: capture: 'input_token' is not a field of an event, did you mean 'input_tokens'? "
        "It is sent as is (docs/log-lines.md#field-unknown)"
    ]


class Hostile(dict[str, Any]):
    def __iter__(self) -> Any:
        raise ValueError("hostile")


@pytest.mark.parametrize("event", [None, 5, "text", Hostile(a=1), {("a",): 1}, itertools.count()])
def test_what_is_no_event_is_harmless(event: Any) -> None:
    """`capture` never raises."""
    with testing.recording():
        capture(event)


def test_captured_content_is_not_sent_without_prompts() -> None:
    """What stands in the fields of prompts, answers, tools, plans and reasons."""
    secret = "my words"
    content = {name: secret for name, text in documented().items() if "ithout `store_prompts`" in text}
    assert len(content) == 8
    given: Any = content
    with testing.recording(store_prompts=False) as events:
        capture(given)
        flush()
    assert secret not in str(events)


class Unmeasured(str):
    def __len__(self) -> int:
        raise ValueError("hostile")


def test_what_is_captured_does_not_keep_other_events_from_being_sent() -> None:
    """An id of a class of the user's is a plain text in the buffer."""
    with testing.recording() as events:
        capture({"span_id": Unmeasured("a" * 16)})
        capture({"operation": "other"})
        assert flush().reason == ""
    assert [event["span_id"] == "a" * 16 for event in events] == [True, False]
