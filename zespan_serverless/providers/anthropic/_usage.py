"""Numbers of tokens, as Anthropic reports them: its input leaves out what is read from and written to the cache."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._fields import count_of, field, is_count, text_of

if TYPE_CHECKING:
    from ..._record.model import Answer


def count(answer: Answer, usage: Any) -> None:
    """Read the numbers of tokens. Of a stream, the last ones replace those of its beginning."""
    if usage is None:
        return
    answer.known = answer.known or is_count(field(usage, "input_tokens"))
    answer.cached_tokens = count_of(usage, "cache_read_input_tokens") or answer.cached_tokens
    answer.cache_write_tokens = count_of(usage, "cache_creation_input_tokens") or answer.cache_write_tokens
    for kept in ("5m", "1h"):
        written = count_of(field(usage, "cache_creation"), f"ephemeral_{kept}_input_tokens")
        answer.count(f"cache_write_{kept}_tokens", written)
    for name in ("web_search_requests", "web_fetch_requests"):
        answer.count(name, count_of(field(usage, "server_tool_use"), name))
    thought = count_of(field(usage, "output_tokens_details"), "thinking_tokens")
    answer.reasoning_tokens = thought or answer.reasoning_tokens
    answer.tier = text_of(usage, "service_tier") or answer.tier
    if is_count(field(usage, "input_tokens")):
        answer.input_tokens = count_of(usage, "input_tokens") + answer.cached_tokens + answer.cache_write_tokens
    answer.output_tokens = count_of(usage, "output_tokens") or answer.output_tokens
