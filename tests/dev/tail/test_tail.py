"""`zespan-serverless tail`, with a real `dev` and events of real functions."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import threading
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from zespan_serverless_dev.address import Address
from zespan_serverless_dev.server import DevServer
from zespan_serverless_dev.tail import command as module
from zespan_serverless_dev.tail.formats import as_json, human, markdown

from tests.support import until
from zespan_serverless import flush, init, shutdown, span
from zespan_serverless.cli import main


@pytest.fixture
def dev(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DevServer]:
    monkeypatch.chdir(tmp_path)
    with DevServer(".zespan") as server:
        init(api_key="zsp_local", base_url=server.url)
        yield server
        shutdown()


def trace(name: str) -> None:
    with span(name, kind="agent"), span("inner", kind="tool"):
        pass
    assert flush(10).delivered == 2


def test_the_last_traces_are_printed_in_their_order(dev: DevServer, capsys: pytest.CaptureFixture[str]) -> None:
    """The latest at the end, where one looks; no more of them than asked for."""
    for name in ("first", "second", "third"):
        trace(name)
    assert main(["tail", "--no-follow", "--last", "2", "--dev", dev.url]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in lines] == ["second", "inner", "third", "inner"]
    assert lines[1].startswith("└─ inner tool ")


def test_what_comes_is_printed_once(dev: DevServer) -> None:
    """While it follows; it ends with `dev`, and well."""
    trace("before")
    command = [sys.executable, "-m", "zespan_serverless", "tail", "--format", "md"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as tail:
        assert tail.stdout is not None
        assert "`before`" in tail.stdout.readline()
        assert "`inner`" in tail.stdout.readline()
        trace("after")
        assert "`after`" in tail.stdout.readline()
        dev.close()
        rest = tail.stdout.read()
    assert rest.count("inner") == 1
    assert tail.returncode == 0


def test_a_span_is_printed_when_it_has_ended(dev: DevServer) -> None:
    """One that is running is not, and the rest of its trace is printed when it is there."""
    out = io.StringIO()
    printer = module.Printer(Address(dev.url, dev.token), "md", out)
    dev.post_lifecycle(
        {"type": "sandbox", "sandbox": "s", "host": "process"},
        {"type": "begun", "sandbox": "s", "trace_id": "a" * 32, "span_id": "b" * 16, "name": "long", "kind": "tool"},
    )
    until(lambda: dev.get(f"trace/{'a' * 32}")["spans"])
    printer.show("a" * 32)
    printer.show("f" * 32)  # gone, or never there
    assert out.getvalue() == ""
    printer.show("a" * 32, also_running=True)
    assert out.getvalue() == "- `long` `tool`, running\n"


def test_json_has_a_document_for_each_span(dev: DevServer, capsys: pytest.CaptureFixture[str]) -> None:
    """As the API answers it, with its trace."""
    trace("one")
    assert main(["tail", "--no-follow", "--format", "json", "--dev", dev.url]) == 0
    spans = {span["name"]: span for span in map(json.loads, capsys.readouterr().out.splitlines())}
    root, inner = spans["one"], spans["inner"]
    assert inner["parent_span_id"] == root["span_id"]
    assert root["trace_id"] == inner["trace_id"]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--last", "-1"], "--last must be 0 or more, not -1"),
        (["--dev", "http://127.0.0.1:9"], "start zespan-serverless dev, or give its URL by --dev"),
        (["--dev", "ftp://x"], "use the URL that `zespan-serverless dev` has printed"),
    ],
)
def test_mistakes_are_explained(options: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    """With what to type instead."""
    with pytest.raises(SystemExit):
        main(["tail", *options])
    assert told in capsys.readouterr().err


def test_a_dev_without_a_token_is_explained(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """The token is in the URL that it has printed."""
    with DevServer() as server, pytest.raises(SystemExit):
        main(["tail", "--dev", server.url])
    assert "--dev needs the URL with its token" in capsys.readouterr().err


HOSTILE = "".join(map(chr, [*range(0x100), *range(0x2000, 0x2070), 0x61C])) + "``](javascript:x)<b>"  # three backticks


@pytest.mark.parametrize("write", [human, markdown, as_json])
def test_nothing_that_arrives_controls_the_terminal(write: Any) -> None:
    """Whatever has sent it: `dev` takes telemetry of any program."""
    tokens = {"input": 1, "output": None}
    made = {"trace_id": "t", "span_id": "s", "parent_span_id": None, "start": 1.0, "end": 2.0, "tokens": tokens}
    texts = dict.fromkeys(("name", "kind", "status", "error", "model", "state", "provider"), HOSTILE)
    out = write([{**made, **texts, "attributes": {"http.request.method": HOSTILE, "http.route": HOSTILE}}])
    assert {one for one in out if unicodedata.category(one) in ("Cc", "Zl", "Zp")} == {"\n"}
    if write is markdown:
        assert out.count("`") % 2 == 0
        assert "<b>" not in "".join(out.split("`")[::2])


def test_spans_that_are_not_delivered_say_so() -> None:
    """Their state comes first among the notes."""
    made = {"trace_id": "t", "span_id": "s", "name": "x", "kind": "tool", "start": 1.0, "end": 2.0, "status": "ok"}
    assert "waiting" in human([{**made, "state": "waiting"}])
    assert "delivered" not in human([{**made, "state": "delivered"}])


def test_waiting_for_changes_ends_with_dev() -> None:
    """None then, and an empty list while it is quiet."""
    with DevServer() as server:
        changes = module.Changes(Address(server.url, server.token))
        assert changes.next() == []
        threading.Timer(0.2, server.close).start()
        until(lambda: changes.next() is None)
