"""Whatever an event contains is shown as text, and nothing of it acts."""

from __future__ import annotations

import json
import random
import time

import pytest
from zespan_serverless_dev.server import DevServer

from tests.dev.page.support import VIEWS, count, exists, show
from tools import story
from tools.chromium import Page

pytestmark = pytest.mark.host(seconds=5)

MARKS = "<img src=x onerror='window.harmed=1'><script>window.harmed=1</script><style>*{display:none!important}</style>"
TEXTS = (
    MARKS,
    "javascript:window.harmed=1",
    "\u202etxet eht senrut\u202d \u2066isolate",
    '\';window.harmed=1;//" onclick="window.harmed=1" {{7*7}} ${window.harmed=1} url(//example.invalid/x)',
    "very long " * 5_000,
    json.dumps({"type": "img", "props": {"dangerouslySetInnerHTML": {"__html": MARKS}}, "constructor": None}),
    json.dumps([{"role": MARKS, "parts": [{"type": MARKS, "content": {"toString": "x"}}, None, 7, [[]]]}]),
    "__proto__",
    "constructor",
    "\x00\x1b[2J\ud800".encode("utf-16", "surrogatepass").decode("utf-16", "replace"),
)


def hostile(text: str, number: int) -> list[story.Record]:
    """Two events with this text in every field that takes one."""
    fields = ("operation", "provider", "model", "user_id", "session_id", "prompt_text", "completion_text")
    more = ("system_prompt", "tool_call_args", "tool_definitions", "error_message", "span_kind", "finish_reason", text)
    common = {**dict.fromkeys((*fields, *more), text), "status": text, "timestamp": time.time(), "latency_ms": 5}
    common |= {
        "metadata": {text: text, "faas.name": text, "faas.instance": text, "start_kind": text},
        "tags": {text: text},
    }
    ids = {"trace_id": f"{text}{number}", "event_id": f"{number}a{text}", "span_id": f"s{text}"}
    child = {"event_id": f"{number}b{text}", "span_id": f"c{text}", "parent_span_id": ids["span_id"]}
    return [{**common, **ids}, {**common, **ids, **child}]


def attack(dev: DevServer) -> None:
    """Send hostile events, and the records of sandboxes that are no better."""
    for number, text in enumerate(TEXTS):
        story.post(dev, hostile(text, number))
        fields = dict.fromkeys(("function", "handler", "host", "name", "request_id", "reason", "text", "outcome"), text)
        common: story.Record = {
            **fields,
            "sandbox": f"sandbox {text}",
            "trace_id": f"{text}{number}",
            "span_id": text,
            "kind": text,
        }
        common |= {"controls": [text, "kill"], "event_ids": [text], "waiting": [text], "duration_ms": 5}
        common["deadline"] = time.time() * 1000
        kinds = ("sandbox", "invoke", "begun", "flush", "dropped", "freeze", "done", "exit", text)
        dev.post_lifecycle(*({**common, "type": kind} for kind in kinds))


@pytest.fixture
def attacked(dev: DevServer) -> DevServer:
    attack(dev)
    return dev


def test_no_event_acts_on_the_page(page: Page, attacked: DevServer) -> None:
    """Markup, scripts, styles, addresses, direction marks and huge texts in every field stay texts, in every view."""
    for view, loaded in VIEWS.items():
        show(page, attacked, f"#/{view}")
        page.wait(exists(loaded))
        assert not page.evaluate("window.harmed")
        assert page.evaluate("document.documentElement.scrollWidth") <= 1440, view
        assert count(page, "main img, main script, main style, main iframe, [onerror], [onclick]") == 0
    rows = attacked.get("invocations?limit=50")["rows"]
    assert len(rows) >= len(TEXTS)
    for row in rows:
        page.evaluate(f"location.hash = '#/traces/' + encodeURIComponent({json.dumps(row['trace_id'])})")
        page.wait(exists(".pane .span"))
        page.wait("document.querySelector('.pane .sub.mono').textContent.length > 0")
        assert not page.evaluate("window.harmed")
        assert page.evaluate("document.documentElement.scrollWidth") <= 1440, row["trace_id"][:50]
        assert count(page, "main img, main script, main style, main iframe, [onerror], [onclick]") == 0
        leading = page.evaluate("[...document.querySelectorAll('main a')].map((a) => a.href)")
        assert all(address.startswith(f"{attacked.url}/") for address in leading)


def test_a_circle_of_parents_is_a_tree(page: Page, dev: DevServer) -> None:
    """Spans that name each other as parents, or themselves, are each shown once."""
    chance = random.Random(1)
    now = time.time() * 1000
    circle = [
        story.event_of(chance, "circle", span, parent, f"step {span}", "general", now, now + 5, True)
        for span, parent in (("a", "b"), ("b", "c"), ("c", "a"), ("d", "d"), ("e", "missing"))
    ]
    story.post(dev, circle)
    show(page, dev, "#/traces/circle")
    page.wait("document.querySelectorAll('.branch').length === 5")


def test_copied_command_cannot_run_another(page: Page, dev: DevServer) -> None:
    """A trace whose id ends the quotes of a shell is quoted in the command to copy."""
    script = """import('./traces/tree.js').then(({ curl }) => curl("http://127.0.0.1/api/trace/x'; touch harmed; '"))"""
    show(page, dev)
    command = page.evaluate(script)
    assert command.count("'") == 2
    assert command.endswith("'")


def test_hostile_events_that_come_in_live_break_no_view(page: Page, dev: DevServer) -> None:
    """While each view is shown, it takes what comes in: no script fails, and no view is given up."""
    show(page, dev)
    for number, view in enumerate(VIEWS):
        page.evaluate(f"location.hash = '#/{view}'")
        page.wait(exists(f".view-{view}"))
        for _ in range(2):  # what is shown already is drawn again
            attack(dev)
            story.post(dev, hostile("new", 1000 + number))
            page.evaluate("new Promise((resolve) => setTimeout(resolve, 600))")
        assert "This view has failed" not in page.text()
