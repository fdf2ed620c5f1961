"""What every other room builds on: the log, the guard, threads, forks, asyncio. Imports nothing of this package."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    V = TypeVar("V", bound="Value")

RESETS: list[Callable[[], object]] = []
"""Functions that `testing.reset()` calls. A module that keeps state of its own adds one that resets it."""


class Value:
    """Base class of objects that are compared, hashed and shown by the values of their `__slots__`.

    Used instead of NamedTuple: the first of those costs a cold start 1.2 ms, each further one 0.14 ms, and a subclass
    of this 0.01 ms. Its `__init__` must take the slots by name.
    """

    __slots__: tuple[str, ...] = ()
    _rare: tuple[str, ...] = ()  # slots that are shown only if they have a value

    def _values(self) -> tuple[Any, ...]:
        return tuple(getattr(self, name) for name in self.__slots__)

    def replaced(self: V, **changes: Any) -> V:
        """Return a copy in which these slots have other values."""
        return type(self)(**{**dict(zip(self.__slots__, self._values(), strict=True)), **changes})

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and self._values() == other._values()

    def __hash__(self) -> int:
        return hash(self._values())

    def __repr__(self) -> str:
        pairs = zip(self.__slots__, self._values(), strict=True)
        shown = [f"{name}={value!r}" for name, value in pairs if value or name not in self._rare]
        return f"{type(self).__name__}({', '.join(shown)})"


def identity(descriptor: int, fstat: Any = os.fstat) -> tuple[int, int] | None:
    """Device and inode that a file descriptor stands for now; None if it is closed.

    Other code may close our descriptor, and get the same number for a file of its own. Then the identity differs.
    `fstat` is bound here, so that a test that replaces `os.fstat` does not change it.
    """
    if descriptor < 0:
        return None
    try:
        status = fstat(descriptor)
    except OSError as error:  # closed by other code; or a socket on Windows, where sockets are not files
        from .guard import pass_on  # which `types` need not import

        pass_on(error)
        return None
    return status.st_dev, status.st_ino
