"""Model calls that no traced SDK makes: spans that become the same record as a traced call."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from .. import _process
from .._base.guard import Guarded, pass_on
from .._base.log import describe, warn_once
from .._record.model import UNANSWERED, Answer, Model
from .._record.record import Record
from .._record.values import leaf, plain
from ..providers import _pricing
from ..providers._fields import whole
from ..providers._prompt import read_prompt
from ..providers._request import Endpoint, Request
from .steps import GeneralSpan

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .._process.container import Container
    from .._trace import Span

_COST_MAX = 1e9  # US dollars; a larger value is a mistake


class ModelSpan(GeneralSpan):
    """A model call: its prompt, its answer and its usage. Fields that are not set are sent as unknown."""

    def __init__(self, kind: str, around: GeneralSpan | None = None) -> None:
        super().__init__(kind, around)
        self._name = ""
        self._given: dict[str, Any] = {}
        self._model: Model | None = None  # with the request's fields
        self._answer = Answer()
        self._counted: set[str] = set()  # numbers that the user has set
        self._is_counted_inside = False
        self._began = time.perf_counter()

    def _begin(self, span: Span, name: str, given: Mapping[str, Any], *, is_noted: bool) -> None:
        self._name, self._given = name, dict(given)
        container = _process.current()
        if container is not None:
            self._ask(container)
            if is_noted and container.records:
                record = Record(span, container.resource, self.kind, name)
                record.model, record.agent = self._model, self.agent
                container.opened(record)
        self._began = time.perf_counter()

    def input(
        self,
        messages: str | Mapping[str, Any] | Sequence[str | Mapping[str, Any]],
        *,
        system: str | None = None,
        tools: Sequence[object] | None = None,
    ) -> None:
        """Set the prompt: the user's text, or messages with `role` and `content`, in the format of a provider.

        `tools` are those that the model may call, with `name` and `description`. Without `store_prompts` only a hash of
        the messages is sent.
        """
        container = _process.current()
        if container is not None:
            with Guarded("the prompt of a span"):
                said = {"messages": messages, "system": system, "tools": tools}
                self._given.update((name, value) for name, value in said.items() if value is not None)
                self._ask(container)

    def first_token(self) -> None:
        """Note the arrival of the first piece of a streamed answer: sets `ttft_ms`, counted from the span's start."""
        if self._answer.first_token_ms is None:
            self._answer.first_token_ms = (time.perf_counter() - self._began) * 1000

    def output(
        self,
        text: str = "",
        *,
        finish_reason: str | None = None,
        tools: Mapping[str, Any] | None = None,
        model: str | None = None,
    ) -> None:
        """Set the answer. A later call replaces the values of an earlier one.

        `tools` maps the name of each tool that the model calls to its arguments, or to a list of them if it calls the
        tool several times. `model` is the model that answered, if its name differs from the requested one. Text and
        arguments are not sent without `store_prompts`.
        """
        if _process.current() is not None:
            with Guarded("the answer of a span"):
                said = {"text": None if text == "" else text, "finish_reason": finish_reason, "model": model}
                for name, value in said.items():
                    if value is not None:
                        setattr(self._answer, name, str(leaf(value)))
                if tools is not None:
                    copied = plain(tools)
                    self._answer.tools = copied if isinstance(copied, dict) else {}

    def usage(
        self,
        *,
        input_tokens: int | None = None,
        output_tokens: int | None = None,
        cached_tokens: int | None = None,
        cache_write_tokens: int | None = None,
        reasoning_tokens: int | None = None,
        cost: float | None = None,
    ) -> None:
        """Set the usage of the call. A later call replaces the values of an earlier one.

        `input_tokens` includes tokens read from a cache (`cached_tokens`) and written to one; `output_tokens` includes
        reasoning tokens. `cost` is in US dollars; by default it is computed, if the price of the model is known.
        """
        numbers = {
            "input_tokens": input_tokens,
            "output_tokens": output_tokens,
            "cached_tokens": cached_tokens,
            "cache_write_tokens": cache_write_tokens,
            "reasoning_tokens": reasoning_tokens,
        }
        with Guarded("the usage of a span"):
            for name, given in numbers.items():
                number = whole(leaf(given))  # which accepts the numbers of numpy as well
                if number is not None:
                    setattr(self._answer, name, number)
                    self._counted.add(name)
                elif given is not None:
                    text = "%s of a span is left out, because it is not a number of tokens: %.100r"
                    warn_once("not-a-number", text, name, given)
            if cost is not None:
                dollars = float(cost)
                if 0 <= dollars <= _COST_MAX:
                    self._answer.cost = dollars
                else:
                    text = "cost of a span is left out, because it is not a number of dollars: %r"
                    warn_once("not-a-number", text, dollars)

    def _raised(self, error: BaseException) -> None:
        container = _process.current()
        if container is not None and not container.settings.store_prompts:
            from .._record.errors import mark_quoting

            mark_quoting(error)

    def _counted_inside(self, kind: str) -> None:
        if kind == self.kind:
            self._is_counted_inside = True

    def _complete(self, record: Record, container: Container) -> None:
        super()._complete(record, container)
        if self._model is None:  # telemetry was off when it began
            self._ask(container)
        asked, answer = self._model, self._answer.mapped(lambda values: values)
        if asked is None:
            return
        if self._is_counted_inside:
            self._leave_to_inner(answer)
        elif self._counted or answer.cost is not None:
            answer.known = {"input_tokens"} | ({"output_tokens"} if self.kind == "llm" else set()) <= self._counted
            if self._around is not None:
                self._around._observed(self.kind)
        model = asked.with_answer(answer)
        model.stream = asked.stream or answer.first_token_ms is not None
        model.cost = _pricing.cost(model.provider, model.name, answer)
        record.model, record.attributes = model, {**answer.attributes, **record.attributes}

    def _leave_to_inner(self, answer: Answer) -> None:
        """Remove the token counts, because a call inside has counted the same tokens."""
        if self._counted or answer.cost is not None:
            text = "tokens and cost of the span %r are left out, because a traced call inside it has them"
            warn_once("tokens-counted-inside", text, self._name)
        for name in self._counted:
            setattr(answer, name, 0)
        answer.cost = None

    def _ask(self, container: Container) -> None:
        """Copy the request as far as it may be stored; skip it if it is unreadable."""
        try:
            self._model = self._asked(container, self._given)
        except Exception as error:
            pass_on(error)
            warn_once("prompt-unread", "the prompt of a span is left out: %s", describe(error))
            self._given = {name: self._given.get(name) for name in ("model", "provider")}
            self._model = self._asked(container, self._given)

    def _asked(self, container: Container, given: Mapping[str, Any]) -> Model:
        endpoint = Endpoint()
        endpoint.kind, endpoint.operation = self.kind, self._name
        request = Request(
            endpoint,
            _text(given.get("provider")),
            _text(given.get("model")),
            messages=_messages(given.get("messages")),
            system=given.get("system"),
            tools=given.get("tools"),
            stream=given.get("stream") is True,
        )
        prompt = read_prompt(request, container)
        model = Model(request.provider, request.model, prompt, UNANSWERED, stream=request.stream)
        model.has_content = container.settings.store_prompts
        return model


def _text(given: object) -> str:
    return "" if given is None else str(leaf(given))


def _messages(given: object) -> list[Any]:
    """Return messages; a bare text becomes one user message."""
    if given is None:
        return []
    listed = list(given) if issubclass(type(given), (list, tuple)) else [given]  # type: ignore[call-overload]
    return [{"role": "user", "content": one} if issubclass(type(one), str) else one for one in listed]
