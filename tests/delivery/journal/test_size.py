"""How large a file becomes, and how long events are in it."""

from __future__ import annotations

import json
import os
import struct
from pathlib import Path
from typing import Any

import pytest

from tests.delivery.journal.support import SPAN, Begin, die, found, leave, left, posix_only
from tests.delivery.support import OK, REFUSED, RETRY, Gate, Scripted, begun, capture, event, eventually
from zespan_serverless._delivery import journal as _journal
from zespan_serverless._delivery import journal_format

pytestmark = posix_only


def test_file_size_is_capped(begin: Begin, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the backend is unavailable the file stays within twice the buffer's size, and has all of the buffer."""
    monkeypatch.setattr(_journal, "_REWRITE_MIN", 0)
    delivery = begin(Scripted(RETRY), max_bytes=20_000, max_events=50)
    largest = 0
    for number in range(2000):
        delivery.capture(event({"n": number, "text": "x" * 200}))
        largest = max(largest, sum(file.stat().st_size for file in folder.iterdir()))
    assert largest <= 2 * 20_000 + 300
    assert delivery.dropped == {"buffer_full": 1950}
    die(delivery)
    assert [json.loads(event)["n"] for event in found(folder)][-50:] == list(range(1950, 2000))


def test_file_full_of_pending_events_is_not_rewritten_each_time(
    begin: Begin, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not written anew at every capture."""
    monkeypatch.setattr(_journal, "_REWRITE_MIN", 0)
    renames: list[object] = []
    rename = os.rename

    def counted(*paths: Any) -> None:
        renames.append(paths)
        rename(*paths)

    monkeypatch.setattr(os, "rename", counted)
    gate = Gate()
    delivery = begin(Scripted(gate), max_bytes=10_000, batch_size=40, flush_interval=3600.0)
    for number in range(40):
        delivery.capture(event({"n": number, "text": "x" * 150}))
    assert gate.entered.acquire(timeout=5)
    for number in range(40, 200):
        delivery.capture(event({"n": number, "text": "x" * 150}))
    assert len(renames) < 20
    gate.open.set()


def test_file_is_emptied_when_all_is_settled(begin: Begin, folder: Path) -> None:
    """When all is settled there is nothing of it on disk, however often."""
    delivery = begin(Scripted())
    for number in range(3):
        delivery.capture(event({"n": number, "text": "x" * 1000}))
        (file,) = folder.iterdir()
        assert file.stat().st_size > 1000
        assert delivery.flush(5.0).delivered == 1
        assert file.stat().st_size < 100


def test_open_spans_are_kept(begin: Begin, folder: Path) -> None:
    """What has begun and not ended outlives any number of flushes, and what was sent meanwhile does not pile up."""
    delivery = begin(Scripted())
    delivery.record_open(begun(SPAN))
    delivery.mark_deadline("t", {"deadline": 1.0})
    for number in range(200):
        delivery.capture(event({"n": number, "text": "x" * 1000}))
        assert delivery.flush(5.0).delivered == 1
        (file,) = folder.iterdir()
        assert file.stat().st_size < 70_000
    die(delivery)
    (only,) = left(folder)
    assert ([SPAN in json.loads(data) for data in only.open], only.events) == ([True], [])
    assert [json.loads(note)["deadline"] for note in only.overdue] == [1.0]


def test_an_ended_span_leaves_nothing(begin: Begin, folder: Path) -> None:
    """A span that has ended is not reported as unfinished, also if its event could not be kept."""
    delivery = begin(Scripted(RETRY), batch_bytes=1000)
    for span in (SPAN, "0" * 15 + "1", "0" * 15 + "2"):
        delivery.record_open(begun(span))
    delivery.capture(event({"n": 1, "span_id": SPAN}))
    delivery.capture(event({"n": 2, "span_id": "0" * 15 + "1", **dict.fromkeys(map(str, range(200)), "x")}))
    delivery.capture(event({"n": 3, "span_id": "0" * 15 + "2", "text": Unspeakable()}))
    die(delivery)
    (only,) = left(folder)
    assert only.open == []


class Unspeakable:
    def __str__(self) -> str:
        raise ValueError("no text")

    __repr__ = __str__


def test_only_unsettled_events_of_a_refused_batch_are_left(begin: Begin, folder: Path) -> None:
    """The next process sends them in their order."""
    gate = Gate(RETRY)
    exporter = Scripted(REFUSED, OK, REFUSED, REFUSED, gate)
    delivery = begin(exporter)
    capture(delivery, *range(8))
    delivery.flush_in_background(5.0)
    assert gate.entered.acquire(timeout=5)
    assert exporter.batches == [[*range(8)], [0, 1, 2, 3], [4, 5, 6, 7], [4, 5], [4]]
    copy = journal_format.parse_records(*seen(next(folder.iterdir())), cut=False)
    assert [json.loads(event)["n"] for event in copy.events] == [4, 5, 6, 7]
    gate.open.set()


def seen(file: Path) -> tuple[bytes, int, float]:
    """Return what a reader would be given of a file whose process lives."""
    data = file.read_bytes()
    return data, struct.unpack_from("<Q", data, 8)[0], 0.0


def test_dropped_event_that_was_taken_over_is_gone_from_disk(begin: Begin, folder: Path) -> None:
    """What was taken over has no second life: once it is dropped it is gone from the disk."""
    leave(folder, b'{"n": 1}', b'{"n": 2}')
    exporter = Scripted(lambda _, numbers: REFUSED if 1 in numbers else OK)
    delivery = begin(exporter)
    capture(delivery, 3)
    eventually(lambda: delivery.flush(5.0).pending == 0 and sorted(exporter.delivered) == [2, 3])
    assert delivery.dropped == {"refused": 1}
    die(delivery)
    assert found(folder) == []


def test_take_over_on_a_full_disk_keeps_the_original_file(
    begin: Begin, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What could not be written to the heir's own file stays where it was."""
    file = leave(folder, b'{"n": 1}')

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    exporter = Scripted()
    delivery = begin(exporter)
    capture(delivery, 2)
    eventually(lambda: delivery.flush(5.0).pending == 0 and sorted(exporter.delivered) == [1, 2])
    assert file.exists()


def test_interrupted_take_over_duplicates_no_event(begin: Begin, folder: Path) -> None:
    """Of one who died while taking over, the copies and the originals are one; events without an id are themselves."""
    events = [b'{"n": %d, "event_id": "%d"}' % (number, number) for number in range(3)]
    leave(folder, *events, b'{"n": 7}')
    leave(folder, *events[:2], b'{"n": 7}')
    exporter = Scripted()
    delivery = begin(exporter)
    capture(delivery, 8)
    eventually(lambda: delivery.flush(5.0).pending == 0 and sorted(exporter.delivered) == [0, 1, 2, 7, 7, 8])


def test_recovered_events_are_bounded_by_the_buffer(begin: Begin, folder: Path) -> None:
    """What the dead have left is bounded by the buffer as everything is, and what is dropped is counted."""
    for first in range(0, 40, 20):
        leave(folder, *(b'{"n": %d}' % number for number in range(first, first + 20)))
    delivery = begin(Scripted(RETRY), max_events=30)
    delivery.ensure_sender()
    eventually(lambda: delivery.captured == 40)
    assert (delivery.pending, delivery.dropped) == (30, {"buffer_full": 10})
