"""The journal: events on disk, which the next process in a sandbox sends if this one is killed.

There is one file per process, in a folder that only its owner can enter, locked while the process lives. Each captured
event is appended, as the bytes that will be sent. Nothing is synced, because the page cache outlives the process. The
header says how far events are settled; when all are, the file is emptied. Only a process with the same destination and
key takes a file over.

A process may be killed at any moment. So a file that is rewritten is complete before it replaces the old one.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from .._base import log
from .._base.guard import pass_on
from . import journal_files
from .budget import waited
from .journal_files import AGE_MAX, UNNAMED_MAX, File, Lost, Owned
from .journal_format import CLOSED, EVENT, HEADER, NO_SPAN, OPEN, OVERDUE, fingerprint_of, parse, span_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from .journal_format import Leftovers

_REWRITE_MIN = 1_048_576  # bytes of a file below which a rewrite is not worth it
_SETTLED_MAX = 65_536  # bytes of settled events that may stay in the file while a span is open
_PAUSE_FIRST, _PAUSE_MAX = 1.0, 60.0  # seconds between two attempts to write, after a failure


class Journal:
    """This process's file, created for the first record. Methods are called with the caller's lock held; none raises.

    If the file cannot be written, it stays as it is, and locked, so that no other process takes this one for dead. New
    events are then in memory only, until a later attempt succeeds (`needs_rewrite`), or all events in the file are
    settled. `on_trouble` is called with a text when that begins, and with an empty text when it ends.
    """

    def __init__(self, folder: str, destination: str, key: str, cap: int) -> None:
        self._folder = os.path.abspath(folder)
        self._destination = destination.rpartition("@")[2].encode()  # without a password
        self._fingerprint = fingerprint_of(destination, key)
        self._cap = max(cap, _REWRITE_MIN)
        self._open: dict[bytes, bytes] = {}
        self._notes: list[bytes] = []  # about deadlines, while any span is open
        self._file: File | None = None
        self._limit = self._cap
        self._off = False
        self._tried_at = self._pause = 0.0  # wall clock, seconds
        self.on_trouble: Callable[[str], object] | None = None

    @property
    def size(self) -> int:
        """Bytes on disk."""
        return self._file.end if self._file is not None else 0

    @property
    def needs_rewrite(self) -> bool:
        """Whether to rewrite the file: most of its events may be settled, or it is time for another attempt."""
        if self._off:
            return waited(time.time(), self._tried_at, self._pause)
        return self.size > self._limit

    @property
    def is_healthy(self) -> bool:
        """Whether events are written to disk, where the next process finds them."""
        return not self._off

    def append_event(self, data: bytes, span: str = "") -> int:
        """Write an event, which ends its span. Returns its offset; 0 if it could not be written."""
        ended = span_bytes(span)
        self._open.pop(ended, None)
        return self._append(EVENT, data, ended)

    def append_open(self, data: bytes, span: str) -> None:
        """Write what is known of a span that has begun."""
        begun = span_bytes(span)
        self._open[begun] = data
        self._append(OPEN, data, begun)

    def append_closed(self, span: str) -> None:
        """Write that a span has ended without an event."""
        ended = span_bytes(span)
        if self._open.pop(ended, None) is not None:
            self._append(CLOSED, b"", ended)

    def append_deadline(self, data: bytes) -> None:
        """Write a note that the invocation has reached its deadline."""
        if self._open:
            self._notes.append(data)
            self._append(OVERDUE, data, NO_SPAN)

    def mark_settled(self, before: int) -> None:
        """Record that all events before this offset are settled."""
        if self._file is not None:
            try:
                self._file.settle(before)
            except Lost as error:
                self._give_up(error)
            except OSError:
                pass

    def rewrite(self, events: Sequence[bytes] = ()) -> list[int]:
        """Keep only open spans and these events. Returns the new offset of each event, or [] if none has moved."""
        file = self._file
        if not self._open:
            self._notes.clear()
        try:
            if file is None:
                return self._rewritten(None, events) if self._off and (events or self._open) else []
            if file.end == file.start and not (events or self._off):
                return []
            if events or not file.is_there() or (self._open and (self._off or file.end > _SETTLED_MAX)):
                return self._rewritten(file, events)
            if self._open:
                file.settle(file.end)
            else:
                file.cut()
            self._recovered()
        except Exception as error:
            pass_on(error)
            self._give_up(error)
        return []

    def remove(self) -> None:
        """Remove the file, because all events are settled, or no other process is to send them."""
        if self._file is not None:
            self._file.remove()
        self.release()

    def release(self) -> None:
        """Give up the file: in a forked child it is the parent's, elsewhere the next process takes it over."""
        if self._file is not None:
            self._file.close()
        self._file, self._limit, self._off, self._pause = None, self._cap, False, 0.0
        self._open.clear()
        self._notes.clear()

    def recover(self) -> Iterator[Leftovers]:
        """Yield what dead processes have left for this destination and key.

        Each file is deleted when the next is requested, unless its events are not on disk elsewhere.
        """
        for path in journal_files.list_journals(self._folder, self._suffix):
            # Our own file is not locked any more if other code has closed its descriptor.
            is_mine = self._file is not None and path == self._file.path
            is_left_alone = is_mine or journal_files.is_for_others(path, self._suffix)
            file = None if is_left_alone else journal_files.take(path)
            if file is not None:
                try:
                    at = os.fstat(file.fd).st_mtime
                    leftovers = self._read(file.fd, at) if path.endswith(".journal") else None
                    if leftovers is not None:
                        yield leftovers
                        if self.is_healthy:
                            file.remove()
                    elif time.time() - at > (AGE_MAX if path.endswith(".journal") else UNNAMED_MAX):
                        self._expire(file)
                except OSError as error:
                    log.line("journal-unreadable", "journal %s: %s", path, error, level=log.DEBUG)
                finally:
                    file.close()

    def _expire(self, file: Owned) -> None:
        size = os.fstat(file.fd).st_size
        file.remove()
        if size > HEADER.size and file.path.endswith(".journal"):
            text = "telemetry events of another destination or key were dropped after a day, with their journal: %s"
            log.line("journal-expired", text, file.path)

    @property
    def _suffix(self) -> str:
        """The suffix of files for this destination and key."""
        return f"-{self._fingerprint[:4].hex()}.journal"

    def _read(self, fd: int, at: float) -> Leftovers | None:
        """Read a file; None if it has another destination or key."""
        size = os.fstat(fd).st_size
        data = os.pread(fd, min(size, 4 * self._cap), 0)
        return parse(data, self._fingerprint, at, cut=size > len(data))

    def _append(self, kind: bytes, data: bytes, span: bytes) -> int:
        if self._off:
            return 0
        try:
            if self._file is None:
                self._file = self._named(self._created())
            return self._file.write(kind, data, span)
        except Exception as error:
            pass_on(error)
            self._give_up(error)
            return 0

    def _created(self) -> File:
        return journal_files.create(self._folder, self._destination, self._fingerprint)

    def _named(self, file: File, old: File | None = None) -> File:
        """Give a file its final name; if it replaces an old file, the name of that one."""
        try:
            file.name(old.path if old is not None else file.path.removesuffix(".new") + self._suffix)
        except BaseException:
            file.discard()
            raise
        return file

    def _rewritten(self, old: File | None, events: Sequence[bytes]) -> list[int]:
        """Replace the old file by one with the open spans and these events. Returns the offsets of the events."""
        file = self._created()
        try:
            for span, data in list(self._open.items()):
                file.write(OPEN, data, span)
            for data in self._notes:
                file.write(OVERDUE, data, NO_SPAN)
            places = [file.write(EVENT, data, NO_SPAN) for data in events]
        except BaseException:
            file.discard()
            raise
        self._file = self._named(file, old)
        # Well above its size: else a file full of pending events would be rewritten each time.
        self._limit = max(self._cap, file.end * 3 // 2)
        self._recovered()
        if old is not None:
            old.close()
        return places

    def _recovered(self) -> None:
        if self._off:
            self._off = False
            if self.on_trouble is not None:
                self.on_trouble("")

    def _give_up(self, error: Exception) -> None:
        """Continue in memory only. Try again at once if only the file was lost, else after a pause.

        What is in the file stays there for the next process.
        """
        now = time.time()
        if isinstance(error, Lost) and waited(now, self._tried_at, _PAUSE_FIRST):
            pause = 0.0
        elif self._off:
            pause = min(max(2 * self._pause, _PAUSE_FIRST), _PAUSE_MAX)
        else:
            pause = _PAUSE_FIRST
        self._off, self._tried_at, self._pause = True, now, pause
        if self.on_trouble is not None:
            self.on_trouble(f"{self._folder} failed: {error}")
