"""The views of the page in a real browser, on runs of the real server."""

from __future__ import annotations

import json
import time
import urllib.parse
import urllib.request
from pathlib import Path

import pytest
from zespan_serverless_dev.server import DevServer

from tests.dev.page.support import count, exists, leave, says, show
from tools import story
from tools.chromium import Page

pytestmark = pytest.mark.host(seconds=2)


def test_an_empty_run_says_how_to_begin(page: Page, dev: DevServer) -> None:
    """Before anything has arrived, the page names the command and the variables to type."""
    show(page, dev)
    page.wait(says("Nothing has arrived yet"))
    assert f"ZESPAN_BASE_URL={dev.url}" in page.text()


def test_lanes_show_what_sandboxes_do(page: Page, dev: DevServer) -> None:
    """Each sandbox has its lane with phases, calls, flushes and folded gaps; an end by timeout is written."""
    story.day(dev)
    show(page, dev)
    page.wait("document.querySelectorAll('.lane').length === 3 && document.querySelectorAll('.block').length === 12")
    for kind in ("init", "handler", "after", "call", "flush"):
        assert count(page, f".block .bar.is-{kind}") > 0, kind
    assert count(page, ".block .is-token") > 5
    assert count(page, ".block .line.is-response") > 5
    assert count(page, ".fold.is-frozen") >= 7
    assert "ended by timeout" in page.text()
    assert "SIGTERM" in page.text()


def test_a_call_that_hangs_is_shown_growing(page: Page, dev: DevServer) -> None:
    """A call that has begun and not ended is in the lane, and becomes longer while one looks."""
    story.day(dev)
    show(page, dev)
    page.wait(exists(".bar.is-call.is-open"))
    length = "document.querySelector('.inspector .headline b')?.textContent"
    before = page.wait(length)
    page.wait(f"{length} !== {before!r}")
    assert "hangs" in page.text()


def test_an_invocation_can_be_chosen_and_linked(page: Page, dev: DevServer) -> None:
    """A click on an invocation shows what is billed and what telemetry took of it; its URL shows the same again."""
    story.day(dev)
    show(page, dev)
    page.wait(exists(".block .bar.is-init"))
    page.click(".block:has(.is-init)")
    page.wait(exists(".inspector .bill .of"))
    shown = "document.querySelector('.inspector .bill') && document.querySelector('.inspector').innerText"
    text = page.wait(shown)
    assert "cold start" in text
    assert "of this, telemetry" in text
    assert "512 MB" in text or "1,024 MB" in text
    url = page.evaluate("location.href")
    page.open("about:blank")
    page.open(url)
    page.wait(exists(".block.is-chosen"))
    assert (
        page.wait("document.querySelector('.inspector .bill') && document.querySelector('.inspector').innerText")
        == text
    )


def test_ledger_adds_up_and_names_the_requests(page: Page, dev: DevServer) -> None:
    """captured = delivered + waiting + dropped + lost, and each event tells its requests; waiting ones have none."""
    sandboxes = story.day(dev)
    waiting = sum(len(sandbox.events) for sandbox in sandboxes)
    show(page, dev, "#/ledger")
    page.wait(says("adds up"))
    page.click(".filters button:nth-child(2)")
    page.wait(f"document.querySelectorAll('.events .line:not(.head) .status.is-waiting').length === {waiting}")
    assert count(page, ".events .line .status.is-delivered") == 0
    assert "in no request yet" in page.text()


def test_a_lost_event_is_announced(page: Page, dev: DevServer) -> None:
    """A sandbox that ends without its events makes the ledger say `lost`, with a sign and in words."""
    sandbox = story.Sandbox("chat", 1e12)
    sandbox.invoke(1, delivers=False)
    sandbox.end(journal=False)
    sandbox.send(dev)
    show(page, dev, "#/ledger")
    page.wait(says("! 2 events lost"))
    page.wait(exists(".sum.is-lost"))


def test_traces_are_filtered_and_opened(page: Page, dev: DevServer) -> None:
    """A filter narrows the list and is a part of the URL; a trace shows prompt, answer, tokens and the error."""
    story.day(dev)
    show(page, dev, "#/traces")
    page.wait(exists(".list .status.is-error"))
    page.evaluate("location.hash = '#/traces?status=error'")
    page.wait("document.querySelectorAll('.list .line:not(.head)').length === 1")
    page.click(".list .line:not(.head) a")
    page.wait(says("RateLimitError"))
    page.click(".tree .branch:nth-child(1) button")
    text = page.wait("document.querySelector('.pane').innerText")
    for part in ("Tokens", "Cost", "Copy JSON", "Copy curl"):
        assert part in text
    page.wait("location.hash.includes('span=')")


def test_what_if_reaches_server_and_sandbox(page: Page, dev: DevServer) -> None:
    """A fault that is chosen is in force for telemetry; a control goes to the sandbox that obeys it."""
    sandboxes = story.day(dev)
    show(page, dev)
    page.click(".fault input[value='429']")
    page.wait("document.querySelector('[role=status][aria-live]').textContent.includes('come back later')")
    page.wait(exists(".fault.is-on"))
    assert dev.fault == "429"
    page.wait(exists(".controls .is-again"))
    page.click(".controls .is-again")
    page.wait("document.querySelector('[role=status][aria-live]').textContent === 'Sent: Run again.'")
    asked = urllib.parse.urlencode({"sandbox": sandboxes[-1].id})
    with urllib.request.urlopen(f"{dev.url}/v1/commands?{asked}", timeout=30) as answer:
        assert json.load(answer) == {"commands": [{"control": "again"}]}


def test_runs_are_compared(page: Page, tmp_path: Path) -> None:
    """A run is compared with the one before, by function and span, with the differences."""
    with DevServer(tmp_path, name="before") as first:
        story.many(first, 20)
    with DevServer(tmp_path, name="after") as dev:
        story.many(dev, 30)
        show(page, dev, "#/runs")
        page.wait(exists(".differences tbody tr"))
        chosen = "[...document.querySelectorAll('.choices select')].map((choice) => choice.selectedOptions[0].text)"
        assert page.evaluate(chosen) == ["before", "after (now)"]
        page.wait(says("+50 %"))
        page.click(".table tbody tr:last-child th a")
        page.wait(says("Kept run"))
        page.wait(exists(".block"))
        assert count(page, ".fault, .controls") == 0
        assert page.problems == []
        leave(page)


def test_a_run_is_exported_and_imported(page: Page, dev: DevServer, tmp_path: Path) -> None:
    """The file of a run, given to the page, is a run to choose; a file that is none is refused with a reason."""
    story.day(dev)
    show(page, dev, "#/runs")
    page.wait(exists("a[download]"))
    content = page.evaluate(
        "fetch(document.querySelector('a[download]').href).then((r) => r.blob()).then((b) => b.size)"
    )
    assert content > 100
    request = urllib.request.Request(f"{dev.url}/api/export", headers={"Authorization": f"Bearer {dev.token}"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        (tmp_path / "run.gz").write_bytes(answer.read())
    page.choose("input[type=file]", tmp_path / "run.gz")
    page.wait("document.querySelectorAll('.view-runs tbody:first-of-type tr th a').length === 2")
    (tmp_path / "none.gz").write_text("no run")
    page.choose("input[type=file]", tmp_path / "none.gz")
    said = "document.querySelector('.import [role=status]').textContent"
    page.wait(f"{said} && !{said}.startsWith('Importing')")
    page.evaluate("new Promise((resolve) => setTimeout(resolve, 100))")
    page.problems.clear()  # the browser notes in its console that the server has refused it


def test_a_freeze_in_a_call_is_folded(page: Page, dev: DevServer) -> None:
    """A sandbox that is frozen while it works shows the gap within its invocation, in the lane and beside it."""
    sandbox = story.Sandbox("chat", time.time() * 1000 - 60_000)
    sandbox.invoke(1, outcome="", hangs=True)
    sandbox.freeze(30_000)
    sandbox.send(dev)
    show(page, dev)
    page.wait(exists(".axis .fold.is-frozen"))
    page.wait(exists(".inspector .lines .fold.is-frozen"))
    assert "30.0 s" in page.evaluate("document.querySelector('.axis .fold.is-frozen').title")
