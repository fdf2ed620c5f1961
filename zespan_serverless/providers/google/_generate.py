"""Content: reads requests, answers and the chunks of a stream."""

from __future__ import annotations

from typing import Any

from ..._record.model import Answer
from .._fields import as_text, count_of, field, held_by, is_count, items, text_of
from .._request import Choke, Endpoint, Request


class Generate(Choke):
    """Calls without a stream."""

    classes: tuple[str, ...] = ("Models", "AsyncModels")
    methods: tuple[str, ...] = ("_generate_content",)
    paths = ("models", "aio.models")

    def read(self, owner: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Request | None:
        return _request(owner, kwargs, stream=False)


class Stream(Choke):
    """Calls with a stream."""

    classes = ("Models", "AsyncModels")
    methods = ("_generate_content_stream",)
    paths = ("models", "aio.models")

    def read(self, owner: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Request | None:
        return _request(owner, kwargs, stream=True)


def _request(owner: Any, kwargs: dict[str, Any], *, stream: bool) -> Request:
    config = kwargs.get("config")
    system = field(config, "system_instruction")
    tools = [tool for group in items(field(config, "tools")) for tool in items(field(group, "function_declarations"))]
    return Request(
        GENERATE,
        provider_of(owner),
        kwargs.get("model", "unknown"),
        messages=messages_of(kwargs.get("contents")),
        system=system if isinstance(system, str) else field(system, "parts") or system,
        tools=[tool for tool in tools if field(tool, "name")],
        stream=stream,
    )


def provider_of(owner: Any) -> str:
    """Return the provider that a client calls."""
    return "gcp.vertex_ai" if field(field(owner, "_api_client"), "vertexai") else "gcp.gemini"


def messages_of(contents: Any) -> list[dict[str, Any]]:
    """Contents as messages: a text, a part, a content with a role, or a list of these."""
    messages: list[dict[str, Any]] = []
    for content in items(contents) or [contents]:
        parts = field(content, "parts")
        if parts is not None:
            messages.append({"role": text_of(content, "role") or "user", "content": parts})
        elif content is not None:
            messages.append({"role": "user", "content": content if isinstance(content, str) else [content]})
    return messages


class Content(Endpoint):
    """Reads generated content."""

    operation = "generate_content"

    def answer(self, result: Any) -> Answer:
        pieces = Pieces()
        pieces.add(result)
        return pieces.answer()

    def pieces(self) -> Pieces:
        return Pieces()

    def follow(self, call: Any, stream: Any) -> Any:
        from .._stream import follow_generator

        return follow_generator(call, stream)


GENERATE = Content()


class Pieces:
    """The chunks of a stream, or one whole answer."""

    def __init__(self) -> None:
        self._answer = Answer()
        self._texts: dict[int, list[str]] = {}  # by the number of their candidate

    def add(self, chunk: Any) -> bool:
        answer, get = self._answer, held_by(chunk).get
        answer.model = as_text(get("model_version")) or answer.model
        usage, feedback = get("usage_metadata"), get("prompt_feedback")
        if usage is not None:
            _count(answer, usage)
        if feedback is not None:
            answer.finish_reason = answer.finish_reason or _word(field(feedback, "block_reason"))
        has_content = False
        for number, candidate in enumerate(items(get("candidates"))):
            in_candidate = held_by(candidate).get
            reason, content = in_candidate("finish_reason"), in_candidate("content")
            if number == 0 and reason is not None:
                answer.finish_reason = _word(reason) or answer.finish_reason
            for part in items(held_by(content).get("parts")):
                has_content = self._add_part(number, part) or has_content
        return has_content

    def answer(self) -> Answer:
        texts = ["".join(self._texts[number]) for number in sorted(self._texts)]
        self._answer.text, self._answer.others = "".join(texts[:1]), texts[1:]
        return self._answer

    def _add_part(self, number: int, part: Any) -> bool:
        get = held_by(part).get
        text, function = as_text(get("text")), get("function_call")
        if function is not None:
            self._answer.tool(text_of(function, "name"), field(function, "args") or {})
        elif text and not get("thought"):
            self._texts.setdefault(number, []).append(text)
        return bool(text or function is not None or get("executable_code") is not None)


def _count(answer: Answer, usage: Any) -> None:
    """Read the numbers of tokens. The prompt's include cached ones; thoughts are counted beside the candidates'."""
    if not is_count(field(usage, "prompt_token_count")):
        return
    answer.known = True
    answer.reasoning_tokens = count_of(usage, "thoughts_token_count")
    answer.input_tokens = count_of(usage, "prompt_token_count") + count_of(usage, "tool_use_prompt_token_count")
    answer.output_tokens = count_of(usage, "candidates_token_count") + answer.reasoning_tokens
    answer.cached_tokens = count_of(usage, "cached_content_token_count")
    answer.usage.clear()  # of a stream, the last chunk counts
    count_kinds(answer, usage, "input_tokens", "prompt_tokens_details", "tool_use_prompt_tokens_details")
    count_kinds(answer, usage, "cache_read.input_tokens", "cache_tokens_details")
    count_kinds(answer, usage, "output_tokens", "candidates_tokens_details")


def count_kinds(answer: Answer, usage: Any, end: str, *names: str, number: str = "token_count") -> None:
    """Note tokens by what they are of: text, images, audio, videos, documents."""
    for one in (one for name in names for one in items(field(usage, name))):
        name = f"gen_ai.usage.{_word(field(one, 'modality')).lower()}.{end}"
        answer.count(name, answer.usage.get(name, 0) + count_of(one, number))


def _word(value: Any) -> str:
    """Return an enumeration's value as text."""
    word = getattr(value, "value", value)
    return word if isinstance(word, str) else ""
