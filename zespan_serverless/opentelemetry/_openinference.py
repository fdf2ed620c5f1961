"""Translates OpenInference's attributes, which Phoenix's instrumentations write, to OpenTelemetry's names.

https://arize-ai.github.io/openinference/spec/semantic_conventions.html. A list has one attribute for each of its
values, such as `llm.input_messages.0.message.role`.
"""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

KIND = "openinference.span.kind"
_OPERATIONS = {
    "LLM": "chat",
    "EMBEDDING": "embeddings",
    "TOOL": "execute_tool",
    "AGENT": "invoke_agent",
    "RETRIEVER": "retrieval",
}
_NAMES = {
    "llm.model_name": "gen_ai.request.model",
    "embedding.model_name": "gen_ai.request.model",
    "llm.finish_reason": "gen_ai.response.finish_reasons",
    "llm.token_count.prompt": "gen_ai.usage.input_tokens",
    "llm.token_count.completion": "gen_ai.usage.output_tokens",
    "llm.token_count.prompt_details.cache_read": "gen_ai.usage.cache_read.input_tokens",
    "llm.token_count.prompt_details.cache_write": "gen_ai.usage.cache_creation.input_tokens",
    "llm.token_count.completion_details.reasoning": "gen_ai.usage.reasoning.output_tokens",
    "tool.name": "gen_ai.tool.name",
    "agent.name": "gen_ai.agent.name",
}
_LISTS = ("llm.input_messages.", "llm.output_messages.", "llm.tools.", "embedding.embeddings.", "retrieval.documents.")
_SAID_ELSEWHERE = (KIND, "input.mime_type", "output.mime_type", "llm.token_count.total", "llm.cost.")


def translated(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return a span's attributes with OpenTelemetry's names, if OpenInference has written them; others stay."""
    if KIND not in attributes:
        return dict(attributes)
    operation = _OPERATIONS.get(str(attributes[KIND]).upper())
    made = {_NAMES.get(name, name): value for name, value in attributes.items() if not _is_moved(name)}
    if operation is None:
        return made
    made["gen_ai.operation.name"] = operation
    asked, answered = made.pop("input.value", None), made.pop("output.value", None)
    tree = _tree(attributes)
    if operation in ("chat", "embeddings"):
        made["gen_ai.provider.name"] = made.pop("llm.provider", None) or made.pop("llm.system", None)
        texts = [_part(one, "embedding").get("text") for one in _list(tree, "embedding", "embeddings")]
        sent = texts or [_message(one) for one in _list(tree, "llm", "input_messages")]
        got = [_message(one) for one in _list(tree, "llm", "output_messages")]
        made["gen_ai.input.messages"] = _json(sent or asked)
        made["gen_ai.output.messages"] = _json(got or answered) if operation == "chat" else None
        made["gen_ai.tool.definitions"] = _json([_tool(one) for one in _list(tree, "llm", "tools")])
    elif operation == "execute_tool":
        made["gen_ai.tool.call.arguments"], made["gen_ai.tool.call.result"] = asked, answered
    elif operation == "retrieval":
        made["gen_ai.retrieval.query.text"] = asked
        made["gen_ai.retrieval.documents"] = _json(
            [one.get("document") for one in _list(tree, "retrieval", "documents")]
        )
    return {name: value for name, value in made.items() if value is not None}


def _is_moved(name: str) -> bool:
    return name.startswith(_LISTS) or name.startswith(_SAID_ELSEWHERE)


def _tree(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the attributes of lists as nested dicts, whose keys are the parts of the names."""
    tree: dict[str, Any] = {}
    for name, value in attributes.items():
        if name.startswith(_LISTS):
            *path, last = name.split(".")
            at = tree
            for part in path:
                inner = at.get(part)
                at[part] = at = inner if isinstance(inner, dict) else {}
            at[last] = value
    return tree


def _list(tree: Any, *path: str) -> list[dict[str, Any]]:
    """Return the values of a list, in order."""
    for part in path:
        tree = tree.get(part) if isinstance(tree, dict) else None
    numbered = tree.items() if isinstance(tree, dict) else ()
    entries = [(key.zfill(9), value) for key, value in numbered if key.isdecimal() and isinstance(value, dict)]
    return [value for _, value in sorted(entries, key=lambda entry: entry[0])]


def _message(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return a message in the providers' format."""
    found = _part(entry, "message")
    made: dict[str, Any] = {name: found[name] for name in ("role", "content", "name", "tool_call_id") if name in found}
    texts = [_part(part, "message_content").get("text") for part in _list(found, "contents")]
    if texts:
        made.setdefault("content", "\n".join(text for text in texts if isinstance(text, str)))
    calls = [call.get("tool_call") for call in _list(found, "tool_calls")]
    if calls:
        made["tool_calls"] = calls
    return made


def _tool(entry: Mapping[str, Any]) -> Any:
    """Return the definition of a tool, which is JSON text."""
    given: Any = _part(entry, "tool").get("json_schema")
    with suppress(TypeError, ValueError, RecursionError):
        given = json.loads(given)
    return given["function"] if isinstance(given, dict) and isinstance(given.get("function"), dict) else given


def _part(entry: Mapping[str, Any], name: str) -> dict[str, Any]:
    found = entry.get(name)
    return found if isinstance(found, dict) else {}


def _json(value: Any) -> str | None:
    return json.dumps(value, default=str) if value else None
