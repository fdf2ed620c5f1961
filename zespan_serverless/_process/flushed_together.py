"""A delivery whose flushes also flush other SDKs. Imported only with the setting `flush`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from .._base import log
from .._base.reports import FlushReport
from .._delivery.worker import ABORT_GRACE
from .others import Others

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from .._delivery.delivery import Delivery
    from .._delivery.several import Several
    from ..settings._flush import Flushable
    from .others import Round


class FlushedTogether:
    """Wraps `Delivery`, whose documentation applies; methods that are not defined here are forwarded to it.

    Both flush at the same time. A background flush does not include other SDKs, see `others`.
    """

    def __init__(self, delivery: Delivery | Several, entries: Iterable[Flushable | str], *, debug: bool) -> None:
        self._delivery, self._others, self._debug = delivery, Others(entries), debug
        self._pid = os.getpid()
        self.capture, self.record_open = delivery.capture, delivery.record_open  # found faster than by `__getattr__`

    def __getattr__(self, name: str) -> Any:
        return getattr(self._delivery, name)

    def ensure_sender(self) -> None:
        self._others.start()
        self._delivery.ensure_sender()

    def flush(self, timeout: float, *, probe: bool = False, last: bool = False) -> FlushReport:
        return self._with_others(timeout, lambda: self._delivery.flush(timeout, probe=probe, last=last), probe=probe)

    def begin_flush(self, timeout: float, done: Callable[[], object]) -> Callable[[], FlushReport]:
        mark = object()  # stands for our own flush
        flush = self._others.begin(timeout, done, ours=mark)
        end = self._delivery.begin_flush(timeout, done if flush is None else lambda: flush.settle(mark))
        return lambda: self._completed(end(), flush)

    def pause(self, timeout: float) -> None:
        flush = self._others.begin(timeout)
        self._delivery.pause(timeout)
        if flush is not None:
            flush.wait()
        self._others.dismiss(ABORT_GRACE)

    def close(self, timeout: float) -> FlushReport:
        try:
            return self._with_others(timeout, lambda: self._delivery.close(timeout))
        finally:
            self._others.dismiss()

    def close_at_exit(self, timeout: float) -> None:
        def close() -> FlushReport:
            self._delivery.close_at_exit(timeout)
            return FlushReport()

        self._with_others(timeout, close)

    def reset(self) -> None:
        if self._pid == os.getpid():
            self._others.dismiss()
        else:
            self._others.forget()
        self._pid = os.getpid()
        self._delivery.reset()

    def _with_others(self, timeout: float, ours: Callable[[], FlushReport], *, probe: bool = True) -> FlushReport:
        flush = self._others.begin(timeout, probe=probe)
        report = ours()
        if flush is not None and not self._delivery.is_reentrant():
            flush.wait()
        return self._completed(report, flush)

    def _completed(self, report: FlushReport, flush: Round | None) -> FlushReport:
        if flush is None:
            return report
        elapsed = max(report.elapsed, flush.timeout - flush.time_left())
        report = report.replaced(others=self._others.end(flush), elapsed=elapsed)
        if self._debug:
            log.line("flush-report", "flush of other SDKs: %s", report.others)
        return report
