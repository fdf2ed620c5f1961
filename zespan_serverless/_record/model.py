"""The request and the result of a model call, independent of providers and backends."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any

from .values import to_json

if TYPE_CHECKING:
    from collections.abc import Callable, Container

    Change = Callable[[list[Any]], list[Any]]
    """Makes of several values as many others. It may change and return the list."""


_NESTED = 4  # limit for all messages, or all tool arguments, when they are shortened: multiples of the longest text


class Prompt:
    """A request's messages and tools, copied and redacted when the call began.

    `messages` exclude the system's; they, `system` and the texts of tools are empty if prompts are not stored. `digest`
    is the SHA-256 of all messages as passed, `turn` the number of user messages. `is_planning`, `has_memory`,
    `agent_name` and `agent_role` are guessed from the texts.
    """

    system = digest = ""
    tools: Any = ()
    turn = 0
    last_role = "user"
    is_planning = has_memory = False
    agent_name: str | None = None
    agent_role: str | None = None

    def __init__(self, messages: Any = (), *, text: str | None = None) -> None:
        """`text`: the JSON of the messages, if they are not known separately."""
        self.messages: Any = messages
        self._text = text

    @property
    def text(self) -> str:
        """Return the JSON of the messages, which is created on first use."""
        if self._text is None:
            self._text = to_json(self.messages)
        return self._text

    def hide_messages(self, instead: str) -> None:
        """Replace the messages with a text."""
        self.messages, self._text = (), instead

    def mapped(self, change: Change) -> Prompt:
        """Return a copy whose texts `change` has mapped."""
        copy = Prompt.__new__(Prompt)
        copy.__dict__.update(self.__dict__)
        text = None if self.messages else self._text
        copy.messages, copy.system, copy.tools, copy._text = change([self.messages, self.system, self.tools, text])
        return copy


class Answer:
    """A model's answer, read from an SDK's object or from the chunks of a stream.

    `text` is the first choice's, `others` are further choices. `input_tokens` include tokens read from and written to a
    cache, `output_tokens` include reasoning tokens. `tools` maps tool names to arguments, or to a list for several
    calls. `error` is set if a response with status 200 reports a failure. `usage` has further numbers of the provider
    (tokens by kind, seconds of audio), with OpenTelemetry's names where they exist.
    """

    model = text = finish_reason = error = ""
    tier = ""  # of the service, if not the standard one
    input_tokens = output_tokens = reasoning_tokens = 0
    cached_tokens = cache_write_tokens = 0
    known = False  # whether the response contains token counts
    cost: float | None = None  # US dollars, if the response contains them
    # Seconds from the start of the call to the first chunk of a stream, and to the first with content.
    first_chunk_ms: float | None = None
    first_token_ms: float | None = None

    def __init__(self) -> None:
        self.usage: dict[str, float] = {}
        self.others: list[str] = []
        self.tools: dict[str, Any] = {}
        self._calls: dict[str, int] = {}  # of each tool

    def count(self, name: str, number: float) -> None:
        """Store a further number, unless it is 0."""
        if number:
            self.usage[name] = number

    @property
    def attributes(self) -> dict[str, float]:
        """Return the numbers that only some answers have, as attributes of the record."""
        found = dict(self.usage)
        if self.cache_write_tokens:
            found["gen_ai.usage.cache_write.input_tokens"] = self.cache_write_tokens
        if self.first_chunk_ms is not None:
            found["gen_ai.response.time_to_first_chunk"] = round(self.first_chunk_ms / 1000, 6)  # seconds
        return found

    def tool(self, name: str, arguments: Any) -> None:
        """Add a tool call, with arguments or their JSON. The arguments of several calls of one tool become a list."""
        if not name:
            return
        given = arguments
        if isinstance(arguments, str):
            with contextlib.suppress(ValueError, RecursionError):
                given = json.loads(arguments)
        self._calls[name] = self._calls.get(name, 0) + 1
        if self._calls[name] == 1:
            self.tools[name] = given
        elif self._calls[name] == 2:
            self.tools[name] = [self.tools[name], given]
        else:
            self.tools[name].append(given)

    def mapped(self, change: Change) -> Answer:
        """Return a copy whose texts `change` has mapped."""
        copy = Answer.__new__(Answer)
        copy.__dict__.update(self.__dict__)
        copy.model, copy.finish_reason, copy.text = change([self.model, self.finish_reason, self.text])
        if self.others or self.tools:
            copy.others, copy.tools = change([self.others, self.tools])
        return copy


UNANSWERED = Answer()
"""The answer of a call that has none yet. It is shared by all of them, and never changed."""


class Model:
    """One model call.

    `cost` is in US dollars, None if no price is known. `has_content`: whether prompts and answers are stored.
    """

    cost: float | None = None
    has_content = True

    def __init__(self, provider: str, requested: str, prompt: Prompt, answer: Answer, *, stream: bool = False) -> None:
        self.provider: str = provider
        self.requested: str = requested
        self.stream: bool = stream
        self.prompt: Prompt = prompt
        self.answer: Answer = answer

    @property
    def name(self) -> str:
        """Return the model that answered, otherwise the requested one."""
        return self.answer.model or self.requested

    def with_answer(self, answer: Answer) -> Model:
        """Return the same call with another answer."""
        copy = Model.__new__(Model)
        copy.__dict__.update(self.__dict__)
        copy.answer = answer
        return copy

    def map_beginning(self, change: Change) -> None:
        """Map what is known when the call begins, except the prompt. Only for an unshared copy."""
        self.provider, self.requested = change([self.provider, self.requested])

    def map_end(self, change: Change) -> None:
        """Map the answer, if there is one. Only for an unshared copy."""
        if self.answer is not UNANSWERED:
            self.answer = self.answer.mapped(change)

    def shorten(self, change: Change, longest: int) -> None:
        """Shorten the prompt, and then what is still too long. Only for an unshared copy."""
        self.prompt = self.prompt.mapped(change)
        if len(self.prompt.text) > _NESTED * longest:  # many short texts are not shortened individually
            self.prompt.hide_messages(to_json(change([self.prompt.text])[0]))
        tools = to_json(self.answer.tools)
        if len(tools) > _NESTED * longest:
            self.answer.tools = {"...": change([tools])[0]}

    def without_content(self) -> Model:
        """Return a copy without content; the names of called tools are kept."""
        answer = self.answer.mapped(lambda values: values)
        answer.text, answer.others, answer.tools = "", [], dict.fromkeys(answer.tools)
        copy = self.with_answer(answer)
        copy.has_content = False
        return copy

    def hide(self, names: Container[str], instead: str) -> None:
        """Replace parts, by their names in the SDK `zespan`. Only for an unshared copy."""
        prompt, answer = self.prompt.mapped(lambda values: values), self.answer.mapped(lambda values: values)
        if "provider" in names:
            self.provider = instead
        if "model" in names:
            self.requested = answer.model = instead
        if "finish_reason" in names and answer.finish_reason:
            answer.finish_reason = instead
        if "prompt_text" in names:
            prompt.hide_messages(instead)
        if "system_prompt" in names and prompt.system:
            prompt.system = instead
        if "tool_definitions" in names and prompt.tools:
            prompt.tools = instead
        if "completion_text" in names or "decision_rationale" in names:
            answer.text, answer.others = instead, []
        if "tools_used" in names:
            answer.tools = {instead: instead} if answer.tools else {}
        if "agent_name" in names and prompt.agent_name:
            prompt.agent_name = instead
        if "agent_role" in names and prompt.agent_role:
            prompt.agent_role = instead
        if "message_role" in names:
            prompt.last_role = instead
        if "prompt_hash" in names:
            prompt.digest = instead
        if "tool_call_args" in names:
            answer.tools = dict.fromkeys(answer.tools, instead)
        self.prompt, self.answer = prompt, answer
