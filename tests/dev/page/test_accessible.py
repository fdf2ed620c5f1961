"""The page can be read and used by everybody: axe-core finds nothing, and the keyboard does everything."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from zespan_serverless_dev.server import DevServer

from tests import axe as axe_core
from tests.dev.page.support import VIEWS, count, exists, says, show
from tools import story
from tools.chromium import Page

pytestmark = pytest.mark.host(seconds=4)


@pytest.fixture(scope="module")
def axe() -> str:
    """The source of axe-core."""
    return axe_core.source()


@pytest.fixture
def check(page: Page, axe: str) -> Callable[[], None]:
    """check(): what is shown now violates no rule."""

    def check() -> None:
        assert axe_core.violations(page, axe) == []

    return check


@pytest.mark.parametrize(("width", "theme"), [(1440, "light"), (390, "dark")])
def test_no_view_violates_a_rule(page: Page, dev: DevServer, check: Callable[[], None], width: int, theme: str) -> None:
    """Names, roles, contrast, order of headings: axe-core has nothing to say of any view, in either theme."""
    story.day(dev)
    for view, loaded in VIEWS.items():
        show(page, dev, f"#/{view}", width=width, theme=theme)
        page.wait(exists(loaded))
        check()
    page.evaluate(f"location.hash = '#/traces/{dev.get('invocations?limit=1')['rows'][0]['trace_id']}'")
    page.wait(exists(".pane .span"))
    check()
    page.evaluate("location.hash = '#/lanes'")
    page.wait(exists(".block"))
    page.click(".block")
    page.wait(exists(".inspector .waterfall"))
    check()
    page.press("?")
    page.wait(exists("dialog[open]"))
    check()


def test_keys_move_and_open_and_close(page: Page, dev: DevServer) -> None:
    """j and k move, Enter opens, Esc closes, / searches, digits change the view, ? helps; all can be switched off."""
    story.day(dev)
    show(page, dev)
    page.press("2")
    page.wait(exists(".list .line a"))
    page.press("j")
    page.press("j")
    page.wait(exists(".line.is-focused[aria-rowindex='3']"))
    page.press("k")
    page.press("Enter")
    page.wait(exists(".pane .span"))
    first = page.evaluate("location.hash")
    page.press("j")
    page.wait(f"location.hash !== {first!r}")
    page.press("Escape")
    page.wait("location.hash === '#/traces'")
    page.press("/")
    page.type("single sign-on")
    page.wait("location.hash.includes('single')")
    page.press("Escape")
    page.press("?")
    page.wait(exists("dialog[open]"))
    page.click("dialog input[type=checkbox]")
    page.click("dialog .button")
    page.wait(f"!{exists('dialog[open]')}")
    page.press("1")
    assert page.evaluate("location.hash").startswith("#/traces")


def test_search_finds_what_was_said(page: Page, dev: DevServer) -> None:
    """The search narrows the list to traces whose prompt or answer has the text."""
    story.many(dev, 60)
    show(page, dev, "#/traces")
    page.wait(exists(".list .line a"))
    page.press("/")
    page.type("reservation that has expired")
    page.wait("Number(document.querySelector('.counter').textContent) < 30")
    page.wait(exists(".list .line a"))
    page.click(".list .line:not(.head) a")
    page.wait(says("a reservation that has expired"))


def test_everything_can_be_reached_with_tab(page: Page, dev: DevServer) -> None:
    """The first Tab leads to a link past the header; each control that Tab reaches shows its focus."""
    story.day(dev)
    show(page, dev)
    page.wait(exists(".block"))
    page.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    seen = set()
    for _ in range(25):
        page.press("Tab")
        seen.add(page.evaluate("document.activeElement.className || document.activeElement.tagName"))
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle !== 'none'") or "INPUT" in seen
    assert count(page, ":focus-visible") == 1
    assert {"run", "icon"} <= seen
