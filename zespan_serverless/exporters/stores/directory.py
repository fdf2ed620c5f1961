"""A directory that outlives the sandbox, such as one on EFS or Azure Files: one file for each batch."""

from __future__ import annotations

import os
import time
import zlib
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from ..._base.guard import pass_on
from ..._base.reports import Outcome
from ...errors import ConfigurationError
from . import BATCH_MAX, GZIP, Store

if TYPE_CHECKING:
    from collections.abc import Iterator

_SUFFIX = ".gz"
_UNFINISHED = ".unfinished"
_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)  # Windows would change line ends
_UNFINISHED_MAX = 3600.0  # seconds after which an unfinished file was abandoned


class Directory(Store):
    """Files get their name when they are complete. Only their owner can read them, because they contain prompts.

    The directory is created on demand. A write cannot be interrupted. One that takes too long is finished all the same,
    and one whose process is killed while it waits for the disk is read if it is complete: the backend may get an event
    twice, with the same id, but does not miss it.
    """

    def __init__(self, url: str) -> None:
        self._folder = _folder_of(url)
        self.url = url

    def put(self, batch: bytes, name: str, timeout: float) -> Outcome:
        os.makedirs(self._folder, mode=0o700, exist_ok=True)
        path = os.path.join(self._folder, name + _SUFFIX)
        try:
            self._write(path + _UNFINISHED, batch)
            os.rename(path + _UNFINISHED, path)
        except BaseException:
            self._remove(path + _UNFINISHED)
            raise
        return Outcome("delivered")

    def list(self) -> Iterator[str]:
        """Return the names, oldest first. Incomplete files of killed processes are removed after an hour."""
        for file in sorted(os.listdir(self._folder)):
            if file.endswith(_SUFFIX):
                yield file.removesuffix(_SUFFIX)
            elif file.endswith(_SUFFIX + _UNFINISHED):
                path = os.path.join(self._folder, file)
                if self._is_complete(path):
                    yield file.removesuffix(_SUFFIX + _UNFINISHED)
                else:
                    self._remove_if_old(path)

    def get(self, name: str) -> bytes:
        path = os.path.join(self._folder, name + _SUFFIX)
        for file in (path, path + _UNFINISHED):
            if os.path.lexists(file):
                return self._read(file, name)
        raise KeyError(name)

    def delete(self, name: str) -> None:
        path = os.path.join(self._folder, name + _SUFFIX)
        self._remove(path)
        self._remove(path + _UNFINISHED)

    def _read(self, path: str, name: str) -> bytes:
        if not os.path.isfile(path):  # opening a pipe would wait for a writer
            raise ValueError("it is no file")
        try:
            with open(path, "rb") as file:
                return file.read()
        except FileNotFoundError:
            raise KeyError(name) from None

    def _is_complete(self, path: str) -> bool:
        unpacker = zlib.decompressobj(GZIP)
        try:
            unpacker.decompress(self._read(path, ""), BATCH_MAX)
        except OSError as error:  # it may be complete: `get` says what is wrong with it
            pass_on(error)
            return True
        except (ValueError, KeyError, zlib.error) as error:
            pass_on(error)
        return unpacker.eof

    def _write(self, path: str, batch: bytes) -> None:
        descriptor = os.open(path, _FLAGS, 0o600)
        try:
            left = memoryview(batch)
            while left:
                left = left[os.write(descriptor, left) :]
            os.fsync(descriptor)  # a network file system reports only now that it is full
        finally:
            os.close(descriptor)

    def _remove_if_old(self, path: str) -> None:
        try:
            if time.time() - os.stat(path).st_mtime > _UNFINISHED_MAX:
                self._remove(path)
        except FileNotFoundError as error:  # it is finished by now
            pass_on(error)

    def _remove(self, path: str) -> None:
        try:
            os.unlink(path)
        except FileNotFoundError as error:
            pass_on(error)


def _folder_of(url: str) -> str:
    """Return the directory of a path, or of a URL like file:///mnt/efs/parking."""
    if "://" not in url:
        return os.path.abspath(url)
    parts = urlsplit(url)
    if parts.netloc not in ("", "localhost") or not parts.path:
        raise ConfigurationError(f"a directory must be like file:///mnt/efs/parking, with three slashes, not {url!r}")
    path = unquote(parts.path)
    if os.name == "nt" and path[2:3] == ":":  # file:///C:/parking
        path = path[1:]
    return os.path.abspath(path)
