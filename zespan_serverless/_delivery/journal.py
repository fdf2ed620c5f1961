"""Events on disk, from capture until they are settled: the next process in a sandbox sends what a killed one has left.

One file per process, in a folder that only its owner can enter, locked for as long as the process lives. It is appended
to at each capture, with the bytes that will be sent. Nothing is synced, because the page cache outlives the process.
The header says how far events are settled, and the file is emptied when all are. Only a process that would send to the
same destination with the same key takes a file over.

A process may be killed at any moment. So a file that is written anew is complete before it takes the old one's place.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from .._base import log
from .._base.guard import pass_on
from . import journal_files
from .budget import waited
from .journal_files import HALF_MADE, File, Lost, Owned
from .journal_format import CLOSED, EVENT, HEADER, NO_SPAN, OPEN, OVERDUE, fingerprint_of, read, span_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from .journal_format import Left

AGE_MAX = 86_400.0
"""Seconds after which the content of a file is of no use any more: a day."""

_SIZE_MIN = 1_048_576  # bytes of a file, below which it is not worth writing it anew
_TIDY = 65_536  # bytes of settled events that may stay while a span is open
_PAUSE_FIRST, _PAUSE_MAX = 1.0, 60.0  # seconds between two tries to write, while that fails


class Journal:
    """This process's file, made at the first record. All methods are called with the caller's lock held; none raises.

    When the file cannot be written it is left as it is, and locked, so that no other process thinks this one is dead.
    New events are then in memory only, until a later try succeeds (`needs_rewrite`), or all events in the file are
    settled. `on_trouble` is called with a text when such a time begins, and with an empty one when it ends.
    """

    def __init__(self, folder: str, destination: str, key: str, cap: int) -> None:
        self._folder = os.path.abspath(folder)
        self._destination = destination.rpartition("@")[2].encode()  # without a password
        self._fingerprint = fingerprint_of(destination, key)
        self._cap = max(cap, _SIZE_MIN)
        self._open: dict[bytes, bytes] = {}
        self._notes: list[bytes] = []  # of deadlines, while any span is open
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
        """Whether to write the file anew: most of its events may be settled, or it is time for another try."""
        if self._off:
            return waited(time.time(), self._tried_at, self._pause)
        return self.size > self._limit

    @property
    def is_healthy(self) -> bool:
        """Whether the next process will find what is written now."""
        return not self._off

    def append_event(self, data: bytes, span: str = "") -> int:
        """Write an event, which ends its span. Returns where it stands, 0 for nowhere."""
        self._open.pop(span_bytes(span), None)
        return self._append(EVENT, data, span_bytes(span))

    def append_open(self, data: bytes, span: str) -> None:
        """Write what is known of a span that has begun."""
        self._open[span_bytes(span)] = data
        self._append(OPEN, data, span_bytes(span))

    def append_closed(self, span: str) -> None:
        """Write that a span has ended without an event."""
        if self._open.pop(span_bytes(span), None) is not None:
            self._append(CLOSED, b"", span_bytes(span))

    def append_deadline(self, data: bytes) -> None:
        """Write that the invocation has reached its deadline, and what its main thread is doing."""
        if self._open:
            self._notes.append(data)
            self._append(OVERDUE, data, NO_SPAN)

    def mark_settled(self, before: int) -> None:
        """Note that all events that stand before this place are settled."""
        if self._file is not None:
            try:
                self._file.settle(before)
            except Lost as error:
                self._give_up(error)
            except OSError:
                pass

    def rewrite(self, events: Sequence[bytes] = ()) -> list[int]:
        """Keep only open spans and these events. Returns where each event stands now, or nothing if none has moved."""
        file = self._file
        if not self._open:
            self._notes.clear()
        try:
            if file is None:
                return self._anew(None, events) if self._off and (events or self._open) else []
            if file.end == file.start and not (events or self._off):
                return []
            if events or not file.is_there() or (self._open and (self._off or file.end > _TIDY)):
                return self._anew(file, events)
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
        """Remove the file: when all is settled, or no other process is to have it."""
        if self._file is not None:
            self._file.remove()
        self.release()

    def release(self) -> None:
        """Let go of the file: in a forked child it is the parent's, elsewhere the next process takes it over."""
        if self._file is not None:
            self._file.close()
        self._file, self._limit, self._off, self._pause = None, self._cap, False, 0.0
        self._open.clear()
        self._notes.clear()

    def recover(self) -> Iterator[Left]:
        """Yield what dead processes have left for this destination and key.

        Each file is deleted when the next is requested, unless its events are not on disk elsewhere.
        """
        for path in journal_files.journals_in(self._folder, self._mark):
            # It is not locked any more if other code has closed its descriptor.
            is_mine = self._file is not None and path == self._file.path
            file = None if is_mine or journal_files.is_being_made(path) else journal_files.take(path)
            if file is not None:
                try:
                    at = os.fstat(file.fd).st_mtime
                    found = self._read(file.fd, at) if path.endswith(".journal") else None
                    if found is not None:
                        yield found
                        if self.is_healthy:
                            file.remove()
                    elif time.time() - at > (AGE_MAX if path.endswith(".journal") else HALF_MADE):
                        self._expire(file)
                except OSError as error:
                    log.logger.debug("journal %s: %s", path, error)
                finally:
                    file.close()

    def _expire(self, file: Owned) -> None:
        size = os.fstat(file.fd).st_size
        file.remove()
        if size > HEADER.size and file.path.endswith(".journal"):
            text = "a journal for another destination or key was given up after a day: %s"
            log.logger.warning(text, file.path)

    @property
    def _mark(self) -> str:
        """The end of the names of files for this destination and key."""
        return f"-{self._fingerprint[:4].hex()}.journal"

    def _read(self, fd: int, at: float) -> Left | None:
        """What is in a file; None if it is not for this journal."""
        size = os.fstat(fd).st_size
        data = os.pread(fd, min(size, 4 * self._cap), 0)
        return read(data, self._fingerprint, at, cut=size > len(data))

    def _append(self, kind: bytes, data: bytes, span: bytes) -> int:
        if self._off:
            return 0
        try:
            if self._file is None:
                self._file = self._complete(self._made())
            return self._file.write(kind, data, span)
        except Exception as error:
            pass_on(error)
            self._give_up(error)
            return 0

    def _made(self) -> File:
        return journal_files.made(self._folder, self._destination, self._fingerprint)

    def _complete(self, file: File, old: File | None = None) -> File:
        """Give a file its name: the old one's, if there is one whose place it takes."""
        try:
            file.name(old.path if old is not None else file.path.removesuffix(".new") + self._mark)
        except BaseException:
            file.discard()
            raise
        return file

    def _anew(self, old: File | None, events: Sequence[bytes]) -> list[int]:
        """Replace the old file by one with what is still wanted."""
        file = self._made()
        try:
            for span, data in list(self._open.items()):
                file.write(OPEN, data, span)
            for data in self._notes:
                file.write(OVERDUE, data, NO_SPAN)
            places = [file.write(EVENT, data, NO_SPAN) for data in events]
        except BaseException:
            file.discard()
            raise
        self._file = self._complete(file, old)
        self._limit = max(self._cap, file.end * 3 // 2)  # else a file that is full of pending events is never done
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
        """Go on in memory only. Try again at once if just the file was lost, else after a pause.

        What is in the file already stays there for the next process.
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
            self.on_trouble(f"telemetry is kept in memory only, no journal in {self._folder}: {error}")
