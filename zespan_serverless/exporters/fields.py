"""`EventFields`: what an event may have, in the words of the SDK `zespan`. Imported when the first one is captured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
    """The fields of an event for `capture`. All may be left out; those marked * are filled in then."""

    operation: str
    """* What happened: the name that the event is listed under. Default: custom."""
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
    """* What kind of step it was. Default: general."""
    latency_ms: int
    """* How long it took, in milliseconds. Default: 0."""
    timestamp: str
    """* When it ended: RFC 3339 in UTC, such as 2026-01-31T12:00:00.000Z. Default: now."""
    status: Literal["success", "error", "timeout", "crashed"]
    """* How it ended. Default: success."""
    error_message: str | BaseException | None
    """* What went wrong: a text or an exception. 500 characters are sent."""
    error_code: str
    """A code of the error, such as an HTTP status."""
    metadata: Mapping[str, Any]
    """Whatever else there is to say, as JSON has it."""
    tags: Mapping[str, str] | None
    """* Tags to filter by. Given here they replace those of the settings and of `with_context`."""
    user_id: str | None
    """* The user. Default: the one in force, by `with_context` or the decorator."""
    session_id: str | None
    """* The session that groups traces. Default: the one in force."""
    environment: str
    """* The deployment. Default: the setting."""

    event_id: str
    """* A UUID; an event that arrives twice is recognized by it. Default: a new one."""
    trace_id: str
    """* The trace: 32 hexadecimal digits. Default: the current one, or a new one."""
    span_id: str
    """* This span: 16 hexadecimal digits. Default: a new one."""
    parent_span_id: str | None
    """* The span that it belongs to, None for the root of a trace. Default: the current one."""
    project_id: str
    """* The project. Default: empty, which means that of the API key."""
    sdk_name: str
    """* Who has made the event. Default: this package."""
    sdk_version: str
    """* Its version."""

    provider: str
    """* Whose model was called, by OpenTelemetry's `gen_ai.provider.name`, such as openai. Default: empty."""
    model: str
    """* The model that has answered. Default: empty."""
    stream: bool
    """* Whether the answer was streamed. Default: False."""
    input_tokens: int | None
    """* Tokens of the request, with cached ones; None if they are unknown. Default: 0."""
    output_tokens: int | None
    """* Tokens of the answer, with those of reasoning; None if they are unknown. Default: 0."""
    reasoning_tokens: int | None
    """Tokens of reasoning, which `output_tokens` include; None if they are unknown."""
    cached_tokens: int
    """Tokens that were read from a cache, which `input_tokens` include."""
    cost_usd: float | None
    """* What it cost, in US dollars; None if that is unknown. It is not computed here. Default: None."""
    ttft_ms: float
    """The time to the first piece of a streamed answer, in milliseconds."""
    finish_reason: str
    """Why the model has stopped, in its provider's words."""
    prompt_text: str | Sequence[Any]
    """The messages: JSON as text, or what becomes that. Not sent without `store_prompts`."""
    system_prompt: str
    """The instructions beside the messages. Not sent without `store_prompts`."""
    completion_text: str | Sequence[Any] | Mapping[str, Any]
    """The answer: text, or what becomes JSON as text. Not sent without `store_prompts`."""
    prompt_hash: str
    """The SHA-256 of the messages, by which equal prompts are found."""
    conversation_turn: int
    """How many messages of the user's the request had."""
    message_role: str
    """The role of its last message."""
    has_memory: bool
    """Whether it had messages of earlier turns."""
    has_planning: bool
    """Whether it asked for a plan, or for steps of reasoning."""
    tool_definitions: Sequence[Mapping[str, Any]] | None
    """The tools that may be called: `name` and `description` of each."""
    tools_used: Sequence[str] | None
    """The names of the tools that were called."""
    tool_call_args: str | Mapping[str, Any] | None
    """What they were called with: JSON as text, or what becomes that. None without `store_prompts`."""
    tool_call_result: Any
    """What a tool has returned: text, or what becomes JSON as text. Not sent without `store_prompts`."""
    decision_rationale: str
    """Why that was decided; 2,000 characters of it are sent. Not sent without `store_prompts`."""

    agent_id: str | None
    """* The agent at work, inside `span(kind="agent")`: its id."""
    agent_name: str | None
    """* Its name."""
    agent_role: str | None
    """* Its role, such as planner."""
    agent_framework: str | None
    """* What it is built with, such as langgraph."""
    parent_agent_id: str | None
    """* The id of the agent that it works for."""
    planning_steps: Sequence[Any]
    """The steps of a plan. Not sent without `store_prompts`."""
    delegation_reason: str
    """Why an agent hands over. Not sent without `store_prompts`."""
    delegation_from_agent_id: str | None
    """The id of the agent that hands over."""
    delegation_from_agent_name: str | None
    """Its name."""
    rag_context_count: int
    """How many documents were found. The documents are `metadata["rag_contexts"]`."""
    eval_scores: Mapping[str, float]
    """Scores of an evaluation by their names."""
    ab_test: bool
    """Whether this was part of an A/B test."""
    ab_test_variant: str
    """Of which variant of it."""


def look_for_typos(event: Mapping[str, Any]) -> None:
    """Warn once of each name that is none of an event's and resembles one. It is sent all the same: a backend may know
    more names than this version does."""
    known = EventFields.__annotations__
    for name in [*event]:
        if name in known or name in _checked or len(_checked) > _CHECKED_MAX:
            continue
        _checked.add(name)
        import difflib

        close = difflib.get_close_matches(str(name)[:64], known, 1, 0.8)
        if close:
            warn_once("capture: %.64r is not a field of an event, did you mean %r? It is sent as it is", name, close[0])
