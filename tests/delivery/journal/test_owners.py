"""Whose file it is: only files and folders of our own are read, and those of the living are left alone."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.delivery.journal.support import Begin, aged, found, journal, leave, left, posix_only, root_only
from tests.delivery.support import Scripted, capture, eventually
from zespan_serverless._delivery import journal_files
from zespan_serverless._delivery.journal_files import AGE_MAX

pytestmark = posix_only


def of_another_version(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:7] + b"\x09" + file.read_bytes()[8:])


def without_magic(file: Path) -> None:
    file.write_bytes(b"?" + file.read_bytes()[1:])


def too_short(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:20])


def not_even_begun(file: Path) -> None:
    file.write_bytes(b"")


@pytest.mark.parametrize("change", [of_another_version, without_magic, too_short, not_even_begun])
def test_file_with_an_unknown_header_is_kept_for_a_day(folder: Path, change: Callable[[Path], None]) -> None:
    """What we cannot read is left to who can, for a day."""
    file = leave(folder, b"1")
    change(file)
    assert left(folder) == []
    assert file.exists()
    aged(file, AGE_MAX + 60)
    assert left(folder) == []
    assert not file.exists()


@pytest.mark.parametrize("other", [{"key": "zsp_other"}, {"destination": "elsewhere"}])
def test_file_of_another_key_or_destination_is_kept_for_a_day(
    folder: Path, caplog: pytest.LogCaptureFixture, other: dict[str, str]
) -> None:
    """Events for another key or destination are not sent; after a day they are dropped, which is logged."""
    file = leave(folder, b"1", **other)
    aged(file, AGE_MAX - 60)
    assert left(folder) == []
    assert file.exists()
    aged(file, AGE_MAX + 60)
    assert left(folder) == []
    assert not file.exists()
    assert str(file) in caplog.text


def test_the_file_of_another_destination_is_not_even_locked(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The two destinations of a process look at the same time: a lock would say that the file's owner is alive."""
    take, taken = journal_files.take, list[str]()

    def taking(path: str) -> Any:
        taken.append(path)
        return take(path)

    monkeypatch.setattr(journal_files, "take", taking)
    elsewhere, here = leave(folder, b"1", destination="elsewhere"), leave(folder, b"2")
    assert found(folder) == [b"2"]
    assert taken == [str(here)]
    assert elsewhere.exists()


def test_own_file_never_expires(folder: Path) -> None:
    """A sandbox may be frozen for long: what is for us is never too old."""
    aged(leave(folder, b"1"), 30 * AGE_MAX)
    assert found(folder) == [b"1"]


def test_file_of_a_dead_process_with_our_pid_is_taken_over(folder: Path) -> None:
    """A dead process's file is taken over also by one that has its pid."""
    file = leave(folder, b"1")
    assert file.name.startswith(f"{os.getpid()}-")
    assert found(folder) == [b"1"]


def symlink(file: Path, elsewhere: Path) -> None:
    file.rename(elsewhere)
    file.symlink_to(elsewhere)


def hard_link(file: Path, elsewhere: Path) -> None:
    os.link(file, elsewhere)


def fifo(file: Path, elsewhere: Path) -> None:
    file.rename(elsewhere)
    os.mkfifo(file)


def directory(file: Path, elsewhere: Path) -> None:
    file.rename(elsewhere)
    file.mkdir()


def another_user(file: Path, elsewhere: Path) -> None:
    os.chown(file, 12345, -1)


@pytest.mark.parametrize("disguise", [symlink, hard_link, fifo, directory, pytest.param(another_user, marks=root_only)])
def test_file_that_is_not_plain_and_ours_is_skipped(
    begin: Begin, folder: Path, disguise: Callable[[Path, Path], None]
) -> None:
    """What is not a plain file of this user alone is not read, and does not prevent the recovery of others."""
    file = leave(folder, b'{"n": 1}')
    disguise(file, folder.parent / "elsewhere")
    leave(folder, b'{"n": 2}')
    exporter = Scripted()
    delivery = begin(exporter)
    capture(delivery, 3)
    eventually(lambda: delivery.flush(5.0).pending == 0 and sorted(exporter.delivered) == [2, 3])
    assert os.path.lexists(file)


def open_to_others(folder: Path) -> None:
    folder.mkdir(mode=0o755)


def through_a_symlink(folder: Path) -> None:
    (folder.parent / "mine").mkdir(mode=0o700)
    folder.symlink_to(folder.parent / "mine")


def a_file(folder: Path) -> None:
    folder.touch(0o700)


def of_another_user(folder: Path) -> None:
    folder.mkdir(mode=0o700)
    os.chown(folder, 12345, -1)


@pytest.mark.parametrize(
    "prepare", [open_to_others, through_a_symlink, a_file, pytest.param(of_another_user, marks=root_only)]
)
def test_folder_that_others_can_enter_is_not_used(
    begin: Begin, folder: Path, caplog: pytest.LogCaptureFixture, prepare: Callable[[Path], None]
) -> None:
    """Nothing is written where others could read along; events are kept in memory, which is said once."""
    prepare(folder)
    exporter = Scripted()
    delivery = begin(exporter)
    capture(delivery, 1, 2)
    assert delivery.flush(5.0).delivered == 2
    capture(delivery, 3)
    assert delivery.flush(5.0).delivered == 1
    assert not folder.is_dir() or list(folder.iterdir()) == []
    assert caplog.text.count("kept in memory only") == 1


def test_folder_that_cannot_be_created_means_no_journal(tmp_path: Path) -> None:
    """Without a parent there is no folder, and no journal."""
    nowhere = journal(tmp_path / "no" / "journals")
    nowhere.on_trouble = (said := list[str]()).append
    assert nowhere.append_event(b"1") == 0
    assert said[0].startswith(f"{tmp_path}/no/journals failed: ")
    assert list(nowhere.recover()) == []


def test_own_files_are_read_first(folder: Path) -> None:
    """Ours are looked at first, by their names, however many others there are."""
    ours = leave(folder, b"1")
    for number in range(1500):
        (folder / f"0{number}-{'0' * 12}-00000000.journal").write_bytes(b"")
    (folder / "1-2.journal").write_bytes(ours.read_bytes())  # of a version without the mark in the name
    ours.rename(folder / f"zzz-{ours.name}")
    assert found(folder)[0] == b"1"


def test_file_without_its_name_yet_is_not_locked_by_others(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that looks for journals of others does not lock one that its owner is about to lock."""
    lock, take = journal_files.lock, journal_files.take
    looked: list[str] = []

    def after_a_look(fd: int) -> None:
        monkeypatch.setattr(journal_files, "lock", lock)
        list(journal(folder).recover())
        lock(fd)

    def taken(path: str) -> Any:
        looked.append(path)
        return take(path)

    monkeypatch.setattr(journal_files, "lock", after_a_look)
    monkeypatch.setattr(journal_files, "take", taken)
    mine = journal(folder)
    assert mine.append_event(b"mine") > 0
    assert looked == []
    mine.release()
    assert found(folder) == [b"mine"]
    assert len(looked) == 1
