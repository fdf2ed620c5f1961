"""Agents and steps with the field names of the SDK `zespan`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._record.policy import RATIONALE_MAX
from .._record.values import to_json

if TYPE_CHECKING:
    from .._record.record import Record
    from .._record.step import Step

RESULT_MAX = 10_240  # characters, as in the SDK `zespan`


def add(event: dict[str, Any], record: Record) -> Any:
    """Add a record's agent and step to an event. Return the record's attributes, with the values that have no field."""
    agent: dict[str, Any] = dict(record.agent or {})
    event.update({name: value for name, value in agent.items() if value is not None or name not in event})
    if record.step is None:
        return record.attributes
    event.update(_fields(record.step))
    is_redacted = isinstance(record.attributes, str)  # as a whole
    return record.attributes if is_redacted else {**_metadata(record.step), **record.attributes}


def _fields(step: Step) -> dict[str, Any]:
    fields = {
        "tools_used": None if step.tool is None else [step.tool],
        "tool_call_args": _text(step.arguments),
        "tool_call_result": _text(step.result, RESULT_MAX),
        "rag_context_count": step.count,
        "planning_steps": step.plan,
        "decision_rationale": _text(step.rationale, RATIONALE_MAX),
        "delegation_from_agent_id": step.source_id,
        "delegation_from_agent_name": step.source,
        "delegation_reason": _text(step.reason),
        "tool_definitions": step.tools,
    }
    return {name: value for name, value in fields.items() if value is not None}


def _metadata(step: Step) -> dict[str, Any]:
    metadata = {
        "retrieval_query": step.query,
        "rag_contexts": step.documents,
        "lumiq.rag.context_count": step.count,
        "to_agent": step.target,
    }
    return {name: value for name, value in metadata.items() if value is not None}


def _text(value: Any, longest: int | None = None) -> str | None:
    """Convert a value to text, other types as JSON."""
    if value is None:
        return None
    return (value if isinstance(value, str) else to_json(value))[:longest]
