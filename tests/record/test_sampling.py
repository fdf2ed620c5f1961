"""Which traces are kept: the same as by Zespan's SDK."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from zespan.sampling import hash_trace_id_to_unit, should_sample_trace

from zespan_serverless._record.policy import sampled
from zespan_serverless._trace import context


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), st.floats(0, 1))
def test_sampled_as_the_sdk_does(trace_id: str, rate: float) -> None:
    """FNV-1a of the trace id: services with either SDK keep the same traces."""
    assert sampled(trace_id, rate) is should_sample_trace(trace_id, rate)


@given(st.text(st.sampled_from("0123456789abcdef"), min_size=32, max_size=32))
def test_sampling_is_exact_to_the_last_bit(trace_id: str) -> None:
    """The rate at which a trace is lost is its hash, not one step beside it."""
    unit = hash_trace_id_to_unit(trace_id)
    assert not sampled(trace_id, unit)
    assert sampled(trace_id, unit + 2**-32)


def test_sampling_keeps_the_configured_share() -> None:
    """A quarter is a quarter, roughly."""
    kept = sum(sampled(context.new_trace_id(), 0.25) for _ in range(4000))
    assert 800 < kept < 1200


@pytest.mark.parametrize(("rate", "kept"), [(0.0, False), (0.0001, True), (1.0, True)])
def test_without_a_trace_nothing_is_lost(rate: float, kept: bool) -> None:
    """There is nothing to hash; as in the SDK, one event too many is better than a silent loss."""
    assert sampled("", rate) is kept is should_sample_trace(None, rate)


def test_sampling_of_an_odd_id() -> None:
    """An id of the user's own need not even be Unicode."""
    assert sampled("\ud800", 0.999999999) in (True, False)
