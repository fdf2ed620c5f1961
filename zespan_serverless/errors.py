"""What a developer can get wrong. Raised while configuring or on request, never while serving.

ZespanError
├── ConfigurationError   a setting that does not exist, or a value of the wrong type
└── FlushIncomplete      flush(raise_on_pending=True) left events behind
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._base.reports import FlushReport

__all__ = ["ConfigurationError", "FlushIncomplete", "ZespanError"]


class ZespanError(Exception):
    """Base class of everything this package raises on purpose."""


class ConfigurationError(ZespanError, TypeError):
    """A decorator or `init()` got a setting that does not exist, or one of the wrong type."""


class FlushIncomplete(ZespanError):
    """`flush(raise_on_pending=True)` ended with events still waiting; `report` says how many and why."""

    def __init__(self, report: FlushReport) -> None:
        super().__init__(f"{report.pending} events still pending after {report.elapsed:.2f} s: {report.reason}")
        self.report = report
