"""What a call of a model asked for and got, in no provider's and no backend's words."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any

from .values import to_json

if TYPE_CHECKING:
    from collections.abc import Callable, Container

    Change = Callable[[list[Any]], list[Any]]
    """Makes of several values as many others."""


_NESTED = 4  # times the longest text that messages, or arguments of tools, may have together when they are shortened


class Prompt:
    """A request's messages and tools, copied and redacted when the call began.

    `messages` are those that are not the system's; they, `system` and the texts of tools are left out where prompts
    are not stored. `digest` is the SHA-256 of all messages as they were passed, `turn` the number of the user's.
    `is_planning`, `has_memory`, `agent_name` and `agent_role` are what the texts suggest of an agent.
    """

    system = digest = ""
    tools: Any = ()
    turn = 0
    last_role = "user"
    is_planning = has_memory = False
    agent_name: str | None = None
    agent_role: str | None = None

    def __init__(self, messages: Any = (), *, text: str | None = None) -> None:
        """`text`: the JSON of the messages, where they are not known themselves."""
        self.messages: Any = messages
        self._text = text

    @property
    def text(self) -> str:
        """The JSON of the messages; made when it is first asked for."""
        if self._text is None:
            self._text = to_json(self.messages)
        return self._text

    def hide_messages(self, instead: str) -> None:
        """Put a text in place of the messages."""
        self.messages, self._text = (), instead

    def mapped(self, change: Change) -> Prompt:
        """A copy whose texts have been through `change`."""
        copy = Prompt.__new__(Prompt)
        copy.__dict__.update(self.__dict__)
        text = None if self.messages else self._text
        copy.messages, copy.system, copy.tools, copy._text = change([self.messages, self.system, self.tools, text])
        return copy


class Answer:
    """What a model has answered, read from an SDK's object or from the chunks of a stream.

    `text` is the first choice's, `others` are those of further choices. `input_tokens` include the cached ones and
    those written to a cache, `output_tokens` those of reasoning. `tools` are the arguments of the tools called, by
    their names; a list where one is called several times. `error` is set where an answer with status 200 says that the
    model has failed. `usage` are further numbers that the provider gives (tokens by kind, seconds of sound), by
    OpenTelemetry's names where there are such.
    """

    model = text = finish_reason = error = ""
    tier = ""  # of service, if it is not the standard one
    input_tokens = output_tokens = reasoning_tokens = 0
    cached_tokens = cache_write_tokens = 0
    known = False  # whether the answer gives the numbers of tokens
    cost: float | None = None  # US dollars, if the answer itself gives them
    # From the start of the call to the first piece of a stream, and to the first that has a part of the answer.
    first_chunk_ms: float | None = None
    first_token_ms: float | None = None

    def __init__(self) -> None:
        self.usage: dict[str, float] = {}
        self.others: list[str] = []
        self.tools: dict[str, Any] = {}
        self._calls: dict[str, int] = {}  # of each tool

    def count(self, name: str, number: float) -> None:
        """Note one of the further numbers, unless it is 0."""
        if number:
            self.usage[name] = number

    @property
    def attributes(self) -> dict[str, float]:
        """The numbers that only some answers have, for the attributes of the record."""
        found = dict(self.usage)
        if self.cache_write_tokens:
            found["gen_ai.usage.cache_write.input_tokens"] = self.cache_write_tokens
        if self.first_chunk_ms is not None:
            found["gen_ai.response.time_to_first_chunk"] = round(self.first_chunk_ms / 1000, 6)  # seconds
        return found

    def tool(self, name: str, arguments: Any) -> None:
        """Note a call of a tool, with arguments or the text of their JSON. Those of several calls become a list."""
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
        """A copy whose texts have been through `change`."""
        copy = Answer.__new__(Answer)
        copy.__dict__.update(self.__dict__)
        copy.model, copy.finish_reason, copy.text = change([self.model, self.finish_reason, self.text])
        if self.others or self.tools:
            copy.others, copy.tools = change([self.others, self.tools])
        return copy


class Model:
    """One call of a model.

    `cost` is in US dollars, None where no price is known. `has_content`: whether prompts and answers are stored.
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
        """The model that has answered, else the one that was asked."""
        return self.answer.model or self.requested

    def with_answer(self, answer: Answer) -> Model:
        """The same call with another answer."""
        copy = Model.__new__(Model)
        copy.__dict__.update(self.__dict__)
        copy.answer = answer
        return copy

    def mapped(self, change: Change) -> Model:
        """A copy whose texts have been through `change`, except those of the prompt."""
        copy = self.with_answer(self.answer.mapped(change))
        copy.provider, copy.requested = change([self.provider, self.requested])
        return copy

    def shorten(self, change: Change, longest: int) -> None:
        """Cut the prompt, and what is still too long as a whole. Only for a copy that nobody else has."""
        self.prompt = self.prompt.mapped(change)
        if len(self.prompt.text) > _NESTED * longest:  # many short texts are not shortened one by one
            self.prompt.hide_messages(to_json(change([self.prompt.text])[0]))
        tools = to_json(self.answer.tools)
        if len(tools) > _NESTED * longest:
            self.answer.tools = {"...": change([tools])[0]}

    def without_content(self) -> Model:
        """A copy without what was said; which tools were called is kept."""
        answer = self.answer.mapped(lambda values: values)
        answer.text, answer.others, answer.tools = "", [], dict.fromkeys(answer.tools)
        copy = self.with_answer(answer)
        copy.has_content = False
        return copy

    def hide(self, names: Container[str], instead: str) -> None:
        """Replace parts, by the names that the SDK `zespan` has for them. Only for a copy that nobody else has."""
        prompt, answer = self.prompt.mapped(lambda values: values), self.answer
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
        self.prompt = prompt
