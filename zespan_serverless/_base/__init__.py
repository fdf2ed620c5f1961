"""Ground: the log, the guard, threads, forks and asyncio. Knows nothing of telemetry."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

RESETS: list[Callable[[], object]] = []
"""What `testing.reset()` calls: a module that keeps state of its own adds the function that forgets it."""
