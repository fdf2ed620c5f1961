"""Chat completions: reads requests and answers."""

from __future__ import annotations

from typing import Any

from ..._record.model import Answer
from .._fields import count_of, field, is_count, items, text_of, texts_of
from .._request import Choke, Endpoint, Request
from ._addresses import provider_at
from ._chunks import Chunks, arguments_of, function_of

_PATH = "/chat/completions"
_COST_MAX = 1e9  # US dollars; more is a mistake


class Methods(Choke):
    """The methods: they receive what the user has passed, also for a call that is refused before anything is sent."""

    classes = ("Completions", "AsyncCompletions")
    methods = ("create", "parse")

    def read(self, owner: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Request | None:
        return _request(getattr(owner, "_client", None), kwargs, kwargs.get("extra_headers"))


class Requests(Choke):
    """The client's `request`, also for completions that have bypassed the methods as we patched them.

    A tool that wraps one client, such as LangSmith's, keeps the method that it found there.
    """

    classes = ("SyncAPIClient", "AsyncAPIClient")
    methods = ("request",)
    is_inner = True

    def read(self, owner: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Request | None:
        options = kwargs.get("options", args[1] if len(args) > 1 else None)
        if field(options, "url") != _PATH or text_of(options, "method").lower() != "post":
            return None
        body = field(options, "json_data")
        return _request(owner, body if isinstance(body, dict) else {}, field(options, "headers"))


def _request(client: Any, body: dict[str, Any], headers: Any) -> Request:
    return Request(
        CHAT,
        provider_at(str(getattr(client, "base_url", "")), type(client).__name__),
        body.get("model", "unknown"),
        messages=body.get("messages"),
        tools=[function for tool in items(body.get("tools")) if (function := function_of(tool))],
        stream=body.get("stream"),
        headers=headers,
    )


class Chat(Endpoint):
    """Reads answers: objects of the SDK, or dicts with the same fields."""

    operation = "chat"

    def answer(self, result: Any) -> Answer:
        answer = Answer()
        answer.model = text_of(result, "model")
        _count(answer, field(result, "usage"))
        for number, choice in enumerate(items(field(result, "choices"))):
            message = field(choice, "message")
            text = "".join(texts_of(message)) or text_of(message, "refusal")
            text = text or text_of(field(message, "audio"), "transcript")
            if number == 0:
                answer.text, answer.finish_reason = text, text_of(choice, "finish_reason")
            else:
                answer.others.append(text)
            calls = [function_of(call) for call in items(field(message, "tool_calls"))]
            for function in (*calls, field(message, "function_call")):
                answer.tool(text_of(function, "name"), arguments_of(function))
        return answer

    def charged(self, error: BaseException) -> Answer | None:
        """The answer of a call that was cut off, or that `parse` could not read."""
        completion, traceback = field(error, "completion"), error.__traceback__
        while completion is None and traceback is not None:
            frame, traceback = traceback.tb_frame, traceback.tb_next
            if frame.f_code.co_name == "parse_chat_completion":
                completion = frame.f_locals.get("chat_completion")
        return None if completion is None else self.answer(completion)

    def pieces(self) -> Chunks:
        return Chunks(self.answer)


CHAT = Chat()


def _count(answer: Answer, usage: Any) -> None:
    """Read the numbers of tokens. Cached ones are part of the input, those of reasoning are part of the output."""
    before, after = field(usage, "prompt_tokens_details"), field(usage, "completion_tokens_details")
    answer.known = all(is_count(field(usage, name)) for name in ("prompt_tokens", "completion_tokens"))
    answer.input_tokens = count_of(usage, "prompt_tokens")
    answer.output_tokens = count_of(usage, "completion_tokens")
    answer.reasoning_tokens = count_of(after, "reasoning_tokens")
    # The others are DeepSeek's, and Anthropic's behind a proxy.
    answer.cached_tokens = count_of(before, "cached_tokens") or count_of(usage, "prompt_cache_hit_tokens")
    answer.cache_write_tokens = count_of(before, "cache_write_tokens") or count_of(before, "cache_creation_tokens")
    answer.audio = bool(count_of(before, "audio_tokens") or count_of(after, "audio_tokens"))
    cost = field(usage, "cost")  # OpenRouter's
    answer.cost = float(cost) if type(cost) in (int, float) and 0 <= cost < _COST_MAX else None
