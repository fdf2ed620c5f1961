"""Prints events to standard output, one JSON document a line: for a first look, and for log-based pipelines."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from .._event import encode
from . import Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class ConsoleExporter:
    """Writes to whatever `sys.stdout` is at that moment."""

    def encode(self, event: Mapping[str, Any]) -> bytes:
        return encode(event)

    def send(self, batch: Sequence[bytes], timeout: float) -> Outcome:
        sys.stdout.write("".join(data.decode() + "\n" for data in batch))
        sys.stdout.flush()
        return Outcome("delivered")

    def cancel(self) -> None:
        pass

    def close(self) -> None:
        pass
