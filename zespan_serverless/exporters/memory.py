"""Keeps events in memory, for tests."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from .._base.reports import Outcome
from .._record.event import encode

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class MemoryExporter:
    """`events` holds every event delivered, decoded; `batches` how many came together."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.batches: list[int] = []

    def encode(self, event: Mapping[str, Any]) -> bytes:
        return encode(event)

    def send(self, batch: Sequence[bytes], timeout: float) -> Outcome:
        self.batches.append(len(batch))
        self.events += [json.loads(data) for data in batch]
        return Outcome("delivered")

    def cancel(self) -> None:
        pass

    def close(self) -> None:
        pass
