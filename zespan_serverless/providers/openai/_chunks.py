"""Chunks of a streamed chat completion, joined to the completion that the model would have given without a stream."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._fields import arguments_of, field, function_of, held_by, text_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..._record.model import Answer

_TEXTS = ("content", "refusal", "reasoning_content", "reasoning")  # openai does not define the last two


class Chunks:
    """The chunks of one stream."""

    def __init__(self, read: Callable[[dict[str, Any]], Answer]) -> None:
        self._read = read
        self._model: Any = ""
        self._usage: Any = None
        self._choices: dict[int, _Choice] = {}

    def add(self, chunk: Any) -> bool:
        """Add a chunk. True if it has a part of the answer: text, reasoning, sound, or a tool call."""
        get = held_by(chunk).get
        self._model = get("model") or self._model
        usage, groq = get("usage"), get("x_groq")
        if usage or groq:
            self._usage = usage or field(groq, "usage") or self._usage
        has_content = False
        for piece in get("choices") or ():
            held = held_by(piece)
            index = held.get("index") or 0
            choice = self._choices.get(index)
            if choice is None:
                choice = self._choices[index] = _Choice()
            if choice.add(held):
                has_content = True
        return has_content

    def answer(self) -> Answer:
        """Read the completion."""
        choices = [{"index": index, **choice.fields()} for index, choice in sorted(self._choices.items())]
        return self._read({"model": self._model, "usage": self._usage, "choices": choices})


class _Choice:
    """One of the `n` answers."""

    def __init__(self) -> None:
        self.finish_reason: Any = None
        self.texts: dict[str, list[str]] = {}  # by their field
        self.sound: list[str] = []  # the transcript's pieces
        self.function: list[str] | None = None  # name, arguments
        self.tools: dict[int, tuple[str, list[str]]] = {}  # kind; name, arguments

    def add(self, piece: Any) -> bool:
        self.finish_reason = piece.get("finish_reason") or self.finish_reason
        get = held_by(piece.get("delta")).get
        has_content = False
        for name in _TEXTS:
            content = get(name)
            if content and (text := content if type(content) is str else _text_in(content)):
                has_content = True
                self.texts.setdefault(name, []).append(text)
        for call in get("tool_calls") or ():
            has_content = self._add_tool(call) or has_content
        function = get("function_call")
        if function:
            self.function = self.function or ["", ""]
            has_content = _add_call(self.function, function) or has_content
        audio = get("audio")
        if audio:
            self.sound.append(text_of(audio, "transcript"))
            has_content = bool(self.sound[-1] or text_of(audio, "data")) or has_content
        return has_content

    def _add_tool(self, call: Any) -> bool:
        function = function_of(call)
        if not function:
            return False
        index = field(call, "index") or 0
        kind = "custom" if field(call, "custom") else "function"
        return _add_call(self.tools.setdefault(index, (kind, ["", ""]))[1], function)

    def fields(self) -> dict[str, Any]:
        message: dict[str, Any] = {name: "".join(texts) for name, texts in self.texts.items()}
        message["content"] = message.get("content")
        if self.sound:
            message["audio"] = {"transcript": "".join(self.sound)}
        if self.function:
            message["function_call"] = {"name": self.function[0], "arguments": self.function[1]}
        if self.tools:
            words = {"function": "arguments", "custom": "input"}
            message["tool_calls"] = [
                {"type": kind, kind: {"name": name, words[kind]: arguments}}
                for _, (kind, (name, arguments)) in sorted(self.tools.items())
            ]
        return {"finish_reason": self.finish_reason, "message": message}


def _text_in(content: Any) -> str:
    """Return a text, or the texts of several parts."""
    if isinstance(content, (list, tuple)):
        return "".join(text_of(part, "text") for part in content)
    return content if isinstance(content, str) else ""


def _add_call(texts: list[str], function: Any) -> bool:
    """Return the name comes once, or again and again; arguments come in pieces."""
    name, arguments = text_of(function, "name"), arguments_of(function)
    texts[0] = name or texts[0]
    texts[1] += arguments
    return bool(name or arguments)
