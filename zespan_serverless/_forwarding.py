"""Forwards events from stores: with the exporters that they were encoded for, in large batches, within a given time.

The exporter's outcome decides what happens to a batch, as in `_delivery.sending`: after `retry` it is sent again after
a pause, after `refused` it is halved until the refused event is alone, and after `unauthorized` nothing else is sent. A
suspect batch is halved as well; if one of its events fails alone while others are delivered, it counts as refused and
stays in the store.
"""

from __future__ import annotations

import json
import time
from collections import deque
from typing import TYPE_CHECKING, Any

from . import settings as _settings
from ._base import log
from ._base.reports import Outcome
from ._delivery.budget import backoff, clamp_retry_after
from ._process.container import build_exporter
from .exporters.stores import batches_of
from .settings._fields import ADDRESSED

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ._base.exporter import Exporter

    Kind = tuple[str, str]  # the name of an exporter, and the type of its events
    Entry = tuple[int, bytes]  # the index of a blob, and an event of it

EVENTS_MAX = 500
"""Events in one request, the most that `batch_size` allows, because no caller waits."""
_REQUEST_MAX = 10.0  # seconds that one request may take

_BY_PROTOCOL = ("otlp", "collector")  # exporters whose format depends on a variable

_DELIVERED, _UNAVAILABLE = Outcome("delivered"), Outcome("retry", "its backend is unavailable")


class Forwarder:
    """Has one exporter for each kind of events, whose connections are kept. `arguments`: settings for all of them."""

    def __init__(self, arguments: Mapping[str, Any]) -> None:
        self._arguments = _settings.check(arguments)
        self._exporters: dict[Kind, tuple[Exporter, int]] = {}
        self._taking: set[Kind] = set()  # whose backend has accepted the last batch
        self._doubtful: set[Kind] = set()  # whose backend has failed at a batch that may be to blame

    def forward(self, blobs: Sequence[bytes], seconds: float, unavailable: set[Kind] | None = None) -> list[Outcome]:
        """Send the events of these blobs within so many seconds. Return an outcome per blob: the worst of its events.

        `unavailable`: kinds of events whose backend accepts none now. They are skipped, and kinds that fail are added.
        A kind that may have failed because of an event is added if the next call fails as well.
        """
        deadline = time.monotonic() + seconds
        outcomes = [_DELIVERED] * len(blobs)
        unavailable = set() if unavailable is None else unavailable
        kinds: dict[Kind, dict[str, list[Entry]]] = {}
        for index, blob in enumerate(blobs):
            try:
                for header, events in batches_of(blob):
                    kind = _kind(header)
                    if kind in unavailable:
                        outcomes[index] = _UNAVAILABLE
                        continue
                    of_resource = kinds.setdefault(kind, {}).setdefault(_resource(header), [])
                    of_resource.extend((index, event) for event in events)
            except ValueError as error:
                outcomes[index] = Outcome("refused", str(error))
        left = len(kinds)
        for kind, resources in kinds.items():
            now = time.monotonic()
            share = (deadline - now) / left  # this backend may be unavailable, and the next one not
            for index, outcome in self._send_all(kind, resources, now + share):
                outcomes[index] = outcome
                if outcome.verdict != "refused" and (not outcome.suspect or kind in self._doubtful):
                    unavailable.add(kind)
                if outcome.suspect:
                    self._doubtful.add(kind)
            left -= 1
        return outcomes

    def destination(self, blob: bytes) -> str:
        """Return where the events of a blob would be sent."""
        header, _ = batches_of(blob)[0]
        exporter, _ = self._exporter(str(header.get("exporter")), str(header.get("content_type")))
        return str(getattr(exporter, "destination", ""))

    def close(self) -> None:
        """Close the connections."""
        for exporter, _ in self._exporters.values():
            exporter.close()

    def _send_all(
        self, kind: Kind, resources: Mapping[str, Sequence[Entry]], deadline: float
    ) -> Iterator[tuple[int, Outcome]]:
        """Send the events of one exporter. After an outcome that concerns all of them, nothing else is sent."""
        over: Outcome | None = None
        for resource, entries in resources.items():
            if over is not None:
                yield from ((index, over) for index, _ in entries)
                continue
            for index, outcome in self._send(kind, resource, entries, deadline):
                over = outcome if outcome.verdict != "refused" else over
                yield index, outcome

    def _send(
        self, kind: Kind, resource: str, entries: Sequence[Entry], deadline: float
    ) -> Iterator[tuple[int, Outcome]]:
        """Send events of one kind and resource. Return the outcomes of those that are not delivered."""
        try:
            exporter, batch_bytes = self._exporter(*kind)
        except LookupError as error:
            outcome = Outcome("refused", str(error.args[0]))
            yield from ((index, outcome) for index, _ in entries)
            return
        if hasattr(exporter, "resource"):  # OTLP names the process that spans come from
            of_otlp: Any = exporter
            of_otlp.resource = json.loads(resource)
        waiting, failures = deque(_batches(entries, batch_bytes)), 0
        while waiting:
            batch = waiting.popleft()
            outcome = _attempt(exporter, [event for _, event in batch], deadline)
            if outcome.verdict == "delivered":
                failures = 0
                self._taking.add(kind)
                self._doubtful.discard(kind)
                if outcome.rejected:  # the backend does not say which: the ids of accepted events tell
                    refused = Outcome("refused", outcome.detail)
                    yield from ((index, refused) for index, _ in batch)
            elif outcome.verdict == "refused" and len(batch) > 1:
                waiting.extendleft(_halves(batch))
            elif outcome.verdict == "refused":
                yield batch[0][0], outcome
            elif outcome.suspect and len(batch) == 1 and kind in self._taking:
                self._taking.discard(kind)  # one at a time, so that an outage blames at most one
                yield batch[0][0], Outcome("refused", f"{outcome.detail} to one event, but not to others")
            else:
                failures += 1
                if outcome.suspect and len(batch) > 1:
                    waiting.extendleft(_halves(batch))
                elif outcome.suspect:
                    waiting.append(batch)
                else:
                    waiting.appendleft(batch)
                if outcome.verdict == "unauthorized" or not _paused(outcome, failures, deadline):
                    yield from ((index, outcome) for batch in waiting for index, _ in batch)
                    return

    def _exporter(self, name: str, content_type: str) -> tuple[Exporter, int]:
        """Return an exporter by name, and the bytes that it accepts at once. Raises LookupError if it is unknown."""
        if (name, content_type) not in self._exporters:
            settings = self._settings_for("zespan" if "://" in name else name)
            lacking = _settings.lacks(settings, str(settings.exporter))
            if lacking:
                raise LookupError(f"the exporter {settings.exporter} is not configured: {lacking}")
            exporter = build_exporter(settings)
            own = getattr(exporter, "content_type", "application/json")
            if own != content_type:
                hint = ": set OTEL_EXPORTER_OTLP_PROTOCOL as your functions have it" if name in _BY_PROTOCOL else ""
                raise LookupError(f"its events are {content_type}, and {name} is configured for {own}{hint}")
            self._exporters[name, content_type] = exporter, settings.batch_bytes
        return self._exporters[name, content_type]

    def _settings_for(self, name: str) -> _settings.Settings:
        """Return the settings of one exporter, as for a function that sends to it, and perhaps to others."""
        if name != "zespan" and name not in ADDRESSED:  # a message must not choose where its events go
            raise LookupError(f"its events are encoded for the exporter {name!r}, which is none of this release's")
        given = {"enabled": True, **self._arguments}
        configured = _settings.resolve(given)
        if name in configured.names and "base_url" not in given:
            return configured.alone(name)
        return _settings.resolve({**given, "exporter": name})


def _kind(header: Mapping[str, Any]) -> Kind:
    return str(header.get("exporter")), str(header.get("content_type"))


def kinds_of(blob: bytes) -> set[Kind]:
    """Return the kinds of events in a blob. Raises ValueError if it is damaged."""
    return {_kind(header) for header, _ in batches_of(blob)}


def _resource(header: Mapping[str, Any]) -> str:
    """Return the attributes of the events' process as JSON; null if the events contain them."""
    resource = header.get("resource")
    return json.dumps(resource if isinstance(resource, dict) else None)


def _batches(entries: Sequence[Entry], batch_bytes: int) -> Iterator[Sequence[Entry]]:
    start = size = 0
    for end, (_, event) in enumerate(entries):
        if end > start and (end - start >= EVENTS_MAX or size + len(event) > batch_bytes):
            yield entries[start:end]
            start, size = end, 0
        size += len(event) + 1
    if entries:
        yield entries[start:]


def _halves(batch: Sequence[Entry]) -> tuple[Sequence[Entry], Sequence[Entry]]:
    """Return the second half, and the first."""
    middle = len(batch) // 2
    return batch[middle:], batch[:middle]


def _attempt(exporter: Exporter, events: Sequence[bytes], deadline: float) -> Outcome:
    left = deadline - time.monotonic()
    if left <= 0:
        return Outcome("retry", "no time left")
    try:
        return exporter.send(events, min(left, _REQUEST_MAX))
    except Exception as error:
        return Outcome("retry", log.describe(error))


def _paused(outcome: Outcome, failures: int, deadline: float) -> bool:
    """Wait until the next attempt. Return False if it would be too late."""
    asked = outcome.retry_after
    pause = backoff(failures, 1.0) if asked is None else clamp_retry_after(asked)
    if time.monotonic() + pause >= deadline:
        return False
    time.sleep(pause)
    return True
