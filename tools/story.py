"""Runs for the page of `zespan-serverless dev` to show: what tools and functions send, with chosen times."""

from __future__ import annotations

import json
import random
import time
import urllib.request
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from zespan_serverless_dev.server import DevServer

Record = dict[str, Any]

MODELS = ("gpt-4o", "gpt-4o-mini", "claude-sonnet-4-5", "gemini-2.5-flash")
CONTROLS = ("freeze", "thaw", "sigterm", "kill", "timeout", "again")
QUESTIONS = (
    ("Why was I charged twice in March?", "You were charged once: the second line is a reservation that has expired."),
    ("Summarise the ticket in one sentence.", "The customer asks for an invoice with another address."),
    ("Which plan has single sign-on?", "Single sign-on is a part of the Team plan."),
)
BATCH = 500  # events in a request


class Sandbox:
    """Writes down what happens in one sandbox; `send` makes the server know of it.

    Args:
        at: When it started, in ms since the epoch.
        seed: Everything that is not chosen follows from it.
    """

    def __init__(self, function: str, at: float, seed: int = 0, memory_mb: int = 512, timeout_ms: int = 30_000) -> None:
        self.random = random.Random(f"{function} {seed}")
        self.id = f"2026/11/29/[$LATEST]{self._hex(16)}"
        self.function, self.memory_mb, self.timeout_ms, self.at = function, memory_mb, timeout_ms, at
        self.records: list[Record] = []
        self.events: list[Record] = []  # delivered with the next `deliver`
        self.deliveries: list[list[Record]] = []
        self.invocations = 0
        self._note("sandbox", host="aws_lambda", function=function, handler="app.handler", memory_mb=memory_mb)
        self.records[-1] |= {"timeout_ms": timeout_ms, "python": "3.13", "controls": list(CONTROLS)}

    def invoke(self, calls: int = 1, *, outcome: str = "ok", delivers: bool = True, hangs: bool = False) -> str:
        """Return one invocation with some model calls; return its request id.

        A call that `hangs` has begun and does not end: with the outcome "" the invocation goes on, with "timeout" it is
        cut off at the deadline. Without `delivers` its flush fails, and its events wait.
        """
        cold = self.invocations == 0
        init = self._pass(180, 420) if cold else 0.0
        if cold:
            self._note("init", duration_ms=init)
        self.invocations += 1
        request, trace, root, start = self._hex(32), self._hex(32), self._hex(16), self.at
        self._note("invoke", request_id=request, deadline=start + self.timeout_ms, reserve_ms=200, cold=cold)
        self.records[-1] |= {"name": "event.json", "flush_timeout_ms": 1000}
        self._begun(request, trace, root, None, self.function, "invocation")
        self._pass(4, 20)
        for number in range(calls):
            failed = outcome == "error" and number == calls - 1
            self._call(request, trace, root, hangs and number == calls - 1, failed)
        if hangs:
            self._cut_off(request, trace, outcome, init, start)
            return request
        self._pass(2, 6)
        self._note("response", request_id=request, status="ok" if outcome == "ok" else "error")
        handler, response = self.at - start, self.at
        self._captured(request, trace, root, None, self.function, "general", start, outcome == "ok", cold=cold)
        self._flush(request, delivers)
        after = self.at - response
        self._done(request, outcome, init, handler, after)
        return request

    def freeze(self, ms: float, thaws: bool = True) -> None:
        """Stop the sandbox for a while, as the platform does."""
        self.at += 1
        self._note("freeze")
        self.at += ms
        if thaws:
            self._note("thaw")

    def deliver(self) -> None:
        """Deliver waiting events with the next request."""
        if self.events:
            self.deliveries.append(self.events)
            self.events = []

    def end(self, reason: str = "scale_down", journal: bool = True) -> None:
        """SIGTERM, and the end. The journal keeps what waits, unless it is lost."""
        self._note("sigterm")
        self.at += 280
        self._note("exit", reason=reason, waiting=[event["event_id"] for event in self.events] if journal else [])

    def send(self, dev: DevServer) -> None:
        """Send all of it to the server."""
        dev.post_lifecycle(*self.records)
        for delivery in self.deliveries:
            post(dev, delivery)

    def _call(self, request: str, trace: str, root: str, hangs: bool, failed: bool) -> None:
        span, start, model = self._hex(16), self.at, self.random.choice(MODELS)
        name = f"chat {model}"
        self._begun(request, trace, span, root, name, "llm")
        first = self._pass(120, 400)
        if hangs:
            return
        self._note("first_token", request_id=request, span_id=span)
        self._pass(150, 900)
        self._captured(request, trace, span, root, name, "llm", start, not failed, model=model, first=first)
        self._pass(3, 25)

    def _cut_off(self, request: str, trace: str, outcome: str, init: float, start: float) -> None:
        if outcome == "timeout":
            self.at = start + self.timeout_ms
            self._done(request, "timeout", init, self.timeout_ms, 0)

    def _flush(self, request: str, delivers: bool) -> None:
        self._pass(1, 3)
        took = self._pass(12, 45) if delivers else self._pass(900, 1000)
        pending = 0 if delivers else len(self.events)
        self._note("flush", request_id=request, duration_ms=took, delivered=len(self.events) - pending, pending=pending)
        self.records[-1] |= {"dropped": 0, "parked": 0, "reason": "" if delivers else "timeout"}
        self._pass(0.5, 2)
        if delivers:
            self.deliver()

    def _done(self, request: str, outcome: str, init: float, handler: float, after: float) -> None:
        self._note("done", request_id=request, outcome=outcome, init_ms=init, handler_ms=handler, after_ms=after)
        self.records[-1] |= {"billed_ms": init + handler + after, "max_memory_mb": 118}

    def _captured(
        self, request: str, trace: str, span: str, parent: str | None, name: str, kind: str, start: float, ok: bool,
        **more: Any,
    ) -> None:  # fmt: skip
        event = event_of(self.random, trace, span, parent, name, kind, start, self.at, ok, **more)
        if parent is None:
            event["metadata"] |= {"faas.name": self.function, "faas.instance": self.id, "faas.invocation_id": request}
        self.events.append(event)
        self._note("captured", request_id=request, event_id=event["event_id"], trace_id=trace, span_id=span)

    def _begun(self, request: str, trace: str, span: str, parent: str | None, name: str, kind: str) -> None:
        self._note("begun", request_id=request, trace_id=trace, span_id=span, parent_span_id=parent, name=name)
        self.records[-1]["kind"] = kind

    def _note(self, type: str, **fields: Any) -> None:
        self.records.append({"type": type, "sandbox": self.id, "at": round(self.at, 3), **fields})

    def _pass(self, least: float, most: float) -> float:
        took = round(self.random.uniform(least, most), 3)
        self.at += took
        return took

    def _hex(self, digits: int) -> str:
        return f"{self.random.getrandbits(digits * 4):0{digits}x}"


def event_of(
    chance: random.Random, trace: str, span: str, parent: str | None, name: str, kind: str, start: float, end: float,
    ok: bool, model: str | None = None, first: float = 0, cold: bool = False,
) -> Record:  # fmt: skip
    """Return an event in the words of Zespan's ingest."""
    event: Record = {
        "event_id": f"{chance.getrandbits(128):032x}",
        "trace_id": trace,
        "span_id": span,
        "parent_span_id": parent,
        "timestamp": datetime.fromtimestamp(end / 1000, UTC).isoformat(),
        "latency_ms": round(end - start, 3),
        "operation": name,
        "span_kind": kind,
        "status": "success" if ok else "error",
        "user_id": f"user-{chance.randrange(40)}",
        "metadata": {},
    }
    if not ok:
        event["error_message"] = "RateLimitError: 429, the provider asks to come back later"
    if model:
        question, answer = chance.choice(QUESTIONS)
        asked = [{"role": "user", "content": question}]
        taken, given = chance.randrange(200, 1600), chance.randrange(20, 300)
        event |= {"provider": "openai", "model": model, "input_tokens": taken, "output_tokens": given}
        event |= {"cached_tokens": taken // 2, "cost_usd": round(taken * 2.5e-6 + given * 1e-5, 6), "ttft_ms": first}
        event |= {"system_prompt": "You help customers. Be brief.", "prompt_text": json.dumps(asked)}
        event["completion_text"] = answer if ok else ""
    else:
        event["metadata"] = {"start_kind": "cold" if cold else "warm", "cloud.region": "eu-central-1"}
    return event


def post(dev: DevServer, events: Sequence[Record]) -> None:
    """Send events as a function does; HTTPError is raised if the server refuses them."""
    body = "\n".join(map(json.dumps, events)).encode()
    request = urllib.request.Request(f"{dev.url}/v1/ingest", body, {"content-type": "application/x-ndjson"})
    with urllib.request.urlopen(request, timeout=60):
        pass


def many(dev: DevServer, number: int) -> None:
    """Send this many events: traces of one root and one call, a second apart."""
    events = _pairs(number)
    while batch := list(islice(events, BATCH)):
        post(dev, batch)


def _pairs(number: int) -> Iterator[Record]:
    chance, now = random.Random(number), time.time() * 1000
    for index in range((number + 1) // 2):
        trace, root, call = (f"{chance.getrandbits(bits):0{bits // 4}x}" for bits in (128, 64, 64))
        end, took, function = now - index * 1000, chance.lognormvariate(6.5, 0.8), chance.choice(("chat", "summarise"))
        ok, model = chance.random() > 0.05, chance.choice(MODELS)
        event = event_of(chance, trace, root, None, function, "general", end - took, end, ok, cold=index % 20 == 0)
        event["metadata"] |= {"faas.name": function, "faas.instance": f"{function}-{index % 3}"}
        yield event
        if index * 2 + 1 < number:
            name = f"chat {model}"
            yield event_of(chance, trace, call, root, name, "llm", end - took * 0.9, end, ok, model=model, first=90)


def day(dev: DevServer) -> list[Sandbox]:
    """Record a run with everything: cold and warm, an outage, a timeout, a call that hangs now."""
    now = time.time() * 1000
    healthy = Sandbox("chat", now - 60_000)
    for calls, gap in ((2, 4200), (1, 900), (3, 12_000), (2, 6100), (1, 0)):
        healthy.invoke(calls)
        healthy.freeze(gap or now - 2600 - healthy.at)
    healthy.invoke(2, outcome="", hangs=True)
    outage = Sandbox("classify-ticket", now - 75_000, memory_mb=1024)
    outage.invoke(1)
    outage.freeze(3000)
    outage.invoke(1, delivers=False)
    outage.freeze(9000)
    outage.invoke(2, delivers=False)
    outage.freeze(15_000, thaws=False)
    cut = Sandbox("summarise", now - 90_000, timeout_ms=3000)
    cut.invoke(1)
    cut.freeze(8000)
    cut.invoke(1, outcome="error")
    cut.freeze(1500)
    cut.invoke(2, outcome="timeout", hangs=True)
    cut.end("timeout")
    sandboxes = [cut, outage, healthy]
    for sandbox in sandboxes:
        sandbox.send(dev)
    return sandboxes
