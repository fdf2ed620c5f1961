"""Numbers of tokens, as Anthropic reports them: its input leaves out what is read from and written to the cache."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._fields import as_text, count_of, held_by, is_count, tokens

if TYPE_CHECKING:
    from ..._record.model import Answer


def count(answer: Answer, usage: Any) -> None:
    """Read the numbers of tokens. Of a stream, the last ones replace those of its beginning."""
    if usage is None:
        return
    get = held_by(usage).get
    given, written, used = get("input_tokens"), held_by(get("cache_creation")), held_by(get("server_tool_use"))
    answer.cached_tokens = tokens(get("cache_read_input_tokens")) or answer.cached_tokens
    answer.cache_write_tokens = tokens(get("cache_creation_input_tokens")) or answer.cache_write_tokens
    for kept in ("5m", "1h") if written else ():
        answer.count(f"cache_write_{kept}_tokens", tokens(written.get(f"ephemeral_{kept}_input_tokens")))
    for name in ("web_search_requests", "web_fetch_requests") if used else ():
        answer.count(name, tokens(used.get(name)))
    answer.reasoning_tokens = count_of(get("output_tokens_details"), "thinking_tokens") or answer.reasoning_tokens
    answer.tier = as_text(get("service_tier")) or answer.tier
    if is_count(given):
        answer.known = True
        answer.input_tokens = given + answer.cached_tokens + answer.cache_write_tokens
    answer.output_tokens = tokens(get("output_tokens")) or answer.output_tokens
