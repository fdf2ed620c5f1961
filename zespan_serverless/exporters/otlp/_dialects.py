"""Attribute names that differ from OpenTelemetry's in some backends. Each function adds them to a span.

They read the span's own attributes, so that redacted and omitted values stay so.
"""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any

from ..._record.values import to_json
from ._attributes import CACHE_CREATION

if TYPE_CHECKING:
    from collections.abc import Callable

    from ._span import Span

    Attributes = dict[str, Any]

_TAG = "tag."
_READ, _REASONING = "gen_ai.usage.cache_read.input_tokens", "gen_ai.usage.reasoning.output_tokens"
_CONTENT = (
    ("gen_ai.input.messages", "gen_ai.output.messages"),
    ("gen_ai.tool.call.arguments", "gen_ai.tool.call.result"),
    ("gen_ai.retrieval.query.text", "gen_ai.retrieval.documents"),
)


def _langfuse(span: Span, found: Attributes) -> None:
    """https://langfuse.com/integrations/native/opentelemetry#property-mapping.

    Usage is reported with Langfuse's names, because it adds up all of `gen_ai.usage.*`, and older servers do not know
    which of them are parts of others.
    """
    kinds = {"llm": "generation", "embedding": "embedding", "tool": "tool", "agent": "agent", "retriever": "retriever"}
    found["langfuse.observation.type"] = kinds.get(_kind(found), "span")
    first = found.get("zespan.time_to_first_token", found.get("gen_ai.response.time_to_first_chunk"))
    if isinstance(first, float):
        at = datetime.datetime.fromtimestamp(span.start / 1e9 + first, datetime.UTC)
        found["langfuse.observation.completion_start_time"] = at.isoformat(timespec="milliseconds")
    tokens = _tokens(found)
    if tokens is not None:
        sent, got, read, written, reasoning = tokens
        parts = {"input_cached_tokens": read, "input_cache_creation": written, "output_reasoning_tokens": reasoning}
        details = {"input": sent - read - written, "output": got - reasoning, "total": sent + got}
        details.update((name, number) for name, number in parts.items() if number)
        found["langfuse.observation.usage_details"] = to_json(details)
    if "gen_ai.usage.cost" in found:
        found["langfuse.observation.cost_details"] = to_json({"total": found["gen_ai.usage.cost"]})
    if _kind(found) == "retriever":
        _add_content(found, "langfuse.observation.input", "langfuse.observation.output")
    if _kind(found) == "invocation":
        found["langfuse.trace.name"] = span.name
    _add_tags(found, "langfuse.trace.tags")


def _phoenix(span: Span, found: Attributes) -> None:
    """OpenInference: https://arize-ai.github.io/openinference/spec/semantic_conventions.html."""
    kinds = {"llm": "LLM", "embedding": "EMBEDDING", "tool": "TOOL", "agent": "AGENT", "retriever": "RETRIEVER"}
    found["openinference.span.kind"] = {**kinds, "rerank": "RERANKER"}.get(_kind(found), "CHAIN")
    _add_content(found, "input.value", "output.value")
    for name in ("input", "output"):
        value = found.get(f"{name}.value")
        if value is not None:
            found[f"{name}.mime_type"] = "application/json" if _is_json(str(value)) else "text/plain"
    _add_tokens(
        found,
        "llm.token_count.prompt",
        "llm.token_count.completion",
        "llm.token_count.total",
        "llm.token_count.prompt_details.cache_read",
        "llm.token_count.prompt_details.cache_write",
        "llm.token_count.completion_details.reasoning",
    )
    if "gen_ai.usage.cost" in found:
        found["llm.cost.total"] = found["gen_ai.usage.cost"]
    _add_tags(found, "tag.tags")


def _braintrust(span: Span, found: Attributes) -> None:
    """https://www.braintrust.dev/docs/integrations/sdk-integrations/opentelemetry."""
    kinds = {"llm": "llm", "embedding": "llm", "tool": "tool", "retriever": "function"}
    found["braintrust.span_attributes.type"] = kinds.get(_kind(found), "task")
    _add_content(found, "braintrust.input_json", "braintrust.output_json", as_json=True)
    _add_tokens(
        found,
        "braintrust.metrics.prompt_tokens",
        "braintrust.metrics.completion_tokens",
        "braintrust.metrics.tokens",
        "braintrust.metrics.prompt_cached_tokens",
        "braintrust.metrics.prompt_cache_creation_tokens",
        "braintrust.metrics.completion_reasoning_tokens",
    )
    if "gen_ai.usage.cost" in found:
        found["braintrust.metrics.estimated_cost"] = found["gen_ai.usage.cost"]
    if "zespan.time_to_first_token" in found:
        found["braintrust.metrics.time_to_first_token"] = found["zespan.time_to_first_token"]
    _add_tags(found, "braintrust.tags")


def _langsmith(span: Span, found: Attributes) -> None:
    """https://docs.langchain.com/langsmith/trace-with-opentelemetry#supported-opentelemetry-attribute-and-event-mapping."""
    kinds = {"llm": "llm", "embedding": "embedding", "tool": "tool", "retriever": "retriever"}
    found["langsmith.span.kind"] = kinds.get(_kind(found), "chain")
    _add_content(found, "gen_ai.prompt", "gen_ai.completion")
    if "gen_ai.provider.name" in found:
        found["gen_ai.system"] = found["gen_ai.provider.name"]
    tokens = _tokens(found)
    if tokens is not None:
        sent, got, read, written, reasoning = tokens
        usage: Attributes = {"input_tokens": sent, "output_tokens": got, "total_tokens": sent + got}
        usage["input_token_details"] = {"cache_read": read, "cache_creation": written}
        usage["output_token_details"] = {"reasoning": reasoning}
        if "gen_ai.usage.cost" in found:
            usage["total_cost"] = found["gen_ai.usage.cost"]
        found["langsmith.usage_metadata"] = to_json(usage)
    thread = found.get("session.id", found.get("gen_ai.conversation.id"))
    if thread is not None:
        found["langsmith.metadata.session_id"] = thread
    if "user.id" in found:
        found["langsmith.metadata.user_id"] = found["user.id"]
    tags = _tags(found)
    if tags:
        found["langsmith.span.tags"] = ", ".join(tags)


def _kind(found: Attributes) -> str:
    return str(found.get("zespan.span_kind"))


def _tokens(found: Attributes) -> tuple[int, int, int, int, int] | None:
    """Return tokens of the request and of the answer, then those read from and written to a cache, and those of
    reasoning. None if unknown."""
    sent, got = found.get("gen_ai.usage.input_tokens"), found.get("gen_ai.usage.output_tokens")
    if type(sent) is not int or type(got) is not int:
        return None
    parts = [found.get(name, 0) for name in (_READ, CACHE_CREATION, _REASONING)]
    read, written, reasoning = (part if type(part) is int else 0 for part in parts)
    return sent, got, read, written, reasoning


def _add_tokens(found: Attributes, *names: str) -> None:
    """Add the tokens of the request, of the answer and of both, those read from a cache and written to one, and those
    of reasoning under other names, if they are known."""
    tokens = _tokens(found)
    if tokens is not None:
        sent, got, *parts = tokens
        found.update(zip(names, (sent, got, sent + got, *parts), strict=True))


def _add_content(found: Attributes, name_in: str, name_out: str, *, as_json: bool = False) -> None:
    """Add input and output under other names, if there are any."""
    for names in _CONTENT:
        for ours, theirs in zip(names, (name_in, name_out), strict=True):
            if ours in found:
                text = str(found[ours])
                found[theirs] = to_json(text) if as_json and not _is_json(text) else text


def _is_json(text: str) -> bool:
    """Whether a text is the JSON of a list or an object, judging by its beginning, and not [REDACTED]."""
    return text.startswith(("{", "[{", '["', "[]"))


def _tags(found: Attributes) -> list[str]:
    return [f"{name[len(_TAG) :]}:{found[name]}" for name in found if name.startswith(_TAG)]


def _add_tags(found: Attributes, name: str) -> None:
    tags = _tags(found)
    if tags:
        found[name] = tags


DIALECTS: dict[str, Callable[[Span, Attributes], None]] = {
    "braintrust": _braintrust,
    "langfuse": _langfuse,
    "langsmith": _langsmith,
    "phoenix": _phoenix,
}
"""By the name of the backend. The others use OpenTelemetry's names."""
