"""Events on disk: what a process leaves that is killed at any moment, and what becomes of it."""

from __future__ import annotations

import json
import os
import signal
import struct
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.delivery.support import (
    OK,
    REFUSED,
    RETRY,
    Gate,
    Scripted,
    assert_balanced,
    begun,
    buffer_of,
    capture,
    event,
    eventually,
    journal_of,
    open_spans,
    sender_of,
    without_journal,
)
from zespan_serverless import capture as capture_event
from zespan_serverless import init, testing
from zespan_serverless._delivery import journal as _journal
from zespan_serverless._delivery import journal_files, journal_format
from zespan_serverless._delivery.delivery import Delivery
from zespan_serverless._delivery.journal import Journal
from zespan_serverless._delivery.journal_files import AGE_MAX
from zespan_serverless._delivery.journal_format import Leftovers
from zespan_serverless._process import container as _container
from zespan_serverless._record.record import Record
from zespan_serverless._trace.context import Span
from zespan_serverless.settings import Settings
from zespan_serverless.testing import Backend

ROOT = Path(__file__).parents[2]
MIB = 1_048_576
SPAN = "0123456789abcdef"

pytestmark = pytest.mark.skipif(os.name != "posix", reason="there is no journal elsewhere")
root_only = pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root can do that")

Begin = Callable[..., Delivery]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the journals are; not made yet."""
    return tmp_path / "journals"


@pytest.fixture
def begin(folder: Path) -> Iterator[Begin]:
    """begin(exporter, **settings): a delivery with a journal; its books are checked when the test is over."""
    made: list[Delivery] = []

    def begin(exporter: Scripted, **settings: Any) -> Delivery:
        given = Settings(flush_timeout=5.0, exporter=exporter).replaced(**settings)
        made.append(Looking(exporter, given, journal(folder, cap=given.max_bytes)))
        return made[-1]

    yield begin
    for delivery in made:
        assert_balanced(delivery)
        delivery.reset()


def journal(folder: Path, destination: str = "there", key: str = "zsp_key", cap: int = MIB) -> Journal:
    return Journal(str(folder), destination, key, cap)


class Looking(Delivery):
    """One that tells which senders of its have looked for what others have left."""

    def __init__(self, *args: Any) -> None:
        self.have_looked: set[threading.Thread] = set()
        super().__init__(*args)

    def _recover_journals(self) -> None:
        super()._recover_journals()
        self.have_looked.add(threading.current_thread())


def die(delivery: Delivery) -> None:
    """As if its process had been killed: its file is unlocked, so that its own sender could take it over."""
    if isinstance(delivery, Looking) and (sender := sender_of(delivery).thread) is not None:
        eventually(lambda: sender in delivery.have_looked)
    without_journal(delivery).release()


def leave(folder: Path, *events: bytes, key: str = "zsp_key", destination: str = "there") -> Path:
    """Return the file of a dead process with these events."""
    before = set(folder.glob("*.journal"))
    dead = journal(folder, destination, key)
    for data in events:
        dead.append_event(data)
    dead.release()
    (file,) = set(folder.glob("*.journal")) - before
    return file


def left(folder: Path) -> list[Leftovers]:
    return list(journal(folder).recover())


def found(folder: Path) -> list[bytes]:
    return [event for one in left(folder) for event in one.events]


def aged(file: Path, seconds: float) -> None:
    then = time.time() - seconds
    os.utime(file, (then, then))


def python(code: str, *arguments: object, **env: str) -> subprocess.Popen[str]:
    """A process that runs `code`, and can be told things through its stdin."""
    command = [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=ROOT, env=os.environ | env, stdin=pipe, stdout=pipe, text=True)


def done(process: subprocess.Popen[str]) -> int:
    process.communicate(timeout=30)
    return process.returncode


# ---------------------------------------------------------------------- what is in a file


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


# ---------------------------------------------------------------------- whose file it is


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


# ---------------------------------------------------------------------- a disk that does not play along


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


# ---------------------------------------------------------------------- several processes

CAPTURE = """
    import os, sys
    from zespan_serverless import capture, init
    init(journal=sys.argv[1], flush_interval=3600.0)
    for number in sys.argv[2:]:
        capture({"operation": number})
    print("captured", flush=True)
    if sys.stdin.readline():
        os.abort()
"""
"""Captures, and is then killed, or aborts when it is told anything."""


def looked(backend: Backend, processes: int) -> None:
    """Wait until so many processes have looked for what others have left, which they do before they connect: a later
    one takes over the files of those that have been killed by then."""
    eventually(lambda: backend.connections >= processes, 20)


def operations(backend: Backend) -> list[str]:
    """Return what has arrived, without repetitions."""
    return sorted({event["event_id"]: event["operation"] for event in backend.events}.values())


@pytest.fixture
def environment(backend: Backend) -> dict[str, str]:
    return {"ZESPAN_BASE_URL": backend.url, "ZESPAN_API_KEY": "zsp_secret"}


def heir(folder: Path, environment: dict[str, str], *numbers: object) -> None:
    """A process that captures these, and takes over what others have left, to its end."""
    code = """
        import sys, time
        from zespan_serverless import capture, flush, init
        from zespan_serverless._process import container as _container
        init(journal=sys.argv[1])
        _container.current().delivery.ensure_sender()
        for number in sys.argv[2:]:
            capture({"operation": number})
        time.sleep(0.2)
        assert not flush(20).pending
    """
    assert done(python(code, folder, *numbers, **environment)) == 0


def arrives(folder: Path, environment: dict[str, str], backend: Backend, *expected: str) -> None:
    """With the next process, or the one after that: no flush waits for its search."""
    for _ in range(5):
        heir(folder, environment)
        if operations(backend) == [*expected]:
            return
    assert operations(backend) == [*expected]


@pytest.mark.parametrize("how", ["SIGKILL", "abort"])
def test_events_of_a_killed_process_arrive_once(
    folder: Path, backend: Backend, environment: dict[str, str], how: str
) -> None:
    """What a process had captured arrives with the next one, once."""
    process = python(CAPTURE, folder, 1, 2, 3, **environment)
    assert process.stdout is not None
    assert process.stdout.readline()
    if how == "SIGKILL":
        process.kill()
    process.communicate("now" if how == "abort" else None)
    assert backend.events == []
    heir(folder, environment, 4)
    arrives(folder, environment, backend, "1", "2", "3", "4")
    assert len(backend.events) == 4
    assert list(folder.iterdir()) == []


@pytest.mark.slow
def test_file_of_a_live_process_is_not_touched(folder: Path, backend: Backend, environment: dict[str, str]) -> None:
    """The file of a living process, frozen or not, is left alone; when it is dead its events are sent."""
    running, frozen, dead = (python(CAPTURE, folder, name, **environment) for name in ("running", "frozen", "dead"))
    for process in (running, frozen, dead):
        assert process.stdout is not None
        assert process.stdout.readline()
    looked(backend, 3)
    frozen.send_signal(signal.SIGSTOP)
    dead.kill()
    dead.communicate()
    heir(folder, environment, "heir")
    arrives(folder, environment, backend, "dead", "heir")
    assert len(list(folder.iterdir())) == 2
    for process in (running, frozen):
        process.kill()
        process.communicate()
    arrives(folder, environment, backend, "dead", "frozen", "heir", "running")


FORK = """
    import os, signal, sys, time
    from zespan_serverless import capture, init
    init(journal=sys.argv[1], flush_interval=3600.0)
    capture({"operation": "before"})
    child = os.fork()
    if not child:
        capture({"operation": "child"})
        os.write(1, b"child\\n")
        time.sleep(60)
    os.write(1, b"parent\\n")
    sys.stdin.readline()
    capture({"operation": "after"})
    if sys.argv[2] == "child first":
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.write(1, b"buried\\n")
        sys.stdin.readline()
        os.kill(os.getpid(), signal.SIGKILL)
    os.write(1, f"{child}\\n".encode())
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_end_of_a_forked_child_keeps_the_parents_file(
    folder: Path, backend: Backend, environment: dict[str, str]
) -> None:
    """A forked child has a file of its own; its end neither unlocks its parent's nor takes anything from it."""
    process = python(FORK, folder, "child first", **environment)
    assert process.stdin is not None
    assert process.stdout is not None
    assert {process.stdout.readline(), process.stdout.readline()} == {"child\n", "parent\n"}
    looked(backend, 2)
    assert len(list(folder.iterdir())) == 2
    process.stdin.write("go\n")
    process.stdin.flush()
    assert process.stdout.readline() == "buried\n"
    arrives(folder, environment, backend, "child")
    process.communicate("go\n")
    arrives(folder, environment, backend, "after", "before", "child")
    assert len(backend.events) == 3


def test_parents_file_is_taken_over_while_its_child_lives(
    folder: Path, backend: Backend, environment: dict[str, str]
) -> None:
    """The parent's events are taken over while its child lives, which does not keep them locked."""
    process = python(FORK, folder, "parent first", **environment)
    assert process.stdin is not None
    assert process.stdout is not None
    assert {process.stdout.readline(), process.stdout.readline()} == {"child\n", "parent\n"}
    looked(backend, 2)
    process.stdin.write("go\n")
    process.stdin.flush()
    child = int(process.stdout.readline())
    process.wait(10)
    arrives(folder, environment, backend, "after", "before")
    os.kill(child, signal.SIGKILL)
    process.communicate()  # ends with the child
    arrives(folder, environment, backend, "after", "before", "child")


def test_the_sender_imports_nothing_for_the_recovery(folder: Path, environment: dict[str, str]) -> None:
    """A child that is forked in the midst of an import would wait for its end for ever. Who has no journal does not
    pay for it."""
    code = """
        import sys, threading
        threading.Thread.start = lambda thread: None  # the sender never comes to it
        from zespan_serverless import init
        init(journal=sys.argv[1])
        assert ("zespan_serverless._delivery.recovery" in sys.modules) is (sys.argv[1] != "off")
    """
    assert done(python(code, folder, **environment)) == 0
    assert done(python(code, "off", **environment)) == 0


@pytest.mark.slow
@pytest.mark.timeout(300)  # it starts some 80 processes
def test_killed_at_any_moment(tmp_path: Path) -> None:
    """Whatever a process was doing to its file when it was killed, no event that it had captured is lost, and a span
    that had begun and not ended is known."""
    step = 0
    while True:
        step += 1
        place = tmp_path / str(step)
        place.mkdir()
        folder, ids, sink = place / "journals", place / "ids", place / "sink"
        command = [sys.executable, "-m", "tests.delivery.dying", *map(str, (folder, ids, sink, step))]
        dead = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30)
        if dead.returncode == 0:
            break
        assert dead.returncode == -signal.SIGKILL, dead.stderr
        captured = set(ids.read_text().split()) if ids.exists() else set()
        delivered = set(sink.read_text().split()) if sink.exists() else set()
        read = left(folder)
        kept = {str(json.loads(event)["n"]) for one in read for event in one.events}
        assert captured <= delivered | kept, step
        assert sum(len(one.open) for one in read) <= 1
        assert not any(one.broken for one in read)
        if "0" in captured and "28" not in captured | kept and len(captured) > 1:
            assert [len(one.open) for one in read] == [1], step
    assert step > 60


# ---------------------------------------------------------------------- how large, and for how long


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


# ---------------------------------------------------------------------- ends


def test_close_leaves_no_journal(begin: Begin, folder: Path) -> None:
    """What a shutdown could not send is counted as dropped, and not recovered later."""
    delivery = begin(Scripted(RETRY))
    capture(delivery, 1)
    delivery.close(0.05)
    assert delivery.dropped == {"closed": 1}
    assert list(folder.iterdir()) == []


def test_reset_leaves_no_journal(folder: Path, backend: Backend) -> None:
    """Between tests nothing stays."""
    backend.mode = "hang"
    init(base_url=backend.url, journal=str(folder))
    capture_event({})
    assert len(list(folder.iterdir())) == 1
    testing.reset()
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("mode", ["ok", "hang"])
def test_exit_leaves_only_unsent_events(folder: Path, backend: Backend, environment: dict[str, str], mode: Any) -> None:
    """A process that ends of itself leaves nothing if all was sent, else its events."""
    backend.mode = mode
    code = """
        import sys
        from zespan_serverless import capture, init
        init(journal=sys.argv[1], flush_timeout=0.3)
        capture({"operation": "1"})
    """
    assert done(python(code, folder, **environment)) == 0
    assert len(list(folder.iterdir())) == (mode == "hang")
    backend.mode = "ok"
    arrives(folder, environment, backend, "1")


def test_sigterm_leaves_unsent_events_in_the_journal(
    folder: Path, backend: Backend, environment: dict[str, str]
) -> None:
    """What cannot be sent in the time that is left after SIGTERM is for the next process."""
    backend.mode = "hang"
    process = python(CAPTURE, folder, 1, 2, **environment)
    assert process.stdout is not None
    assert process.stdout.readline()
    process.terminate()
    process.communicate(timeout=30)
    assert process.returncode == -signal.SIGTERM
    backend.mode = "ok"
    arrives(folder, environment, backend, "1", "2")


def test_exit_without_a_journal_reports_drops(folder: Path, environment: dict[str, str]) -> None:
    """Where the journal could not be written, what a process cannot send at its end is said to be dropped."""
    folder.touch()
    code = """
        import sys
        from zespan_serverless import capture, init
        init(journal=sys.argv[1], flush_timeout=0.1, on_error=lambda dropped: print(dropped.reason, dropped.events))
        capture({"operation": "1"})
    """
    closed = {**environment, "ZESPAN_BASE_URL": "http://127.0.0.1:9"}
    assert python(code, folder, **closed).communicate(timeout=30)[0] == "closed 1\n"


def test_journal_is_empty_at_a_snapshot_and_used_after_it(begin: Begin, folder: Path) -> None:
    """Nothing is on disk at the snapshot; events after the restore are."""
    exporter = Scripted()
    delivery = begin(exporter)
    capture(delivery, 1)
    delivery.pause(5.0)
    (file,) = folder.iterdir()
    assert file.stat().st_size < 100
    delivery.resume()
    capture(delivery, 2)
    die(delivery)
    assert found(folder) == [b'{"n":2}']


# ---------------------------------------------------------------------- settings, secrets


@pytest.mark.parametrize(
    ("where", "host", "expected"),
    [
        ("off", {"AWS_LAMBDA_RUNTIME_API": "there"}, None),
        ("auto", {}, None),
        ("auto", {"AWS_LAMBDA_RUNTIME_API": "there"}, "zespan-serverless-{uid}"),
        ("auto", {"AWS_LAMBDA_RUNTIME_API": "there", "AWS_LAMBDA_MAX_CONCURRENCY": "4"}, None),
        ("on", {}, "zespan-serverless-{uid}"),
        ("{path}", {}, "mine"),
    ],
)
def test_journal_folder_follows_setting_and_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str, host: dict[str, str], expected: str | None
) -> None:
    """On Lambda by default, where a process is started anew; elsewhere if asked for; in the temporary directory, or
    where one says."""
    os.environ["TMPDIR"] = str(tmp_path)
    monkeypatch.setitem(sys.modules, "awslambdaric.bootstrap", ModuleType("bootstrap"))
    for name, value in host.items():
        monkeypatch.setenv(name, value)
    init(base_url="http://127.0.0.1:9", journal=where.format(path=tmp_path / "mine"))
    capture_event({})
    assert [file.name for file in tmp_path.iterdir()] == ([expected.format(uid=os.geteuid())] if expected else [])


@pytest.mark.parametrize("exporter", ["console", "memory"])
def test_no_journal_for_console_and_memory(tmp_path: Path, exporter: Any) -> None:
    """Events that go nowhere need no disk."""
    init(exporter=exporter, journal=str(tmp_path / "mine"))
    capture_event({})
    assert list(tmp_path.iterdir()) == []


def test_relative_folder_is_resolved_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It stays where it was when the process goes elsewhere."""
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path)
    relative = Journal("here", "there", "zsp_key", MIB)
    monkeypatch.chdir(tmp_path / "other")
    assert relative.append_event(b"1")
    assert [file.name for file in (tmp_path / "here").glob("*.journal")] != []


def test_journal_contains_no_secrets(folder: Path, backend: Backend) -> None:
    """The key is in no file; what stands under a redacted key is not, either."""
    backend.mode = "hang"
    init(base_url=backend.url, api_key="zsp_supersecret", journal=str(folder))
    capture_event({"operation": "visible", "metadata": {"password": "zsp_hidden"}})
    container = _container.current()
    assert container is not None
    container.opened(Record(Span("t" * 32, SPAN), container.resource, "invocation", "begun"))
    (file,) = folder.iterdir()
    data = file.read_bytes()
    assert b"visible" in data
    assert b"begun" in data
    assert b"zsp_supersecret" not in data
    assert b"zsp_hidden" not in data


def test_unsampled_events_are_not_in_the_journal(folder: Path) -> None:
    """What is not to be sent is not written, either."""
    init(base_url="http://127.0.0.1:9", api_key="k", journal=str(folder), sample_rate=0.0)
    container = _container.current()
    assert container is not None
    container.opened(Record(Span("t" * 32, SPAN), container.resource, "invocation", "begun"))
    capture_event({"operation": "sampled out"})
    assert not folder.exists()


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


# ---------------------------------------------------------------------- descriptors that other code has closed


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


# ---------------------------------------------------------------------- when it could not be written


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


# ---------------------------------------------------------------------- what else is in the folder


def test_own_files_are_read_first(folder: Path) -> None:
    """Ours are looked at first, by their names, however many others there are."""
    ours = leave(folder, b"1")
    for number in range(1500):
        (folder / f"0{number}-{'0' * 12}-00000000.journal").write_bytes(b"")
    (folder / "1-2.journal").write_bytes(ours.read_bytes())  # of a version without the mark in the name
    ours.rename(folder / f"zzz-{ours.name}")
    assert found(folder)[0] == b"1"


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


def test_exit_with_events_in_the_journal_is_logged(
    begin: Begin, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """They are for the next process, if the disk outlives this one."""
    delivery = begin(Scripted(RETRY))
    capture(delivery, 1, 2, 3)
    delivery.close_at_exit(0)
    assert "3 telemetry events stay in the journal; only another process in this sandbox can send them" in caplog.text
    assert len(list(folder.iterdir())) == 1


def test_a_journal_that_has_failed_is_tried_once_more_at_the_exit(
    begin: Begin, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What has failed moments before may work again: then nothing is dropped, and the next process has everything."""
    delivery = begin(Scripted(RETRY))
    capture(delivery, 1)

    def failing(*args: object) -> int:
        monkeypatch.undo()
        raise OSError("made up")

    monkeypatch.setattr(os, "pwrite", failing)
    capture(delivery, 2, 3)
    delivery.close_at_exit(0)
    assert sum(delivery.dropped.values()) == 0
    (file,) = folder.iterdir()
    assert all(b'{"n":%d}' % number in file.read_bytes() for number in (1, 2, 3))


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
