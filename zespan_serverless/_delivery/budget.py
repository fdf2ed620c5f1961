"""Calculates how long flushes and pauses may take, in seconds. Pure functions without a clock or state."""

from __future__ import annotations

RETRY_AFTER_MAX = 60.0
"""The longest Retry-After that is honoured."""

BACKOFF_FIRST, BACKOFF_MAX = 0.1, 2.0
PROBE_FIRST, PROBE_MAX = 5.0, 60.0


def flush_budget(remaining: float | None, cap: float, reserve: float) -> float:
    """Return seconds that a flush may take.

    `remaining` is what the invocation has left (None: the host sets no deadline), `cap` the longest that a flush
    may ever take, `reserve` what stays free before the deadline. Never negative, never above `cap`, never above
    `remaining - reserve`; 0 means: keep the events, do not send. NaN counts as nothing left.
    """
    if remaining is None:
        return max(0.0, cap)
    return max(0.0, min(remaining - max(0.0, reserve), cap))  # min(nan, cap) is nan, max(0.0, nan) is 0.0


def backoff(failures: int, random: float) -> float:
    """Return the seconds to wait after the n-th failure in a row: full jitter, with `random` drawn from [0, 1)."""
    return random * min(BACKOFF_MAX, BACKOFF_FIRST * 2.0 ** min(max(failures, 1) - 1, 16))


def probe_delay(probes: int) -> float:
    """Return seconds until an open breaker lets the next attempt through, after `probes` failed ones."""
    return min(PROBE_MAX, PROBE_FIRST * 2.0 ** min(max(probes, 0), 16))


def clamp_retry_after(seconds: float) -> float:
    """Return the part of a Retry-After that is honoured, in seconds; 0 for NaN and for times in the past."""
    return min(RETRY_AFTER_MAX, seconds) if seconds > 0 else 0.0


def waited(now: float, since: float, delay: float) -> bool:
    """Whether `delay` seconds of wall clock have passed since `since`.

    A clock set back (restore from a snapshot, NTP) counts as elapsed: better one attempt too early than none.
    """
    age = now - since
    return age < 0 or age >= delay
