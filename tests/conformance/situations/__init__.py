"""Situations that processes get into. Each is a function: a program that uses one room.

The program runs with and without the package; its output, its end and its stderr have to be the same. `door.here()`
marks where the package may come first: in a run of that kind, a function is decorated and called at this point.

Each module beside this one has the situations of one group. Which rooms a situation is put to depends on its place.
"""

from __future__ import annotations

from importlib import import_module

from tests.conformance.situations.table import SITUATIONS, Situation

__all__ = ["SITUATIONS", "Situation"]

_GROUPS = ("blocked", "handlers", "sockets", "descriptors", "alarms", "loops", "copies", "ends", "children", "threads")
for _group in _GROUPS:
    import_module(f"{__name__}.{_group}")
