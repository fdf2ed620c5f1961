"""What a call costs: by model, cache, length of the prompt, service tier and day; unknown is None, never zero."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zespan_serverless._record.model import Answer
from zespan_serverless.providers import _prices, _pricing
from zespan_serverless.providers._pricing import cost

TABLE = """\
[openai]
=small ^small-2	1 2 0.5
=long	1 2|>1000 10 20
=tiered	1 2|flex 0.5 1|priority 2 4
=dated	1 2|@2024-01-01 3 4|@2999-01-01 9 9
=sound	1 2 0.5|audio 10 20 5|flex 0.5 1
=hears	1 2|audio 10
*free	0 0
[anthropic]
^claude&$fast	3 15 0.3 3.75 6
~^opus-\\d$	5 25
"""


@pytest.fixture
def made_up(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The table above, in place of the one that is shipped."""
    monkeypatch.setattr(_prices, "TABLE", TABLE)
    _pricing._line.cache_clear()
    yield
    _pricing._line.cache_clear()


def used(given: int, produced: int = 0, **more: Any) -> Answer:
    answer = Answer()
    answer.known, answer.input_tokens, answer.output_tokens = True, given, produced
    for name, value in more.items():
        setattr(answer, name, value)
    return answer


def heard(given: int, produced: int, read: int = 0) -> dict[str, int]:
    """Return tokens of sound among those of input, of output and of the cache."""
    ends = {"input": given, "output": produced, "cache_read.input": read}
    return {f"gen_ai.usage.audio.{end}_tokens": number for end, number in ends.items() if number}


MILLION = 1_000_000
FOR_AN_HOUR = {"cache_write_1h_tokens": MILLION}


@pytest.mark.usefixtures("made_up")
@pytest.mark.parametrize(
    ("provider", "model", "answer", "dollars"),
    [
        ("openai", "small", used(MILLION, MILLION), 3),
        ("openai", "SMALL-2-mini", used(MILLION), 1),
        ("openai", "small-3", used(MILLION), None),
        ("openai", "small", used(MILLION, cached_tokens=MILLION // 2), 0.75),
        ("openai", "long", used(1000), 0.001),
        ("openai", "long", used(1001, 1), 0.01003),
        ("openai", "tiered", used(MILLION, tier="flex"), 0.5),
        ("openai", "tiered", used(MILLION, tier="priority"), 2),
        ("openai", "tiered", used(MILLION, tier="default"), 1),
        ("openai", "dated", used(MILLION), 3),
        ("openai", "is-free", used(MILLION), 0),
        ("openai", "sound", used(MILLION, MILLION), 3),
        ("openai", "sound", used(2 * MILLION, MILLION, usage=heard(MILLION, 0)), 13),
        ("openai", "sound", used(MILLION, 2 * MILLION, usage=heard(MILLION, MILLION)), 32),
        ("openai", "sound", used(MILLION, cached_tokens=MILLION, usage=heard(MILLION, 0, MILLION)), 5),
        ("openai", "sound", used(MILLION, cached_tokens=MILLION // 2, usage=heard(MILLION // 2, 0)), 5.25),
        ("openai", "sound", used(MILLION, tier="flex", usage=heard(1, 0)), None),
        ("openai", "hears", used(MILLION, MILLION, usage=heard(MILLION, 0)), 12),
        ("openai", "hears", used(MILLION, MILLION, usage=heard(MILLION, 1)), None),
        ("anthropic", "claude-fast", used(MILLION, cache_write_tokens=MILLION), 3.75),
        ("anthropic", "claude-fast", used(MILLION, cache_write_tokens=MILLION, usage=FOR_AN_HOUR), 6),
        ("anthropic", "claude-slow", used(MILLION), None),
        ("anthropic", "opus-4", used(MILLION), 5),
        ("a_provider", "small", used(MILLION), None),
    ],
)
def test_the_price_of_a_call(provider: str, model: str, answer: Answer, dollars: float | None) -> None:
    """In US dollars."""
    found = cost(provider, model, answer)
    assert found == (None if dollars is None else pytest.approx(dollars))


@pytest.mark.usefixtures("made_up")
def test_unknown_tokens_have_no_price() -> None:
    """Nor have those of sound, if their own prices are not known."""
    assert cost("openai", "small", Answer()) is None
    assert cost("openai", "small", used(10, usage={"gen_ai.usage.audio.output_tokens": 1})) is None


def test_the_providers_own_price_counts() -> None:
    """OpenRouter's answer gives it."""
    assert cost("openrouter", "small", used(10, cost=0.25)) == 0.25


@given(*[st.integers(0, MILLION)] * 4, st.tuples(*[st.integers(0, MILLION)] * 3))
def test_a_call_never_costs_less_than_nothing(
    given: int, produced: int, read: int, written: int, sound: tuple[int, int, int]
) -> None:
    """Whatever numbers a provider gives."""
    answer = used(given, produced, cached_tokens=read, cache_write_tokens=written)
    assert (cost("openai", "gpt-realtime", used(given, produced, cached_tokens=read, usage=heard(*sound))) or 0) >= 0
    assert (cost("anthropic", "claude-3-5-haiku", answer) or 0) >= 0


@pytest.mark.parametrize(
    ("provider", "model", "dollars"),
    [
        ("openai", "gpt-4o-mini-2024-07-18", 0.15),
        ("openai", "gpt-4o", 2.5),
        ("anthropic", "claude-3-5-haiku-20241022", 0.8),
        ("aws.bedrock", "eu.anthropic.claude-sonnet-4-5-20250929-v1:0", 3.3),
        ("aws.bedrock", "amazon.nova-lite-v1:0", 0.06),
        ("gcp.gemini", "gemini-2.5-flash", 0.3),
    ],
)
def test_prices_of_well_known_models(provider: str, model: str, dollars: float) -> None:
    """Per million tokens of input."""
    assert (cost(provider, model, used(1000)) or 0) == pytest.approx(dollars / 1000)


def test_the_table_is_small_and_read_late() -> None:
    """60 KB of source at most, which a process without a priced call does not load."""
    assert Path(_prices.__file__).stat().st_size <= 60_000
    assert time.strptime(_prices.MADE, "%Y-%m-%d")
    code = (
        "import sys, zespan_serverless.providers._pricing; print('zespan_serverless.providers._prices' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


def test_every_line_of_the_table_can_be_read() -> None:
    """Names with signs, prices that are numbers."""
    for sections in _pricing._SECTIONS.values():
        for section in sections:
            for names, line in _pricing._lines(section):
                assert all(name[0] in "=^$*~" for part in names.split() for name in part.split("&"))
                assert _pricing._prices(line, 10, "flex")[0] is not None
