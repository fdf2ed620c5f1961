"""Prints events to standard output, one JSON document a line: for a first look, and for log-based pipelines."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from .._base.reports import Outcome
from . import Exporter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..settings import Settings

# Characters that JSON does not escape and that a terminal obeys, or that reorder text (https://trojansource.codes): C1
# controls, line separators, marks and overrides of direction. A prompt may hold anything.
_UNSAFE = (*range(0x7F, 0xA0), 0x61C, 0x200E, 0x200F, 0x2028, 0x2029, *range(0x202A, 0x202F), *range(0x2066, 0x206A))
_ESCAPED = {code: f"\\u{code:04x}" for code in _UNSAFE}


class ConsoleExporter(Exporter):
    """Writes to whatever `sys.stdout` is at that moment. Nothing in an event can control the terminal."""

    def send(self, batch: Sequence[bytes], timeout: float) -> Outcome:
        sys.stdout.write("".join(data.decode().translate(_ESCAPED) + "\n" for data in batch))
        sys.stdout.flush()
        return Outcome("delivered")


def build(_: Settings) -> ConsoleExporter:
    """The exporter of this name."""
    return ConsoleExporter()
