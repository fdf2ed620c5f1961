"""Events on disk, from capture until they are settled: what a killed process leaves, the next one in its sandbox sends.

One file per process, in a folder that only its owner can enter, locked for as long as the process lives. It is
appended to at each capture, with the bytes that will be sent; nothing is synced, because the page cache outlives the
process. Its header names the destination, and fingerprints it together with the key: only who would send to the same
place with the same key takes the file over. It says how far events are settled, and is emptied when all are.

    header   magic, version | offset of the first event not settled | fingerprint
    record   kind, length, checksum, span id | bytes

A torn or corrupt record ends the file: what comes after it cannot be told from rubbish.
"""

from __future__ import annotations

import contextlib
import os
import stat
import struct
import time
import zlib
from typing import TYPE_CHECKING, NamedTuple

from .. import _log

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

DESTINATION, EVENT, OPEN, CLOSED, OVERDUE = b"D", b"E", b"O", b"C", b"T"
"""Kinds of records: where events go; an event; a span under way, as far as it is known, and that it ended without
one; the deadline was reached."""

AGE_MAX = 86_400.0
"""Seconds after which nobody wants to hear any more of what is in a file: a day."""

_HEADER = struct.Struct("<7sBQ16s")
_RECORD = struct.Struct("<cII8s")
_MAGIC, _VERSION = b"zespanj", 1
_NOBODY = b"\0" * 8
_FILES_MAX = 1000  # looked at when a process starts
_FLAGS = os.O_CLOEXEC | os.O_NOFOLLOW if os.name == "posix" else 0


class Left(NamedTuple):
    """What a dead process has left: its events, its spans that never ended, how many records were torn or corrupt.

    `at` is when it last wrote (seconds since the epoch), `overdue` what it noted when an invocation had run into its
    deadline.
    """

    events: list[bytes]
    open: list[bytes]
    broken: int
    at: float
    overdue: list[bytes]


class Journal:
    """This process's file. Made at the first record; all methods under the caller's lock. None raises OSError."""

    def __init__(self, folder: str, destination: str, key: str, cap: int) -> None:
        self._folder, self._destination, self._cap = folder, destination.encode(), cap
        self._fingerprint = _fingerprint(destination, key)
        self._fd = -1
        self._path = ""
        self._end = 0  # of the file
        self._start = 0  # of its first record after the header's own
        self._settled = 0  # what the header says
        self._open: dict[bytes, bytes] = {}
        self._off = False

    @property
    def size(self) -> int:
        """Bytes on disk."""
        return self._end

    @property
    def full(self) -> bool:
        """Whether most of the file may be of events long settled: then it is to be written anew."""
        return self._end > self._cap

    def event(self, data: bytes, span: str = "") -> int:
        """Write an event down, which ends its span; where it stands, 0 if nowhere."""
        self._open.pop(_id(span), None)
        return self._append(EVENT, data, _id(span))

    def opened(self, data: bytes, span: str) -> None:
        """Write down what is known of a span that has begun."""
        self._open[_id(span)] = data
        self._append(OPEN, data, _id(span))

    def closed(self, span: str) -> None:
        """A span has ended, and there will be no event of it."""
        if self._open.pop(_id(span), None) is not None:
            self._append(CLOSED, b"", _id(span))

    def overdue(self, data: bytes) -> None:
        """Write down that the invocation has reached its deadline, and what its main thread is doing."""
        self._append(OVERDUE, data, _NOBODY)

    def settled(self, before: int) -> None:
        """All events that stand before this place are settled."""
        if self._fd >= 0 and before != self._settled:
            with contextlib.suppress(OSError):
                os.pwrite(self._fd, struct.pack("<Q", before), len(_MAGIC) + 1)
                self._settled = before

    def empty(self, events: Sequence[bytes] = ()) -> list[int]:
        """Begin anew with spans that are open, and these events; where each of them stands now."""
        if self._fd < 0 or (self._end == self._start and not events):
            return []
        try:
            os.ftruncate(self._fd, self._start)
            self._end = self._start
            self.settled(0)
        except OSError as error:
            self._give_up(error)
            return []
        for span, data in list(self._open.items()):
            self._append(OPEN, data, span)
        return [self._append(EVENT, data, _NOBODY) for data in events]

    def close(self) -> None:
        """Leave nothing behind. Only when all is settled, or nobody is to have it."""
        if self._fd >= 0:
            with contextlib.suppress(OSError):
                os.unlink(self._path)
        self.forget()

    def forget(self) -> None:
        """In a forked child: the file is the parent's. Elsewhere: leave it to whoever comes next."""
        if self._fd >= 0:
            with contextlib.suppress(OSError):
                os.close(self._fd)
        self._fd, self._end, self._start, self._settled = -1, 0, 0, 0
        self._open.clear()

    def left(self) -> Iterator[Left]:
        """What processes that are no more have left for this destination and key. A file is gone once the next is
        asked for."""
        for path in _files(self._folder):
            fd = _take(path) if path != self._path else -1
            if fd >= 0:
                try:
                    found = self._read(fd)
                    if found is not None:
                        yield found
                    if found is not None or time.time() - os.fstat(fd).st_mtime > AGE_MAX:  # else its heir may come yet
                        os.unlink(path)
                except OSError as error:
                    _log.logger.debug("journal %s: %s", path, error)
                finally:
                    os.close(fd)

    def _read(self, fd: int) -> Left | None:
        """What is in a file; None if it is not for us."""
        found = os.fstat(fd)
        data = os.pread(fd, min(found.st_size, 2 * self._cap + _HEADER.size), 0)
        if len(data) < _HEADER.size:
            return None
        magic, version, offset, fingerprint = _HEADER.unpack_from(data)
        if (magic, version, fingerprint) != (_MAGIC, _VERSION, self._fingerprint):
            return None
        return _parsed(data, offset, found.st_mtime, cut=found.st_size > len(data))

    def _append(self, kind: bytes, data: bytes, span: bytes) -> int:
        if self._fd < 0 and not self._create():
            return 0
        record = _RECORD.pack(kind, len(data), zlib.crc32(data), span) + data
        try:
            written = os.pwrite(self._fd, record, self._end)
            if written < len(record):
                os.ftruncate(self._fd, self._end)
                raise OSError("disk full")
        except OSError as error:
            self._give_up(error)
            return 0
        place, self._end = self._end, self._end + len(record)
        return place

    def _create(self) -> bool:
        """Make the folder, if need be, and the file."""
        if self._off:
            return False
        try:
            _own_folder(self._folder)
            path = f"{self._folder}/{os.getpid()}-{os.urandom(6).hex()}.journal"
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | _FLAGS, 0o600)
            self._fd, self._path = fd, path
            _lock(fd, wait=True)  # somebody may be looking whether its process is alive
            os.pwrite(fd, _HEADER.pack(_MAGIC, _VERSION, 0, self._fingerprint), 0)
        except Exception as error:
            self._give_up(error)
            return False
        self._end = self._start = _HEADER.size
        self._append(DESTINATION, self._destination, _NOBODY)
        self._start = self._end
        return self._fd >= 0

    def _give_up(self, error: Exception) -> None:
        """Go on in memory only, and say so once. What is in the file already is left to the next process."""
        self._off = True
        with contextlib.suppress(OSError):
            if self._fd >= 0:
                os.close(self._fd)
        self._fd = -1
        _log.warn_once("telemetry is kept in memory only, no journal in %s: %s", self._folder, error, key="journal")


def _parsed(data: bytes, offset: int, at: float, *, cut: bool) -> Left:
    """The records of a file that are whole."""
    events: list[bytes] = []
    spans: dict[bytes, bytes] = {}
    overdue: list[bytes] = []
    place, broken = _HEADER.size, int(cut)
    while place < len(data):
        body = place + _RECORD.size
        kind, length, checksum, span = _RECORD.unpack_from(data, place) if body <= len(data) else (b"", 0, 0, b"")
        record = data[body : body + length]
        if not kind or len(record) < length or zlib.crc32(record) != checksum:
            broken = 1
            break
        if kind in (EVENT, CLOSED):
            spans.pop(span, None)
        if kind == EVENT and place >= offset:
            events.append(record)
        elif kind == OPEN:
            spans[span] = record
        elif kind == OVERDUE:
            overdue.append(record)
        place = body + length
    return Left(events, list(spans.values()), broken, at, overdue)


def _fingerprint(destination: str, key: str) -> bytes:
    """The same for the same destination and key; the key cannot be had from it."""
    try:
        from _blake2 import blake2s  # hashlib loads OpenSSL, which takes ten times as long
    except ImportError:
        from hashlib import blake2s
    return blake2s(f"{destination}\0{key}".encode(), digest_size=16).digest()


def _id(span: str) -> bytes:
    """A span's id as a record has it; events of the user's own may have anything for one."""
    try:
        raw = bytes.fromhex(span)
    except (ValueError, TypeError):
        return _NOBODY
    return raw if len(raw) == len(_NOBODY) else _NOBODY


def _own_folder(folder: str) -> None:
    """Make the folder, or see that it is ours alone: through a symlink or another's folder, others could read along."""
    with contextlib.suppress(FileExistsError):
        os.mkdir(folder, 0o700)
    if not _is_own(os.lstat(folder)):
        raise PermissionError(f"{folder} is not a folder of this user alone, mode 700")


def _is_own(found: os.stat_result) -> bool:
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & 0o077


def _files(folder: str) -> list[str]:
    try:
        names = sorted(os.listdir(folder)) if _is_own(os.lstat(folder)) else []
    except OSError:
        return []
    return [f"{folder}/{name}" for name in names if name.endswith(".journal")][:_FILES_MAX]


def _take(path: str) -> int:
    """The file, open and locked; -1 if it is not ours, not a plain file, or if its process is alive."""
    try:
        fd = os.open(path, os.O_RDWR | _FLAGS | os.O_NONBLOCK)
    except OSError:
        return -1
    try:
        found = os.fstat(fd)
        if stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid() and found.st_nlink == 1:
            _lock(fd, wait=False)
            return fd
    except OSError:
        pass
    os.close(fd)
    return -1


def _lock(fd: int, *, wait: bool) -> None:
    """Raises OSError if another process has it and is not waited for. It ends with the last copy of the descriptor."""
    import fcntl

    fcntl.flock(fd, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
