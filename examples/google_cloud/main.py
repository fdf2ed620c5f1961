"""Functions on Google Cloud: a chat that streams its answer, and a worker on a Pub/Sub topic."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import functions_framework
from openai import OpenAI

from zespan_serverless import span, with_context, zespan_cloud_event, zespan_gcf

if TYPE_CHECKING:
    from cloudevents.http import CloudEvent
    from flask import Request

client = OpenAI()  # one per instance; OPENAI_API_KEY and OPENAI_BASE_URL come from the environment


@functions_framework.http
@zespan_gcf
def chat(request: Request) -> Any:
    """POST {"prompt": "..."}: the answer, as the model writes it."""
    posted = request.get_json(silent=True)
    if not isinstance(posted, dict) or not isinstance(posted.get("prompt"), str):
        return {"error": 'the body must be JSON: {"prompt": "..."}'}, 400
    return answer(posted["prompt"], posted.get("user")), 200, {"content-type": "text/plain; charset=utf-8"}


def answer(prompt: str, user: str | None) -> Iterator[str]:
    """Runs while the response is sent. Its model call belongs to the trace of the request."""
    with with_context(user_id=user):
        chunks = client.chat.completions.create(
            model="gpt-4o",
            messages=[{"role": "user", "content": prompt}],
            stream=True,
            stream_options={"include_usage": True},  # otherwise OpenAI does not count a stream's tokens
        )
        for chunk in chunks:
            if chunk.choices:
                yield chunk.choices[0].delta.content or ""


@functions_framework.cloud_event
@zespan_cloud_event
def summarize(event: CloudEvent) -> None:
    """Handles a message of the topic: {"text": "..."}. After an exception Pub/Sub delivers it again."""
    text = json.loads(base64.b64decode(event.data["message"]["data"]))["text"]
    with span("summarize", kind="agent"):
        summary = client.chat.completions.create(
            model="gpt-4o-mini", messages=[{"role": "user", "content": f"Sum this up in a sentence: {text}"}]
        )
    print(json.dumps({"severity": "INFO", "message": summary.choices[0].message.content}))
