"""Creates, writes, lists, takes over and removes the files of journals safely.

Other code may close descriptors that are not its own (`os.closerange`, a daemon's start, a double close). The number
may then belong to one of the user's files. So before each write, cut or close, the descriptor is checked to be ours.
"""

from __future__ import annotations

import contextlib
import os
import stat
import time
import zlib

from .journal_format import DESTINATION, NO_SPAN, OFFSET_AT, header, packed_offset, record

UNNAMED_MAX = 60.0
"""Seconds after which a file that does not have its name yet was abandoned."""

AGE_MAX = 86_400.0
"""Seconds, a day, after which the content of a file is of no use any more."""

_FILES_MAX = 1000  # checked when a process starts
_FLAGS = os.O_CLOEXEC | os.O_NOFOLLOW if os.name == "posix" else 0


class Lost(OSError):
    """Other code has closed the descriptor of a file, or removed the file."""


class Owned:
    """An open file, which is used only while its descriptor still stands for it."""

    def __init__(self, path: str, fd: int, status: os.stat_result) -> None:
        self.path, self.fd = path, fd
        self._identity = (status.st_dev, status.st_ino)

    def check(self) -> None:
        """Raise Lost if the descriptor stands for another file by now, or if the file has been removed."""
        if not self.is_there():
            raise Lost("the file has been removed, or its descriptor closed, by other code")

    def is_there(self) -> bool:
        """Whether the descriptor still stands for the file, and the file has not been removed."""
        try:
            status = os.fstat(self.fd)
        except OSError:
            return False
        return bool(status.st_nlink) and (status.st_dev, status.st_ino) == self._identity

    def remove(self) -> None:
        """Remove it from its folder, unless something else has that name."""
        with contextlib.suppress(OSError):
            status = os.lstat(self.path)
            if (status.st_dev, status.st_ino) == self._identity:
                os.unlink(self.path)

    def close(self) -> None:
        """Close it, unless the descriptor stands for another file by now."""
        with contextlib.suppress(OSError):
            status = os.fstat(self.fd)
            if (status.st_dev, status.st_ino) == self._identity:
                os.close(self.fd)


class File(Owned):
    """A file that is being written. Failures raise OSError, and leave the records in it whole."""

    def __init__(self, folder: str) -> None:
        path = f"{folder}/{os.getpid()}-{os.urandom(6).hex()}.new"
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | _FLAGS, 0o600)
        super().__init__(path, fd, os.lstat(path))  # not fstat: other code may have closed the descriptor already
        self.start = self.end = 0  # offsets of the records that `cut` removes
        self._settled = 0

    def write(self, kind: bytes, data: bytes, span: bytes) -> int:
        """Append a record. Returns its offset."""
        packed = record(kind, data, span)
        size = len(packed)
        self.check()
        written = os.pwrite(self.fd, packed, self.end)
        if written < size:
            os.ftruncate(self.fd, self.end)
            raise OSError("the disk is full")
        place = self.end
        self.end = place + size
        return place

    def settle(self, before: int) -> None:
        """Record that all events before this offset are settled."""
        if before != self._settled:
            self.check()
            os.pwrite(self.fd, packed_offset(before), OFFSET_AT)
            self._settled = before

    def cut(self) -> None:
        """Remove all records. The caller has checked that the file `is_there`."""
        os.ftruncate(self.fd, self.start)
        self.end = self.start
        self.settle(0)

    def name(self, path: str) -> None:
        """Rename it, which replaces a file that has this name."""
        os.rename(self.path, path)
        self.path = path

    def discard(self) -> None:
        """Remove and close it."""
        self.remove()
        self.close()


def ensure_private_folder(folder: str) -> None:
    """Create the folder, or check that no other user can read it, and that it is not a symlink. Raises OSError."""
    with contextlib.suppress(FileExistsError):
        os.mkdir(folder, 0o700)
    if not _is_private(os.lstat(folder)):
        raise PermissionError(f"{folder} must be a folder that only this user can enter (mode 700)")


def _is_private(status: os.stat_result) -> bool:
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid() and not status.st_mode & 0o077


def list_journals(folder: str, suffix: str) -> list[str]:
    """Return paths of journals: first those with this suffix, then the others, each group in a random order."""
    try:
        names = os.listdir(folder) if _is_private(os.lstat(folder)) else []
    except OSError:
        return []
    names = [name for name in names if name.endswith((".journal", ".new"))]
    salt = int.from_bytes(os.urandom(4), "little")
    names.sort(key=lambda name: (not name.endswith(suffix), zlib.crc32(name.encode("utf-8", "replace"), salt)))
    return [f"{folder}/{name}" for name in names[:_FILES_MAX]]


def is_for_others(path: str, suffix: str) -> bool:
    """Whether to leave a file alone: one with another suffix, unless it is so old that no process will take it over.

    If we locked it only for a moment, the process that is about to lock a file that it has created would fail, and
    another destination of this process that looks for its own would assume that the owner is alive.
    """
    if path.endswith(suffix):
        return False
    try:
        return 0 <= time.time() - os.lstat(path).st_mtime <= (UNNAMED_MAX if path.endswith(".new") else AGE_MAX)
    except OSError:
        return False


def take(path: str) -> Owned | None:
    """Open and lock a file; None if it is not this user's, not a plain file, or if its process is alive."""
    try:
        status = os.lstat(path)
        file = Owned(path, os.open(path, os.O_RDWR | _FLAGS | os.O_NONBLOCK), status)
    except OSError:
        return None
    try:
        file.check()
        lock(file.fd)
        status = os.fstat(file.fd)  # after the lock: its previous owner may have removed the file
        if stat.S_ISREG(status.st_mode) and status.st_uid == os.geteuid() and status.st_nlink == 1 and file.is_there():
            return file
    except OSError:
        pass
    file.close()
    return None


def lock(fd: int) -> None:
    """Lock a file. Raises OSError if another process has locked it. Closing all copies of the descriptor unlocks it."""
    import fcntl

    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)


def create(folder: str, destination: bytes, fingerprint: bytes) -> File:
    """Create a file without its final name, so that no other process takes it over."""
    ensure_private_folder(folder)
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
