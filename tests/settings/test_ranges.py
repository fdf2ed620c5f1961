"""Numbers out of range are clamped and logged."""

from __future__ import annotations

import pytest

from tests.settings.support import BOUNDS, Warnings
from zespan_serverless.settings import Settings, check, resolve

RANGES = [
    (name, given, bound)
    for name, (low, high) in BOUNDS.items()
    for given, bound in [(low - 1, low), (high + 1, high), (-(10**400), low), (10**400, high)]
]


@pytest.mark.parametrize(("name", "given_", "bound"), RANGES, ids=lambda v: str(v)[:20])
def test_out_of_range_is_clamped_and_logged_once(name: str, given_: float, bound: float, warnings: Warnings) -> None:
    """This is for values in code. The setting keeps its type."""
    values = [getattr(resolve(check({name: given_}), {}), name) for _ in range(2)]
    assert values == [bound, bound]
    assert type(values[0]) is type(getattr(Settings(), name))
    (said,) = warnings()
    assert said.startswith(f"{name}=")
    assert "out of range" in said


@pytest.mark.parametrize(("text", "value"), [("-1", 0.01), ("1e9", 60.0), ("inf", 60.0), ("0", 0.01)])
def test_out_of_range_in_the_environment_is_clamped(text: str, value: float, warnings: Warnings) -> None:
    """The same there."""
    assert resolve({}, {"ZESPAN_FLUSH_TIMEOUT": text}).flush_timeout == value
    assert len(warnings()) == 1


def test_bounds_are_in_range(warnings: Warnings) -> None:
    """The bounds themselves are fine."""
    for name, bounds in BOUNDS.items():
        for bound in bounds:
            assert getattr(resolve(check({name: bound}), {}), name) == bound
    assert warnings() == []
