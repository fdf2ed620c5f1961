"""Arithmetic that decides over other people's deadlines."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zespan_serverless._delivery.budget import (
    BACKOFF_FIRST,
    BACKOFF_MAX,
    PROBE_MAX,
    RETRY_AFTER_MAX,
    backoff,
    clamp_retry_after,
    flush_budget,
    probe_delay,
    waited,
)

SECONDS = st.floats(allow_nan=False)
FINITE = st.floats(-1e9, 1e9)


@given(SECONDS, SECONDS, FINITE)
def test_flush_budget_keeps_within_all_its_bounds(remaining: float, cap: float, reserve: float) -> None:
    """Never negative, never above the cap, never into the reserve."""
    budget = flush_budget(remaining, cap, reserve)
    assert budget >= 0
    assert budget <= max(0.0, cap)
    assert budget <= max(0.0, remaining - max(0.0, reserve))


@given(st.floats(0.3, 900), st.floats(0.01, 60))
def test_flush_budget_gives_what_can_be_given(remaining: float, cap: float) -> None:
    """The whole cap if there is time for it, else all that is left before the reserve."""
    assert flush_budget(remaining, cap, 0.2) == min(cap, remaining - 0.2)


@pytest.mark.parametrize(
    ("remaining", "cap", "reserve", "budget"),
    [
        (None, 1.0, 0.2, 1.0),  # no deadline known
        (None, -1.0, 0.2, 0.0),
        (10.0, 1.0, 0.2, 1.0),
        (0.5, 1.0, 0.2, 0.3),
        (0.2, 1.0, 0.2, 0.0),
        (0.1, 1.0, 0.2, 0.0),
        (-5.0, 1.0, 0.2, 0.0),  # the deadline has passed
        (0.5, 1.0, -3.0, 0.5),  # a negative reserve gives no time away
        (math.nan, 1.0, 0.2, 0.0),
        (math.inf, 1.0, 0.2, 1.0),
    ],
)
def test_flush_budget_examples(remaining: float | None, cap: float, reserve: float, budget: float) -> None:
    """The cases that matter."""
    assert flush_budget(remaining, cap, reserve) == pytest.approx(budget)


@given(st.integers(-5, 10**9), st.floats(0, 1, exclude_max=True))
def test_backoff_is_bounded(failures: int, random: float) -> None:
    """From nothing (full jitter) to 2 s at the most, however often it failed."""
    assert 0 <= backoff(failures, random) < BACKOFF_MAX


def test_backoff_doubles_up_to_its_bound() -> None:
    """Twice as long after every failure."""
    ceilings = [2 * backoff(n, 0.5) for n in range(1, 9)]
    assert ceilings == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0, 2.0])
    assert ceilings[0] == BACKOFF_FIRST


def test_probe_delays_double_to_a_minute() -> None:
    """5 s, doubling to 60 s."""
    assert [probe_delay(n) for n in range(7)] == [5, 10, 20, 40, 60, 60, 60]


@given(st.integers(-(10**9), 10**9))
def test_probe_delay_is_bounded(probes: int) -> None:
    """Never at once, never later than a minute."""
    assert 5 <= probe_delay(probes) <= PROBE_MAX


@pytest.mark.parametrize(
    ("asked", "honoured"),
    [
        (0.5, 0.5),
        (60, 60),
        (61, 60),
        (math.inf, 60),
        (0, 0),
        (-1, 0),
        (-math.inf, 0),
        (math.nan, 0),
    ],
)
def test_retry_after_is_clamped_to_a_minute(asked: float, honoured: float) -> None:
    """Values that make no sense count as 0."""
    assert clamp_retry_after(asked) == honoured


@given(st.floats())
def test_clamped_retry_after_is_within_bounds(seconds: float) -> None:
    """The result is between 0 and a minute, whatever the header says."""
    assert 0 <= clamp_retry_after(seconds) <= RETRY_AFTER_MAX


@given(FINITE, st.floats(0.001, 3600), st.floats(0, 1))
def test_a_delay_has_passed_not_before_its_end(since: float, delay: float, part: float) -> None:
    """Not before the delay is over, always after it, and at once if the clock was set back."""
    assert waited(since + 2 * delay + 1, since, delay)
    assert waited(since - delay - 1, since, delay)
    assert not waited(1000 + delay * part * 0.99, 1000, delay)


def test_delay_since_minus_infinity_has_passed() -> None:
    """Minus infinity is how a probe is asked for."""
    assert waited(0.0, -math.inf, 60)
