"""How telemetry is answered: as it should be, or as backends fail. The page and its API are never affected."""

from __future__ import annotations

import threading
from typing import Literal, get_args

Mode = Literal["ok", "hang", "429", "500", "refuse", "drip"]
MODES: tuple[str, ...] = get_args(Mode)

DRIP_INTERVAL = 0.2  # seconds between two bytes
RETRY_AFTER = "1"  # seconds, with 429


class Faults:
    """The fault that is in force."""

    def __init__(self) -> None:
        self._mode: str = "ok"
        self._changed = threading.Condition()

    @property
    def mode(self) -> str:
        return self._mode

    @mode.setter
    def mode(self, mode: str) -> None:
        if mode not in MODES:
            raise ValueError(f"mode must be one of {', '.join(MODES)}")
        with self._changed:
            self._mode = mode
            self._changed.notify_all()

    def wait(self, mode: str, seconds: float) -> None:
        """Wait while this mode is in force, at most so long."""
        with self._changed:
            self._changed.wait_for(lambda: self._mode != mode, seconds)
