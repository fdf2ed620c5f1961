"""What is in a file, and what is still found in a damaged one."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.delivery.journal.support import SPAN, Begin, found, journal, leave, left, posix_only
from tests.delivery.support import Scripted, capture, eventually
from zespan_serverless._delivery import journal_format

pytestmark = posix_only


def test_next_process_finds_events_and_open_spans(folder: Path) -> None:
    """Events in their order, and the spans that have not ended; the file is gone after that."""
    dead = journal(folder)
    dead.append_event(b"1")
    dead.append_open(b"begun", SPAN)
    dead.append_open(b"done", "0" * 15 + "1")
    dead.append_open(b"no event", "0" * 15 + "2")
    dead.append_event(b"2", "0" * 15 + "1")
    dead.append_closed("0" * 15 + "2")
    dead.append_deadline(b"late")
    dead.release()
    (only,) = left(folder)
    assert (only.events, only.open, only.overdue, only.broken) == ([b"1", b"2"], [b"begun"], [b"late"], 0)
    assert list(folder.iterdir()) == []


def test_journal_is_readable_by_its_owner_only(folder: Path) -> None:
    """The folder and the file are their owner's alone."""
    file = leave(folder, b"1")
    assert (folder.stat().st_mode & 0o777, file.stat().st_mode & 0o777) == (0o700, 0o600)


RECORDS = st.lists(st.binary(max_size=40), min_size=1, max_size=8)


@settings(deadline=None)
@given(events=RECORDS, at=st.floats(0, 1, exclude_max=True))
def test_file_cut_anywhere_yields_its_first_records(events: list[bytes], at: float) -> None:
    """What a file that ends early has is a first part of what was written, and a half record is counted."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "journals"
        data = (file := leave(folder, *events)).read_bytes()
        file.write_bytes(data[: int(at * len(data))])
        read = left(folder)
        got = read[0].events if read else []
        assert got == events[: len(got)]
        assert len(got) < len(events)


@settings(deadline=None)
@given(events=RECORDS, at=st.floats(0, 1, exclude_max=True), flip=st.integers(1, 255))
def test_corrupt_byte_anywhere_is_counted_or_harmless(events: list[bytes], at: float, flip: int) -> None:
    """Whichever byte has changed, nothing is made up, and nothing is missing unless that is counted, or the file is
    left alone as another user's."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "journals"
        file = leave(folder, *events)
        data = bytearray(file.read_bytes())
        data[int(at * len(data))] ^= flip
        file.write_bytes(data)
        read = left(folder)
        if read:
            (only,) = read
            rest = iter(events)
            assert all(event in rest for event in only.events)  # in their order
            assert only.broken or only.events == events
            assert len(only.events) >= len(events) - 1
        else:
            assert file.exists()


@settings(deadline=None)
@given(rubbish=st.binary(max_size=300), ours=st.booleans(), offset=st.integers(0, 2**64 - 1))
def test_any_bytes_can_be_parsed(rubbish: bytes, ours: bool, offset: int) -> None:
    """Rubbish is read to its end without a word, with our header before it or without."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "journals"
        file = leave(folder, b"1")
        begin, end = file.read_bytes()[:8], file.read_bytes()[20:36]
        header = begin + journal_format.packed_offset(offset) + end if ours else b""
        file.write_bytes(header + rubbish)
        assert [(one.events, one.open) for one in left(folder)] == ([([], [])] if ours else [])


def test_torn_record_is_a_counted_drop(begin: Begin, folder: Path) -> None:
    """The whole records before half a record are sent."""
    file = leave(folder, b'{"n": 1}', b'{"n": 2}')
    file.write_bytes(file.read_bytes()[:-3])
    exporter = Scripted()
    delivery = begin(exporter)
    capture(delivery, 3)
    assert delivery.flush(5.0).delivered
    eventually(lambda: sorted(exporter.delivered) == [1, 3])
    assert delivery.dropped == {"torn": 1}


def test_corrupt_record_is_skipped_and_counted(begin: Begin, folder: Path) -> None:
    """A corrupt record is counted; what comes after it is sent."""
    file = leave(folder, b'{"n": 1}', b'{"n": 2}', b'{"n": 3}')
    file.write_bytes(file.read_bytes().replace(b'{"n": 2}', b'{"n": 7}'))
    exporter = Scripted()
    delivery = begin(exporter)
    capture(delivery, 4)
    eventually(lambda: delivery.flush(5.0).pending == 0 and sorted(exporter.delivered) == [1, 3, 4])
    assert delivery.dropped == {"torn": 1}


def test_invalid_offset_counts_as_nothing_settled(folder: Path) -> None:
    """Better to send twice than not at all: an offset that cannot be right says nothing."""
    dead = journal(folder)
    dead.append_event(b"1")
    dead.mark_settled(dead.append_event(b"2"))
    dead.release()
    (file,) = folder.iterdir()
    data = bytearray(file.read_bytes())
    data[9] ^= 1
    file.write_bytes(data)
    assert found(folder) == [b"1", b"2"]


def test_unreadable_span_record_costs_only_the_spans_of_its_file(begin: Begin, folder: Path) -> None:
    """A span's record that makes no sense costs its file's spans, not the events, nor other files."""
    dead = journal(folder)
    dead.append_event(b'{"n": 1}')
    dead.append_open(b"{}", SPAN)
    dead.release()
    leave(folder, b'{"n": 2}')
    exporter = Scripted()
    delivery = begin(exporter)
    capture(delivery, 3)
    eventually(lambda: delivery.flush(5.0).pending == 0 and sorted(exporter.delivered) == [1, 2, 3])
    assert delivery.dropped == {"torn": 1}


@pytest.mark.parametrize("place", [0, 1, 13, 30])
def test_one_flipped_bit_costs_one_event(folder: Path, place: int) -> None:
    """All other records are read, and the damaged one is counted."""
    events = [b'{"n":%d,"text":"EDOCT"}' % number for number in range(50)]
    file = leave(folder, *events)
    data = bytearray(file.read_bytes())
    at = data.index(events[20]) - journal_format.RECORD.size + place
    data[at] ^= 4
    file.write_bytes(data)
    (only,) = left(folder)
    assert only.events == events[:20] + events[21:]
    assert only.broken == 1
