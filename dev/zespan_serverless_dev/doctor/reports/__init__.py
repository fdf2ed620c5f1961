"""Reports: a result as the text of one format. No report contains the value of a variable that is secret."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from . import github, json, sarif, text

if TYPE_CHECKING:
    from ..run import Result

REPORTS: dict[str, Callable[[Result], str]] = {
    "text": text.report,
    "json": json.report,
    "sarif": sarif.report,
    "github": github.report,
}
"""By the value of `--format`."""
