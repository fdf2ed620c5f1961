"""Computes the cost of a call's tokens, from the table in `_prices`.

A line of the table is `names<tab>prices`. A name is a sign and a text: `=` the whole name of a model, `^` its
beginning, `$` its end, `*` a part of it, `~` a regular expression; names joined by `&` must all match. Prices are US
dollars per million tokens of input, output, cache read, cache written for five minutes and for an hour. After `|` are
the prices from a day on (`@2026-01-01`), of calls with more input than a number (`>200000`), of a service tier (`flex`,
`priority`), and of audio (`audio`: input, output, cache read).
"""

from __future__ import annotations

import functools
import re
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .._record.model import Answer

# Sections of the table by OpenTelemetry's names of providers. The second is for models that the first does not list.
_SECTIONS = {
    "openai": ("openai",),
    "azure.ai.openai": ("azure", "openai"),
    "azure.ai.foundry": ("anthropic",),
    "anthropic": ("anthropic",),
    "aws.bedrock": ("aws",),
    "gcp.gemini": ("google",),
    "gcp.vertex_ai": ("google", "anthropic"),
    "mistral_ai": ("mistral",),
    "cohere": ("cohere",),
    "groq": ("groq",),
    "deepseek": ("deepseek",),
    "x_ai": ("x-ai",),
    "perplexity": ("perplexity",),
    "moonshot_ai": ("moonshotai",),
    "cerebras": ("cerebras",),
}

_SILENCE = (0.0, 0, 0, 0)
_SOUND = tuple(f"gen_ai.usage.audio.{end}_tokens" for end in ("input", "output", "cache_read.input"))


def cost(provider: str, model: str, answer: Answer) -> float | None:
    """Return US dollars; None if a number of tokens or its price is not known."""
    if answer.cost is not None:
        return answer.cost
    line = _line(provider, model.lower()) if answer.known else None
    if line is None:
        return None
    given, produced, read, written, written_1h = _prices(line, answer.input_tokens, answer.tier)
    sound, heard, said, heard_again = _sound(line, answer) if answer.usage else _SILENCE
    if given is None or sound is None:
        return None
    beside, total = float(heard), sound
    if answer.cached_tokens or answer.cache_write_tokens:
        hour = min(answer.usage.get("cache_write_1h_tokens", 0), answer.cache_write_tokens)
        parts = (
            (max(answer.cached_tokens - heard_again, 0), read),
            (answer.cache_write_tokens - hour, written),
            (hour, written if written_1h is None else written_1h),
        )
        for count, price in parts:
            if count and price is not None:  # the rest has the price of input
                beside += count
                total += count * price
    total += max(answer.input_tokens - beside, 0) * given
    total += max(answer.output_tokens - said, 0) * (produced or 0)
    return total / 1_000_000


def _sound(line: str, answer: Answer) -> tuple[float | None, float, float, float]:
    """Return the price of audio in millionths, None if it is unknown; its tokens of input, output and cache."""
    given, produced, read = (answer.usage.get(name, 0) for name in _SOUND)
    if not given and not produced:
        return _SILENCE
    parts = line.split("|")
    listed = next((part.split()[1:] for part in parts if part.startswith("audio ")), [])
    prices = [*(None if number == "-" else float(number) for number in listed), None, None, None]
    price_given, price_produced, price_read = prices[:3]
    is_other_tier = bool(answer.tier) and any(part.startswith(f"{answer.tier} ") for part in parts)
    if is_other_tier or (given and price_given is None) or (produced and price_produced is None):
        return None, given, produced, read
    read = min(read, given)
    total = (given - read) * (price_given or 0) + produced * (price_produced or 0)
    total += read * ((price_given if price_read is None else price_read) or 0)
    return total, given, produced, read


@functools.lru_cache(maxsize=256)
def _line(provider: str, model: str) -> str | None:
    """Return the prices of a model as written in the table."""
    for known in dict.fromkeys((model, model.rpartition("/")[2])):  # openai/gpt-4o; an ARN
        for section in _SECTIONS.get(provider, ()):
            for names, prices in _lines(section):
                if any(all(_matches(part, known) for part in name.split("&")) for name in names.split()):
                    return prices
    return None


def _lines(section: str) -> Iterator[tuple[str, str]]:
    from ._prices import TABLE  # a process without a priced call does not need it

    start = TABLE.index(f"[{section}]\n") + len(section) + 3
    end = TABLE.find("\n[", start)
    for line in TABLE[start : None if end < 0 else end].splitlines():
        names, _, prices = line.partition("\t")
        yield names, prices


def _matches(name: str, model: str) -> bool:
    sign, text = name[0], name[1:]
    if sign == "=":
        return model == text
    if sign == "^":
        return model.startswith(text)
    if sign == "$":
        return model.endswith(text)
    return text in model if sign == "*" else re.search(text, model) is not None


def _prices(line: str, tokens: int, tier: str) -> tuple[float | None, ...]:
    """Return the five current prices, for this many input tokens, in a service tier; None for missing ones."""
    prices: tuple[float | None, ...] = ()
    for more_than, from_there in _steps(line, tier, time.strftime("%Y-%m-%d", time.gmtime()) if "@" in line else ""):
        if tokens > more_than:
            prices = from_there
    return prices


@functools.lru_cache(maxsize=256)
def _steps(line: str, tier: str, today: str) -> tuple[tuple[int, tuple[float | None, ...]], ...]:
    """Return the five prices of a day in a tier, each after the number of input tokens that a call must exceed."""
    steps: list[tuple[int, tuple[float | None, ...]]] = []
    for part in line.split("|"):
        first, _, rest = part.partition(" ")
        if first[0].isdigit():
            steps = [(-1, _numbers(part))]
        elif first == tier or (first[0] == "@" and first[1:] <= today):
            steps = [(-1, _numbers(rest))]
        elif first[0] == ">":
            steps.append((int(first[1:]), _numbers(rest)))
    return tuple(steps)


def _numbers(prices: str) -> tuple[float | None, ...]:
    numbers = [None if number == "-" else float(number) for number in prices.split()]
    return (*numbers, *[None] * (5 - len(numbers)))
