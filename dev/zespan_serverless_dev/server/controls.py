"""Commands from the page to the tools that run sandboxes, which ask for them."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

CONTROLS = ("freeze", "thaw", "sigterm", "kill", "timeout", "again")
WAIT = 20.0  # seconds that a tool's question is kept open
_WAITING_MAX = 100  # commands that nobody has asked for
_SANDBOXES_MAX = 1000
_LOOK = 0.5  # seconds between two checks whether the tool has disconnected


class Controls:
    """Keeps commands until a tool asks."""

    def __init__(self) -> None:
        self._commands: dict[str, deque[str]] = {}
        self._changed = threading.Condition()
        self._is_closed = False

    def put(self, sandbox: str, control: str) -> None:
        """Queue a command for the tool that runs a sandbox."""
        with self._changed:
            while len(self._commands) >= _SANDBOXES_MAX:
                del self._commands[next(iter(self._commands))]
            self._commands.setdefault(sandbox, deque(maxlen=_WAITING_MAX)).append(control)
            self._changed.notify_all()

    def take(self, sandbox: str, has_left: Callable[[], bool], wait: float = WAIT) -> list[str]:
        """Return the commands for a sandbox, as soon as there are some; none after `wait` seconds, or if the tool has
        left."""
        end = time.monotonic() + wait
        with self._changed:
            while not self._is_closed and not has_left():
                if found := self._commands.pop(sandbox, None):
                    return list(found)
                left = end - time.monotonic()
                if left <= 0:
                    break
                self._changed.wait(min(left, _LOOK))
        return []

    def close(self) -> None:
        """Answer all who wait."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
