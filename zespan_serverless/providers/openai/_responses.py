"""The Responses API: reads requests, answers and the events of a stream."""

from __future__ import annotations

from typing import Any

from ..._record.model import Answer
from .._fields import field, items, text_of
from .._request import Request
from .._stainless import StainlessEndpoint
from ._addresses import provider_of
from ._usage import count

_FINISH = {"max_output_tokens": "length"}  # other reasons of an incomplete answer keep their names
_CALLS = ("function_call", "custom_tool_call")


class Responses(StainlessEndpoint):
    """Reads responses. One that is made in the background has neither tokens nor text yet."""

    def request_of(self, client: Any, body: dict[str, Any], headers: Any) -> Request:
        """Return the request. Its input is a text, or items of which messages are the most common."""
        given = body.get("input")
        return Request(
            self,
            provider_of(client),
            body.get("model", "unknown"),
            messages=[{"role": "user", "content": given}] if isinstance(given, str) else given,
            system=body.get("instructions"),
            tools=[tool for tool in items(body.get("tools")) if field(tool, "name")],
            stream=body.get("stream"),
            headers=headers,
        )

    def answer(self, result: Any) -> Answer:
        answer = Answer()
        answer.model, answer.tier = text_of(result, "model"), text_of(result, "service_tier")
        count(answer, field(result, "usage"))
        output = items(field(result, "output"))
        parts = [part for item in output if field(item, "type") == "message" for part in items(field(item, "content"))]
        names = ("text", "refusal", "transcript")  # the last one is the Realtime API's
        answer.text = "".join(next(filter(None, (text_of(part, name) for name in names)), "") for part in parts)
        for item in output:
            if field(item, "type") in _CALLS:
                answer.tool(text_of(item, "name"), text_of(item, "arguments") or text_of(item, "input"))
        _finish(answer, result)
        return answer

    def pieces(self) -> Events:
        return Events(self)


def _finish(answer: Answer, result: Any) -> None:
    """Return why the model has stopped, in the terms of chat completions, or that it has failed."""
    status = text_of(result, "status")
    if status == "completed":
        answer.finish_reason = "tool_calls" if answer.tools else "stop"
    elif status == "incomplete":
        reason = text_of(field(result, "incomplete_details"), "reason")
        answer.finish_reason = _FINISH.get(reason, reason) or status
    elif status == "failed":
        answer.error = text_of(field(result, "error"), "message") or status
    else:
        answer.finish_reason = status


RESPONSES = Responses()


class Events:
    """The events of a stream. The last one has the whole response; the texts are for a stream that has no end."""

    def __init__(self, endpoint: Responses) -> None:
        self._endpoint = endpoint
        self._response: Any = None
        self._texts: list[str] = []
        self._error = ""

    def add(self, chunk: Any) -> bool:
        kind = text_of(chunk, "type")
        response = field(chunk, "response")
        if response is not None:
            self._response = response
        if kind in ("response.output_text.delta", "response.refusal.delta"):
            self._texts.append(text_of(chunk, "delta"))
        elif kind == "error":
            self._error = text_of(chunk, "message") or kind
        is_call = kind == "response.output_item.added" and "call" in text_of(field(chunk, "item"), "type")
        return is_call or kind.endswith(".delta")

    def answer(self) -> Answer:
        answer = self._endpoint.answer(self._response)
        if not answer.text:
            answer.text = "".join(self._texts)
        if answer.finish_reason == "in_progress":
            answer.finish_reason = ""
        answer.error = answer.error or self._error
        return answer
