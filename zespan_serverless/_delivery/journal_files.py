"""The files of journals: made, written, found, taken over and removed safely.

Other code may close descriptors that are not its own (`os.closerange`, a daemon's start, a double close), and then the
number may belong to a file of the user's. So nothing is written, cut or closed by number before it is certain that the
number still stands for our file.
"""

from __future__ import annotations

import contextlib
import os
import stat
import time
import zlib

from .journal_format import DESTINATION, NO_SPAN, OFFSET_AT, header, packed_offset, record

HALF_MADE = 60.0
"""Seconds after which a file that has not got its name yet never will."""

_FILES_MAX = 1000  # looked at when a process starts
_FLAGS = os.O_CLOEXEC | os.O_NOFOLLOW if os.name == "posix" else 0


class Lost(OSError):
    """A file is not ours any more: other code has closed its descriptor, or removed it."""


class Owned:
    """An open file, as long as its descriptor's number stands for it."""

    def __init__(self, path: str, fd: int, found: os.stat_result) -> None:
        self.path, self.fd = path, fd
        self._identity = (found.st_dev, found.st_ino)

    def check(self) -> None:
        """Raise Lost if the number stands for another file by now, or if the file has no name any more."""
        if not self.is_there():
            raise Lost("the file has been removed, or its descriptor closed, by other code")

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
        """Close it, unless the number stands for another file by now."""
        with contextlib.suppress(OSError):
            found = os.fstat(self.fd)
            if (found.st_dev, found.st_ino) == self._identity:
                os.close(self.fd)


class File(Owned):
    """A file that is being written. Failures raise OSError, and leave the records in it whole."""

    def __init__(self, folder: str) -> None:
        path = f"{folder}/{os.getpid()}-{os.urandom(6).hex()}.new"
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | _FLAGS, 0o600)
        super().__init__(path, fd, os.fstat(fd))
        self.start = self.end = 0  # of the records that come and go
        self._settled = 0

    def write(self, kind: bytes, data: bytes, span: bytes) -> int:
        """Append a record. Returns where it stands."""
        whole = record(kind, data, span)
        size = len(whole)
        self.check()
        written = os.pwrite(self.fd, whole, self.end)
        if written < size:
            os.ftruncate(self.fd, self.end)
            raise OSError("the disk is full")
        place = self.end
        self.end = place + size
        return place

    def settle(self, before: int) -> None:
        """Note that all events that stand before this place are settled."""
        if before != self._settled:
            self.check()
            os.pwrite(self.fd, packed_offset(before), OFFSET_AT)
            self._settled = before

    def cut(self) -> None:
        """Remove all records."""
        self.check()
        os.ftruncate(self.fd, self.start)
        self.end = self.start
        self.settle(0)

    def name(self, path: str) -> None:
        """Give it a name, in the place of a file that has it."""
        os.rename(self.path, path)
        self.path = path

    def discard(self) -> None:
        """Remove and close it."""
        self.remove()
        self.close()


def own_folder(folder: str) -> None:
    """Make the folder, or check that it is ours alone: others could read along in their folder, or behind a symlink."""
    with contextlib.suppress(FileExistsError):
        os.mkdir(folder, 0o700)
    if not _is_own(os.lstat(folder)):
        raise PermissionError(f"{folder} is not a folder of this user alone, mode 700")


def _is_own(found: os.stat_result) -> bool:
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & 0o077


def journals_in(folder: str, mark: str) -> list[str]:
    """The files to look at: first those whose name ends in `mark`, then any others, each time in another order."""
    try:
        names = os.listdir(folder) if _is_own(os.lstat(folder)) else []
    except OSError:
        return []
    names = [name for name in names if name.endswith((".journal", ".new"))]
    salt = int.from_bytes(os.urandom(4), "little")
    names.sort(key=lambda name: (not name.endswith(mark), zlib.crc32(name.encode("utf-8", "replace"), salt)))
    return [f"{folder}/{name}" for name in names[:_FILES_MAX]]


def is_being_made(path: str) -> bool:
    """Whether a file's process is about to lock it, and would fail if another process had locked it just then."""
    try:
        return path.endswith(".new") and 0 <= time.time() - os.lstat(path).st_mtime <= HALF_MADE
    except OSError:
        return False


def take(path: str) -> Owned | None:
    """Open and lock a file; None if it is not ours, not a plain file, or if its process is alive."""
    try:
        fd = os.open(path, os.O_RDWR | _FLAGS | os.O_NONBLOCK)
        file = Owned(path, fd, os.fstat(fd))
    except OSError:
        return None
    try:
        lock(fd)
        found = os.fstat(fd)  # only now: whoever had the lock may have removed the file
        if stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid() and found.st_nlink == 1 and file.is_there():
            return file
    except OSError:
        pass
    file.close()
    return None


def lock(fd: int) -> None:
    """Raise OSError if another process has locked it. The lock ends with the last copy of the descriptor."""
    import fcntl

    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)


def made(folder: str, destination: bytes, fingerprint: bytes) -> File:
    """A file that has no name yet, so that no process looks into it."""
    own_folder(folder)
    file = File(folder)
    try:
        lock(file.fd)
        begin = header(fingerprint)
        os.pwrite(file.fd, begin, 0)
        file.end = len(begin)
        file.write(DESTINATION, destination, NO_SPAN)
        file.start = file.end
    except BaseException:
        file.discard()
        raise
    return file
