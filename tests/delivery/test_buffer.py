"""Events keep their order, and the books their sums, whatever becomes of a batch."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from zespan_serverless._delivery._buffer import Buffer, Item
from zespan_serverless._settings import Settings

STEPS = st.lists(st.sampled_from(["keep", "take", "done", "halve", "put_back"]), max_size=60)


@given(STEPS, st.integers(1, 5), st.integers(1, 8))
def test_order_and_sums(steps: list[str], batch_size: int, max_events: int) -> None:
    """What is taken is older than all that stays; what gives way is the oldest of what waits; nothing is lost."""
    buffer = Buffer(Settings(batch_size=batch_size, max_events=max_events), None)
    kept, gone = 0, 0
    for step in steps:
        if step == "keep":
            kept += 1
            gone += len(buffer.keep(Item(kept, b"x" * (kept % 3), 0.0)))
        elif step == "take" and not buffer.in_flight:
            batch = buffer.take()
            assert buffer.in_flight is batch
            assert len(batch) <= batch_size
            assert bool(batch) == bool(len(buffer))
        elif step == "done":
            gone += len(buffer.in_flight)
            buffer.done()
        elif step == "halve" and len(buffer.in_flight) > 1:
            buffer.halve()
            assert buffer.is_split
        elif step == "put_back":
            gone += len(buffer.put_back())
            assert not buffer.is_split
        items = buffer._items()
        assert [item.number for item in items] == sorted(item.number for item in items)
        assert len(buffer) == len(items) == kept - gone
        assert len(buffer._waiting) <= max_events
        assert buffer._bytes == sum(len(item.data) for item in buffer._waiting)
    everything = len(buffer)
    assert len(buffer.clear()) == everything
    assert (len(buffer), buffer._bytes, buffer.oldest_at) == (0, 0, None)
