"""The content of a step: a tool call, a search, a plan, a handoff, an agent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .values import to_json

if TYPE_CHECKING:
    from collections.abc import Container

    from .model import Change

_NESTED = 4
"""Limit for one value as JSON when it is shortened: multiples of the longest text."""


class Step:
    """Fields of a step besides its name and metadata; None if not set.

    `tool` is a tool's name, `arguments` and `result` are its input and output. `query` was searched for, and `count`
    documents were found: `documents` are dicts with `content`, `document_id`, `chunk_id`, `source` and `score`. `plan`
    is a list of steps, `rationale` its reason. `source` and `target` are names of agents, of which the first hands over
    to the second, for a `reason`; `source_id` is the id of the first. `tools` belong to an agent.
    """

    __slots__ = (
        *("arguments", "count", "documents", "plan", "query", "rationale", "reason", "result", "source", "source_id"),
        *("target", "tool", "tools"),
    )

    def __init__(self) -> None:
        self.tool: Any = None
        self.arguments: Any = None
        self.result: Any = None
        self.query: Any = None
        self.documents: Any = None
        self.count: int | None = None
        self.plan: Any = None
        self.rationale: Any = None
        self.source: Any = None
        self.source_id: Any = None
        self.target: Any = None
        self.reason: Any = None
        self.tools: Any = None

    def mapped(self, change: Change) -> Step:
        """Return a copy whose values `change` has mapped."""
        copy = Step()
        for name, value in zip(Step.__slots__, change([getattr(self, name) for name in Step.__slots__]), strict=True):
            setattr(copy, name, value)
        return copy

    def shortened(self, change: Change, longest: int) -> Step:
        """Return a copy whose texts `change` has mapped; a value that is still too long becomes a shortened text."""
        copy = self.mapped(change)
        for name in Step.__slots__:
            value = getattr(copy, name)
            if isinstance(value, (dict, list)) and len(text := to_json(value)) > _NESTED * longest:
                (cut,) = change([text])
                setattr(copy, name, [cut] if isinstance(value, list) else cut)
        return copy

    def without_content(self) -> Step:
        """Return a copy without content; the tool's name, and the number and sources of documents are kept."""
        copy = self.mapped(lambda values: values)
        copy.arguments = copy.result = copy.query = copy.plan = copy.rationale = copy.reason = None
        if isinstance(copy.documents, list):
            kept = [{name: held for name, held in one.items() if name != "content"} for one in copy.documents]
            copy.documents = [one for one in kept if one]
        return copy

    def hide(self, names: Container[str], instead: str) -> None:
        """Replace parts, by their names in the SDK `zespan`. Only for an unshared copy."""
        for name, part in NAMES.items():
            if name in names and getattr(self, part) is not None:
                setattr(self, part, instead)
        if "rag_context_count" in names and self.count is not None:
            self.count = None
        if "metadata" in names:
            self.query = self.documents = self.count = self.target = None


NAMES = {
    "tools_used": "tool",
    "tool_call_args": "arguments",
    "tool_call_result": "result",
    "planning_steps": "plan",
    "decision_rationale": "rationale",
    "delegation_reason": "reason",
    "tool_definitions": "tools",
    "delegation_from_agent_id": "source_id",
    "delegation_from_agent_name": "source",
    "retrieval_query": "query",
    "rag_contexts": "documents",
    "to_agent": "target",
}
"""Names of parts in the SDK `zespan`, some of which are in its metadata."""
