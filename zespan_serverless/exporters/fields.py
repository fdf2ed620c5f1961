"""`EventFields`: the fields of an event, as the SDK `zespan` names them. Imported when the first event is captured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal

from .._base.log import warn_once

if TYPE_CHECKING:
    from typing import TypedDict
else:

    class TypedDict(dict):
        """Python's own takes 2 ms for so many fields, which the first `capture` of a process would pay."""

        def __init_subclass__(cls, total):
            super().__init_subclass__()


_CHECKED_MAX = 1000  # names that are remembered
_checked: set[str] = set()


class EventFields(TypedDict, total=False):
    """The fields of an event for `capture`. All are optional; those marked * are filled in if they are left out."""

    operation: str
    """* The name under which the event is listed. Default: custom."""
    span_kind: Literal[
        "general",
        "chain",
        "agent",
        "tool",
        "retriever",
        "planning",
        "handoff",
        "llm",
        "embedding",
        "rerank",
        "moderation",
        "image_gen",
        "video_gen",
        "audio",
    ]
    """* The kind of step. Default: general."""
    latency_ms: int
    """* Duration in milliseconds. Default: 0."""
    timestamp: str
    """* Time of the end: RFC 3339 in UTC, such as 2026-01-31T12:00:00.000Z. Default: now."""
    status: Literal["success", "error", "timeout", "crashed"]
    """* The outcome. Default: success."""
    error_message: str | BaseException | None
    """* The error: a text or an exception. At most 500 characters are sent."""
    error_code: str
    """Code of the error, such as an HTTP status."""
    metadata: Mapping[str, Any]
    """Anything else, as JSON values."""
    tags: Mapping[str, str] | None
    """* Tags to filter by. They replace those of the settings and of `with_context`."""
    user_id: str | None
    """* The user. Default: the current one, from `with_context` or the decorator."""
    session_id: str | None
    """* The session, which groups traces. Default: the current one."""
    environment: str
    """* The deployment. Default: the setting."""

    event_id: str
    """* A UUID, by which the backend recognizes an event that arrives twice. Default: a new one."""
    trace_id: str
    """* The trace: 32 hexadecimal digits. Default: the current one, or a new one."""
    span_id: str
    """* This span: 16 hexadecimal digits. Default: a new one."""
    parent_span_id: str | None
    """* The parent span; None for the root of a trace. Default: the current span."""
    project_id: str
    """* The project. Default: empty, for the project of the API key."""
    sdk_name: str
    """* The SDK that made the event. Default: this package."""
    sdk_version: str
    """* Its version."""

    provider: str
    """* The provider of the model, as OpenTelemetry's `gen_ai.provider.name`, such as openai. Default: empty."""
    model: str
    """* The model that answered. Default: empty."""
    stream: bool
    """* Whether the answer was streamed. Default: False."""
    input_tokens: int | None
    """* Tokens of the request, including cached tokens; None if unknown. Default: 0."""
    output_tokens: int | None
    """* Tokens of the answer, including reasoning tokens; None if unknown. Default: 0."""
    reasoning_tokens: int | None
    """Reasoning tokens, which `output_tokens` includes; None if unknown."""
    cached_tokens: int
    """Tokens read from a cache, which `input_tokens` includes."""
    cost_usd: float | None
    """* The cost in US dollars; None if unknown. `capture` does not compute it. Default: None."""
    ttft_ms: float
    """Time to the first piece of a streamed answer, in milliseconds."""
    finish_reason: str
    """Why the model stopped, as the provider names it."""
    prompt_text: str | Sequence[Any]
    """The messages: JSON text, or a list that is converted to it. Not sent without `store_prompts`."""
    system_prompt: str
    """The system prompt. Not sent without `store_prompts`."""
    completion_text: str | Sequence[Any] | Mapping[str, Any]
    """The answer: text, or a value that is converted to JSON text. Not sent without `store_prompts`."""
    prompt_hash: str
    """SHA-256 of the messages, to find equal prompts."""
    conversation_turn: int
    """Number of user messages in the request."""
    message_role: str
    """Role of the last message."""
    has_memory: bool
    """Whether the request had messages of earlier turns."""
    has_planning: bool
    """Whether the request asked for a plan or for reasoning steps."""
    tool_definitions: Sequence[Mapping[str, Any]] | None
    """The tools offered to the model: `name` and `description` of each."""
    tools_used: Sequence[str] | None
    """The names of the tools that were called."""
    tool_call_args: str | Mapping[str, Any] | None
    """Arguments of the tool calls: JSON text, or a mapping that is converted to it. None without `store_prompts`."""
    tool_call_result: Any
    """Result of the tool: text, or a value that is converted to JSON text. Not sent without `store_prompts`."""
    decision_rationale: str
    """The reason for a decision; at most 2,000 characters are sent. Not sent without `store_prompts`."""

    agent_id: str | None
    """* Id of the current agent."""
    agent_name: str | None
    """* Its name."""
    agent_role: str | None
    """* Its role, such as planner."""
    agent_framework: str | None
    """* The framework that it is built with, such as langgraph."""
    parent_agent_id: str | None
    """* Id of the enclosing agent."""
    planning_steps: Sequence[Any]
    """Steps of a plan. Not sent without `store_prompts`."""
    delegation_reason: str
    """Reason of a handoff. Not sent without `store_prompts`."""
    delegation_from_agent_id: str | None
    """Id of the agent that hands over."""
    delegation_from_agent_name: str | None
    """Its name."""
    rag_context_count: int
    """Number of documents found. The documents are in `metadata["rag_contexts"]`."""
    eval_scores: Mapping[str, float]
    """Scores of an evaluation, by name."""
    ab_test: bool
    """Whether the call was part of an A/B test."""
    ab_test_variant: str
    """The variant in the A/B test."""


def look_for_typos(event: Mapping[str, Any]) -> None:
    """Warn once about each unknown name that resembles a field. It is still sent: a backend may know more fields than
    this version does."""
    known = EventFields.__annotations__
    for name in [*islice(event, _CHECKED_MAX)]:  # what is no mapping may have no end
        if name in known or name in _checked or len(_checked) > _CHECKED_MAX:
            continue
        _checked.add(name)
        import difflib

        close = difflib.get_close_matches(str(name)[:64], known, 1, 0.8)
        if close:
            text = "capture: %.64r is not a field of an event, did you mean %r? It is sent as is"
            warn_once("field-unknown", text, name, close[0])
