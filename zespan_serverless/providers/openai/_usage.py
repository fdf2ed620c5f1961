"""Numbers of tokens, as OpenAI and those that are compatible with it report them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._fields import as_dict, count_of, field, is_count

if TYPE_CHECKING:
    from ..._record.model import Answer

_COST_MAX = 1e9  # US dollars; more is a mistake
_KINDS = ("text", "image", "audio")


def count(answer: Answer, usage: Any) -> None:
    """Read the numbers of tokens. Cached ones are part of the input, those of reasoning are part of the output.

    Chat and completions speak of a prompt and a completion, all newer endpoints of input and output.
    """
    usage = as_dict(usage)
    before, after = (
        as_dict(next((found for name in names if (found := field(usage, name))), None))
        for names in (
            ("prompt_tokens_details", "input_tokens_details", "input_token_details"),
            ("completion_tokens_details", "output_tokens_details", "output_token_details"),
        )
    )
    answer.input_tokens = count_of(usage, "prompt_tokens") or count_of(usage, "input_tokens")
    answer.output_tokens = count_of(usage, "completion_tokens") or count_of(usage, "output_tokens")
    answer.known = _has(usage, "prompt_tokens", "input_tokens") and _has(
        usage, "completion_tokens", "output_tokens", "total_tokens"
    )
    answer.reasoning_tokens = count_of(after, "reasoning_tokens")
    # The others are DeepSeek's, Mistral's, and Anthropic's behind a proxy.
    answer.cached_tokens = (
        count_of(before, "cached_tokens")
        or count_of(usage, "prompt_cache_hit_tokens")
        or count_of(usage, "num_cached_tokens")
    )
    answer.cache_write_tokens = count_of(before, "cache_write_tokens") or count_of(before, "cache_creation_tokens")
    cost = field(usage, "cost")  # OpenRouter's
    answer.cost = float(cost) if type(cost) in (int, float) and 0 <= cost < _COST_MAX else None
    _count_parts(answer, before, after)
    seconds = field(usage, "seconds") or field(usage, "prompt_audio_seconds")  # Whisper's and Mistral's
    if type(seconds) in (int, float) and 0 < seconds < _COST_MAX:
        answer.count("audio_seconds", seconds)


def _count_parts(answer: Answer, before: Any, after: Any) -> None:
    """Read the parts of the input and of the output, where they are given."""
    cached, written = field(before, "cached_tokens_details"), field(before, "cache_write_tokens_details")
    ends = (("input_tokens", before), ("cache_read.input_tokens", cached), ("output_tokens", after))
    for end, details in ends:
        for kind in _KINDS if details is not None else ():
            answer.count(f"gen_ai.usage.{kind}.{end}", count_of(details, f"{kind}_tokens"))
    for kept in ("30m", "12h") if written is not None else ():
        answer.count(f"cache_write_{kept}_tokens", count_of(written, f"ttl_{kept}_tokens"))


def _has(usage: Any, *names: str) -> bool:
    return any(is_count(field(usage, name)) for name in names)
