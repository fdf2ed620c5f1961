"""What is to be told: drops to `on_error` and the log, flushes to `on_flush`. By the sender, with no lock held: it is
the user's code, and the log's handlers are too."""

from __future__ import annotations

from collections import deque
from functools import partial
from typing import TYPE_CHECKING

from .. import _log
from ..exporters import Dropped

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .._settings import Settings
    from ._buffer import Item
    from ._flushes import FlushReport

NEWS_MAX = 1000
"""Reports of flushes, kinds of drops, and payloads of each, that wait at most until the user's code has returned from
an earlier call. Of reports and payloads the oldest are left out; the number of dropped events is always exact."""


class News:
    """What has happened and has not been told; every method under the delivery's lock."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._forget()
        self._telling = False  # whether a thread is in `on_flush`

    def _forget(self) -> None:
        self._untold: list[Callable[[], object]] = []
        self._drops: dict[tuple[str, str], _Drops] = {}  # of those, by reason and detail
        self._reports: deque[Callable[[], object]] = deque(maxlen=NEWS_MAX)

    def __len__(self) -> int:
        return len(self._untold) + len(self._reports)

    def dropped(self, items: Sequence[Item], reason: str, detail: str) -> None:
        """These events will never arrive."""
        if self._settings.on_error is not None:
            kind = (reason, detail if len(self._drops) < NEWS_MAX else "")
            if kind not in self._drops:
                self._drops[kind] = _Drops()
                self._untold.append(partial(self._drops[kind].tell, self._settings.on_error, *kind))
            self._drops[kind].add(items)
        if _log.first(f"dropped {reason}"):
            text = "telemetry events are being dropped: %s %s"
            if reason == "unauthorized":
                text = "telemetry events are being dropped, the backend does not accept the API key: %s %s"
            self._say(text, reason, detail, events=len(items), reason=reason, detail=detail)

    def away(self, detail: str, events: int) -> None:
        """The backend cannot be reached."""
        if _log.first("away"):
            text = "telemetry cannot be delivered for now, events are kept and tried again: %s"
            self._say(text, detail, events=events, reason="away", detail=detail)

    def flushed(self, report: FlushReport) -> None:
        """A flush is over."""
        if self._settings.on_flush is not None:
            self._reports.append(partial(self._on_flush, self._settings.on_flush, report))

    def take(self) -> Callable[[], None]:
        """What tells all that there is."""
        news = [*self._untold, *self._reports]
        self._forget()
        return partial(_tell, news)

    def _say(self, text: str, *args: str, **fields: object) -> None:
        """One line in the log; `fields` for those whose log is JSON."""
        self._untold.append(partial(_log.logger.warning, text, *args, extra=fields))

    def _on_flush(self, on_flush: Callable[[FlushReport], object], report: FlushReport) -> None:
        if self._telling:  # one sender is stuck in there; a second would be one too many
            _log.warn_once("on_flush has not returned from an earlier call, and is left out until it does")
            return
        self._telling = True
        try:
            on_flush(report)
        except BaseException as error:  # SystemExit too: it is the sender's thread
            _log.warn_once("on_flush failed: %s", _log.describe(error))
        finally:
            self._telling = False


class _Drops:
    """Events that were dropped for one reason and have not been told: one call of `on_error`, however many they are."""

    def __init__(self) -> None:
        self._events = 0
        self._payloads: deque[bytes] = deque(maxlen=NEWS_MAX)

    def add(self, items: Sequence[Item]) -> None:
        self._events += len(items)
        self._payloads.extend(item.data for item in items if item.data)

    def tell(self, on_error: Callable[[Dropped], object], reason: str, detail: str) -> None:
        on_error(Dropped(self._events, reason, detail, tuple(self._payloads)))


def _tell(news: Sequence[Callable[[], object]]) -> None:
    for tell in news:
        try:
            tell()
        except Exception as error:
            _log.warn_once("reporting dropped telemetry events failed: %r", error)
