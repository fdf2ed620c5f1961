"""`tree`: events as readable text in the output of a test."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..exporters._trees.nodes import node_of
from ..exporters._trees.style import Style
from ..exporters._trees.tree import draw

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


def tree(events: Iterable[Mapping[str, Any]]) -> str:
    """Return events as trees, like the exporter `console`: a line each, with duration, tokens, cost and error.

    Args:
        events: Events with the field names of the SDK `zespan`, in any order, of any number of traces.
    """
    return draw([node_of(event) for event in events], Style())
