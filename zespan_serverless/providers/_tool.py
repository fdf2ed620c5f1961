"""One tool call that a provider runs, from its start to its record."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from .. import _trace
from .._base.guard import Guarded
from .._record.record import Record
from .._record.step import Step

if TYPE_CHECKING:
    from collections.abc import Callable

    from .._process import Container

_KIND = "tool"


class ToolCall:
    """The observer of one tool call. `read` returns the text of a result, and whether it reports a failure."""

    def __init__(
        self,
        container: Container,
        name: str,
        arguments: Any,
        attributes: dict[str, Any],
        read: Callable[[Any], tuple[str, bool]],
    ) -> None:
        self._container, self._name, self._read = container, name, read
        self.span: _trace.Span = _trace.new_span(_trace.current())
        self._stores = container.settings.store_prompts
        self._attributes: dict[str, Any] = {**attributes, "gen_ai.tool.name": name}
        self._step = Step()
        self._step.tool = name
        if self._stores and arguments is not None:
            self._step.arguments = container.policy.plain(arguments)  # as they are now
        container.opened(self._record(0.0))
        self._began = time.perf_counter()

    def pause(self) -> None:
        """Do nothing."""

    def resume(self) -> None:
        """Do nothing."""

    def done(self, result: Any, error: BaseException | None) -> Any:
        """Make the record. Never raises, except what a signal handler raises."""
        took_ms = (time.perf_counter() - self._began) * 1000
        with Guarded("a tool call"):
            self._container.capture(lambda: self._ended(result, error, took_ms), self.span.span_id)
        return result

    def _ended(self, result: Any, error: BaseException | None, took_ms: float) -> Record:
        record, (text, has_failed) = self._record(took_ms), ("", False)
        with Guarded("the result of a tool"):
            text, has_failed = self._read(result)
        if error is not None:
            record.fail(error)
            self._attributes["error.type"] = type(error).__name__
        elif has_failed:
            record.fail(text if text and self._stores else "the tool has failed")
            self._attributes["error.type"] = "tool_error"
        if text:
            self._step.result = text
        return record

    def _record(self, took_ms: float) -> Record:
        record = Record(self.span, self._container.resource, _KIND, self._name, took_ms)
        record.attributes, record.step = self._attributes, self._step
        return record
