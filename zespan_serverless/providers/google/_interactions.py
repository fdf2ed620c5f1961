"""Interactions: reads requests, answers and the events of a stream.

The generated class is traced: the public one calls it once for each request, also to continue an answer.
"""

from __future__ import annotations

from typing import Any

from ..._record.model import Answer
from .._fields import as_text, count_of, field, held_by, is_count, items, text_of, texts_of
from .._request import Choke, Endpoint, Request
from ._generate import count_kinds, provider_of

_RAW_HEADER = "x-google-genai-response-mode"
_ROLES = {"user_input": "user", "function_result": "tool"}  # whose step it is, if not the model's


class Create(Choke):
    """Calls that create an interaction. It has no `paths`: to import them takes the SDK half a second."""

    classes = ("Interactions", "AsyncInteractions")
    methods = ("create",)
    paths = ()

    def read(self, owner: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Request | None:
        get = held_by(field(kwargs.get("request"), "body") or kwargs).get
        agent = as_text(get("agent"))
        request = Request(
            RUN if agent else CREATE,
            provider_of(owner),
            agent or get("model") or "unknown",
            messages=_messages(get("input")),
            system=get("system_instruction"),
            tools=[tool for tool in items(get("tools")) if field(tool, "name")],
            stream=get("stream"),
        )
        mode = (kwargs.get("extra_headers") or {}).get(_RAW_HEADER)
        request.raw = "stream" if mode == "streaming" else mode
        return request


def _messages(given: Any) -> list[dict[str, Any]]:
    """Return the input as messages: a text, a content, or a list of contents or of steps."""
    messages: list[dict[str, Any]] = []
    for one in items(given) or ([] if given is None else [given]):
        kind, content = text_of(one, "type"), field(one, "content")
        role = _ROLES.get(kind, "user" if content is None and not kind.endswith("_call") else "model")
        messages.append({"role": role, "content": content or (one if isinstance(one, str) else [one])})
    return messages


class Interaction(Endpoint):
    """Reads interactions. One in the background has neither tokens nor text yet."""

    def __init__(self, kind: str, operation: str) -> None:
        self.kind, self.operation = kind, operation

    def answer(self, result: Any) -> Answer:
        answer = Answer()
        read_end(answer, result)
        steps = items(field(result, "steps"))
        answer.text = "".join(text for step in steps for text in _texts_of(step))
        for step in steps:
            if field(step, "type") == "function_call":
                answer.tool(text_of(step, "name"), field(step, "arguments"))
        return answer

    def pieces(self) -> Events:
        return Events()

    def follow(self, call: Any, stream: Any) -> Any:
        from .._stream import read_along

        stream.generator = read_along(call, stream.generator, stream.response)
        return stream


def _texts_of(step: Any) -> list[str]:
    return texts_of(step) if field(step, "type") == "model_output" else []


CREATE, RUN = Interaction("llm", "generate_content"), Interaction("agent", "invoke_agent")


def read_end(answer: Answer, interaction: Any) -> None:
    """Read all but the steps: model, status, and numbers of tokens."""
    answer.model = text_of(interaction, "model") or text_of(interaction, "agent") or answer.model
    answer.tier = text_of(interaction, "service_tier") or answer.tier
    answer.finish_reason = text_of(interaction, "status") or answer.finish_reason
    if answer.finish_reason == "failed":
        problems = (text_of(one, "message") for one in items(field(interaction, "errors")))
        answer.error = next(filter(None, problems), "failed")
    usage = field(interaction, "usage")
    if not is_count(field(usage, "total_input_tokens")):
        return
    answer.known = True
    answer.reasoning_tokens = count_of(usage, "total_thought_tokens")
    answer.input_tokens = count_of(usage, "total_input_tokens") + count_of(usage, "total_tool_use_tokens")
    answer.output_tokens = count_of(usage, "total_output_tokens") + answer.reasoning_tokens
    answer.cached_tokens = count_of(usage, "total_cached_tokens")
    answer.usage.clear()  # of a stream, the last event counts
    kinds = ("input_tokens_by_modality", "tool_use_tokens_by_modality")
    count_kinds(answer, usage, "input_tokens", *kinds, number="tokens")
    count_kinds(answer, usage, "cache_read.input_tokens", "cached_tokens_by_modality", number="tokens")
    count_kinds(answer, usage, "output_tokens", "output_tokens_by_modality", number="tokens")


class Events:
    """The events of one stream."""

    def __init__(self) -> None:
        self._answer = Answer()
        self._texts: list[str] = []
        self._tools: dict[Any, tuple[str, Any, list[str]]] = {}  # by the index of their step: name, arguments, pieces

    def add(self, chunk: Any) -> bool:
        kind = text_of(chunk, "event_type")
        if kind == "step.delta":
            return self._extend(field(chunk, "index"), held_by(field(chunk, "delta")))
        if kind == "step.start":
            return self._begin(field(chunk, "index"), field(chunk, "step"))
        if kind == "error":
            self._answer.error = text_of(field(chunk, "error"), "message") or kind
        elif kind.startswith("interaction."):
            read_end(self._answer, field(chunk, "interaction") or chunk)
        return False

    def answer(self) -> Answer:
        answer = self._answer
        answer.text = "".join(self._texts)
        for name, given, pieces in self._tools.values():
            answer.tool(name, "".join(pieces) or given)
        self._tools = {}
        answer.finish_reason = answer.finish_reason.removeprefix("in_progress")  # of a stream that has no end
        return answer

    def _begin(self, index: Any, step: Any) -> bool:
        texts = _texts_of(step)
        self._texts += texts
        if field(step, "type") == "function_call":
            self._tools[index] = (text_of(step, "name"), field(step, "arguments") or {}, [])
        return any(texts) or text_of(step, "type").endswith("_call")

    def _extend(self, index: Any, delta: Any) -> bool:
        text, arguments = as_text(delta.get("text")), as_text(delta.get("arguments"))
        self._texts.append(text)
        if index in self._tools:
            self._tools[index][2].append(arguments)
        return bool(text or arguments or delta.get("type") in ("thought_summary", "image", "audio", "video"))
