"""Numbers of tokens, as OpenAI and those that are compatible with it report them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._fields import held_by, is_count, tokens

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..._record.model import Answer

_COST_MAX = 1e9  # US dollars; more is a mistake
_KINDS = {"text_tokens": "text", "image_tokens": "image", "audio_tokens": "audio"}


def count(answer: Answer, usage: Any) -> None:
    """Read the numbers of tokens. Cached ones are part of the input, those of reasoning are part of the output.

    Chat and completions speak of a prompt and a completion, all newer endpoints of input and output.
    """
    if usage is None:
        return
    get = held_by(usage).get
    answer.input_tokens = _first(get, "prompt_tokens", "input_tokens")
    answer.output_tokens = _first(get, "completion_tokens", "output_tokens")
    answer.known = bool(answer.input_tokens and answer.output_tokens) or _are_known(get)
    before = get("prompt_tokens_details") or get("input_tokens_details") or get("input_token_details")
    after = get("completion_tokens_details") or get("output_tokens_details") or get("output_token_details")
    if before:
        _count_input(answer, held_by(before))
    if after:
        details = held_by(after)
        answer.reasoning_tokens = _first(details.get, "reasoning_tokens")
        _count_kinds(answer, details, "output_tokens")
    if not answer.cached_tokens:  # DeepSeek's, Mistral's
        answer.cached_tokens = _first(get, "prompt_cache_hit_tokens", "num_cached_tokens")
    cost = get("cost")  # OpenRouter's
    if cost is not None and type(cost) in (int, float) and 0 <= cost < _COST_MAX:
        answer.cost = float(cost)
    seconds = get("seconds") or get("prompt_audio_seconds")  # Whisper's and Mistral's
    if seconds and type(seconds) in (int, float) and 0 < seconds < _COST_MAX:
        answer.count("audio_seconds", seconds)


def _first(get: Callable[[str], Any], *names: str) -> int:
    """Return the first of these numbers of tokens that is not 0; 0 if there is none."""
    for name in names:
        found = get(name)
        if found and (number := tokens(found)):
            return number
    return 0


def _are_known(get: Callable[[str], Any]) -> bool:
    """Whether both numbers of tokens are given, even if one of them is 0."""
    output = ("completion_tokens", "output_tokens", "total_tokens")
    return any(is_count(get(name)) for name in ("prompt_tokens", "input_tokens")) and any(
        is_count(get(name)) for name in output
    )


def _count_input(answer: Answer, details: Any) -> None:
    """Read the parts of the input."""
    answer.cached_tokens = _first(details.get, "cached_tokens")
    # The second one is Anthropic's behind a proxy.
    answer.cache_write_tokens = _first(details.get, "cache_write_tokens", "cache_creation_tokens")
    _count_kinds(answer, details, "input_tokens")
    cached, written = details.get("cached_tokens_details"), details.get("cache_write_tokens_details")
    if cached:
        _count_kinds(answer, held_by(cached), "cache_read.input_tokens")
    for kept in ("30m", "12h") if written else ():
        answer.count(f"cache_write_{kept}_tokens", tokens(held_by(written).get(f"ttl_{kept}_tokens")))


def _count_kinds(answer: Answer, details: Any, end: str) -> None:
    """Read how many tokens of one end are text, images and sound."""
    for name, kind in _KINDS.items():
        number = details.get(name)
        if number:
            answer.count(f"gen_ai.usage.{kind}.{end}", tokens(number))
