"""The books balance whatever happens, in whatever order: captured = delivered + parked + pending + dropped."""

from __future__ import annotations

import os
import time
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.delivery.support import OK, REFUSED, RETRY, UNAUTHORIZED, Scripted, assert_balanced, event, pauses
from zespan_serverless._delivery.delivery import Delivery
from zespan_serverless.exporters import Dropped, Outcome
from zespan_serverless.settings import Settings

pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # that is what is tried

SILENCE = Outcome("retry", "HTTP 429", 0.001)


class Unspeakable:
    def __str__(self) -> str:
        raise SystemError("no text")


class Books(RuleBasedStateMachine):
    """What a process can do with its events; and what a backend can do to them."""

    def __init__(self) -> None:
        super().__init__()
        self.no_pause = pauses(0.0)
        self.no_pause.start()
        self.told: list[Dropped] = []
        self.exporter = Scripted()
        self.captured = 0
        self.is_closed = False
        given = Settings(flush_timeout=1.0, batch_size=4, batch_bytes=1024, max_events=12, on_error=self.told.append)
        self.delivery = self.new(given)

    def new(self, given: Settings) -> Delivery:
        return Delivery(self.exporter, given)

    @rule(count=st.integers(1, 9), size=st.sampled_from([0, 0, 300, 5000]))
    def capture(self, count: int, size: int) -> None:
        for _ in range(count):
            self.captured += 1
            self.delivery.capture(event({"n": self.captured, "text": "x" * size}))

    @rule(fields=st.sampled_from([{f"f{i}": "x" for i in range(500)}, Unspeakable()]))
    def capture_what_cannot_be_kept(self, fields: Any) -> None:
        self.captured += 1
        record = event({})
        record.fields = fields
        self.delivery.capture(record)

    @rule(step=st.sampled_from([OK, REFUSED, RETRY, UNAUTHORIZED, SILENCE, OSError("reset"), ValueError("odd"), None]))
    def from_now_on_the_backend(self, step: Any) -> None:
        nonsense: Any = lambda exporter, numbers: None  # noqa: E731
        self.exporter.from_now_on(nonsense if step is None else step)

    @rule(divisor=st.integers(2, 5))
    def from_now_on_some_are_poisoned(self, divisor: int) -> None:
        self.exporter.from_now_on(lambda _, numbers: REFUSED if any(n % divisor == 0 for n in numbers) else OK)

    @rule(timeout=st.sampled_from([0.0, 0.02, 1.0]), probe=st.booleans())
    def flush(self, timeout: float, probe: bool) -> None:
        before = self.delivery.captured
        report = self.delivery.flush(timeout, probe=probe)
        assert report.delivered + report.dropped + report.pending <= before
        assert bool(report.reason) is bool(report.pending)

    @rule(timeout=st.sampled_from([0.01, 0.5]))
    def flush_soon(self, timeout: float) -> None:
        self.delivery.flush_in_background(timeout)

    @rule()
    def snapshot(self) -> None:
        self.delivery.pause(0.02)

    @precondition(lambda self: not self.is_closed)
    @rule()
    def close(self) -> None:
        self.delivery.close(0.02)
        self.is_closed = True

    @precondition(lambda self: hasattr(os, "fork"))
    @rule(count=st.integers(0, 3))
    def fork(self, count: int) -> None:
        """A child begins with nothing, and keeps books of its own."""
        child = os.fork()
        if not child:
            code = 1
            try:
                self.delivery.reset()
                for number in range(count):
                    self.delivery.capture(event({"n": number}))
                assert_balanced(self.delivery)
                code = 0 if self.delivery.captured == count else 2
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0

    @invariant()
    def balanced(self) -> None:
        assert_balanced(self.delivery)
        assert self.delivery.captured == self.captured

    def teardown(self) -> None:
        self.exporter.from_now_on(OK)
        time.sleep(0.002)  # the silence that the backend may have asked for, which a flush does not wait for
        report = self.delivery.flush(10, probe=True)
        self.no_pause.stop()
        dropped = dict(self.delivery.dropped)
        try:
            assert_balanced(self.delivery)
            assert report.pending == 0  # a backend that is well again gets all that was not dropped
            if not self.is_closed:
                arrived = self.arrived()
                assert len(arrived) == len(set(arrived)) == self.captured - sum(dropped.values())
            told = {reason: sum(t.events for t in self.told if t.reason == reason) for reason in dropped}
            assert told == dropped
        finally:
            self.delivery.reset()

    def arrived(self) -> list[int]:
        return self.exporter.delivered


class BooksWithFallback(Books):
    """The same with a fallback, to which anything may happen as well."""

    def new(self, given: Settings) -> Delivery:
        self.fallback = Scripted()
        return Delivery(self.exporter, given.replaced(fallback_after=0.0), fallback=self.fallback)

    @rule(step=st.sampled_from([OK, OK, REFUSED, RETRY, UNAUTHORIZED, OSError("disk full"), None]))
    def from_now_on_the_fallback(self, step: Any) -> None:
        nonsense: Any = lambda exporter, numbers: None  # noqa: E731
        self.fallback.from_now_on(nonsense if step is None else step)

    @rule(divisor=st.integers(2, 5), most=st.integers(1, 4))
    def from_now_on_the_fallback_takes_little(self, divisor: int, most: int) -> None:
        self.fallback.from_now_on(
            lambda _, numbers: REFUSED if len(numbers) > most or any(n % divisor == 0 for n in numbers) else OK
        )

    @rule(timeout=st.sampled_from([0.0, 0.02, 1.0]))
    def flush_for_the_last_time(self, timeout: float) -> None:
        report = self.delivery.flush(timeout, probe=True, last=True)
        assert bool(report.reason) is bool(report.pending)

    @invariant()
    def parked_is_what_the_fallback_has(self) -> None:
        assert self.delivery.parked <= len(self.fallback.delivered)

    def arrived(self) -> list[int]:
        assert self.delivery.parked == len(self.fallback.delivered)
        return self.exporter.delivered + self.fallback.delivered


TestBooks = pytest.mark.slow(Books.TestCase)
TestBooksWithFallback = pytest.mark.slow(BooksWithFallback.TestCase)
TestBooks.settings = TestBooksWithFallback.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
