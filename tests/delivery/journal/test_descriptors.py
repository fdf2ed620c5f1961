"""Descriptors that other code has closed, or has taken."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.delivery.journal.support import SPAN, Begin, die, found, journal, leave, posix_only
from tests.delivery.support import RETRY, Scripted, begun, buffer_of, capture, journal_of
from zespan_serverless._delivery import journal_files
from zespan_serverless._delivery.delivery import Delivery

pytestmark = posix_only


def theirs(fd: int, path: Path, size: int = 1_000_000) -> None:
    """The descriptor's number becomes that of the user's file."""
    other = os.open(path, os.O_RDWR | os.O_CREAT)
    os.write(other, b"u" * size)
    if other != fd:
        os.dup2(other, fd)
        os.close(other)


def file_of(delivery: Delivery) -> Any:
    return journal_of(delivery)._file


def writes(delivery: Delivery) -> None:
    capture(delivery, 2)


def settles(delivery: Delivery) -> None:
    delivery.flush(5.0)


def notes(delivery: Delivery) -> None:
    delivery.record_open(begun(SPAN))
    delivery.mark_deadline("t", {"deadline": 1.0})


def writes_anew(delivery: Delivery) -> None:
    buffer_of(delivery).rewrite_journal()


def closes(delivery: Delivery) -> None:
    delivery.close(5.0)


def is_reset(delivery: Delivery) -> None:
    delivery.reset()


@pytest.mark.parametrize("does", [writes, settles, notes, writes_anew, closes, is_reset])
def test_descriptor_that_became_a_user_file_is_not_touched(
    begin: Begin, tmp_path: Path, does: Callable[[Delivery], None]
) -> None:
    """Their file is neither written, cut nor closed, whatever we were about to do."""
    delivery = begin(Scripted())
    capture(delivery, 1)
    fd = file_of(delivery).fd
    os.close(fd)
    theirs(fd, tmp_path / "theirs")
    does(delivery)
    assert (tmp_path / "theirs").read_bytes() == b"u" * 1_000_000
    assert os.fstat(fd).st_size == 1_000_000
    os.close(fd)


@pytest.mark.parametrize("lost", ["closed", "reused", "removed", "replaced"])
def test_lost_file_is_created_again_with_all_pending_events(
    begin: Begin, folder: Path, tmp_path: Path, lost: str
) -> None:
    """The next event creates it, and every pending event is in it."""
    delivery = begin(Scripted(RETRY), flush_interval=3600.0)
    capture(delivery, 1, 2)
    fd, path = file_of(delivery).fd, Path(file_of(delivery).path)
    if lost in ("removed", "replaced"):
        path.unlink()
        folder.rmdir()
    else:
        os.close(fd)
    if lost == "reused":
        theirs(fd, tmp_path / "theirs")
    if lost == "replaced":
        folder.mkdir(0o700)
    capture(delivery, 3)
    die(delivery)
    assert sorted(found(folder)) == [b'{"n":1}', b'{"n":2}', b'{"n":3}']
    if lost == "reused":
        os.close(fd)


def test_descriptor_closed_during_recovery_is_not_closed_again(folder: Path, tmp_path: Path) -> None:
    """The file of the user's that has its number stays open, and what was read is sent."""
    leave(folder, b"1")
    opened = os.open
    fds: list[int] = []

    def noted(*args: Any, **kwargs: Any) -> int:
        fds.append(opened(*args, **kwargs))
        return fds[-1]

    heir = journal(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "open", noted)
        reading = heir.recover()
        assert next(reading).events == [b"1"]
    os.close(fds[0])
    theirs(fds[0], tmp_path / "theirs")
    assert list(reading) == []
    assert os.fstat(fds[0]).st_size == 1_000_000
    os.close(fds[0])


def test_child_does_not_close_a_file_with_the_journals_number(begin: Begin, tmp_path: Path) -> None:
    """The hook at a fork closes the journal's file only."""
    delivery = begin(Scripted())
    capture(delivery, 1)
    fd = file_of(delivery).fd
    os.close(fd)
    theirs(fd, tmp_path / "theirs")
    journal_of(delivery).release()
    assert os.fstat(fd).st_size == 1_000_000
    os.close(fd)


@pytest.mark.parametrize("doing", ["create", "take"])
def test_descriptor_that_was_taken_at_once_is_not_closed(
    doing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other code closes it before its creator goes on, and opens a file of its own under the same number."""
    tmp_path.chmod(0o700)
    (theirs := tmp_path / "theirs").write_text("content")
    (journal := tmp_path / "a.journal").write_bytes(b"")
    numbers: list[int] = []

    def open_and_lose(path: str, flags: int, mode: int = 0o777) -> int:
        monkeypatch.undo()
        number, other = os.open(path, flags, mode), os.open(theirs, os.O_RDWR)
        os.dup2(other, number)
        os.close(other)
        numbers.append(number)
        return number

    monkeypatch.setattr(os, "open", open_and_lose)
    if doing == "create":
        file = journal_files.File(str(tmp_path))
        with pytest.raises(journal_files.Lost):
            file.write(b"E", b"{}", b"")
        file.close()
    else:
        assert journal_files.take(str(journal)) is None
    assert os.pread(numbers[0], 100, 0) == b"content"
    os.close(numbers[0])
