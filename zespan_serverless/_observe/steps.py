"""The targets of `with span()`: one class for each kind of step.

Each is a dict for metadata, with methods for the fields of its kind. They are called in the user's function: they raise
nothing, whatever their arguments, and copy the values, which may change afterwards.
"""

from __future__ import annotations

from functools import update_wrapper
from typing import TYPE_CHECKING, Any

from .. import _process
from .._base.guard import Guarded, pass_on
from .._base.log import describe, warn_once
from .._record.step import Step
from .._record.values import leaf, plain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from .._process.container import Container
    from .._record.record import Record
    from .._trace import Span

STEPS_MAX = 1000  # nested blocks that are skipped to find the kind
_METHODS = frozenset(
    (
        *("input", "output", "usage", "first_token", "arguments", "result", "query", "documents", "steps", "rationale"),
        "to",
    )
)
"""Fields of all kinds."""


class GeneralSpan(dict[str, Any]):
    """A dict for the metadata of a step, which can be filled until the step ends."""

    _fields: tuple[str, ...] = ()
    """Arguments of `span()` for this kind, besides `metadata`."""

    def __init__(self, kind: str = "general", around: GeneralSpan | None = None) -> None:
        super().__init__()
        self.kind: str = kind
        self._around = around
        self.agent: Mapping[str, Any] | None = None if around is None else around.agent
        """The enclosing agent or None: `agent_id`, `agent_name`, `agent_role`, `agent_framework`, `parent_agent_id`."""
        self._step: Step | None = None

    def __init_subclass__(cls) -> None:
        """Wrap the methods of a kind so that they never raise, whatever their arguments."""
        for name in _METHODS.intersection(vars(cls)):
            setattr(cls, name, _forgiving(name, vars(cls)[name]))

    if not TYPE_CHECKING:

        def __getattr__(self, name):
            """Ignore a method of another kind: a kind may be misspelled or may have failed to start."""
            if name not in _METHODS:
                raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
            warn_once("span-method", "a span of kind %r has no %s(): the call is ignored", self.kind, name)
            return _ignore

    def _begin(self, span: Span, name: str, given: Mapping[str, Any], *, is_noted: bool) -> None:
        """Begin the step; `given` are the arguments of `span()`. May raise.

        `is_noted`: whether to write to the journal that it has begun.
        """

    def _observed(self, kind: str) -> None:
        """Record that a model call inside has counted its own tokens."""
        step: GeneralSpan | None = self
        for _ in range(STEPS_MAX):
            if step is None:
                break
            step._counted_inside(kind)
            step = step._around

    def _counted_inside(self, kind: str) -> None:
        """Whether a model call of this kind, inside this step, has counted its own tokens."""

    def _complete(self, record: Record, container: Container) -> None:
        """Add this kind's fields to the record. May be called twice."""
        record.step = self._step

    def _raised(self, error: BaseException) -> None:
        """Record the exception that was raised inside. May raise."""

    def _close(self) -> None:
        """End the step, and drop references to enclosing steps, which a chain of tasks would keep alive."""
        self._around = None


def _ignore(*_: object, **__: object) -> None:
    """Do nothing: the replacement for a method of another kind."""


def _forgiving(name: str, method: Any) -> Callable[..., None]:
    """Wrap a method so that a failing call, such as one with wrong arguments, is logged and ignored."""

    def called(span: GeneralSpan, *args: Any, **kwargs: Any) -> None:
        try:
            method(span, *args, **kwargs)
        except Exception as error:
            pass_on(error)
            code = method.__code__
            names = ", ".join(code.co_varnames[1 : code.co_argcount + code.co_kwonlyargcount])
            text = "a call of %s() of a span of kind %r is ignored: %s; its arguments are: %s"
            warn_once("span-method", text, name, span.kind, describe(error), names or "none")

    return update_wrapper(called, method)


class AgentSpan(GeneralSpan):
    """A running agent. All events inside carry its id, name, role and framework, and the enclosing agent's id."""

    _fields = ("agent_id", "agent_name", "agent_role", "agent_framework", "tools")

    def _begin(self, span: Span, name: str, given: Mapping[str, Any], *, is_noted: bool) -> None:
        outer = self.agent or {}
        said = {field: None if (value := given.get(field)) is None else str(leaf(value)) for field in self._fields[:4]}
        said["agent_id"] = said["agent_id"] or span.event_id  # of this run; inner calls and agents refer to it
        said["agent_name"] = said["agent_name"] or name
        self.agent: Mapping[str, Any] | None = {**said, "parent_agent_id": outer.get("agent_id")}
        if given.get("tools") is not None:
            self._step = Step()
            self._step.tools = plain(given["tools"])


class _Filled(GeneralSpan):
    """A step with fields besides metadata."""

    def _begin(self, span: Span, name: str, given: Mapping[str, Any], *, is_noted: bool) -> None:
        self._step = Step()

    def _put(self, **values: Any) -> None:
        """Store copies of the given values in the step."""
        if self._step is not None and _process.current() is not None:
            with Guarded("what a span is filled in with"):
                for name, value in values.items():
                    if value is not None:
                        setattr(self._step, name, plain(value))


class ToolSpan(_Filled):
    """A tool call."""

    _fields = ("arguments", "result")

    def _begin(self, span: Span, name: str, given: Mapping[str, Any], *, is_noted: bool) -> None:
        super()._begin(span, name, given, is_noted=is_noted)
        self._put(tool=name, arguments=given.get("arguments"), result=given.get("result"))

    def arguments(self, value: object) -> None:
        """Set the arguments: a mapping, or any value that JSON can represent. Not sent without `store_prompts`."""
        self._put(arguments=value)

    def result(self, value: object) -> None:
        """Set the result, at most 10,240 characters as JSON. Not sent without `store_prompts`."""
        self._put(result=value)


class RetrieverSpan(_Filled):
    """A document search."""

    _fields = ("query",)

    def _begin(self, span: Span, name: str, given: Mapping[str, Any], *, is_noted: bool) -> None:
        super()._begin(span, name, given, is_noted=is_noted)
        self._put(query=given.get("query"))

    def query(self, text: str) -> None:
        """Set the query. Not sent without `store_prompts`."""
        self._put(query=text)

    def documents(self, found: Iterable[object] | None = None, *, count: int | None = None) -> None:
        """Set the documents found: texts, mappings, or objects of LangChain and LlamaIndex; or only their `count`.

        The content, document_id, chunk_id, source and score of each are sent; without `store_prompts`, not the content.
        """
        if _process.current() is not None:
            with Guarded("the documents of a span"):
                from .documents import read

                listed = None if found is None else read(found)
                number = len(listed) if count is None and listed is not None else leaf(count)
                self._put(documents=listed, count=number if type(number) is int else None)


class PlanningSpan(_Filled):
    """A plan made by a model or an agent."""

    _fields = ("steps", "rationale")

    def _begin(self, span: Span, name: str, given: Mapping[str, Any], *, is_noted: bool) -> None:
        super()._begin(span, name, given, is_noted=is_noted)
        self._put(plan=given.get("steps"), rationale=given.get("rationale"))

    def steps(self, steps: Sequence[object]) -> None:
        """Set the steps of the plan, in order. Not sent without `store_prompts`."""
        self._put(plan=steps)

    def rationale(self, text: str) -> None:
        """Set the reason for the plan, at most 2,000 characters. Not sent without `store_prompts`."""
        self._put(rationale=text)


class HandoffSpan(_Filled):
    """A handoff from one agent to another."""

    _fields = ("to_agent", "from_agent", "reason")

    def _begin(self, span: Span, name: str, given: Mapping[str, Any], *, is_noted: bool) -> None:
        super()._begin(span, name, given, is_noted=is_noted)
        agent, source = self.agent or {}, given.get("from_agent")
        source = agent.get("agent_name") if source is None else source
        known = agent.get("agent_id") if source == agent.get("agent_name") else None
        self._put(source=source, source_id=known, target=given.get("to_agent"), reason=given.get("reason"))

    def to(self, agent: str, *, reason: str | None = None) -> None:
        """Set the name of the agent that takes over, and the reason. The reason is not sent without `store_prompts`."""
        self._put(target=agent, reason=reason)
