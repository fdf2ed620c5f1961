"""What an answer says, in no provider's words."""

from __future__ import annotations

import contextlib
import json
from typing import Any


class Answer:
    """What a room has read from an SDK's answer, or from the chunks of a stream.

    `text` is the first choice's, `others` are those of further choices. `input_tokens` include the cached ones and
    those written to a cache, `output_tokens` those of reasoning.
    """

    def __init__(self) -> None:
        self.model = self.text = self.finish_reason = ""
        self.input_tokens = self.output_tokens = self.reasoning_tokens = 0
        self.cached_tokens = self.cache_write_tokens = 0
        self.known = False  # whether the answer gives the numbers of tokens
        self.cost: float | None = None  # US dollars, if the answer itself gives them
        self.audio = False  # whether there are tokens of audio, which have prices of their own
        self.first_token_ms: float | None = None
        self.others: list[str] = []
        self.tools: dict[str, Any] = {}
        self._calls: dict[str, int] = {}  # of each tool

    def tool(self, name: str, arguments: str) -> None:
        """Note a call of a tool. If there are several of one, their arguments become a list."""
        if not name:
            return
        given: Any = arguments
        with contextlib.suppress(ValueError, RecursionError):
            given = json.loads(arguments)
        self._calls[name] = self._calls.get(name, 0) + 1
        if self._calls[name] == 1:
            self.tools[name] = given
        elif self._calls[name] == 2:
            self.tools[name] = [self.tools[name], given]
        else:
            self.tools[name].append(given)
