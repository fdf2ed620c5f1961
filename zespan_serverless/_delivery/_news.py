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
"""Reports that may wait for `on_error` to return from the one before; the oldest are left out."""


class News:
    """What has happened and has not been told; every method under the delivery's lock."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._untold: deque[Callable[[], object]] = deque(maxlen=NEWS_MAX)
        self._telling = False  # whether a thread is in `on_flush`

    def __len__(self) -> int:
        return len(self._untold)

    def dropped(self, items: Sequence[Item], reason: str, detail: str) -> None:
        """These events will never arrive."""
        if self._settings.on_error:
            payloads = tuple(item.data for item in items if item.data)
            self._untold.append(partial(self._settings.on_error, Dropped(len(items), reason, detail, payloads)))
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
            self._untold.append(partial(self._on_flush, self._settings.on_flush, report))

    def take(self) -> Callable[[], None]:
        """What tells all that there is."""
        news, self._untold = self._untold, deque(maxlen=NEWS_MAX)
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


def _tell(news: deque[Callable[[], object]]) -> None:
    for tell in news:
        try:
            tell()
        except Exception as error:
            _log.warn_once("reporting dropped telemetry events failed: %r", error)
