"""Fails if the page of LiteLLM is not what its examples make of it. Runs where LiteLLM is installed."""

from __future__ import annotations

from tests.documentation import PAGES
from tests.providers.pages import page_of
from zespan_serverless import providers

if __name__ == "__main__":
    providers.watch()
    assert page_of("litellm") == PAGES["providers/litellm"]
