"""One call, from the client's observations and the probe's facts. Times are milliseconds since 1970."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from math import ceil
from typing import Any, Literal

from ..emulator.lambda_rie import Invoke
from ..probe import Fact

Outcome = Literal["ok", "error", "timeout", "crash", "killed"]


@dataclass
class Span:
    """A span in the function. `end` is None if it has not ended in this call."""

    span_id: str
    parent: str | None
    name: str
    start: float
    end: float | None = None
    first_token: float | None = None
    failed: bool = False


@dataclass
class Call:
    """`number` counts from 1, `event` is the event's name, `killed` whether the command's signal has ended the
    process."""

    number: int
    event: str
    invoke: Invoke
    facts: list[Fact] = field(default_factory=list)
    killed: bool = False
    max_memory_mb: int | None = None

    @property
    def sent(self) -> float:
        return self.invoke.sent * 1000

    @property
    def end(self) -> float:
        return self.sent + self.invoke.wall_ms

    @property
    def request_id(self) -> str:
        return next((str(fact["request_id"]) for fact in self.of("request")), self.invoke.request_id or "")

    @property
    def start(self) -> float | None:
        """When the function got the event."""
        return next((fact["at"] for fact in self.of("request")), None)

    @property
    def response(self) -> float | None:
        """When the runtime had posted the answer, and Lambda's caller has it."""
        return next((fact["at"] for fact in self.of("response")), None)

    @property
    def cold(self) -> bool:
        return self.invoke.init_ms is not None

    @property
    def outcome(self) -> Outcome:
        if self.invoke.timed_out:
            return "timeout"
        if self.response is None:
            return "killed" if self.killed else "crash"
        return "error" if any(fact["status"] == "error" for fact in self.of("response")) else "ok"

    @property
    def handler_ms(self) -> float | None:
        return None if self.start is None or self.response is None else self.response - self.start

    @property
    def after_ms(self) -> float | None:
        """How long the invocation has lasted after the response, with a flush in it."""
        return None if self.response is None else max(self.end - self.response, 0.0)

    @property
    def billed_ms(self) -> int:
        """As Lambda bills: whole milliseconds, of the init, too."""
        start = self.start if self.start is not None else self.sent
        return ceil((self.invoke.init_ms or 0.0) + self.end - start)

    def of(self, kind: str) -> Iterator[Fact]:
        """Return the facts of this type."""
        return (fact for fact in self.facts if fact["type"] == kind)

    def spans(self) -> list[tuple[int, Span]]:
        """Return the spans below the invocation in the order of their beginning, each with its depth."""
        found: dict[str, Span] = {}
        for fact in self.facts:
            if fact["type"] in ("begun", "captured") and fact.get("span_id") and fact.get("kind") != "invocation":
                _add(found, fact)
            elif fact["type"] == "first_token" and fact["span_id"] in found:
                found[fact["span_id"]].first_token = fact["at"]
        spans = sorted(found.values(), key=lambda span: span.start)
        return [(_depth(span, found), span) for span in spans]

    def document(self) -> dict[str, Any]:
        """For JSON; durations in milliseconds."""
        invoke = self.invoke
        return {
            "request_id": self.request_id,
            "event": self.event,
            "cold": self.cold,
            "outcome": self.outcome,
            "answer": invoke.payload if invoke.payload is not None else invoke.body,
            "init_ms": invoke.init_ms,
            "handler_ms": _rounded(self.handler_ms),
            "response_ms": _rounded(None if self.response is None else self.response - self.sent),
            "after_ms": _rounded(self.after_ms),
            "billed_ms": self.billed_ms,
            "max_memory_mb": self.max_memory_mb,
            "flushes": [
                {name: fact[name] for name in ("duration_ms", "delivered", "dropped", "pending", "parked", "reason")}
                for fact in self.of("flush")
            ],
        }


def _add(found: dict[str, Span], fact: Fact) -> None:
    span_id = str(fact["span_id"])
    span = found.get(span_id)
    if span is None:
        name = str(fact.get("model") or fact.get("name"))
        span = found[span_id] = Span(span_id, fact.get("parent_span_id"), name, fact["start"])
    if fact["type"] == "captured":
        span.start, span.end, span.failed = fact["start"], fact["end"], fact["status"] != "ok"
        span.name = str(fact.get("model") or span.name)


def _depth(span: Span, found: dict[str, Span]) -> int:
    depth, parent = 0, found.get(span.parent or "")
    while parent is not None and depth < 8:
        depth, parent = depth + 1, found.get(parent.parent or "")
    return depth


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
