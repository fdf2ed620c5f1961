"""What the tests of the page share."""

from __future__ import annotations

from zespan_serverless_dev.server import DevServer

from tools.chromium import Page

LOADED = (".block", ".list .line a", ".events .line", ".table tbody tr")  # what a view has when it has been loaded
VIEWS = dict(zip(("lanes", "traces", "ledger", "runs"), LOADED, strict=True))


def show(page: Page, dev: DevServer, where: str = "#/lanes", *, width: int = 1440, theme: str = "light") -> None:
    """Open the page with its token at a view, and wait until it is live."""
    page.open(dev.page_url, width, theme=theme)
    page.evaluate(f"location.hash = {where!r}")
    page.wait("document.querySelector('.live.is-live') !== null")


def count(page: Page, selector: str) -> int:
    """Return how many elements match."""
    return int(page.evaluate(f"document.querySelectorAll({selector!r}).length"))


def exists(selector: str) -> str:
    """Return an expression that is true when an element matches."""
    return f"document.querySelector({selector!r}) !== null"


def says(text: str) -> str:
    """Return an expression that is true when the reader sees this text."""
    return f"document.body.innerText.includes({text!r})"


def leave(page: Page) -> None:
    """Close what is shown, before its server is closed, or after: the browser notes each connection that is refused."""
    violations = page.violations()
    assert violations == [], violations
    page.send("Page.navigate", url="about:blank")
    page.wait("location.href === 'about:blank' && window.violations !== undefined")
    page.problems.clear()
