"""Events at a fixed rate, for a moment."""

from __future__ import annotations

import pytest

from tools.bench import sections
from tools.bench.events import RATES, events
from tools.bench.setting import Setting

pytestmark = pytest.mark.host(seconds=3)


def test_each_event_arrives_or_is_counted(setting: Setting) -> None:
    """At each rate, what was captured has arrived at the backend, or is counted as dropped; a request has many."""
    found = events(setting)
    for rate in RATES:
        figures = found[str(rate)]
        assert figures["captured"] == figures["delivered"] + figures["dropped"] >= rate // 5
        assert figures["arrived"] == figures["delivered"] > 0
        assert figures["requests"] < figures["captured"] / 20
    assert "\n| 10,000 | 2000 | " in sections.SECTIONS["events"][2](found)
