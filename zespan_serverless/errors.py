"""The exceptions of this package, all derived from `ZespanError`. They are raised while configuring or on request,
never during an invocation.

* `ConfigurationError`: an unknown setting, a value of the wrong type, a missing package
* `FlushIncomplete`: `flush(raise_on_pending=True)` ended while events were pending
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._base.reports import FlushReport

__all__ = ["ConfigurationError", "FlushIncomplete", "ZespanError"]


class ZespanError(Exception):
    """Base class of all exceptions that this package raises on purpose."""


class ConfigurationError(ZespanError, TypeError):
    """A configuration mistake, such as an unknown setting. The message says what to do instead.

    It is also a TypeError, because wrong keyword arguments are one in Python.
    """


class FlushIncomplete(ZespanError):
    """`flush(raise_on_pending=True)` ended while events were pending.

    Attributes:
        report: The `FlushReport`, which says how many events are pending, and why.
    """

    def __init__(self, report: FlushReport) -> None:
        super().__init__(f"{report.pending} events are still pending after {report.elapsed:.2f} s: {report.reason}")
        self.report = report
