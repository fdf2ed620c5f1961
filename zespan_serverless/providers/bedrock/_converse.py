"""Converse and ConverseStream: one form for all models."""

from __future__ import annotations

from typing import Any

from ..._record.model import Answer
from .._fields import count_of, field, is_count, items, text_of
from .._request import Endpoint, Request
from ._streams import follow_events

PROVIDER = "aws.bedrock"


def _asks(parameters: dict[str, Any], *, stream: bool = False) -> Request:
    tools = [field(tool, "toolSpec") for tool in items(field(parameters.get("toolConfig"), "tools"))]
    return Request(
        CONVERSE,
        PROVIDER,
        parameters.get("modelId", "unknown"),
        messages=parameters.get("messages"),
        system=parameters.get("system"),
        tools=[tool for tool in tools if field(tool, "name")],
        stream=stream,
    )


class Converse(Endpoint):
    """Reads messages and their streams."""

    def answer(self, result: Any) -> Answer:
        answer = Answer()
        answer.finish_reason = text_of(result, "stopReason")
        count(answer, field(result, "usage"))
        read_blocks(answer, field(field(field(result, "output"), "message"), "content"))
        return answer

    def pieces(self) -> Blocks:
        return Blocks()

    def follow(self, call: Any, stream: Any) -> Any:
        follow_events(call, field(stream, "stream"))
        return stream


CONVERSE = Converse()


class Blocks:
    """The events of a stream: blocks of text and of tool calls, each in pieces."""

    def __init__(self) -> None:
        self._answer = Answer()
        self._texts: list[str] = []
        self._tools: dict[Any, tuple[str, list[str]]] = {}  # by the index of their block: name, arguments

    def add(self, chunk: Any) -> bool:
        start, block = field(chunk, "contentBlockStart"), field(chunk, "contentBlockDelta")
        if start is not None:
            tool = field(field(start, "start"), "toolUse")
            if tool is not None and field(tool, "type") != "server_tool_use":
                self._tools[field(start, "contentBlockIndex")] = (text_of(tool, "name"), [])
            return tool is not None
        if block is not None:
            return self._extend(field(block, "contentBlockIndex"), field(block, "delta"))
        self._answer.finish_reason = text_of(field(chunk, "messageStop"), "stopReason") or self._answer.finish_reason
        count(self._answer, field(field(chunk, "metadata"), "usage"))
        return False

    def answer(self) -> Answer:
        answer = self._answer
        answer.text = "".join(self._texts)
        for name, arguments in self._tools.values():
            answer.tool(name, "".join(arguments) or "{}")
        self._tools = {}
        return answer

    def _extend(self, index: Any, delta: Any) -> bool:
        text, arguments = text_of(delta, "text"), text_of(field(delta, "toolUse"), "input")
        self._texts.append(text)
        if index in self._tools:
            self._tools[index][1].append(arguments)
        return bool(text or arguments or text_of(field(delta, "reasoningContent"), "text"))


def read_blocks(answer: Answer, content: Any) -> None:
    """Read the blocks of a message."""
    blocks = items(content)
    answer.text = "".join(text_of(block, "text") for block in blocks)
    for block in blocks:
        tool = field(block, "toolUse")
        if tool is not None and field(tool, "type") != "server_tool_use":
            answer.tool(text_of(tool, "name"), field(tool, "input"))


def count(answer: Answer, usage: Any) -> None:
    """Read the numbers of tokens. The input leaves out what is read from and written to the cache."""
    if not is_count(field(usage, "inputTokens")):
        return
    answer.known = True
    # The names of Converse, and of the models Nova by InvokeModel.
    answer.cached_tokens = count_of(usage, "cacheReadInputTokens") or count_of(usage, "cacheReadInputTokenCount")
    written = count_of(usage, "cacheWriteInputTokens") or count_of(usage, "cacheWriteInputTokenCount")
    answer.cache_write_tokens = written
    answer.input_tokens = count_of(usage, "inputTokens") + answer.cached_tokens + written
    for kept in items(field(usage, "cacheDetails")):
        answer.count(f"cache_write_{text_of(kept, 'ttl')}_tokens", count_of(kept, "inputTokens"))
    answer.output_tokens = count_of(usage, "outputTokens")


OPERATIONS = {
    "Converse": _asks,
    "ConverseStream": lambda parameters: _asks(parameters, stream=True),
}
