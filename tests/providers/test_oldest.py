"""The oldest versions of the SDKs that docs/models.md names."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.environments import ENVIRONMENTS, installed, run

pytestmark = pytest.mark.host(seconds=20)

ROWS = {
    "oldest stainless": [
        *("openai completions", "openai embeddings", "openai images", "openai moderations", "openai transcriptions"),
        *("openai chat", "anthropic messages", "groq chat"),
    ],
    "oldest mistral": ["mistral chat"],
    "oldest others": [
        *("cohere chat", "cohere rerank", "google generate_content", "google embed_content"),
        *("bedrock converse", "bedrock invoke_model"),
    ],
}


@pytest.mark.parametrize("environment", ROWS)
def test_rows_of_old_sdks(environment: str) -> None:
    """The same results and the same events as with new ones; openai 1.50 has no Responses."""
    printed = run(installed("sdks", environment), "tests.providers.oldest", *ROWS[environment], ZESPAN_ENABLED="1")
    found = json.loads(printed.splitlines()[-1])
    assert len(found) >= 4
    assert {name: wrong for name, wrong in found.items() if wrong} == {}


def test_the_page_names_these_versions() -> None:
    """docs/models.md says what has been tried."""
    page = " ".join((Path(__file__).parents[2] / "docs" / "models.md").read_text().split())
    for environment in ROWS:
        for package in ENVIRONMENTS["sdks"][environment]:
            name, is_pinned, version = package.partition("==")
            if is_pinned:
                assert f"{name.partition('[')[0]} {'.'.join(version.split('.')[:2])}" in page
