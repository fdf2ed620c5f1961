"""docs/providers/: each page's examples run through the real SDK, and the page says what came of it."""

from __future__ import annotations

import os
import re
from operator import attrgetter
from typing import Any

import pytest

from tests import environments
from tests.documentation import DOCS, blocks, run
from tests.documentation import PAGES as DOCUMENTED
from tests.providers.apis import APIS
from tests.providers.endpoint import serving
from tests.providers.pages import PAGES, page_of
from zespan_serverless import flush, init, providers, testing

ELSEWHERE = {"mcp"}  # tests/providers/mcp/ runs it
IGNORED = ("DeprecationWarning", "ResourceWarning", "pytest.PytestUnraisableExceptionWarning")
pytestmark = [pytest.mark.slow, *(pytest.mark.filterwarnings(f"ignore::{name}") for name in IGNORED)]


@pytest.mark.parametrize("name", [name for name in PAGES if name != "litellm"])
def test_the_page_says_what_the_event_of_its_example_has(name: str) -> None:
    """`python -m tests.providers.pages` would not change the page: fields, stream, and a provider that answers 429."""
    providers.watch()
    assert page_of(name) == DOCUMENTED[f"providers/{name}"]


@pytest.mark.host(seconds=15)
def test_the_page_of_litellm_says_what_the_event_of_its_example_has() -> None:
    """LiteLLM's packages are in another environment."""
    python = environments.installed("frameworks", "agents")
    environments.run(python, "tests.docs.litellm_page", LITELLM_LOCAL_MODEL_COST_MAP="True")


def test_each_provider_has_a_page() -> None:
    """The overview links to each, and each API that is traced is on one; each page has two examples."""
    pages = {path.stem for path in (DOCS / "providers").glob("*.md")}
    assert pages == {*PAGES, *ELSEWHERE}
    assert {name for page in PAGES.values() for name in page.methods} == set(APIS)
    assert set(re.findall(r"\]\(providers/([\w-]+)\.md\)", DOCUMENTED["models"])) == pages
    counts = {name: len(blocks(DOCUMENTED[f"providers/{name}"])) for name in PAGES}
    assert counts == {**dict.fromkeys(PAGES, 2), "openai": 3}


def test_the_example_of_the_responses_api_is_one_event(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the client of the page's first example."""
    first, _, third = blocks(DOCUMENTED["providers/openai"])
    with serving(APIS["openai responses"].reply) as endpoint:
        monkeypatch.setenv("OPENAI_BASE_URL", f"{endpoint.url}/v1")
        monkeypatch.setenv("OPENAI_API_KEY", "k")
        module = run(first + third)
        with testing.recording() as events, init():
            assert module.respond("Hi") == "Let me look."
            flush(5)
        module.client.close()
    (call,) = events
    assert (call["input_tokens"], call["output_tokens"], call["reasoning_tokens"]) == (30, 20, 8)


@pytest.mark.parametrize("name", APIS)
def test_the_sdk_has_the_methods_that_a_page_lists(name: str) -> None:
    """A method that the SDK has renamed would be listed for nothing."""
    os.environ.update(AWS_DEFAULT_REGION="eu-central-1")
    client: Any = APIS[name].connect("http://127.0.0.1:9", False)
    methods = [method for page in PAGES.values() for method in page.methods.get(name, ())]
    assert methods
    assert all(callable(attrgetter(method)(client)) for method in methods)
