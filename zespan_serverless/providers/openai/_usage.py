"""Numbers of tokens, as OpenAI and those that are compatible with it report them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._fields import count_of, field, is_count

if TYPE_CHECKING:
    from ..._record.model import Answer

_COST_MAX = 1e9  # US dollars; more is a mistake


def count(answer: Answer, usage: Any) -> None:
    """Read the numbers of tokens. Cached ones are part of the input, those of reasoning are part of the output.

    Chat and completions speak of a prompt and a completion, all newer endpoints of input and output.
    """
    before = field(usage, "prompt_tokens_details") or field(usage, "input_tokens_details")
    after = field(usage, "completion_tokens_details") or field(usage, "output_tokens_details")
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
    answer.audio = bool(count_of(before, "audio_tokens") or count_of(after, "audio_tokens"))
    cost = field(usage, "cost")  # OpenRouter's
    answer.cost = float(cost) if type(cost) in (int, float) and 0 <= cost < _COST_MAX else None


def _has(usage: Any, *names: str) -> bool:
    return any(is_count(field(usage, name)) for name in names)
