"""`zespan-serverless tail`: prints the last traces, and then each trace when it has come."""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import queue
import sys
import threading
import time
from typing import Any
from urllib.error import HTTPError

from zespan_serverless.errors import ConfigurationError

from ..address import Address, find
from .formats import FORMATS, Span

QUIET = 0.4  # seconds without changes of a trace after which it is printed
SILENCE = 60.0  # seconds without even a heartbeat after which `dev` is gone
KNOWN_MAX = 50_000  # spans that have been printed, so that none is printed twice


def tail(arguments: argparse.Namespace) -> int:
    """Print until `dev` ends, or Ctrl-C."""
    if arguments.last < 0:
        raise ConfigurationError(f"--last must be 0 or more, not {arguments.last}")
    dev = find(arguments.dev)
    if dev is None:
        raise ConfigurationError("no `dev` is running there: start zespan-serverless dev, or give its URL by --dev")
    if not dev.token:
        raise ConfigurationError("--dev needs the URL with its token, as `zespan-serverless dev` has printed it")
    printer = Printer(dev, arguments.format)
    try:
        # Opened before the last ones are requested, so that none is missed.
        changes = Changes(dev) if arguments.follow else None
        for trace_id in last_traces(dev, arguments.last):
            printer.show(trace_id)
        if changes is not None:
            follow(printer, changes)
    except KeyboardInterrupt:
        pass
    except HTTPError as error:
        raise ConfigurationError(f"`dev` refuses: {error}") from None
    return 0


def last_traces(dev: Address, count: int) -> list[str]:
    """Return the ids of the last traces, the oldest of them first."""
    if not count:
        return []
    rows = dev.get(f"invocations?limit={min(count, 500)}")["rows"]
    return list(dict.fromkeys(row["trace_id"] for row in reversed(rows)))


class Printer:
    """Prints each span of each trace once."""

    def __init__(self, dev: Address, form: str, stream: Any = None) -> None:
        self._dev, self._write, self._stream = dev, FORMATS[form], stream or sys.stdout
        self._shown: dict[str, None] = {}

    def show(self, trace_id: str, *, also_running: bool = False) -> None:
        """Print what is new of a trace; spans that have not ended only if that is asked for."""
        try:
            spans: list[Span] = self._dev.get(f"trace/{trace_id}")["spans"]
        except HTTPError as error:
            if error.code == 404:  # removed, because a run keeps a limited number of events
                return
            raise
        new = [span for span in spans if span["span_id"] not in self._shown and (also_running or span["end"])]
        for span in new:
            self._shown[span["span_id"]] = None
        while len(self._shown) > KNOWN_MAX:
            del self._shown[next(iter(self._shown))]
        self._stream.write(self._write([{"trace_id": trace_id, **span} for span in new], self._stream))
        self._stream.flush()


class Changes:
    """The stream of `dev`, read by a thread: which traces have changed."""

    def __init__(self, dev: Address) -> None:
        self._answer = dev.open("stream", timeout=SILENCE)
        self._queue: queue.SimpleQueue[list[str] | None] = queue.SimpleQueue()
        threading.Thread(target=self._read, daemon=True).start()

    def next(self) -> list[str] | None:
        """Return the traces of the next change; none if it is quiet for a moment. None at the end of `dev`."""
        try:
            return self._queue.get(timeout=QUIET)
        except queue.Empty:
            return []

    def _read(self) -> None:
        with contextlib.suppress(OSError, ValueError, http.client.HTTPException):
            for line in self._answer:
                if line.startswith(b"data:"):
                    self._queue.put(list(json.loads(line[5:]).get("traces") or ()))
        self._queue.put(None)


def follow(printer: Printer, changes: Changes) -> None:
    """Print traces when nothing more has come of them for a moment."""
    waiting: dict[str, float] = {}
    while (traces := changes.next()) is not None:
        now = time.monotonic()
        waiting.update(dict.fromkeys(traces, now))
        for trace_id in [one for one, at in waiting.items() if now - at >= QUIET or not traces]:
            del waiting[trace_id]
            printer.show(trace_id)
