"""The generated parts of docs/providers/: each page's own examples, run through the real SDK against a stand-in.

python -m tests.providers.pages           write them
python -m tests.providers.pages litellm   write that of LiteLLM, in the environment frameworks/agents
"""

from __future__ import annotations

import gc
import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

from tests.documentation import DOCS, blocks, run
from zespan_serverless import flush, providers, testing, zespan_lambda
from zespan_serverless.providers._pricing import _SECTIONS as PRICED
from zespan_serverless.providers.openai._addresses import _PROVIDERS as PROVIDERS
from zespan_serverless.providers.openai._addresses import UNKNOWN_PROVIDER, provider_at

from .apis import APIS
from .apis.api import QUESTION, Api
from .endpoint import Endpoint, Json, Reply, serving, whole

BEGIN, END = "<!-- begin: python -m tests.providers.pages -->\n", "<!-- end -->\n"
FIELDS = (
    *("span_kind", "operation", "provider", "model", "input_tokens", "cached_tokens", "output_tokens"),
    *("reasoning_tokens", "cost_usd", "finish_reason", "system_prompt", "prompt_text", "completion_text"),
    *("tools_used", "tool_call_args"),
)
KEYS = (
    *("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GROQ_API_KEY", "MISTRAL_API_KEY", "CO_API_KEY", "GEMINI_API_KEY"),
    *("AZURE_OPENAI_API_KEY", "OPENROUTER_API_KEY", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
)


@dataclass
class Page:
    """A page: its API for the examples, the methods that it lists, and how its client is led to the stand-in.

    `given` are variables of the environment, `replaced` texts of the examples; `{url}` in them is the stand-in.
    `answer` replaces texts of what that answers.
    """

    api: str
    methods: dict[str, tuple[str, ...]]
    given: dict[str, str] = field(default_factory=dict)
    replaced: dict[str, str] = field(default_factory=dict)
    answer: dict[str, str] = field(default_factory=dict)


STAINLESS_CHAT = ("chat.completions.create", "chat.completions.parse", "chat.completions.stream")
PAGES = {
    "openai": Page(
        "openai chat",
        {
            "openai chat": STAINLESS_CHAT,
            "openai responses": ("responses.create", "responses.parse", "responses.stream"),
            "openai completions": ("completions.create",),
            "openai embeddings": ("embeddings.create",),
            "openai images": ("images.generate", "images.edit", "images.create_variation"),
            "openai moderations": ("moderations.create",),
            "openai transcriptions": (
                *("audio.transcriptions.create", "audio.translations.create", "audio.speech.create"),
            ),
        },
        {"OPENAI_BASE_URL": "{url}/v1"},
    ),
    "azure-openai": Page(
        "openai chat",
        {},
        {"AZURE_OPENAI_ENDPOINT": "{url}", "OPENAI_API_VERSION": "2025-04-01-preview"},
    ),
    "openai-compatible": Page(
        "openai chat",
        {},
        replaced={"https://openrouter.ai/": "{url}/openrouter.ai/"},
        answer={'"total_tokens": 50': '"total_tokens": 50, "cost": 0.00042'},
    ),
    "anthropic": Page(
        "anthropic messages",
        {"anthropic messages": ("messages.create", "messages.stream", "messages.parse", "beta.messages.create")},
        {"ANTHROPIC_BASE_URL": "{url}"},
    ),
    "bedrock": Page(
        "bedrock converse",
        {
            "bedrock converse": ("converse", "converse_stream"),
            "bedrock invoke_model": ("invoke_model", "invoke_model_with_response_stream"),
            "bedrock images": ("invoke_model",),
        },
        {"AWS_ENDPOINT_URL_BEDROCK_RUNTIME": "{url}", "AWS_DEFAULT_REGION": "eu-central-1"},
    ),
    "google": Page(
        "google generate_content",
        {
            "google generate_content": ("models.generate_content", "models.generate_content_stream", "chats.create"),
            "google embed_content": ("models.embed_content",),
            "google images": ("models.generate_images", "models.edit_image", "models.upscale_image"),
            "google interactions": ("interactions.create",),
        },
        {"GOOGLE_GEMINI_BASE_URL": "{url}"},
    ),
    "mistral": Page(
        "mistral chat",
        {
            "mistral chat": (
                *("chat.complete", "chat.stream", "chat.parse", "agents.complete", "agents.stream", "fim.complete"),
                "fim.stream",
            )
        },
        replaced={"Mistral(api_key": 'Mistral(server_url="{url}", api_key'},
        answer={"a-model": "mistral-small-latest"},
    ),
    "cohere": Page(
        "cohere chat",
        {"cohere chat": ("chat", "chat_stream"), "cohere rerank": ("rerank",)},
        replaced={"ClientV2()": 'ClientV2(base_url="{url}")'},  # CO_API_URL is read when cohere is imported
    ),
    "groq": Page(
        "groq chat",
        {"groq chat": ("chat.completions.create",)},
        {"GROQ_BASE_URL": "{url}"},
        answer={"a-model": "openai/gpt-oss-120b"},
    ),
    "litellm": Page("anthropic messages", {}, {"ANTHROPIC_API_BASE": "{url}"}),
}


def generated(name: str) -> str:
    """Return the part of a page that is not written by hand."""
    page = PAGES[name]
    with _environment(), serving(lambda path, request: _reply(page, path, request)) as endpoint:
        os.environ.update({key: value.format(url=endpoint.url) for key, value in page.given.items()})
        calls = _events(name, endpoint, page)
        endpoint.reply = _refuse
        asked = len(endpoint.requests)
        raised, refused = _refusal(name, endpoint, page)
        tries = len(endpoint.requests) - asked
    parts = [_table_of_methods(page)] if page.methods else []
    parts += [_table_of_addresses()] if name == "openai-compatible" else []
    parts += [_table_of_fields(*calls), _table_of_refusal(raised, refused, tries)]
    return "\n".join(parts)


def _reply(page: Page, path: str, request: Json) -> Reply:
    api = APIS[page.api]
    status, headers, pieces = api.reply(path, request)
    for text, other in page.answer.items():
        pieces = [piece and piece.replace(text.encode(), other.encode()) for piece in pieces]
    return status, headers, pieces


def _refuse(path: str, request: Json) -> Reply:
    refusal: Json = {"error": {"message": "too many requests", "code": 429, "status": "RESOURCE_EXHAUSTED"}}
    return whole({**refusal, "message": "too many requests", "id": "e"}, 429, x_amzn_errortype="ThrottlingException")


def _module(name: str, endpoint: Endpoint, page: Page) -> tuple[Any, str]:
    first, second = blocks((DOCS / "providers" / f"{name}.md").read_text())[:2]
    for text, other in page.replaced.items():
        first = first.replace(text, other.format(url=endpoint.url))
    return run(first), second


def _events(name: str, endpoint: Endpoint, page: Page) -> tuple[Json, Json]:
    """Return the events of both examples: an answer, and a stream in the same module."""
    module, second = _module(name, endpoint, page)
    namespace = dict(vars(module))
    exec(compile(second, "second", "exec"), namespace)
    streaming = zespan_lambda(lambda event, context: namespace["stream"](event["prompt"]))
    with testing.recording() as events:
        assert module.handler({"prompt": QUESTION}, testing.LambdaContext())
        assert streaming({"prompt": QUESTION}, testing.LambdaContext())
        flush(5)
    answer, streamed = (event for event in events if event["span_kind"] == "llm")
    assert (answer["stream"], streamed["stream"]) == (False, True)
    _close(module)
    return answer, streamed


def _refusal(name: str, endpoint: Endpoint, page: Page) -> tuple[BaseException, Json]:
    """Return what is raised where the provider answers 429 again and again, and the event of that."""
    module, _ = _module(name, endpoint, page)
    caught: BaseException | None = None
    with testing.recording() as events, mock.patch.object(time, "sleep"):  # not for the pauses of the SDK
        try:
            module.handler({"prompt": QUESTION}, testing.LambdaContext())
        except Exception as error:
            caught = error
        flush(5)
    assert caught is not None
    (call,) = [event for event in events if event["span_kind"] == "llm"]
    _close(module)
    return caught, call


def _close(module: Any) -> None:
    close = getattr(getattr(module, "client", None), "close", None)
    if close is not None:
        close()
    gc.collect()


@contextmanager
def _environment() -> Iterator[None]:
    with mock.patch.dict(os.environ, {**dict.fromkeys(KEYS, "k"), "ZESPAN_ENABLED": "1"}):
        yield
    testing.reset()


# ---------------------------------------------------------------------- Markdown


def _table_of_methods(page: Page) -> str:
    lines = ["| API | Methods | Kind | Numbers in the event |", "| --- | --- | --- | --- |"]
    for name, methods in page.methods.items():
        api = APIS[name]
        lines.append(f"| {name} | {_quoted(methods)} | `{api.event['span_kind']}` | {_quoted(_numbers(api))} |")
    return "\n".join(lines) + "\n"


def _table_of_addresses() -> str:
    lines = ["| `base_url` ends with, before the path | `provider` | Costs |", "| --- | --- | --- |"]
    for address, provider in PROVIDERS.items():
        lines.append(f"| `{address}` | `{provider}` | {'from the table of prices' if provider in PRICED else ''} |")
    lines.append(f"| this machine, an IP address, a private network | `{UNKNOWN_PROVIDER}` | as OpenAI's |")
    lines.append(f"| any other, such as `api.together.xyz` | `{provider_at('https://api.together.xyz/v1')}` | |")
    return "\n".join(lines) + "\n"


def _numbers(api: Api) -> list[str]:
    fields = [name for name, value in api.event.items() if isinstance(value, (int, float)) and name != "cost_usd"]
    return [*fields, *api.usage]


def _quoted(names: Any) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _table_of_fields(answer: Json, streamed: Json) -> str:
    lines = ["What the events of the two examples contain, when a stand-in for the provider answers:", ""]
    lines += ["| Field of the event | Answer | Stream |", "| --- | --- | --- |"]
    more, more_streamed = (event.get("metadata") or {} for event in (answer, streamed))
    metadata = [name for name in {**more, **more_streamed} if name != "gen_ai.response.time_to_first_chunk"]
    for name in (*FIELDS, *metadata):
        one, other = _shown({**more, **answer}.get(name)), _shown({**more_streamed, **streamed}.get(name))
        if one or other:
            where = f"`metadata`: `{name}`" if name in metadata else f"`{name}`"
            lines.append(f"| {where} | {one} | {'the same' if one == other else other} |")
    lines.append("| `ttft_ms`, `metadata`: `gen_ai.response.time_to_first_chunk` | | measured |")
    return "\n".join(lines) + "\n"


def _shown(value: Any) -> str:
    if value is None or value == "":
        return ""
    if isinstance(value, float):
        return f"`{value:.8f}`"
    text = value if isinstance(value, str) else json.dumps(value)
    return f"`{text}`"


def _table_of_refusal(raised: BaseException, event: Json, tries: int) -> str:
    kind = type(raised)
    metadata = event.get("metadata") or {}
    rows = {
        "requests that the SDK makes": str(tries),
        "what your code gets": f"`{kind.__module__.partition('.')[0]}`'s `{kind.__name__}`",
        "`status`": f"`{event['status']}`",
        "`metadata`: `error.type`": _shown(metadata.get("error.type")),
        "`metadata`: `http.request.resend_count`": _shown(metadata.get("http.request.resend_count")) or "none",
    }
    lines = ["| If the provider answers 429 every time | |", "| --- | --- |"]
    return "\n".join([*lines, *(f"| {name} | {value} |" for name, value in rows.items())]) + "\n"


def page_of(name: str) -> str:
    """Return the whole page, its generated part made anew."""
    head, _, rest = (DOCS / "providers" / f"{name}.md").read_text().partition(BEGIN)
    return f"{head}{BEGIN}\n{generated(name)}\n{END}{rest.partition(END)[2]}"


def main(names: list[str]) -> None:
    """Write these pages."""
    providers.watch()
    for name in names or [name for name in PAGES if name != "litellm"]:
        page = page_of(name)
        (DOCS / "providers" / f"{name}.md").write_text(page)


if __name__ == "__main__":
    main(sys.argv[1:])
