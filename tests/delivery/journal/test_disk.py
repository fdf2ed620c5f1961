"""A disk that is full, read-only, or away for a while."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.delivery.journal.support import SPAN, Begin, die, found, journal, left, posix_only, root_only
from tests.delivery.support import OK, RETRY, Scripted, begun, capture, event, eventually, journal_of, open_spans
from zespan_serverless._delivery import journal as _journal
from zespan_serverless._delivery import journal_format
from zespan_serverless._delivery.delivery import Delivery
from zespan_serverless.settings import Settings

pytestmark = posix_only


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """mounted(options): a file system of its own."""
    place = tmp_path / "mounted"
    place.mkdir()

    def mount(options: str) -> Path:
        if subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", place], capture_output=True).returncode:
            pytest.skip("nothing can be mounted here")
        return place

    yield mount
    subprocess.run(["umount", "-l", place], capture_output=True)


def on(exporter: Scripted, folder: Path, **settings: Any) -> Delivery:
    given = Settings(flush_timeout=5.0, exporter=exporter).replaced(**settings)
    return Delivery(exporter, given, journal(folder))


@root_only
def test_full_disk_keeps_new_events_in_memory(mounted: Callable[[str], Path], caplog: pytest.LogCaptureFixture) -> None:
    """What does not fit is kept in memory, and what did is still there for the next process, whole; when all is
    settled there is room again, and it is used."""
    place = mounted("size=64k") / "journals"
    exporter = Scripted(RETRY)
    delivery = on(exporter, place)
    for number in range(100):
        delivery.capture(event({"n": number, "text": "x" * 2000}))
    eventually(lambda: caplog.text.count("kept in memory only") == 1)
    (file,) = place.iterdir()
    on_disk = journal_format.parse_records(file.read_bytes(), 0, 0.0, cut=False)
    assert on_disk.broken == 0
    assert [json.loads(event)["n"] for event in on_disk.events] == list(range(len(on_disk.events)))
    assert 20 < len(on_disk.events) < 40
    exporter.from_now_on(OK)
    assert delivery.flush(5.0, probe=True).delivered == 100
    exporter.from_now_on(RETRY)
    capture(delivery, 100)
    die(delivery)
    assert found(place) == [b'{"n":100}']
    delivery.reset()


@root_only
def test_read_only_disk_does_not_prevent_sending(mounted: Callable[[str], Path]) -> None:
    """Nothing can be written: events are sent all the same."""
    place = mounted("size=64k,ro") / "journals"
    exporter = Scripted()
    delivery = on(exporter, place)
    capture(delivery, 1)
    assert delivery.flush(5.0).delivered == 1
    delivery.reset()


def test_short_write_is_undone(begin: Begin, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A write that the disk has room for the half of only leaves nothing of it behind."""
    write = os.pwrite
    delivery = begin(Scripted(RETRY))
    capture(delivery, 1)
    monkeypatch.setattr(os, "pwrite", lambda fd, data, at: write(fd, data[: len(data) // 2], at))
    capture(delivery, 2)
    monkeypatch.setattr(os, "pwrite", write)
    die(delivery)
    (only,) = left(folder)
    assert ([json.loads(event)["n"] for event in only.events], only.broken) == ([1], 0)


def test_file_stays_locked_after_a_failed_write(begin: Begin, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No other process takes this one for dead, and its invocation for one that crashed."""

    def fail(*_: object) -> int:
        raise OSError("broken")

    write = os.pwrite
    delivery = begin(Scripted(RETRY))
    delivery.record_open(begun(SPAN))
    monkeypatch.setattr(os, "pwrite", fail)
    capture(delivery, 1)
    monkeypatch.setattr(os, "pwrite", write)
    assert left(folder) == []


def test_removed_folder_is_created_again(begin: Begin, folder: Path) -> None:
    """After the folder has been cleaned, what is captured from the next flush on is on disk again, open spans too."""
    delivery = begin(Scripted())
    delivery.record_open(begun(SPAN))
    capture(delivery, 1)
    (file,) = folder.iterdir()
    file.unlink()
    folder.rmdir()
    assert delivery.flush(5.0).delivered == 1
    (only,) = folder.iterdir()
    capture(delivery, 2)
    die(delivery)
    data = journal_format.parse_records(only.read_bytes(), 0, 0.0, cut=False)
    assert (len(data.open), data.events) == (1, [b'{"n":2}'])


def test_events_that_are_not_bytes_are_sent_without_journal(begin: Begin) -> None:
    """An exporter of the user's whose events are text, and cannot be written down, has them all the same."""

    class Text(Scripted):
        def encode(self, record: Any) -> Any:
            return json.dumps(record.fields)

    exporter = Text()
    delivery = begin(exporter)
    capture(delivery, 1)
    assert delivery.flush(5.0).delivered == 1
    assert exporter.delivered == [1]


def test_any_span_id_is_accepted(begin: Begin) -> None:
    """An event of the user's may have anything for a span's id while others are open: the books are right."""
    delivery = begin(Scripted())
    delivery.record_open(begun(SPAN))
    names: list[Any] = [[1], {}, 7, None, "", "not hex", SPAN]
    for name in names:
        delivery.capture(event({"n": 1, "span_id": name}))
    assert delivery.flush(5.0).delivered == 7
    assert open_spans(delivery) == {}


def test_journal_recovers_after_a_failed_first_write(
    begin: Begin, folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The disk is full at the first event, and is tried again after a pause, not at every event; a second such time is
    said again."""
    full, tries, write = True, 0, os.pwrite

    def pwrite(fd: int, *args: Any) -> int:
        nonlocal tries
        if os.fstat(fd).st_ino in {path.stat().st_ino for path in folder.iterdir()}:  # not another test's journal
            tries += 1
            if full:
                raise OSError(28, "No space left on device")
        return write(fd, *args)

    monkeypatch.setattr(os, "pwrite", pwrite)
    monkeypatch.setattr(_journal, "_PAUSE_FIRST", 60.0)  # longer than 50 events take on a busy machine
    delivery = begin(Scripted(RETRY), flush_interval=3600.0)
    capture(delivery, *range(50))
    assert tries == 1
    monkeypatch.setattr(_journal, "_PAUSE_FIRST", 0.0)
    journal_of(delivery)._pause = 0.0
    full = False
    capture(delivery, 50)
    eventually(lambda: caplog.text.count("kept in memory only") == 1)
    full = True
    capture(delivery, 51)
    eventually(lambda: caplog.text.count("kept in memory only") == 2)
    full = False
    capture(delivery, 52)
    die(delivery)
    assert len(found(folder)) == 53


def test_journal_recovers_after_an_unusable_folder(begin: Begin, folder: Path) -> None:
    """What was in the folder's place has been removed: what is pending is on disk with the next event."""
    folder.touch()
    delivery = begin(Scripted(RETRY), flush_interval=3600.0)
    delivery.record_open(begun(SPAN))
    capture(delivery, 1)
    folder.unlink()
    journal_of(delivery)._pause = 0.0  # the pause is over
    capture(delivery, 2)
    die(delivery)
    (only,) = left(folder)
    assert only.events == [b'{"n":1}', b'{"n":2}']
    assert [SPAN in json.loads(data) for data in only.open] == [True]
