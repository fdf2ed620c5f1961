"""Prints the report when the program has ended: its traces, and what happened to its events."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from typing import Any
from urllib.error import HTTPError

from zespan_serverless.exporters._trees.style import safe

from ..address import Address
from ..tail.formats import FORMATS, Span
from .watch import Watch

_ROWS = 500  # of the API, at most
_NAMED = 5  # events that are lost


class Account:
    """Made when the program has ended and its facts are read. `is_shown`: whether `dev` has a page that stays."""

    def __init__(
        self,
        command: Sequence[str],
        code: int,
        watch: Watch,
        dev: Address,
        since: float,
        last: int,
        *,
        is_shown: bool = False,
    ) -> None:
        self._is_shown = is_shown
        self._command, self._code, self._watch, self._dev = list(command), code, watch, dev
        self._left_out, self._trouble = 0, ""
        self._spans: list[Span] = []
        try:
            traces = self._traces(since)
            self._left_out = max(0, len(traces) - last)
            self._spans = [span for trace_id in traces[self._left_out :] for span in self._trace(trace_id)]
        except (OSError, ValueError) as error:  # the outcome of the events is known without `dev`
            self._trouble = str(error)
        if not watch.kinds:  # the probe is not in there: what has arrived is all that is known
            for span in self._spans:
                if span["event_id"]:
                    watch.ledger.arrived(span["event_id"], 1)
        self.sums = watch.ledger.sums()

    def text(self, form: str, stream: Any) -> str:
        """Return the account in a format, for a stream."""
        if form == "json":
            known = {"command": self._command, "exit_code": self._code, "ledger": self.sums, "spans": self._spans}
            return json.dumps(known) + "\n"
        title = safe(f"{shlex.join(self._command)}: exit code {self._code}")
        traces, words = FORMATS[form](self._spans, stream).rstrip("\n"), self._words()
        if self._left_out:
            words.append(f"{self._left_out} traces before these are left out: --last shows more.")
        if form == "md":
            title = title.replace("`", "'")
            return "\n\n".join(filter(None, [f"`{title}`", *words, traces])) + "\n"
        return "\n".join(["", title, *filter(None, [traces]), *words, ""])

    def _words(self) -> list[str]:
        sums, words = self.sums, []
        dropped = ", ".join(f"{count} dropped ({reason})" for reason, count in sums["dropped"].items()) or "0 dropped"
        count = f"{sums['captured']} event" + ("" if sums["captured"] == 1 else "s")
        words.append(
            f"{count}: {sums['delivered']} delivered, {sums['waiting']} waiting, {dropped}, {sums['lost']} lost"
        )
        lost = [entry for entry in self._watch.ledger.entries.values() if entry.state == "lost"]
        if lost:
            names = ", ".join(safe(entry.name) for entry in lost[:_NAMED]) + (", ..." if len(lost) > _NAMED else "")
            words.append(f"Lost, because the process ended before they were sent: {names}.")
        if self._trouble:
            words.append(f"No traces: `dev` at {self._dev.url} has ended, or was started anew ({safe(self._trouble)}).")
        elif not sums["captured"]:
            words.append(self._why_nothing())
        elif self._spans or not self._dev.token:
            words += [f"The page of `dev` at {self._dev.url} shows them."] if self._is_shown else []
        elif not self._spans and sums["delivered"]:
            words.append(
                "None of them came here: they stayed in the fixtures of tests, or code sets `base_url` or `exporter`,"
                " which comes before the environment."
            )
        return words

    def _why_nothing(self) -> str:
        if "loaded" not in self._watch.kinds:
            return "It has not imported zespan_serverless: is it a Python program, and is this its environment?"
        if "settings" not in self._watch.kinds:
            return (
                "It has imported zespan_serverless, but telemetry has not begun: nothing that is decorated was called."
            )
        return "Telemetry was on, but nothing was captured."

    def _traces(self, since: float) -> list[str]:
        """Return the ids of the program's traces; without the probe, of those that have begun meanwhile."""
        if self._watch.kinds or not self._dev.token:
            return list(self._watch.traces)
        rows = self._dev.get(f"invocations?limit={_ROWS}")["rows"]
        return list(dict.fromkeys(row["trace_id"] for row in reversed(rows) if (row["start"] or 0.0) >= since))

    def _trace(self, trace_id: str) -> list[Span]:
        if not self._dev.token:
            return []
        try:
            spans: list[Span] = self._dev.get(f"trace/{trace_id}")["spans"]
        except HTTPError as error:
            if error.code == 404:  # nothing of it has come
                return []
            raise
        return [{"trace_id": trace_id, **span} for span in spans]
