"""Events on disk, from capture until they are settled: what a killed process leaves, the next one in its sandbox sends.

One file per process, in a folder that only its owner can enter, locked for as long as the process lives. It is
appended to at each capture, with the bytes that will be sent; nothing is synced, because the page cache outlives the
process. Its header names the destination, and fingerprints it together with the key: only who would send to the same
place with the same key takes the file over. It says how far events are settled, and is emptied when all are.

    header   magic, version | offset of the first event not settled, its checksum | fingerprint
    record   kind, length, checksum, span id | bytes

A torn or corrupt record is counted, and reading goes on at the next one whose checksum is right. What is written anew
is written elsewhere, and takes the file's place when it is complete: a process may be killed at any moment.

Other code may close descriptors that are not its own (`os.closerange`, a daemon's start, a double close), and then the
number may belong to a file of the user's. So nothing is written, cut or closed by number before it is certain that the
number still stands for our file.
"""

from __future__ import annotations

import contextlib
import os
import stat
import struct
import time
import zlib
from typing import TYPE_CHECKING, NamedTuple

from .._base import log
from .._base.guard import pass_on
from .budget import waited

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

DESTINATION, EVENT, OPEN, CLOSED, OVERDUE = b"D", b"E", b"O", b"C", b"T"
"""Kinds of records: where events go; an event; a span under way, as far as it is known, and that it ended without
one; the deadline was reached."""

AGE_MAX = 86_400.0
"""Seconds after which nobody wants to hear any more of what is in a file: a day."""

_HEADER = struct.Struct("<7sB12s16s")
_OFFSET = struct.Struct("<QI")
_RECORD = struct.Struct("<cII8s")
_MAGIC, _VERSION = b"zespanj", 1
_NOBODY = b"\0" * 8
_KINDS = (DESTINATION, EVENT, OPEN, CLOSED, OVERDUE)
_FILES_MAX = 1000  # looked at when a process starts
_SIZE_MIN = 1_048_576  # bytes of a file, below which it is not worth writing it anew
_TIDY = 65_536  # bytes of settled events that may stay while a span is open
_PAUSE_FIRST, _PAUSE_MAX = 1.0, 60.0  # seconds between two tries to write, while that fails
_HALF_MADE = 60.0  # seconds after which a file that has not got its name yet never will
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
    """This process's file. Made at the first record; all methods under the caller's lock. None raises.

    When it cannot be written it is left as it is, and locked: nobody else may think that its process is no more. What
    comes then is in memory only, until a later try succeeds (`due`), or all that is in the file has been settled.
    `trouble` is called with a text when such a time begins, and with an empty one when it is over.
    """

    def __init__(self, folder: str, destination: str, key: str, cap: int) -> None:
        self._folder, self._destination = (
            os.path.abspath(folder),
            destination.rpartition("@")[2].encode(),
        )  # no password
        self._fingerprint = _fingerprint(destination, key)
        self._cap = max(cap, _SIZE_MIN)
        self._open: dict[bytes, bytes] = {}
        self._notes: list[bytes] = []  # of deadlines, since something was open
        self._file: _File | None = None
        self._limit = self._cap
        self._off = False
        self._tried_at = self._pause = 0.0  # wall clock, seconds
        self.trouble: Callable[[str], object] | None = None

    @property
    def size(self) -> int:
        """Bytes on disk."""
        return self._file.end if self._file is not None else 0

    @property
    def due(self) -> bool:
        """Whether it is to be written anew: most of it may be of events long settled, or it is time for another try."""
        if self._off:
            return waited(time.time(), self._tried_at, self._pause)
        return self.size > self._limit

    @property
    def safe(self) -> bool:
        """Whether what is written now is there for the next process."""
        return not self._off

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
        if self._open:
            self._notes.append(data)
            self._append(OVERDUE, data, _NOBODY)

    def settled(self, before: int) -> None:
        """All events that stand before this place are settled."""
        if self._file is not None:
            try:
                self._file.settle(before)
            except _Lost as error:
                self._give_up(error)
            except OSError:
                pass

    def empty(self, events: Sequence[bytes] = ()) -> list[int]:
        """Leave out all but open spans and these events; where each of them stands now, nothing if nowhere new."""
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

    def close(self) -> None:
        """Leave nothing behind. Only when all is settled, or nobody is to have it."""
        if self._file is not None:
            self._file.remove()
        self.forget()

    def forget(self) -> None:
        """In a forked child: the file is the parent's. Elsewhere: leave it to whoever comes next."""
        if self._file is not None:
            self._file.close()
        self._file, self._limit, self._off, self._pause = None, self._cap, False, 0.0
        self._open.clear()
        self._notes.clear()

    def left(self) -> Iterator[Left]:
        """What processes that are no more have left for this destination and key. A file is gone once the next is
        asked for, unless what was in it is nowhere else on disk."""
        for path in _files(self._folder, self._mark):
            is_mine = self._file is not None and path == self._file.path  # its lock goes if others close its descriptor
            file = None if is_mine or _is_being_made(path) else _take(path)
            if file is not None:
                try:
                    at = os.fstat(file.fd).st_mtime
                    found = self._read(file.fd, at) if path.endswith(".journal") else None
                    if found is not None:
                        yield found
                        if self.safe:
                            file.remove()
                    elif time.time() - at > (AGE_MAX if path.endswith(".journal") else _HALF_MADE):
                        self._expire(file)
                except OSError as error:
                    log.logger.debug("journal %s: %s", path, error)
                finally:
                    file.close()

    def _expire(self, file: _Owned) -> None:
        size = os.fstat(file.fd).st_size
        file.remove()
        if size > _HEADER.size and file.path.endswith(".journal"):
            text = "a journal for another destination or key was given up after a day: %s"
            log.logger.warning(text, file.path)

    @property
    def _mark(self) -> str:
        """What the names of files for this destination and key end in."""
        return f"-{self._fingerprint[:4].hex()}.journal"

    def _read(self, fd: int, at: float) -> Left | None:
        """What is in a file; None if it is not for us."""
        size = os.fstat(fd).st_size
        data = os.pread(fd, min(size, 4 * self._cap), 0)
        if len(data) < _HEADER.size:
            return None
        magic, version, packed, fingerprint = _HEADER.unpack_from(data)
        if (magic, version, fingerprint) != (_MAGIC, _VERSION, self._fingerprint):
            return None
        offset = _OFFSET.unpack(packed)[0]
        whole = _offset(offset) == packed
        return _parsed(data, offset if whole else 0, at, cut=size > len(data))  # better twice than never

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

    def _made(self) -> _File:
        """A file without its name, for nobody to look at yet."""
        _own_folder(self._folder)
        file = _File(self._folder)
        try:
            _lock(file.fd)
            os.pwrite(file.fd, _HEADER.pack(_MAGIC, _VERSION, _offset(0), self._fingerprint), 0)
            file.end = _HEADER.size
            file.write(DESTINATION, self._destination, _NOBODY)
            file.start = file.end
        except BaseException:
            file.discard()
            raise
        return file

    def _complete(self, file: _File, old: _File | None = None) -> _File:
        """Give a file its name: the old one's, if there is one whose place it takes."""
        try:
            file.name(old.path if old is not None else file.path.removesuffix(".new") + self._mark)
        except BaseException:
            file.discard()
            raise
        return file

    def _anew(self, old: _File | None, events: Sequence[bytes]) -> list[int]:
        """Put a file with what is still wanted in the place of the old one."""
        file = self._made()
        try:
            for span, data in list(self._open.items()):
                file.write(OPEN, data, span)
            for data in self._notes:
                file.write(OVERDUE, data, _NOBODY)
            places = [file.write(EVENT, data, _NOBODY) for data in events]
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
            if self.trouble is not None:
                self.trouble("")

    def _give_up(self, error: Exception) -> None:
        """Go on in memory only, and try again at once if only the file was lost, or else after a pause. What is in the
        file already is there for the next process."""
        now = time.time()
        if isinstance(error, _Lost) and waited(now, self._tried_at, _PAUSE_FIRST):
            pause = 0.0
        elif self._off:
            pause = min(max(2 * self._pause, _PAUSE_FIRST), _PAUSE_MAX)
        else:
            pause = _PAUSE_FIRST
        self._off, self._tried_at, self._pause = True, now, pause
        if self.trouble is not None:
            self.trouble(f"telemetry is kept in memory only, no journal in {self._folder}: {error}")


class _Lost(OSError):
    """A file that is not ours any more: its descriptor was closed by other code, or it has been removed."""


class _Owned:
    """An open file, as long as its descriptor's number stands for it."""

    def __init__(self, path: str, fd: int, found: os.stat_result) -> None:
        self.path, self.fd = path, fd
        self._identity = (found.st_dev, found.st_ino)

    def check(self) -> None:
        """Raises _Lost if the number is somebody else's by now, or if the file has no name any more."""
        if not self.is_there():
            raise _Lost("the file has been removed, or its descriptor closed, by other code")

    def is_there(self) -> bool:
        """Whether the number still stands for the file, and the file has a name."""
        try:
            found = os.fstat(self.fd)
        except OSError:
            return False
        return bool(found.st_nlink) and (found.st_dev, found.st_ino) == self._identity

    def remove(self) -> None:
        """Remove it from its folder, unless something else has that name."""
        with contextlib.suppress(OSError):
            found = os.lstat(self.path)
            if (found.st_dev, found.st_ino) == self._identity:
                os.unlink(self.path)

    def close(self) -> None:
        """Close it, unless the number is somebody else's by now."""
        with contextlib.suppress(OSError):
            found = os.fstat(self.fd)
            if (found.st_dev, found.st_ino) == self._identity:
                os.close(self.fd)


class _File(_Owned):
    """A file that is being written. What fails raises OSError, and leaves the records in it whole."""

    def __init__(self, folder: str) -> None:
        path = f"{folder}/{os.getpid()}-{os.urandom(6).hex()}.new"
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | _FLAGS, 0o600)
        super().__init__(path, fd, os.fstat(fd))
        self.start = self.end = 0  # of the records that come and go
        self._settled = 0

    def write(self, kind: bytes, data: bytes, span: bytes) -> int:
        """Append a record; where it stands."""
        record = _RECORD.pack(kind, len(data), _checksum(kind, span, data), span) + data
        size = len(record)
        self.check()
        written = os.pwrite(self.fd, record, self.end)
        if written < size:
            os.ftruncate(self.fd, self.end)
            raise OSError("the disk is full")
        place = self.end
        self.end = place + size
        return place

    def settle(self, before: int) -> None:
        if before != self._settled:
            self.check()
            os.pwrite(self.fd, _offset(before), len(_MAGIC) + 1)
            self._settled = before

    def cut(self) -> None:
        """Remove all records."""
        self.check()
        os.ftruncate(self.fd, self.start)
        self.end = self.start
        self.settle(0)

    def name(self, path: str) -> None:
        """Have it seen, in the place of what has that name."""
        os.rename(self.path, path)
        self.path = path

    def discard(self) -> None:
        self.remove()
        self.close()


def _parsed(data: bytes, offset: int, at: float, *, cut: bool) -> Left:
    """The records of a file that are whole."""
    events: list[bytes] = []
    spans: dict[bytes, bytes] = {}
    overdue: list[bytes] = []
    place, broken = _HEADER.size, int(cut)
    while place < len(data):
        found = _record(data, place)
        if found is None:
            broken += 1
            place = _next_record(data, place)
            continue
        kind, span, record = found
        if kind in (EVENT, CLOSED):
            spans.pop(span, None)
        if kind == EVENT and place >= offset:
            events.append(record)
        elif kind == OPEN:
            spans[span] = record
        elif kind == OVERDUE:
            overdue.append(record)
        place += _RECORD.size + len(record)
    return Left(events, list(spans.values()), broken, at, overdue)


def _record(data: bytes, place: int) -> tuple[bytes, bytes, bytes] | None:
    """Kind, span and bytes of the record that stands there; None if none does, or not a whole one."""
    body = place + _RECORD.size
    if body > len(data):
        return None
    kind, length, checksum, span = _RECORD.unpack_from(data, place)
    record = data[body : body + length]
    if kind not in _KINDS or len(record) < length or _checksum(kind, span, record) != checksum:
        return None
    return kind, span, record


def _next_record(data: bytes, place: int) -> int:
    """Where the first whole record behind a broken one stands; the end of the data if there is none.

    Most bytes are ruled out by the fourth of a length, which is 0 for all records under 16 MiB; no text has that.
    """
    import re

    # Looked ahead at, not consumed: one that is none may begin just before one that is.
    for candidate in re.compile(b"(?=[" + b"".join(_KINDS) + b"]...\0)", re.DOTALL).finditer(data, place + 1):
        if _record(data, candidate.start()) is not None:
            return candidate.start()
    return len(data)


def _checksum(kind: bytes, span: bytes, data: bytes) -> int:
    return zlib.crc32(data, zlib.crc32(kind + span))


def _offset(place: int) -> bytes:
    """A place as the header has it, with its checksum."""
    return _OFFSET.pack(place, zlib.crc32(place.to_bytes(8, "little")))


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


def _files(folder: str, mark: str) -> list[str]:
    """The files to look at: first those that are for us by their name, then any others, each time in another order."""
    try:
        names = os.listdir(folder) if _is_own(os.lstat(folder)) else []
    except OSError:
        return []
    names = [name for name in names if name.endswith((".journal", ".new"))]
    salt = int.from_bytes(os.urandom(4), "little")
    names.sort(key=lambda name: (not name.endswith(mark), zlib.crc32(name.encode("utf-8", "replace"), salt)))
    return [f"{folder}/{name}" for name in names[:_FILES_MAX]]


def _is_being_made(path: str) -> bool:
    """Whether a file's process is about to lock it, and would fail if somebody else had it just then."""
    try:
        return path.endswith(".new") and 0 <= time.time() - os.lstat(path).st_mtime <= _HALF_MADE
    except OSError:
        return False


def _take(path: str) -> _Owned | None:
    """The file, open and locked; None if it is not ours, not a plain file, or if its process is alive."""
    try:
        fd = os.open(path, os.O_RDWR | _FLAGS | os.O_NONBLOCK)
        file = _Owned(path, fd, os.fstat(fd))
    except OSError:
        return None
    try:
        _lock(fd)
        found = os.fstat(fd)  # now: whoever had the lock may have removed it
        if stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid() and found.st_nlink == 1 and file.is_there():
            return file
    except OSError:
        pass
    file.close()
    return None


def _lock(fd: int) -> None:
    """Raises OSError if another process has it. It ends with the last copy of the descriptor."""
    import fcntl

    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
