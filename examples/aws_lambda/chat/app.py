"""A chat behind an HTTP API or a function URL. It asks a model on behalf of the user that the authorizer names."""

import base64
import json
from typing import Any

from openai import OpenAI
from openai.types.chat import ChatCompletionMessageParam

from zespan_serverless import with_context, zespan_lambda

# Two attempts end within the function's timeout of 30 s; OpenAI's defaults are three attempts of ten minutes each.
# One client per container; OPENAI_API_KEY and OPENAI_BASE_URL come from the environment.
client = OpenAI(timeout=12, max_retries=1)


@zespan_lambda
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    request = posted(event) if "requestContext" in event else event  # from an HTTP API, or a direct invocation
    if not isinstance(request.get("prompt"), str):
        return response(400, {"error": 'the body must be JSON: {"prompt": "..."}'})
    with with_context(user_id=user(event) or request.get("user"), session_id=request.get("session")):
        return response(200, {"answer": ask(request["prompt"], stream=bool(request.get("stream")))})


def ask(prompt: str, *, stream: bool) -> str:
    messages: list[ChatCompletionMessageParam] = [{"role": "user", "content": prompt}]
    if stream:
        chunks = client.chat.completions.create(
            model="gpt-4o",
            messages=messages,
            stream=True,
            stream_options={"include_usage": True},  # otherwise OpenAI does not count a stream's tokens
        )
        return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    answer = client.chat.completions.create(model="gpt-4o", messages=messages)
    return answer.choices[0].message.content or ""


def user(event: dict[str, Any]) -> str | None:
    """The user, as a JWT authorizer has it. With IAM, the caller is a service, which names its user in the body."""
    authorizer = event.get("requestContext", {}).get("authorizer", {})
    subject: str | None = authorizer.get("jwt", {}).get("claims", {}).get("sub")
    return subject


def posted(event: dict[str, Any]) -> dict[str, Any]:
    """The JSON object in the body of the request; empty if there is no body."""
    body = event.get("body") or ""  # a REST API sends null if there is none
    try:
        content = json.loads(base64.b64decode(body) if event.get("isBase64Encoded") else body)
    except (ValueError, RecursionError):  # RecursionError: ten thousand nested brackets
        return {}
    return content if isinstance(content, dict) else {}


def response(status: int, content: dict[str, Any]) -> dict[str, Any]:
    return {"statusCode": status, "headers": {"content-type": "application/json"}, "body": json.dumps(content)}
