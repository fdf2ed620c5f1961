"""With Langfuse: its client of the model, its decorator, and a flush before the return."""

from __future__ import annotations

from typing import Any

from bench_work import client, work
from langfuse import get_client, observe
from langfuse.openai import OpenAI

model = client(OpenAI)
langfuse = get_client()


@observe(name="handler")
def run(event: dict[str, Any]) -> dict[str, Any]:
    return work(model, event)


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    try:
        return run(event)
    finally:
        langfuse.flush()
