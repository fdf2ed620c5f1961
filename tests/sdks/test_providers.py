"""Every provider that the SDK `zespan` patches, beside us: each call is one event, ours."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests import environments

pytestmark = pytest.mark.slow

ORDERS = ("sdk ours", "ours sdk", "guards ours")
OURS = "zespan-serverless-python"


@pytest.mark.parametrize("order", ORDERS)
def test_each_call_of_a_provider_is_one_event(order: str) -> None:
    """An answer, a stream that is read and one that is left: of anthropic, bedrock, cohere, google, groq and openai."""
    _check(_played(sys.executable, order, "apis"), at_least=37)


@pytest.mark.parametrize("order", ORDERS)
def test_each_call_of_mistral_is_one_event(order: str) -> None:
    """The SDK knows how to patch version 1."""
    _check(_played(str(environments.installed("sdks", "oldest mistral")), order, "mistral"), at_least=5)


@pytest.mark.parametrize("order", ORDERS)
def test_each_call_of_litellm_is_one_event(order: str) -> None:
    """Those that LiteLLM sends itself, and those that it sends by an SDK that is patched as well."""
    _check(_played(str(environments.installed("frameworks", "agents")), order, "litellm"), at_least=6)


def _played(python: str, order: str, what: str) -> dict[str, list[str]]:
    printed = environments.run(Path(python), "tests.sdks.program", order, what)
    return json.loads(printed.splitlines()[-1])  # type: ignore[no-any-return]


def _check(seen: dict[str, list[str]], at_least: int) -> None:
    assert len(seen) >= at_least
    assert {name: who for name, who in seen.items() if who != [OURS]} == {}
