"""The record of a span that has ended, in OpenTelemetry's terms. Exporters convert it to their backend's format."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Literal

from .. import _trace
from .._version import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..settings import Settings
    from .model import Change, Model
    from .step import Step

    Status = Literal["ok", "error", "timeout", "crashed"]

SDK_NAME = "zespan-serverless-python"


class Resource:
    """Properties shared by all records of a process.

    `attributes` describe the cloud and the function, with OpenTelemetry's names; `tags` come from the settings.
    """

    __slots__ = ("attributes", "environment", "sdk_name", "sdk_version", "service_name", "tags")

    def __init__(self, settings: Settings, tags: Mapping[str, Any] | None = None) -> None:
        self.environment: str = settings.environment
        self.service_name: str | None = settings.service_name
        self.tags: Mapping[str, Any] = tags or {}
        self.attributes: Mapping[str, Any] = {}
        self.sdk_name: str = SDK_NAME
        self.sdk_version: str = __version__


class Record:
    """What happened in one span. It is made once, when the span ends, and copied before it is changed.

    `kind` is `invocation`, `llm`, or the kind of a step: `general`, `tool`, `agent`, ... `ended` is in seconds since
    the epoch, `duration_ms` in milliseconds. `error` is an exception or a text until the policy replaces it with the
    text that may be sent. `attributes` have OpenTelemetry's names where they exist. `model` is for a model call, `step`
    for a step. `agent` is the enclosing agent: `agent_id`, `agent_name`, `agent_role`, `agent_framework`,
    `parent_agent_id`. `fields` are those of a captured event, and override the rest for backends with Zespan's format.
    `root` is the same for all records of one invocation, and so is `caller`, who began this part of the trace.
    """

    status: Status = "ok"
    error: BaseException | str | None = None
    model: Model | None = None
    step: Step | None = None
    fields: Mapping[str, Any] | None = None
    has_allowed_beginning = False
    """Whether the policy has been applied to what was known when the span began: to all but what its end adds."""

    def __init__(
        self,
        span: _trace.Span,
        resource: Resource,
        kind: str,
        name: str,
        duration_ms: float = 0.0,
        attributes: Mapping[str, Any] | None = None,
        ended: float | None = None,
    ) -> None:
        self.event_id: str = span.event_id or _trace.new_event_id()
        self.trace_id: str = span.trace_id
        self.span_id: str = span.span_id
        self.parent_span_id: str | None = span.parent_span_id
        self.user_id: str | None = span.user_id
        self.session_id: str | None = span.session_id
        self.tags: Mapping[str, str] | None = span.tags
        self.conversation_id: str | None = span.conversation_id
        self.root: _trace.Root = span.root
        self.caller: _trace.Caller | None = span.caller
        self.resource: Resource = resource
        self.kind: str = kind
        self.name: str = name
        self.ended: float = time.time() if ended is None else ended
        self.duration_ms: float = duration_ms
        self.attributes: Mapping[str, Any] = {} if attributes is None else attributes
        self.agent: Mapping[str, Any] | None = None if span.step is None else span.step.agent

    def fail(self, error: BaseException | str) -> None:
        """Mark the span as failed, while the record is being made."""
        self.status, self.error = "error", error

    def copy(self) -> Record:
        """Return a record with the same values, whose model has the same ones."""
        copy = Record.__new__(Record)
        copy.__dict__.update(self.__dict__)
        if self.model is not None:
            copy.model = self.model.with_answer(self.model.answer)
        return copy

    def map_beginning(self, change: Change) -> None:
        """Map names, texts and tags that are known when a span begins, except a prompt. Only for an unshared copy."""
        texts = change([self.name, self.user_id, self.session_id, self.conversation_id])
        self.name, self.user_id, self.session_id, self.conversation_id = texts
        if self.tags is not None or self.agent is not None:
            self.tags, self.agent = change([self.tags, self.agent])
        if self.model is not None:
            self.model.map_beginning(change)

    def map_end(self, change: Change) -> None:
        """Map what is known when a span ends, except errors and fields. Only for an unshared copy."""
        if self.attributes:
            (self.attributes,) = change([self.attributes])
        if self.model is not None:
            self.model.map_end(change)
        if self.step is not None:
            self.step = self.step.mapped(change)

    def has_text_above(self, length: int) -> bool:
        """Whether a single text is so long that the encoded record exceeds `length` bytes."""
        model = self.model
        if model is not None:
            return max(len(model.prompt.text), len(model.prompt.system), len(model.answer.text)) > length
        return self.fields is not None and any(type(x) is str and len(x) > length for x in self.fields.values())


def suspends(error: BaseException) -> bool:
    """Whether the exception only suspends a function that will be called again (AWS's durable functions)."""
    return not isinstance(error, Exception) and any(c.__name__ == "SuspendExecution" for c in type(error).__mro__)
