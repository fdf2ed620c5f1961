"""The OpenAI Agents SDK."""

from __future__ import annotations

import contextlib
import json
from typing import Any

from agents.tracing import Span, Trace, TracingProcessor, get_current_span  # pyright: ignore[reportMissingImports]

from ._runs import Runs

_FRAMEWORK = "openai-agents"


def _now() -> Any:
    span = get_current_span()
    return None if span is None else span.span_id


RUNS = Runs(_now)


class _Processor(TracingProcessor):  # type: ignore[misc,unused-ignore]
    def on_trace_start(self, trace: Trace) -> None: ...

    def on_trace_end(self, trace: Trace) -> None: ...

    def on_span_start(self, span: Span[Any]) -> None:
        data = span.span_data
        name = str(getattr(data, "name", None) or data.type)
        if data.type == "agent":
            RUNS.begin(span.span_id, span.parent_id, name, "agent", agent_name=name, agent_framework=_FRAMEWORK)
        elif data.type == "function":
            RUNS.begin(span.span_id, span.parent_id, name, "tool")
        elif data.type == "handoff":
            RUNS.begin(span.span_id, span.parent_id, "handoff", "handoff", from_agent=getattr(data, "from_agent", None))
        elif data.type in ("guardrail", "custom"):
            RUNS.begin(span.span_id, span.parent_id, name, "general")
        else:  # model calls, turns, audio
            RUNS.skip(span.span_id, span.parent_id)

    def on_span_end(self, span: Span[Any]) -> None:
        error: Any = span.error
        RUNS.end(span.span_id, str(error.get("message")) if error else None, lambda target: _fill(target, span))

    def shutdown(self) -> None: ...

    def force_flush(self) -> None: ...


def _fill(target: Any, span: Any) -> None:
    data = span.span_data
    if data.type == "function":
        given: Any = data.input
        if isinstance(given, str):
            with contextlib.suppress(ValueError, RecursionError):
                given = json.loads(given)
        target.arguments(given)
        target.result(data.output)
    elif data.type == "handoff" and data.to_agent:
        target.to(data.to_agent)
    elif data.type == "guardrail":
        target["triggered"] = bool(data.triggered)


def hook() -> TracingProcessor:
    """Return a processor for `agents.add_trace_processor`."""
    return _Processor()
