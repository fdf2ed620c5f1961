"""The event of a model call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._record.event import Event, failed, new_event
from ._pricing import cost

if TYPE_CHECKING:
    from .._trace import Span
    from ..settings import Settings
    from ._answer import Answer
    from ._prompt import Prompt
    from ._request import Request


def event_of(
    span: Span,
    settings: Settings,
    request: Request,
    prompt: Prompt,
    answer: Answer,
    error: BaseException | None,
    took_ms: float,
) -> Event:
    """The event of a call that has ended, with an answer, an error, or both."""
    event = new_event(span, settings, took_ms, kind="llm", operation=request.endpoint.operation)
    model = answer.model or request.model
    event.update(
        provider=request.provider,
        model=model,
        stream=request.stream,
        input_tokens=answer.input_tokens,
        output_tokens=answer.output_tokens,
        reasoning_tokens=answer.reasoning_tokens,
        cost_usd=cost(model, answer),
        finish_reason=answer.finish_reason,
        prompt_hash=prompt.digest,
        agent_id=None,
        agent_name=prompt.agent_name,
        agent_role=prompt.agent_role and prompt.agent_role.lower(),
        agent_framework=None,
        parent_agent_id=None,
        conversation_turn=prompt.turn,
        message_role=prompt.last_role,
        has_memory=prompt.memory,
        has_planning=prompt.planning,
        tools_used=list(answer.tools) or None,
        tool_call_args=answer.tools or None,
        prompt_text=prompt.text,
        completion_text=_texts(answer),
    )
    if prompt.system:
        event["system_prompt"] = prompt.system
    if answer.tools and answer.text:
        event["decision_rationale"] = answer.text
    if answer.first_token_ms is not None:
        event["ttft_ms"] = answer.first_token_ms
    if prompt.tools:
        event["tool_definitions"] = prompt.tools
    if answer.cached_tokens:
        event["cached_tokens"] = answer.cached_tokens
    if answer.cache_write_tokens:
        event["metadata"] = {"cache_write_tokens": answer.cache_write_tokens}
    if error is not None:
        failed(event, error)
    return event


def _texts(answer: Answer) -> Any:
    """The answer's text; of several choices a list, which is sent as the text of its JSON."""
    return [answer.text, *answer.others] if any(answer.others) else answer.text
