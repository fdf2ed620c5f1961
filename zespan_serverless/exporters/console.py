"""Prints events to standard output: as trees on a terminal, otherwise as JSON lines, for log-based pipelines."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from .._base.forks import importing
from .._base.guard import pass_on
from .._base.reports import Outcome
from . import Exporter
from ._escapes import ESCAPED, is_terminal, writes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..settings import Settings


class ConsoleExporter(Exporter):
    """Writes to the current `sys.stdout`. No event can control the terminal.

    Each batch is drawn separately, because events that are kept for later could be lost. The events of one invocation
    are in one batch, unless there are many or it takes long: then the rest of the trace becomes another tree.
    """

    def __init__(self, form: str = "auto") -> None:
        self._form = form

    def send(self, batch: Sequence[bytes], timeout: float) -> Outcome:
        stream = sys.stdout
        as_tree = self._form == "tree" or (self._form == "auto" and is_terminal(stream))
        text = (_trees(batch, stream) if as_tree else "") or "".join(_line(data, stream) for data in batch)
        stream.write(text)
        stream.flush()
        return Outcome("delivered")


def _trees(batch: Sequence[bytes], stream: Any) -> str:
    """Return the batch as trees; empty if that is not possible."""
    try:
        with importing():  # in the sender's thread
            from ._trees.nodes import node_of
            from ._trees.style import style_of, writable
            from ._trees.tree import draw

        return writable(stream, draw([node_of(json.loads(data)) for data in batch], style_of(stream)))
    except Exception as error:  # the Lambda layer has no trees, and unusual events are printed as JSON
        pass_on(error)
        return ""


def _line(data: bytes, stream: Any) -> str:
    """Return the JSON of one event, in characters that the stream can write."""
    text = data.decode()
    if not writes(stream, text):
        text = json.dumps(json.loads(text))
    return text.translate(ESCAPED) + "\n"


def build(settings: Settings) -> ConsoleExporter:
    """Build the exporter."""
    return ConsoleExporter(settings.console_format)
