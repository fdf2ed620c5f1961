"""Converts content to OpenTelemetry's messages: a role, and parts that each have a type; or to text."""

from __future__ import annotations

import json
from typing import Any

from zespan_serverless.exporters.otlp._messages import input_of

Message = dict[str, Any]


def asked(system: Any, prompt: Any) -> list[Message] | None:
    """Return the messages of a prompt, which is the text of any provider's JSON, behind the system's."""
    found = [_message("system", system)] if system else []
    if isinstance(prompt, str) and prompt not in ("", "[]"):
        found += input_of(prompt)
    return found or None


def said(answer: Any, calls: Any) -> list[Message] | None:
    """Return the messages of an answer: its text, or the texts of several choices, and its tool calls by name."""
    found = [_message("assistant", text) for text in _choices(answer)]
    named = document(calls) if isinstance(calls, str) else calls
    parts: list[Message] = [
        {"type": "tool_call", "id": None, "name": name, "arguments": _arguments(one)}
        for name, arguments in (named.items() if isinstance(named, dict) else ())
        for one in (arguments if isinstance(arguments, list) else [arguments])
    ]
    if parts and found:
        found[0]["parts"] += parts
    elif parts:
        found = [{"role": "assistant", "parts": parts}]
    return found or None


def plain(value: Any) -> str | None:
    """Return the input or output of a tool or step, as text."""
    if value is None or value == "":
        return None
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def listed(value: Any) -> list[Message] | None:
    """Messages that are in OpenTelemetry's form or in a provider's already; None if these are none."""
    found = document(value) if isinstance(value, str) else value
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found) or not found:
        return None
    if all("role" in one and isinstance(one.get("parts"), list) for one in found):
        return found
    return input_of(json.dumps(found))


def instructions(value: Any) -> list[Message]:
    """OpenTelemetry's instructions to the system, which are parts without a role."""
    found = document(value) if isinstance(value, str) else value
    if isinstance(found, list) and found and all(isinstance(one, dict) for one in found):
        return [{"role": "system", "parts": found}]
    return [_message("system", value)] if isinstance(value, str) and value else []


def _message(role: str, content: Any) -> Message:
    return {"role": role, "parts": [{"type": "text", "content": plain(content) or ""}]}


def _choices(answer: Any) -> list[str]:
    if not isinstance(answer, str) or not answer:
        return []
    found = document(answer) if answer.startswith('["') else None
    return found if isinstance(found, list) and all(isinstance(one, str) for one in found) else [answer]


def _arguments(value: Any) -> Any:
    found = document(value) if isinstance(value, str) else value
    return value if found is None else found


def document(text: str) -> Any:
    """Return the JSON value of a text; None if it is not JSON."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
