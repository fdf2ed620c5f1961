"""Messages that are spread over attributes with numbers in their names, as OpenInference and OpenLLMetry have them:
`llm.input_messages.0.message.role`, `gen_ai.prompt.0.content`.
"""

from __future__ import annotations

import re
from typing import Any

from . import messages

Json = dict[str, Any]

_ASKED = ("llm.input_messages.", "gen_ai.prompt.")
_SAID = ("llm.output_messages.", "gen_ai.completion.")
_NUMBER = re.compile(r"[0-9]{1,4}")


def asked(attributes: Json) -> list[Json] | None:
    """Return the messages of a prompt; their attributes are removed."""
    return _messages(attributes, _ASKED)


def said(attributes: Json) -> list[Json] | None:
    """Return the messages of an answer; their attributes are removed."""
    return _messages(attributes, _SAID)


def tools(attributes: Json) -> list[Any] | None:
    """Return the definitions of tools; their attributes are removed."""
    found = [_plain(one) for one in _rows(attributes, "llm.tools.") + _rows(attributes, "llm.request.functions.")]
    return [one.get("tool.json_schema") or one.get("tool", {}).get("json_schema") or one for one in found] or None


def _messages(attributes: Json, prefixes: tuple[str, ...]) -> list[Json] | None:
    found: list[Json] = []
    for prefix in prefixes:
        for row in _rows(attributes, prefix):
            message = _plain(row)
            inner = message.get("message", message)
            if isinstance(inner, dict):
                found.append(_message(inner))
    return messages.listed(found)


def _message(given: Json) -> Json:
    calls = given.get("tool_calls")
    content = given.get("content", given.get("contents"))
    if isinstance(content, list):
        content = [_content(one) for one in content]
    message: Json = {"role": given.get("role") or "assistant", "content": content}
    if given.get("tool_call_id"):
        message["tool_call_id"] = given["tool_call_id"]
    if isinstance(calls, list) and calls:
        message["tool_calls"] = [_call(one) for one in calls if isinstance(one, dict)]
    return message


def _content(part: Any) -> Any:
    return part.get("message_content", part) if isinstance(part, dict) else part


def _call(call: Json) -> Json:
    inner = call.get("tool_call", call)
    inner = inner if isinstance(inner, dict) else {}
    function = inner.get("function", inner)
    function = function if isinstance(function, dict) else {}
    return {"id": inner.get("id"), "function": {"name": function.get("name"), "arguments": function.get("arguments")}}


def _rows(attributes: Json, prefix: str) -> list[Json]:
    """Return the attributes with this prefix as trees, one for each first number; they are removed."""
    root: Json = {}
    for name in [name for name in attributes if name.startswith(prefix)]:
        value, keys = attributes[name], name[len(prefix) :].split(".")
        if len(keys) > 12 or not _NUMBER.fullmatch(keys[0]):
            continue
        del attributes[name]
        node = root
        for key in keys[:-1]:
            below = node.get(key)
            if not isinstance(below, dict):
                below = node[key] = {}
            node = below
        node.setdefault(keys[-1], value)
    return [node for _, node in sorted(root.items(), key=lambda pair: int(pair[0])) if isinstance(node, dict)]


def _plain(tree: Any) -> Any:
    """Return a tree whose nodes with numbers only are lists."""
    if not isinstance(tree, dict):
        return tree
    if tree and all(_NUMBER.fullmatch(key) for key in tree):
        return [_plain(tree[key]) for key in sorted(tree, key=int)]
    return {key: _plain(value) for key, value in tree.items()}
