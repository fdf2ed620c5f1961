"""Prints events to standard output: as trees on a terminal, else one JSON document a line, for log-based pipelines."""

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
    """Writes to whatever `sys.stdout` is at that moment. Nothing in an event can control the terminal.

    Each batch is drawn by itself, and nothing is kept for later, where it could be lost. The events of one invocation
    come in one batch, unless they are many or it takes long: then the rest of the trace is drawn as a tree of its own.
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
    """The batch as trees; empty if that is not possible."""
    try:
        with importing():  # in the sender's thread
            from ._trees.nodes import node_of
            from ._trees.style import style_of, writable
            from ._trees.tree import draw

        return writable(stream, draw([node_of(json.loads(data)) for data in batch], style_of(stream)))
    except Exception as error:  # the Lambda layer has no trees; or an event is strange: its JSON says everything
        pass_on(error)
        return ""


def _line(data: bytes, stream: Any) -> str:
    """The JSON of one event, in characters that the stream can write."""
    text = data.decode()
    if not writes(stream, text):
        text = json.dumps(json.loads(text))
    return text.translate(ESCAPED) + "\n"


def build(settings: Settings) -> ConsoleExporter:
    """The exporter of this name."""
    return ConsoleExporter(settings.console_format)
