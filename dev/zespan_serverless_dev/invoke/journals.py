"""Reads a sandbox's journals: the events on its disk that wait for its next process."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from zespan_serverless._delivery.journal_format import HEADER, parse_records, settled_before

from ..probe import identity


class Left(NamedTuple):
    """Ids of the events in the journals, and how many spans have begun there that have not ended."""

    events: list[str]
    open_spans: int


def left_in(folders: Iterable[Path]) -> Left:
    """Read all journals below these folders, whatever destination they are for.

    One that cannot be read hides no other: a process that has sent its events may just have removed it.
    """
    events: list[str] = []
    spans = 0
    for file in sorted({file for folder in folders for file in folder.rglob("*.journal")}):
        try:
            data = file.read_bytes()
        except OSError:
            continue
        if len(data) < HEADER.size:
            continue
        packed = HEADER.unpack_from(data)[2]
        leftovers = parse_records(data, settled_before(packed), 0.0, cut=False)
        events += [found for event in leftovers.events if (found := identity(event)) is not None]
        spans += len(leftovers.open)
    return Left(events, spans)
