"""Numbers of several rounds: the median, and the range of the middle half."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

Figure = dict[str, float]
"""`median`, `low` and `high`: the quartiles, and `rounds`. In the results as JSON."""


def figure(samples: Sequence[float]) -> Figure:
    """Return the median of samples and their range."""
    if not samples:
        return {"median": float("nan"), "low": float("nan"), "high": float("nan"), "rounds": 0}
    low, median, high = (
        statistics.quantiles(samples, n=4, method="inclusive") if len(samples) > 1 else (samples[0],) * 3
    )
    return {"median": round(median, 3), "low": round(low, 3), "high": round(high, 3), "rounds": len(samples)}


def percentile(samples: Sequence[float], per_cent: int) -> float:
    """Return a percentile, which is the highest sample if there are few."""
    ordered = sorted(samples)
    return round(ordered[min(len(ordered) - 1, len(ordered) * per_cent // 100)], 3)


def compared(rounds: Mapping[str, Sequence[Mapping[str, float]]], base: str) -> dict[str, dict[str, Any]]:
    """Return for each subject the figures of each measure, and of its difference to the base in the same round.

    The speed of a machine varies, so that only what was measured one after the other may be compared.
    """
    found: dict[str, dict[str, Any]] = {}
    for name, measured in rounds.items():
        found[name] = {}
        for measure in measured[0] if measured else ():
            samples = [one[measure] for one in measured]
            beside = [one[measure] for one in rounds[base]]
            found[name][measure] = figure(samples)
            found[name][f"{measure}_added"] = figure([a - b for a, b in zip(samples, beside, strict=True)])
            found[name][f"{measure}_p99"] = percentile(samples, 99)
    return found
