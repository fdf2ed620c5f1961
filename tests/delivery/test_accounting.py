"""No event is lost silently: at every moment captured = delivered + pending + dropped, each drop with a reason."""

from __future__ import annotations

import itertools
import random
import threading
import time
from typing import Any
from unittest import mock

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.delivery.support import (
    OK,
    PARTLY,
    REFUSED,
    RETRY,
    UNAUTHORIZED,
    Make,
    Picky,
    Scripted,
    assert_balanced,
    balance,
    capture,
    event,
    in_thread,
    pauses,
)
from zespan_serverless._delivery import worker as _worker
from zespan_serverless._delivery.delivery import Delivery
from zespan_serverless.exporters import Dropped, Outcome
from zespan_serverless.settings import Settings

OUTCOMES = [OK, OK, PARTLY, RETRY, REFUSED, UNAUTHORIZED, Outcome("retry", "HTTP 429", 0.001), OSError("made up")]

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("capture"), st.integers(1, 9)),
        st.tuples(st.sampled_from(["large", "odd"]), st.just(1)),
        st.tuples(st.just("flush"), st.sampled_from([0, 5, -5])),
    ),
    max_size=25,
)


@pauses(0.0)
@mock.patch.object(_worker, "ABORT_GRACE", 5.0)  # no thread is abandoned here, however busy the machine is
@settings(deadline=None)
@given(STEPS, st.lists(st.sampled_from(OUTCOMES), max_size=25), st.integers(1, 6), st.sampled_from([0, 5]))
def test_counters_balance_after_any_outcomes(
    steps: list[tuple[str, int]], script: list[Any], batch_size: int, closing: float
) -> None:
    """Events are delivered in order, and once as far as we know."""
    exporter = Picky(*script, OK)
    small = Settings(batch_size=batch_size, batch_bytes=1024, max_events=10, max_bytes=500, flush_timeout=5)
    delivery = Delivery(exporter, small)
    number = itertools.count()
    captured = 0
    for step, amount in steps:
        if step == "flush":
            report = delivery.flush(abs(amount), probe=amount < 0)
            assert min(report.delivered, report.dropped, report.pending) >= 0
            assert not report.pending or report.reason
            assert report.elapsed < 3  # no thread sleeps while there is something to do
        else:
            captured += amount
            for n in itertools.islice(number, amount):
                odd, large = step == "odd", step == "large"
                delivery.capture(event({"n": -1 if odd else n, "x": "x" * 1100 * large}))
        assert_balanced(delivery)
    delivery.close(closing)
    capture(delivery, next(number))
    assert balance(delivery)[0::2] == (captured + 1, 0)
    assert_balanced(delivery)
    assert exporter.delivered == sorted(set(exporter.delivered))
    assert delivery.delivered == len(exporter.delivered)
    delivery.reset()


@pauses(0.0005)
def test_counters_balance_at_every_moment_under_threads(make: Make) -> None:
    """Threads that capture, flush and look on, with a backend that does everything wrong that it can."""
    dice = random.Random(5)

    def anything(exporter: Scripted, numbers: list[int]) -> Outcome:
        time.sleep(dice.random() * 0.002)
        outcome = dice.choice(OUTCOMES)
        if isinstance(outcome, OSError):
            raise outcome
        assert isinstance(outcome, Outcome)
        return outcome

    exporter = Scripted(anything)
    told: list[Dropped] = []
    delivery = make(exporter, batch_size=7, max_events=200, on_error=told.append)
    seen = 0
    stop = threading.Event()
    wrong: list[object] = []

    def look() -> None:
        nonlocal seen
        while not stop.is_set():
            captured, *parts = balance(delivery)
            seen += 1
            if captured != sum(parts):
                wrong.append((captured, parts))

    def work(first: int) -> None:
        for n in range(first, first + 100):
            capture(delivery, n)
            if n % 10 == 0:
                report = delivery.flush(0.02, probe=True)
                if min(report.delivered, report.dropped, report.pending) < 0:
                    wrong.append(report)

    looking = in_thread(look)
    workers = [in_thread(lambda first=1000 * i: work(first)) for i in range(8)]  # type: ignore[misc]
    for worker in workers:
        worker.join(20)
    exporter.from_now_on(OK)
    for _ in range(100):
        if not delivery.flush(5, probe=True).pending:
            break
        time.sleep(0.01)
    stop.set()
    looking.join(5)
    assert wrong == []
    assert seen > 50
    captured, delivered, pending, dropped = balance(delivery)
    assert (captured, pending) == (800, 0)
    assert delivered == len(exporter.delivered) == len(set(exporter.delivered))
    assert dropped == sum(one.events for one in told)
