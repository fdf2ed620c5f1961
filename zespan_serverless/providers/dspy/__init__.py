"""DSPy, which since version 3.4 calls most models by an HTTP client of its own, and the others by LiteLLM."""

from __future__ import annotations

from typing import Any

from ..._record.model import Answer
from .._fields import count_of, field, is_count, items, text_of
from .._request import Choke, Endpoint, Request
from .._stream import follow_generator

_PROVIDERS = {"gemini": "gcp.gemini", "google": "gcp.gemini", "vertex": "gcp.vertex_ai", "xai": "x_ai"}
_CACHE_IS_EXTRA = ("anthropic",)
"""Providers whose number of input tokens is without those that were read from a cache or written to one."""
_REASONING_IS_EXTRA = ("gemini", "google", "vertex", "xai")
"""Providers whose number of output tokens is without those of reasoning."""


class _Calls(Choke):
    """The methods of DSPy's engines that make one request."""

    classes = ("LM15Engine", "AsyncLM15Engine")

    def __init__(self, method: str) -> None:
        self.methods, self._is_stream = (method,), method == "stream"

    def read(self, owner: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Request | None:
        asked = kwargs.get("request", args[0] if args else None)
        first, _, model = text_of(asked, "model").partition("/")
        messages = [
            {"role": text_of(message, "role"), "content": _text_of(field(message, "parts"))}
            for message in items(field(asked, "messages"))
        ]
        system = field(asked, "system")
        return Request(
            _Native(first),
            _PROVIDERS.get(first, first),
            model,
            messages=messages,
            system=system if isinstance(system, str) else _text_of(system),
            tools=[tool for tool in items(field(asked, "tools")) if field(tool, "name")],
            stream=self._is_stream,
        )


class _Native(Endpoint):
    """Reads responses."""

    def __init__(self, provider: str) -> None:
        self._has_extra_cache = provider in _CACHE_IS_EXTRA
        self._has_extra_reasoning = provider in _REASONING_IS_EXTRA

    def answer(self, result: Any) -> Answer:
        answer = Answer()
        answer.model, answer.finish_reason = text_of(result, "model"), text_of(result, "finish_reason")
        parts = items(field(field(result, "message"), "parts"))
        answer.text = _text_of(parts)
        for part in parts:
            if field(part, "type") == "tool_call":
                answer.tool(text_of(part, "name"), field(part, "input"))
        self._count(answer, field(result, "usage"))
        return answer

    def _count(self, answer: Answer, usage: Any) -> None:
        answer.known = is_count(field(usage, "input_tokens"))
        answer.input_tokens, answer.output_tokens = count_of(usage, "input_tokens"), count_of(usage, "output_tokens")
        answer.reasoning_tokens = count_of(usage, "reasoning_tokens")
        answer.cached_tokens = count_of(usage, "cache_read_tokens")
        answer.cache_write_tokens = count_of(usage, "cache_write_tokens")
        if self._has_extra_cache:
            answer.input_tokens += answer.cached_tokens + answer.cache_write_tokens
        if self._has_extra_reasoning:
            answer.output_tokens += answer.reasoning_tokens

    def pieces(self) -> _Pieces:
        return _Pieces(self)

    def follow(self, call: Any, stream: Any) -> Any:
        return follow_generator(call, stream)


class _Pieces:
    """The events of a stream."""

    def __init__(self, endpoint: _Native) -> None:
        self._endpoint = endpoint
        self._model = self._finish_reason = ""
        self._usage: Any = None
        self._parts: dict[int, dict[str, Any]] = {}

    def add(self, chunk: Any) -> bool:
        self._model = text_of(chunk, "model") or self._model
        self._finish_reason = text_of(chunk, "finish_reason") or self._finish_reason
        self._usage = field(chunk, "usage") or self._usage
        delta = field(chunk, "delta")
        kind = text_of(delta, "type")
        if kind not in ("text", "tool_call"):
            return kind == "thinking"
        part = self._parts.setdefault(
            count_of(delta, "part_index"), {"type": kind, "name": "", "text": "", "input": ""}
        )
        part["name"] = part["name"] or text_of(delta, "name")
        part["text"] += text_of(delta, "text")
        part["input"] += text_of(delta, "input")
        return True

    def answer(self) -> Answer:
        parts = [part for _, part in sorted(self._parts.items())]
        return self._endpoint.answer(
            {
                "model": self._model,
                "finish_reason": self._finish_reason,
                "usage": self._usage,
                "message": {"parts": parts},
            }
        )


def _text_of(parts: Any) -> str:
    return "".join(text_of(part, "text") for part in items(parts) if field(part, "type") == "text")


CHOKES = (_Calls("complete"), _Calls("stream"))
