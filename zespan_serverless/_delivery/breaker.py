"""The circuit breaker: decides whether to try to send at all.

All times are wall clock, because the monotonic clock may stand still while a sandbox is frozen.
"""

from __future__ import annotations

from .budget import probe_delay, waited

FAILURES_TO_OPEN = 3


class Breaker:
    """Opens after three failures in a row; then lets one probe through after 5 s, 10 s, 20 s ... up to 60 s.

    While it is open, flushes return at once and events wait. It is not thread-safe: its owner holds a lock.
    """

    def __init__(self) -> None:
        self.failures: int = 0
        self._opened_at = 0.0
        self._probes = 0
        self._silent_from = 0.0
        self._silent_for = 0.0
        self._away_since = 0.0

    def blocked(self, now: float) -> str:
        """Return why no attempt may be made now (`retry_after`, `breaker_open`), or an empty string."""
        if self._silent_for and not waited(now, self._silent_from, self._silent_for):
            return "retry_after"
        if self.is_open and not waited(now, self._opened_at, probe_delay(self._probes)):
            return "breaker_open"
        return ""

    @property
    def is_open(self) -> bool:
        """Whether attempts are blocked, except for probes."""
        return self.failures >= FAILURES_TO_OPEN

    def is_away_for(self, now: float, seconds: float) -> bool:
        """Whether each attempt of the last `seconds` has failed, or has met with a request for silence."""
        return bool(self._away_since) and waited(now, self._away_since, seconds)

    def succeeded(self) -> None:
        """Note that the backend has answered, and asks for no pause."""
        self.failures = self._probes = 0
        self._silent_for = self._away_since = 0.0

    def failed(self, now: float) -> None:
        """Note that an attempt has failed."""
        if self.is_open:
            self._probes += 1
        self.failures += 1
        self._away_since = self._away_since or now
        if self.is_open:
            self._opened_at = now

    def silence(self, now: float, seconds: float) -> None:
        """Send nothing for `seconds`, as the backend has asked (Retry-After)."""
        self._silent_from, self._silent_for = now, seconds
        self._away_since = self._away_since or now

    def probe_now(self) -> None:
        """Let the next attempt through although the breaker is open. A Retry-After is still honoured."""
        self._opened_at = float("-inf")
