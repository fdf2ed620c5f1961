"""Asks a model that may never answer, and answers in its place."""

from __future__ import annotations

from typing import Any

import openai

from zespan_serverless import time_left, zespan_lambda

client = openai.OpenAI()
responses = client.responses  # imports what the first call would


@zespan_lambda
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Without the cap OpenAI's client waits for ten minutes, three times."""
    try:
        responses.create(model="gpt-5-mini", input="?")
    except openai.APITimeoutError as error:
        return {"error": type(error).__name__, "left": time_left()}
    return {"error": None, "left": time_left()}
