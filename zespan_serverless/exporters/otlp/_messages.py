"""Converts messages of any provider's format to OpenTelemetry's: a role, and parts that each have a type.

https://github.com/open-telemetry/semantic-conventions-genai, `gen-ai-input-messages.json` and its neighbours. A part of
an unknown type (a picture, a document) stays in the provider's format: OpenTelemetry allows any type.
"""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any

from ..._record.values import to_json

if TYPE_CHECKING:
    from ..._record.model import Model

    Part = dict[str, Any]

_ROLES = {"model": "assistant", "developer": "system", "chatbot": "assistant", "function": "tool"}
_TEXTS = frozenset(("text", "input_text", "output_text"))
_REASONING = frozenset(("thinking", "reasoning", "redacted_thinking"))
# Providers' names for parts about tools, and where such a part has the id, the name and the rest.
_CALLS = {
    "tool_use": ("id", "name", "input"),
    "toolUse": ("toolUseId", "name", "input"),
    "function_call": ("call_id", "name", "arguments"),
    "functionCall": ("id", "name", "args"),
    "tool_call": ("id", "name", "arguments"),
}
_RESULTS = {
    "tool_result": ("tool_use_id", "content"),
    "toolResult": ("toolUseId", "content"),
    "function_call_output": ("call_id", "output"),
    "function_response": ("id", "response"),
    "functionResponse": ("id", "response"),
    "tool_call_response": ("id", "response"),
}


def add(found: dict[str, Any], model: Model) -> None:
    """Add the messages of a model call to its attributes, as JSON text."""
    prompt, answer = model.prompt, model.answer
    if prompt.system:
        found["gen_ai.system_instructions"] = to_json([_text(prompt.system)])
    if prompt.messages:
        found["gen_ai.input.messages"] = to_json([message_of(one) for one in prompt.messages])
    elif prompt.text not in ("", "[]"):  # only text: it was redacted, cut, or read from the journal
        found["gen_ai.input.messages"] = to_json(input_of(prompt.text))
    calls = [_call(None, name, arguments) for name, arguments in _calls(answer.tools)]
    texts = [answer.text, *answer.others]
    choices = [[_text(text)] if text else [] for text in texts]
    choices[0] += calls
    if any(choices):
        reason = {"finish_reason": answer.finish_reason} if answer.finish_reason else {}
        said = [{"role": "assistant", "parts": parts, **reason} for parts in choices if parts]
        found["gen_ai.output.messages"] = to_json(said)


def input_of(text: str) -> list[Part]:
    """Parse messages from JSON text; any other text becomes a message of the user."""
    try:
        listed = json.loads(text)
    except (ValueError, RecursionError):
        listed = None
    if isinstance(listed, list) and listed and all(isinstance(one, dict) for one in listed):
        return [message_of(one) for one in listed]
    return [{"role": "user", "parts": [_text(text)]}]


def message_of(message: Any) -> Part:
    """Convert one message, or one similar item of a conversation."""
    if not isinstance(message, dict):
        return {"role": "user", "parts": [_part(message)]}
    role = str(message.get("role") or "").lower()
    content = message.get("content", message.get("parts"))
    calls = message.get("tool_calls")
    if not role:
        kind = _kind(message)
        role = "tool" if kind in _RESULTS else "assistant" if kind in _CALLS else "user"
    elif role == "tool" and "tool_call_id" in message:
        return {"role": role, "parts": [_result(message["tool_call_id"], content)]}
    parts = [_part(message)] if content is None and "tool_calls" not in message else _parts(content)
    for call in calls if isinstance(calls, list) else ():
        function = call.get("function") if isinstance(call, dict) else None
        if isinstance(function, dict):
            parts.append(_call(call.get("id"), function.get("name"), function.get("arguments")))
        else:
            parts.append(_part(call))
    return {"role": _ROLES.get(role, role), "parts": parts}


def _parts(content: Any) -> list[Part]:
    if content is None or content == "":
        return []
    return [_part(one) for one in content] if isinstance(content, list) else [_part(content)]


def _part(part: Any) -> Part:
    if not isinstance(part, dict):
        return _text(part if isinstance(part, str) else to_json(part))
    kind = _kind(part)
    if (kind is None or kind in _TEXTS) and isinstance(part.get("text"), str):
        return _text(part["text"])
    if kind in _REASONING:
        return {"type": "reasoning", "content": part.get("thinking") or part.get("text") or to_json(part)}
    # Some providers name the type in a field, others have one field with that name.
    name, held = (kind, part) if kind is not None else next(iter(part.items()), ("", part))
    if name in _CALLS and isinstance(held, dict):
        at, called, arguments = _CALLS[name]
        return _call(held.get(at), held.get(called), held.get(arguments, held.get("args")))
    if name in _RESULTS and isinstance(held, dict):
        at, result = _RESULTS[name]
        return _result(held.get(at), held.get(result))
    return {"type": str(name or "unknown"), **{key: value for key, value in part.items() if key != "type"}}


def _kind(part: Part) -> str | None:
    kind = part.get("type")
    return kind if isinstance(kind, str) else None


def _text(text: str) -> Part:
    return {"type": "text", "content": text}


def _call(id: Any, name: Any, arguments: Any) -> Part:
    if isinstance(arguments, str):
        with contextlib.suppress(ValueError, RecursionError):  # it may be cut, or redacted
            arguments = json.loads(arguments)
    return {"type": "tool_call", "id": id, "name": name, "arguments": arguments}


def _result(id: Any, content: Any) -> Part:
    return {"type": "tool_call_response", "id": id, "response": content}


def _calls(tools: dict[str, Any]) -> list[tuple[str, Any]]:
    """Yield (name, arguments) of each call; the arguments of several calls of one tool are a list."""
    calls: list[tuple[str, Any]] = []
    for name, arguments in tools.items():
        calls += [(name, one) for one in arguments] if isinstance(arguments, list) else [(name, arguments)]
    return calls
