"""The table of situations, which the modules beside this one fill."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from tests.conformance.program import Door
from tests.conformance.rooms import Room

Play = Callable[[Door], object]


class Situation(NamedTuple):
    group: str
    play: Play
    twice: bool
    """Whether it calls `door.here()`, and so runs with the package first, too."""
    few: bool
    """Whether it runs with a few rooms only, because all rooms behave alike, or because it takes long."""
    fits: Callable[[Room], bool]
    needs: tuple[str, ...]
    """Packages that it needs, and that may be missing."""


SITUATIONS: dict[str, Situation] = {}


def situation(
    group: str,
    name: str = "",
    *,
    twice: bool = False,
    few: bool = False,
    fits: Callable[[Room], bool] = lambda room: True,
    needs: tuple[str, ...] = (),
) -> Callable[[Play], Play]:
    """Put a program into the table, under its name."""

    def added(play: Play) -> Play:
        SITUATIONS[name or play.__name__] = Situation(group, play, twice, few, fits, needs)
        return play

    return added


def is_sync(room: Room) -> bool:
    return not room.awaits


def as_many(calls: list[int], count: int) -> bool:
    return len(calls) == count
