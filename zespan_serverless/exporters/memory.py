"""Keeps events in memory, for tests."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from .._base.reports import Outcome
from . import Exporter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..settings import Settings


class MemoryExporter(Exporter):
    """Keeps delivered events in `events`, decoded, and the size of each batch in `batches`."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.batches: list[int] = []

    def send(self, batch: Sequence[bytes], timeout: float) -> Outcome:
        self.batches.append(len(batch))
        self.events += [json.loads(data) for data in batch]
        return Outcome("delivered")


def build(_: Settings) -> MemoryExporter:
    """Build the exporter."""
    return MemoryExporter()
