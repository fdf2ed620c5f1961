"""A function without the decorator: everything is called by hand."""

from __future__ import annotations

import os
from typing import Any

import zespan_serverless
from zespan_serverless import capture, flush, init, shutdown, with_context

init(environment="staging")


def handler(event: Any, context: Any) -> dict[str, Any]:
    with with_context(user_id="ada"):
        capture({"span_kind": "llm", "operation": "chat"})
    if (event or {}).get("exit"):
        os._exit(1)
    report = flush()
    return {"delivered": report.delivered, "pending": report.pending}


def handler_that_shuts_down(event: Any, context: Any) -> dict[str, Any]:
    capture({"span_kind": "llm", "operation": "chat"})
    report = shutdown()
    capture({"span_kind": "llm", "operation": "chat"})
    return {"delivered": report.delivered, "pending": report.pending, "after": flush().delivered}


def chat(client: Any) -> str | None:
    messages: Any = [{"role": "user", "content": "hello"}]
    completion = client.chat.completions.create(model="gpt-4o-mini", messages=messages)
    flush()
    content: str | None = completion.choices[0].message.content
    return content


if os.environ.get("PATCH") == "patch_openai":
    zespan_serverless.patch_openai()


def handler_with_model(event: Any, context: Any) -> str | None:
    from openai import OpenAI

    return chat(OpenAI())


def handler_with_wrapped_client(event: Any, context: Any) -> str | None:
    from openai import OpenAI

    return chat(zespan_serverless.wrap_openai(OpenAI()))
