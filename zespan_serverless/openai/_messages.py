"""What an event says about a request's messages and tools, and about the answer."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from .._event import redact, to_json

if TYPE_CHECKING:
    from .._container import Container

# US dollars per million (input, output) tokens: the models that the SDK `zespan` 1.6.1 prices, also by the dated names
# in which OpenAI answers; 0.0 for any other.
_GPT_4O, _GPT_4O_MINI = (2.50, 10.00), (0.15, 0.60)
_PRICES = {
    "gpt-4o": _GPT_4O,
    "gpt-4o-2024-08-06": _GPT_4O,
    "gpt-4o-2024-11-20": _GPT_4O,
    "gpt-4o-mini": _GPT_4O_MINI,
    "gpt-4o-mini-2024-07-18": _GPT_4O_MINI,
}

# What the SDK takes for an agent's name and role in a system prompt.
_AGENT_NAME = (r"You are the (\w+)Agent", r"Agent Name:\s*(\w+)")
_AGENT_ROLE = (r"Role:\s*(orchestrator|specialist|planner|executor|critic)",)
_MEMORY = 10  # messages; more, and the conversation counts as remembered


class Prompt:
    """What an event says about the request's messages and tools."""

    def __init__(self, messages: Any, tools: Any, container: Container) -> None:
        messages = list(messages) if isinstance(messages, (list, tuple)) else []  # an iterator is openai's to read
        roles: list[Any] = []
        talk: list[Any] = []  # without system prompts
        system: list[str] = []
        texts: list[str] = []
        for message in messages:
            role, said = field(message, "role"), _texts(message)
            roles.append(role)
            texts += said
            if role == "system":
                system += said
            else:
                talk.append(message)
        self.turn = roles.count("user")
        self.last_role = str(roles[-1]) if roles else "user"
        self.digest = _digest(messages)
        words = "\n".join(texts).lower()
        self.planning = "think step by step" in words or "let's reason" in words or "step 1" in words
        self.memory = len(messages) > _MEMORY
        # Few prompts have these words, and to look for one takes a tenth of what a pattern takes.
        self.agent_name = _found(_AGENT_NAME, system) if "agent" in words else None
        self.agent_role = _found(_AGENT_ROLE, system) if "role:" in words else None
        self.system = "\n".join(system)
        self.text = to_json(redact(talk, container.redact_keys)) if container.settings.store_prompts else ""
        functions = [function_of(t) for t in tools] if isinstance(tools, (list, tuple)) else []
        self.tools = [{"name": str(field(f, "name")), "description": field(f, "description")} for f in functions if f]


class Answer:
    """What an event says about the response."""

    def __init__(self) -> None:
        self.model = self.text = self.finish_reason = ""
        self.input_tokens = self.output_tokens = self.reasoning_tokens = 0
        self.first_token_ms: float | None = None
        self.tools: dict[str, Any] = {}

    @classmethod
    def of(cls, completion: Any) -> Answer:
        answer = cls()
        answer.model = text_of(completion, "model")
        answer.count(field(completion, "usage"))
        choices = field(completion, "choices")
        if choices:
            answer.finish_reason = text_of(choices[0], "finish_reason")
            message = field(choices[0], "message")
            answer.text = text_of(message, "content")
            for call in field(message, "tool_calls") or ():
                function = function_of(call)
                answer.tool(text_of(function, "name"), arguments_of(function))
        return answer

    def count(self, usage: Any) -> None:
        if usage is not None:
            self.input_tokens = _tokens(usage, "prompt_tokens")
            self.output_tokens = _tokens(usage, "completion_tokens")
            self.reasoning_tokens = _tokens(field(usage, "completion_tokens_details"), "reasoning_tokens")

    def tool(self, name: str, arguments: str) -> None:
        if name and name not in self.tools:
            try:
                self.tools[name] = json.loads(arguments)
            except (ValueError, RecursionError):
                self.tools[name] = arguments


def _tokens(usage: Any, name: str) -> int:
    count = field(usage, name)
    return count if isinstance(count, int) else 0


def cost(model: str, input_tokens: int, output_tokens: int) -> float:
    input_price, output_price = _PRICES.get(model.rsplit("/", 1)[-1], (0.0, 0.0))  # OpenRouter: openai/gpt-4o
    return (input_tokens * input_price + output_tokens * output_price) / 1_000_000


def _digest(messages: list[Any]) -> str:
    """The SDK's prompt_hash: SHA-256 of what json.dumps makes of the messages as they were passed."""
    import hashlib

    try:
        text = json.dumps(messages)
    except (TypeError, ValueError, RecursionError):
        text = to_json(messages)
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()


def field(value: Any, name: str) -> Any:
    """A field of a dict or of an object: messages and tools may be either."""
    return value.get(name) if isinstance(value, dict) else getattr(value, name, None)


def text_of(value: Any, name: str) -> str:
    text = field(value, name)
    return text if isinstance(text, str) else ""


def function_of(value: Any) -> Any:
    """What a tool or a call of one says about the function: custom tools have their own word for it."""
    return field(value, "function") or field(value, "custom")


def arguments_of(function: Any) -> str:
    return text_of(function, "arguments") or text_of(function, "input")


def _found(patterns: tuple[str, ...], texts: list[str]) -> str | None:
    """The first match in the first text that has one."""
    matches = (re.search(pattern, text, re.IGNORECASE) for text in texts for pattern in patterns)
    return next((match[1] for match in matches if match), None)


def _texts(message: Any) -> list[str]:
    """The text parts of a message's content."""
    content = field(message, "content")
    if isinstance(content, str):
        return [content] if content else []
    parts = content if isinstance(content, (list, tuple)) else []
    texts = (part if isinstance(part, str) else field(part, "text") for part in parts)
    return [text for text in texts if isinstance(text, str)]
