"""axe-core, which says what keeps people from using a page."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools import vendor
from tools.chromium import Page

CACHE = Path(__file__).parents[1] / ".cache"
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
_RUN = """
axe.run(document, { runOnly: TAGS }).then((result) =>
  result.violations.flatMap((rule) => rule.nodes.map((node) => `${rule.id}: ${node.target} ${node.failureSummary}`)))
"""


def source() -> str:
    """Return the source of axe-core, from npm or from an earlier run; skip the test where npm does not have it."""
    file = CACHE / f"{vendor.AXE.replace('@', '-')}.js"
    if not file.exists():
        try:
            content = vendor.package(vendor.AXE)["axe.min.js"]
        except vendor.RegistryUnavailable as problem:
            pytest.skip(str(problem))
        CACHE.mkdir(exist_ok=True)
        file.write_bytes(content)
    return file.read_text()


def violations(page: Page, axe: str, tags: list[str] = TAGS) -> list[str]:
    """Return what violates a rule in what is shown. Chromium runs axe beside the page, whose policy stays in force."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(f"(() => {{ {axe} }})()")
    return list(page.evaluate(_RUN.replace("TAGS", str(tags))))
