"""A process that is killed at its n-th change of the disk: python -m tests.delivery.dying FOLDER IDS SINK N.

The ids of events go to the file IDS when they have been captured, and to SINK when they have been delivered.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Sequence
from typing import Any

from tests.delivery.support import begun, event
from zespan_serverless._delivery import journal
from zespan_serverless._delivery.delivery import Delivery
from zespan_serverless._delivery.journal import Journal
from zespan_serverless._record.record import Record
from zespan_serverless.exporters import Outcome
from zespan_serverless.settings import Settings

SPAN = "ab" * 8


class Exporter:
    """Delivers; but the backend is unavailable at times, and refuses batches that hold number 8."""

    def __init__(self, sink: str) -> None:
        self.sink = sink
        self.away = 0  # times

    def encode(self, record: Record) -> bytes:
        return json.dumps(record.fields).encode()

    def send(self, batch: Sequence[bytes], timeout: float) -> Outcome:
        numbers = [json.loads(data)["n"] for data in batch]
        if 8 in numbers and len(numbers) > 1:
            return Outcome("refused")
        if self.away:
            self.away -= 1
            return Outcome("retry")
        for number in numbers:
            note(self.sink, number)
        return Outcome("delivered")

    def cancel(self) -> None: ...
    def close(self) -> None: ...


def note(path: str, number: int) -> None:
    with open(path, "a") as file:  # noqa: PTH123
        file.write(f"{number}\n")


def deadly(call: Callable[..., Any], count: list[int], step: int) -> Callable[..., Any]:
    def counted(*arguments: Any) -> Any:
        count[0] += 1
        if count[0] == step:
            os.kill(os.getpid(), signal.SIGKILL)
        return call(*arguments)

    return counted


def main(folder: str, ids: str, sink: str, step: int) -> None:
    count = [0]
    for name in ("pwrite", "ftruncate", "rename", "unlink", "mkdir"):
        setattr(os, name, deadly(getattr(os, name), count, step))
    journal._REWRITE_MIN = journal._SETTLED_MAX = 600
    exporter = Exporter(sink)
    settings = Settings(exporter=exporter, flush_interval=3600.0, batch_size=4)
    delivery = Delivery(exporter, settings, Journal(folder, "there", "zsp_key", 1))

    def capture(number: int, **fields: object) -> None:
        delivery.capture(event({"n": number, "text": "x" * 50, **fields}))
        note(ids, number)

    capture(0)
    delivery.record_open(begun(SPAN))
    delivery.flush(5.0)
    for number in range(1, 16):
        exporter.away = number == 9
        capture(number)
        if number in (3, 9):
            delivery.flush(0.02)
    delivery.flush(5.0, probe=True)
    for number in range(16, 28):
        capture(number)
    exporter.away = 1
    delivery.flush(0.02)
    capture(28, span_id=SPAN)
    delivery.flush(5.0, probe=True)
    capture(29)
    delivery.close(5.0)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
