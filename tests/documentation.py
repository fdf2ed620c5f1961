"""The pages of the documentation, and the Python blocks on them."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
DOCS = ROOT / "docs"
# By their path without the suffix: "models", "providers/openai". Those of the doctor have tests of their own.
PAGES = {
    page.relative_to(DOCS).with_suffix("").as_posix(): page.read_text()
    for page in sorted(DOCS.rglob("*.md"))
    if page.parent.name != "doctor"
}


def blocks(text: str) -> list[str]:
    """Return the Python blocks of a page."""
    found: list[str] = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    return found


def run(block: str) -> SimpleNamespace:
    """Return a block as the module it would be."""
    namespace: dict[str, Any] = {"__name__": "documentation"}
    exec(compile(block, "block", "exec"), namespace)
    return SimpleNamespace(**namespace)
