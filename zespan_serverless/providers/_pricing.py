"""What the tokens of a call cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .._record.model import Answer

# US dollars per million (input, cached input, output) tokens, https://platform.openai.com/docs/pricing: the models that
# the SDK `zespan` 1.6.1 prices, also by the dated names in which OpenAI answers.
_GPT_4O, _GPT_4O_MINI = (2.50, 1.25, 10.00), (0.15, 0.075, 0.60)
_PRICES = {
    "gpt-4o": _GPT_4O,
    "gpt-4o-2024-08-06": _GPT_4O,
    "gpt-4o-2024-11-20": _GPT_4O,
    "gpt-4o-mini": _GPT_4O_MINI,
    "gpt-4o-mini-2024-07-18": _GPT_4O_MINI,
}


def cost(model: str, answer: Answer) -> float | None:
    """US dollars; None if the number of tokens or the price of one is not known."""
    if answer.cost is not None:
        return answer.cost
    prices = _PRICES.get(model.rsplit("/", 1)[-1])  # OpenRouter: openai/gpt-4o
    if prices is None or not answer.known or answer.audio:
        return None
    cached = min(answer.cached_tokens, answer.input_tokens)
    tokens = (answer.input_tokens - cached, cached, answer.output_tokens)
    return sum(count * price for count, price in zip(tokens, prices, strict=True)) / 1_000_000
