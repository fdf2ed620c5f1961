"""The console: trees for people on a real terminal, JSON for programs, and nothing that controls either."""

from __future__ import annotations

import io
import json
import os
import pty
import random
import re
import subprocess
import sys
import termios
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zespan_serverless import init, shutdown, span
from zespan_serverless.exporters._trees.nodes import node_of
from zespan_serverless.exporters._trees.style import Style, style_of
from zespan_serverless.exporters._trees.tree import clock, draw, duration, money
from zespan_serverless.exporters.console import ConsoleExporter

Event = dict[str, Any]

ROOT = Path(__file__).parents[2]
SCRIPT = """
from zespan_serverless import span, zespan_lambda
from zespan_serverless.testing import LambdaContext

@zespan_lambda(exporter="console", service_name="chat")
def handler(event, context):
    with span("plan", kind="planning"):
        pass
    with span("answer", kind="agent"), span("search", kind="tool"):
        pass

handler({}, LambdaContext())
"""


def event(span_id: str, parent: str | None = None, end: float = 100, ms: float = 50, **fields: Any) -> Event:
    """Return an event of trace t that ends `end` milliseconds after noon."""
    seconds, rest = divmod(end, 1000)
    timestamp = f"2026-01-31T12:00:{seconds:02.0f}.{rest:03.0f}Z"
    ids = {"trace_id": "t" * 32, "span_id": span_id, "parent_span_id": parent}
    return {**ids, "operation": span_id, "timestamp": timestamp, "latency_ms": ms, "status": "success", **fields}


def tree(*events: Event, width: int = 80, **options: Any) -> str:
    return draw([node_of(one) for one in events], Style(width=width, **options))


def printed(exporter: ConsoleExporter, *events: Event) -> None:
    exporter.send([json.dumps(one).encode() for one in events], 5)


def on_terminal(**variables: str) -> str:
    """Return what a terminal of 80 columns gets from the script."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 80))
    inherited = {name: text for name, text in os.environ.items() if name not in ("NO_COLOR", "COLUMNS")}
    environ = {**inherited, "PYTHONPATH": str(ROOT), "TERM": "xterm", "ZESPAN_ENABLED": "1", **variables}
    subprocess.run([sys.executable, "-c", SCRIPT], stdout=theirs, env=environ, check=True, timeout=60)
    os.close(theirs)
    read = b""
    try:
        while piece := os.read(ours, 65536):
            read += piece
    except OSError:  # Linux's end of file
        pass
    finally:
        os.close(ours)
    return read.decode().replace("\r\n", "\n")


def test_a_terminal_shows_one_tree_per_invocation() -> None:
    """The root first, then its steps in the order in which they began, with colours, in the width of the terminal."""
    shown = on_terminal()
    assert "\x1b[1mchat\x1b[0m" in shown
    lines = re.sub(r"\x1b\[[\d;]*m", "", shown).splitlines()
    assert [re.sub(r"\s+\d+ ms.*", "", line) for line in lines[1:]] == [
        "├─ plan planning",
        "└─ answer agent",
        "   └─ search tool",
    ]
    assert re.fullmatch(r"\d\d:\d\d:\d\d\.\d{3} chat +\d+ ms .*", lines[0])
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize("variables", [{"NO_COLOR": "1"}, {"TERM": "dumb"}], ids=str)
def test_colours_can_be_refused(variables: dict[str, str]) -> None:
    """By the variable that all programs know, or because the terminal has none."""
    shown = on_terminal(**variables)
    assert "\x1b" not in shown
    assert "├─ plan planning" in shown


def test_a_terminal_gets_json_if_that_is_asked_for() -> None:
    """`console_format` decides, wherever the output goes."""
    shown = on_terminal(ZESPAN_CONSOLE_FORMAT="json")
    assert [json.loads(line)["operation"] for line in shown.splitlines()] == ["plan", "search", "answer", "chat"]


def test_a_pipe_gets_a_tree_if_that_is_asked_for(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tree has no colours, because the terminal is unknown."""
    monkeypatch.delenv("COLUMNS", raising=False)
    init(exporter="console", console_format="tree")
    with span("outer"), span("inner", kind="tool"):
        pass
    shutdown()
    first, second = capsys.readouterr().out.splitlines()
    assert " outer " in first
    assert second.startswith("└─ inner tool ")


def test_only_a_known_width_cuts_lines() -> None:
    """In a pipe the reader may have any width: notes and errors end after 400 columns."""
    failed = event("a", operation="chat", status="error", error_message="e" * 150, metadata={"error.type": "E"})
    assert all(len(line) <= 80 for line in tree(failed).splitlines())
    assert f"✗ E: {'e' * 150}\n" in draw([node_of(failed)], Style())
    assert max(map(len, draw([node_of({**failed, "error_message": "e" * 500})], Style()).splitlines())) == 400


def test_a_tree_shows_where_time_and_money_went() -> None:
    """Bars in time, tokens and cost of each call, their sums at the root, notes, and the error below its span."""
    model = {"span_kind": "llm", "operation": "chat"}
    root = {"http.request.method": "POST", "http.route": "/chat", "http.response.status_code": 500}
    shown = tree(
        event("search", "root", end=250, ms=250, span_kind="tool"),
        event("a", "root", 1000, 750, **model, model="gpt-4o", input_tokens=1204, output_tokens=31, cost_usd=0.0033),
        event(
            "b", "root", 1000, 0, **model, model="o3", status="error", error_message="no", metadata={"error.type": "E"}
        ),
        event("root", None, end=1000, ms=1000, operation="chat", metadata=root),
        width=120,
    )
    at = clock(1769860800000.0)
    assert shown.splitlines() == [
        f"{at} chat         ━━━━━━━━━━━━━━━━━━━━━━━━  1.00 s  1,204+ → 31+  $0.0033+  POST /chat 500 · trace tttttttt",
        "├─ search tool            ━━━━━━                    250 ms",
        "├─ gpt-4o chat                  ━━━━━━━━━━━━━━━━━━  750 ms    1,204 → 31   $0.0033",
        "└─ o3 chat                                       ━    0 ms         ? → ?",
        "      ✗ E: no",
    ]


def test_trees_that_are_printed_together_have_the_same_columns() -> None:
    """Also if one of them has longer names; a request that is the name already is not repeated."""
    details = {"http.request.method": "GET", "http.route": "/greetings/{name}", "http.response.status_code": 204}
    first = event("GET /greetings/{name}", None, 100, 100, metadata=details)
    one, other = tree(first, event("b", None, 200, 100), width=120).splitlines()
    assert one.index(" 100 ms") == other.index(" 100 ms")
    assert one.endswith(" 100 ms  204 · trace tttttttt")


def test_narrow_terminals_have_no_bars() -> None:
    """Figures come first; what is too long for its column is cut."""
    shown = tree(event("b" * 70, "a"), event("a" * 70, None), width=60)
    assert "━" not in shown
    assert [len(line) <= 60 for line in shown.splitlines()] == [True, True]
    assert "a…" in shown


def test_a_span_whose_root_has_not_come_is_a_tree_of_its_own() -> None:
    """Nothing waits for an event that may never come."""
    shown = tree(event("second", "gone", 200), event("first", "gone", 100), event("below", "first", 100, 10))
    assert [line.split()[1] for line in shown.splitlines()] == ["first", "below", "second"]


@pytest.mark.parametrize("seed", range(20))
def test_each_event_has_one_line(seed: int) -> None:
    """Whatever the parents are: missing ones, duplicate ids, and circles."""
    chance = random.Random(seed)
    ids = [str(chance.randrange(12)) for _ in range(15)]
    events = [event(one, chance.choice([*ids, "gone", one]), chance.randrange(1000), operation="x") for one in ids]
    for one in events:
        one["trace_id"] = chance.choice("ab") * 32
    assert len(re.findall(r"\bx\b", tree(*events))) == len(events)


def test_deep_trees_stay_readable() -> None:
    """A chain of a thousand spans has a thousand lines, and the last has room for its name."""
    shown = tree(*(event(f"s{number}", f"s{number - 1}", number) for number in range(1000)))
    assert len(shown.splitlines()) == 1000
    assert "s999" in shown.splitlines()[-1]


def test_nothing_in_a_tree_controls_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """Controls, line breaks and changes of direction, in any text that is drawn."""
    text = "".join(map(chr, [*range(0x100), *range(0x2000, 0x2070), 0x61C])) + "Grüße 日本"
    fields = ("operation", "model", "span_kind", "error_message", "trace_id", "user_id", "finish_reason", "status")
    for name in fields:
        hostile = {name: text, "tools_used": [text], "metadata": {"error.type": text}}
        printed(ConsoleExporter("tree"), event("a") | hostile)
    printed(ConsoleExporter("tree"), event("a", metadata=dict.fromkeys(["http.request.method", "http.route"], text)))
    out = capsys.readouterr().out
    controls = {character for character in out if unicodedata.category(character) in ("Cc", "Zl", "Zp")}
    assert controls == {"\n"}
    turning = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
    assert not {unicodedata.bidirectional(character) for character in out} & turning


@pytest.mark.parametrize("value", [None, True, -1, 1e300, float("nan"), "text", [], {}, [{}], "\ud800"], ids=repr)
def test_fields_of_any_type_are_drawn(value: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """`capture` lets users give an event what they want; its line is printed all the same."""
    names = ["operation", "model", "span_kind", "latency_ms", "timestamp", "status", "error_message", "metadata"]
    names += ["trace_id", "span_id", "parent_span_id", "input_tokens", "cost_usd", "ttft_ms", "tools_used", "user_id"]
    for name in names:
        printed(
            ConsoleExporter("tree"), event("a", operation="mark", model="", metadata={}) | {name: value, "x": "mark"}
        )
        assert capsys.readouterr().out.strip()
    printed(ConsoleExporter("tree"), dict.fromkeys(names, value))
    assert len(capsys.readouterr().out.splitlines()) >= 1


NAMES = [
    *("operation", "model", "span_kind", "latency_ms", "timestamp", "status", "error_message", "metadata", "trace_id"),
    *("span_id", "parent_span_id", "input_tokens", "output_tokens", "cost_usd", "ttft_ms", "tools_used", "user_id"),
]
DETAILS = ["error.type", "http.request.method", "http.route", "http.response.status_code", "faas.coldstart", "x"]
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from("ab")
    | st.datetimes().map(str)
)
JSON = SCALARS | st.lists(SCALARS, max_size=3) | st.dictionaries(st.sampled_from(DETAILS), SCALARS, max_size=3)


@given(st.lists(st.dictionaries(st.sampled_from(NAMES), JSON), max_size=6), st.integers(0, 200), st.booleans())
def test_any_json_is_drawn(events: list[Event], width: int, has_unicode: bool) -> None:
    """At least a line for each event, whatever is in it, and nothing that controls the terminal."""
    shown = tree(*events, width=width, has_unicode=has_unicode)
    assert shown.count("\n") >= len(events)
    assert {one for one in shown if unicodedata.category(one) in ("Cc", "Zl", "Zp")} <= {"\n"}


def test_a_stream_without_these_characters_gets_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tree in ASCII, and JSON with escapes: an encoding is no reason to fail for ever."""
    for form in ("tree", "json"):
        stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
        monkeypatch.setattr(sys, "stdout", stream)
        printed(ConsoleExporter(form), event("日本", "a"), event("a", None, operation="Grüße \N{GRINNING FACE}"))
        stream.seek(0)
        out = stream.read()
        if form == "tree":
            assert "`- \\u65e5\\u672c" in out
        else:
            assert json.loads(out.splitlines()[1])["operation"] == "Grüße \N{GRINNING FACE}"


def test_characters_of_two_columns_count_twice() -> None:
    """Columns stay columns."""
    first, second = tree(event("日本", "a", ms=7), event("a", None, ms=7)).splitlines()
    assert second.index(" 7 ms") == first.index(" 7 ms") - 2


def test_a_fork_waits_for_what_the_sender_imports() -> None:
    """The modules for trees are imported where a fork waits for that: else the child would hang at the same import."""
    program = """
import sys
from zespan_serverless._base import forks
from zespan_serverless.exporters.console import ConsoleExporter

class Finder:
    def find_spec(self, name, path=None, target=None):
        if not forks._importing:
            print(name, file=sys.stderr)

sys.meta_path.insert(0, Finder())
ConsoleExporter("tree").send(['{"operation":"日本","timestamp":"2026-01-31T12:00:00Z"}'.encode()], 5)
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "日本" in done.stdout
    assert done.stderr == ""


@pytest.mark.parametrize("columns", ["abc", "-4", "0", "99999", ""])
def test_a_width_that_is_none_is_ignored(columns: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """`COLUMNS` may hold anything."""
    monkeypatch.setenv("COLUMNS", columns)
    assert 40 <= style_of(io.StringIO()).width <= 9999


def test_figures_are_those_that_people_write() -> None:
    """Few digits, and a unit that fits."""
    assert [money(one) for one in (None, 0.0, 12.5, 0.42, 0.0042, 0.0000048, 1e-20, -3.0)] == [
        *("", "$0.00", "$12.50", "$0.42", "$0.0042", "$0.0000048", "$0.00", "$-3.00"),
    ]
    assert [duration(one) for one in (None, 0, 999, 999.6, 1234, 59_994, 125_000)] == [
        *("running", "0 ms", "999 ms", "1.00 s", "1.23 s", "59.99 s", "2 min 05 s"),
    ]
    assert clock(1e30) == "00:00:00.000"
