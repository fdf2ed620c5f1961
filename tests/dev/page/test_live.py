"""New rows appear automatically, and never move what the user is reading."""

from __future__ import annotations

import time

import pytest
from zespan_serverless_dev.server import DevServer

from tests.dev.page.support import count, exists, leave, says, show
from tools import story
from tools.chromium import Page

pytestmark = pytest.mark.host(seconds=3)


def one(dev: DevServer, seed: int) -> None:
    """One more invocation, right now."""
    sandbox = story.Sandbox("fresh", time.time() * 1000, seed)
    sandbox.invoke(1)
    sandbox.send(dev)


def test_new_events_come_in_at_the_top(page: Page, dev: DevServer) -> None:
    """At the top of the list a new trace appears without a reload."""
    story.many(dev, 400)
    show(page, dev, "#/traces")
    page.wait(exists(".list .line a"))
    one(dev, 1)
    page.wait("document.querySelector('.list .line:not(.head) .what').textContent === 'fresh'")


def test_rows_do_not_move_under_the_reader(page: Page, dev: DevServer) -> None:
    """Further down new traces are counted only; the rows stay, and one click leads to what is new."""
    story.many(dev, 800)
    show(page, dev, "#/traces")
    page.wait(exists(".list .line a"))
    page.evaluate("document.querySelector('.list .scroller').scrollTop = 3600")
    page.wait(exists('.list .line[aria-rowindex="105"] a'))
    row = "document.querySelector('.list .line[aria-rowindex=\"105\"] .when').textContent"
    before = page.evaluate(row)
    one(dev, 2)
    page.wait(exists(".newer"))
    assert page.evaluate(row) == before
    page.click(".newer")
    page.wait("document.querySelector('.list .line:not(.head) .what').textContent === 'fresh'")


def test_pause_stops_what_is_shown(page: Page, dev: DevServer) -> None:
    """While paused nothing changes and what is new is counted; afterwards it is there."""
    one(dev, 1)
    show(page, dev)
    page.wait("document.querySelectorAll('.lane').length === 1")
    page.press("p")
    one(dev, 2)
    page.wait(exists(".live.is-paused"))
    page.wait("/[1-9]\\d* new/.test(document.querySelector('.live').textContent)")
    assert count(page, ".lane") == 1
    page.press("p")
    page.wait("document.querySelectorAll('.lane').length === 2")


def test_page_comes_back_after_the_server(page: Page, dev: DevServer) -> None:
    """Without a server the page says that it is offline, and keeps what it shows."""
    one(dev, 1)
    show(page, dev)
    page.wait(exists(".block"))
    dev.close()
    page.wait(says("Offline"))
    assert count(page, ".block") == 1
    leave(page)


def test_a_server_with_another_token_is_reported(page: Page, dev: DevServer) -> None:
    """After a restart the page comes back by itself, if only to say that it needs the new address."""
    one(dev, 1)
    show(page, dev)
    page.wait(exists(".block"))
    dev.close()
    page.wait(says("Offline"))
    with DevServer(port=dev.port):
        page.wait(says("This page needs its token"), timeout=60)
        leave(page)


def test_a_list_of_many_has_few_rows_in_the_document(page: Page, dev: DevServer) -> None:
    """20,000 traces: the end is one jump away, and the document has the rows in sight only."""
    story.many(dev, 40_000)
    show(page, dev, "#/traces")
    page.wait(exists(".list .line a"))
    assert page.evaluate("document.querySelector('.counter').textContent") == "20,000"
    page.evaluate("document.querySelector('.list .scroller').scrollTop = 1e9")
    page.wait(exists('.list .line[aria-rowindex="20001"] a'))
    assert count(page, ".list .slot") < 80
    assert count(page, "*") < 1500


def test_lanes_keep_their_places(page: Page, dev: DevServer) -> None:
    """A sandbox that is called again stays where it is, and its invocation is the one that is shown as the latest."""
    now = time.time() * 1000
    older, newer = (story.Sandbox(name, now - ago) for name, ago in (("older", 9000), ("newer", 5000)))
    for sandbox in (older, newer):
        sandbox.invoke(1)
        sandbox.send(dev)
    names = "[...document.querySelectorAll('.lane h2')].map((name) => name.textContent)"
    show(page, dev)
    page.wait("document.querySelectorAll('.block').length === 2")
    assert page.evaluate(names) == ["newer", "older"]
    older.at = now
    older.records, older.deliveries = [], []
    older.invoke(3)
    older.send(dev)
    page.wait("document.querySelectorAll('.block').length === 3")
    page.wait("document.querySelectorAll('.inspector .bar.is-call').length === 3")
    assert page.evaluate(names) == ["newer", "older"]
