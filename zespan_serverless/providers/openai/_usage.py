"""Numbers of tokens, as OpenAI and those that are compatible with it report them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._fields import held_by, is_count, tokens

if TYPE_CHECKING:
    from ..._record.model import Answer

_COST_MAX = 1e9  # US dollars; more is a mistake
_KINDS = ("text", "image", "audio")


def count(answer: Answer, usage: Any) -> None:
    """Read the numbers of tokens. Cached ones are part of the input, those of reasoning are part of the output.

    Chat and completions speak of a prompt and a completion, all newer endpoints of input and output.
    """
    if usage is None:
        return
    get = held_by(usage).get
    before = held_by(get("prompt_tokens_details") or get("input_tokens_details") or get("input_token_details"))
    after = held_by(get("completion_tokens_details") or get("output_tokens_details") or get("output_token_details"))
    given, produced = get("prompt_tokens"), get("completion_tokens")
    answer.input_tokens = tokens(given) or tokens(get("input_tokens"))
    answer.output_tokens = tokens(produced) or tokens(get("output_tokens"))
    answer.known = (is_count(given) or is_count(get("input_tokens"))) and (
        is_count(produced) or is_count(get("output_tokens")) or is_count(get("total_tokens"))
    )
    # The others are DeepSeek's, Mistral's, and Anthropic's behind a proxy.
    cached = tokens(before.get("cached_tokens")) if before else 0
    answer.cached_tokens = cached or tokens(get("prompt_cache_hit_tokens")) or tokens(get("num_cached_tokens"))
    if before:
        written = before.get("cache_write_tokens"), before.get("cache_creation_tokens")
        answer.cache_write_tokens = tokens(written[0]) or tokens(written[1])
    answer.reasoning_tokens = tokens(after.get("reasoning_tokens")) if after else 0
    if before or after:
        _count_parts(answer, before, after)
    cost = get("cost")  # OpenRouter's
    if cost is not None and type(cost) in (int, float) and 0 <= cost < _COST_MAX:
        answer.cost = float(cost)
    seconds = get("seconds") or get("prompt_audio_seconds")  # Whisper's and Mistral's
    if seconds and type(seconds) in (int, float) and 0 < seconds < _COST_MAX:
        answer.count("audio_seconds", seconds)


def _count_parts(answer: Answer, before: Any, after: Any) -> None:
    """Read the parts of the input and of the output, where they are given."""
    cached = held_by(before.get("cached_tokens_details"))
    written = held_by(before.get("cache_write_tokens_details"))
    ends = (("input_tokens", before), ("cache_read.input_tokens", cached), ("output_tokens", after))
    for end, details in ends:
        for kind in _KINDS if details else ():
            answer.count(f"gen_ai.usage.{kind}.{end}", tokens(details.get(f"{kind}_tokens")))
    for kept in ("30m", "12h") if written else ():
        answer.count(f"cache_write_{kept}_tokens", tokens(written.get(f"ttl_{kept}_tokens")))
