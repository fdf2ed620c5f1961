"""Makes `zespan_serverless/providers/_prices.py` of the prices that the package `genai-prices` has.

    pip install genai-prices && python -m tools.prices

A line of the table is one model: the names by which it is known, and US dollars per million tokens. `_pricing.py` reads
it.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

from genai_prices import data  # pyright: ignore[reportMissingImports]

TARGET = Path(__file__).parent.parent / "zespan_serverless" / "providers" / "_prices.py"
PROVIDERS = (
    *("openai", "anthropic", "aws", "azure", "google", "mistral", "cohere", "groq", "deepseek", "x-ai"),
    *("perplexity", "moonshotai", "cerebras"),
)
FIELDS = ("input_mtok", "output_mtok", "cache_read_mtok", "cache_write_mtok", "cache_write_1h_mtok")
AUDIO = ("input_audio_mtok", "output_audio_mtok", "cache_audio_read_mtok")
TIERS = ("flex", "priority")
SIGNS = {"equals": "=", "starts_with": "^", "ends_with": "$", "contains": "*", "regex": "~"}
HEAD = '''"""Prices of models, made by `python -m tools.prices` of genai-prices {version} on {today}.

genai-prices is (c) Pydantic Services Inc., MIT: https://github.com/pydantic/genai-prices.
"""

from __future__ import annotations

MADE = "{today}"
TABLE = """\\
{table}"""
'''


def names(clause: Any) -> Iterator[str]:
    """Yield the alternatives of a rule: a sign and a text, several joined by `&` where all have to hold."""
    if getattr(clause, "or_", None) is not None:
        for one in clause.or_:
            yield from names(one)
    elif getattr(clause, "and_", None) is not None:
        parts = [list(names(one)) for one in clause.and_]
        if all(len(part) == 1 for part in parts):
            yield "&".join(part[0] for part in parts)
    else:
        for attribute, sign in SIGNS.items():
            text = getattr(clause, attribute, None)
            if text is not None and not {" ", "&", "\t", "\\"} & set(text):
                yield sign + text


def price(prices: Any, start: int = 0, fields: tuple[str, ...] = FIELDS) -> str:
    """Return the prices of one model as numbers with spaces between them, `-` for none; those of prompts above
    `start`."""
    numbers = []
    for field in fields:
        value: Any = getattr(prices, field, None)
        if hasattr(value, "base"):
            tier = [one.price for one in value.tiers if start and one.start <= start]
            value = tier[-1] if tier else value.base
        numbers.append("-" if value is None else f"{value.normalize():f}")
    while numbers and numbers[-1] == "-":
        numbers.pop()
    return " ".join(numbers)


def starts(prices: Any) -> list[int]:
    """Numbers of tokens above which a prompt has other prices."""
    found = {tier.start for field in FIELDS for tier in getattr(getattr(prices, field, None), "tiers", ())}
    return sorted(found)


def periods(prices: Any, today: datetime.date) -> list[tuple[str, Any]]:
    """(first day, prices), from those in force on: ("", prices) if they have always been."""
    if not isinstance(prices, list):
        return [("", prices)]
    dated = [(getattr(one.constraint, "start_date", None), one.prices) for one in prices if _is_dated(one.constraint)]
    dated.sort(key=lambda one: one[0] or datetime.date.min)
    past = [one for one in dated if one[0] is None or one[0] <= today]
    kept = past[-1:] + [one for one in dated if one[0] is not None and one[0] > today]
    return [("" if day is None or day <= today else day.isoformat(), one) for day, one in kept]


def _is_dated(constraint: Any) -> bool:
    return constraint is None or hasattr(constraint, "start_date")


def line(model: Any, today: datetime.date) -> str:
    """Return one model: names, then prices, and behind `|` those of other days, long prompts, sound and service
    tiers."""
    parts = []
    for day, prices in periods(model.prices, today):
        if not price(prices):
            continue
        parts.append(f"{day} {price(prices)}".strip() if not day else f"@{day} {price(prices)}")
        parts += [f">{start} {price(prices, start)}" for start in starts(prices)]
        if not day and (sound := price(prices, fields=AUDIO)):
            parts.append(f"audio {sound}")
    for variant in model.price_variants or ():
        tier = variant.when.get("service_tier")
        if tier in TIERS and price(variant.prices):
            parts.append(f"{tier} {price(variant.prices)}")
    known = " ".join(names(model.match))
    return f"{known}\t{'|'.join(parts)}" if known and parts else ""


def main() -> None:
    """Write the table."""
    today = datetime.datetime.now(tz=datetime.UTC).date()
    lines = []
    for provider in data.providers:
        if provider.id in PROVIDERS:
            lines.append(f"[{provider.id}]")
            lines += filter(None, (line(model, today) for model in provider.models))
    text = HEAD.format(version=version("genai-prices"), today=today, table="\n".join([*lines, ""]))
    TARGET.write_text(text)
    print(f"{TARGET.name}: {len(text.encode())} bytes, {len(lines)} lines")


if __name__ == "__main__":
    main()
