"""Adopts the packages zespan-fastapi, -flask, -crewai and -autogen: this package delivers their events.

Each has its own queue, and sends it in a thread, or during a request. With a container in the process

    zespan_fastapi, zespan_flask    each request's event is a step of the invocation that serves it
    zespan_crewai, zespan_autogen   what has a start and an end is one step; what has none is a step without duration;
                                    a model call that a room of `providers` has seen is left out

Without one they work as usual. Written for version 1.2.2 of each; parts that another version lacks are skipped.
"""

from __future__ import annotations

import functools
import sys
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from .. import _process, _trace
from .._base.guard import Guarded, pass_on
from .._base.log import warn_once
from .._record.record import Record

if TYPE_CHECKING:
    from collections.abc import Callable

    from .._process.container import Container

_CONTENT = frozenset(
    ("content", "description", "expected_output", "llm.prompt", "output", "result", "task", "thought", "tool_args")
)
"""Fields that quote prompts or answers, which are left out if those are not stored."""

_KINDS = {"agent": "agent", "tool": "tool", "llm": "llm"}  # by the first word of an event's type
_KINDS_OF = {"agent.handoff": "handoff", "agent.memory_query": "retriever", "agent.message": "general"}
_ENDS = frozenset(("completed", "failed", "finished", "error", "executed"))
_OPEN_MAX = 1000  # steps that have begun, of which the oldest is forgotten
_MARK = "__zespan_original__"

_BUS_MAX = 0.1  # seconds that the end of an invocation waits for CrewAI's threads, which report the ends of steps

_open: OrderedDict[tuple[str, str], _Step | None] = OrderedDict()  # None: reported already, at the invocation's end


def adopt() -> None:
    """Adopt those that have been imported. Idempotent; never raises, except what a signal handler raises."""
    for name, take in _TAKE.items():
        module = sys.modules.get(name)
        if module is not None and not hasattr(module, _MARK):
            try:
                module.__zespan_original__ = name  # type: ignore[attr-defined]
                take(module)
            except Exception as error:
                pass_on(error)
                warn_once("sdk-not-adopted", "the package %s sends its own events: %r", name, error)


def _replace(owner: Any, name: str, by: Callable[..., Any]) -> None:
    """Replace a function by one that gets it as the first argument."""
    original = getattr(owner, name)

    @functools.wraps(original)
    def replaced(*args: Any, **kwargs: Any) -> Any:
        return by(original, *args, **kwargs)

    setattr(owner, name, replaced)


# ---------------------------------------------------------------------- FastAPI and Flask


def _take_fastapi(module: Any) -> None:
    _take_config(module)
    original = module.ZespanFastAPIMiddleware.__call__

    @functools.wraps(original)
    async def call(middleware: Any, scope: Any, receive: Any, send: Any) -> Any:
        here: list[_trace.Span | None] = [_trace.current()]

        async def send_from_inside(message: Any) -> None:
            here[0] = _trace.current() or here[0]  # our middleware may be inside this one
            await send(message)

        try:
            return await original(middleware, scope, receive, send_from_inside)
        finally:
            _drain(middleware, here[0])

    async def flush(original: Any, middleware: Any) -> None:
        if _process.current() is None:
            await original(middleware)

    module.ZespanFastAPIMiddleware.__call__ = call
    module.asyncio = sys.modules.get("asyncio")  # its `observe_span` needs it, and does not import it
    _replace(module.ZespanFastAPIMiddleware, "_flush", flush)


def _take_flask(module: Any) -> None:
    _take_config(module)

    def flush(original: Any, extension: Any) -> None:
        if _process.current() is None:
            original(extension)
        else:
            _drain(extension, _trace.current())

    _replace(module.ZespanFlaskExtension, "_flush", flush)


def _take_config(module: Any) -> None:
    """Keep the last configuration, whose key and address become settings, see `settings`."""

    def init(original: Any, config: Any, *args: Any, **kwargs: Any) -> None:
        original(config, *args, **kwargs)
        module.__zespan_config__ = config

    _replace(module.ZespanConfig, "__init__", init)


def _drain(owner: Any, here: _trace.Span | None) -> None:
    """Capture the requests that have been queued."""
    container = _process.current()
    if container is not None:
        requests, owner._queue = owner._queue, []
        for request in requests:
            with Guarded("a request's event"):
                container.capture(functools.partial(_request, container, _trace.new_span(here), request))


def _request(container: Container, span: _trace.Span, request: dict[str, Any]) -> Record:
    attributes = _allowed(container, request.get("attributes") or {})
    if request.get("http_status") is not None:
        attributes["http.response.status_code"] = request["http_status"]
    record = Record(span, container.resource, "general", str(request.get("name", "request")))
    record.duration_ms, record.attributes = _number(request.get("duration_ms")), attributes
    if request.get("status") == "error":
        record.status = "error"
    return record


# ---------------------------------------------------------------------- CrewAI and AutoGen


def _take_ingest(module: Any) -> None:
    start_worker = module._ensure_worker

    def send(original: Any, kind: str, data: dict[str, Any]) -> None:
        container = _process.current()
        if container is None:
            start_worker()
            original(kind, data)
        else:
            with Guarded("an event of a framework"):
                _take_event(container, kind, dict(data))

    _replace(module, "send_event", send)
    if not module._worker_started:
        module._ensure_worker = lambda: None  # once there is something to send


class _Step:
    """An open step: an agent, a task, a tool call or a model call."""

    def __init__(self, container: Container, kind: str, data: dict[str, Any]) -> None:
        self.container, self.kind, self.data = container, kind, data
        here = _trace.current()
        self.span = _trace.new_span(here)
        around = _open.get(("crew", str(data.get("trace_id")))) or _open.get(
            ("conversation", str(data.get("trace_id")))
        )
        if around is not None and around.span.trace_id == self.span.trace_id:
            self.span.parent_span_id = around.span.span_id
        self.calls = self.span.root.calls
        self.began = time.perf_counter()

    def ended(self, kind: str, data: dict[str, Any]) -> None:
        """Capture the step, unless it is a model call that has already been captured."""
        self.span.root.open.pop(id(self), None)
        if self.kind.startswith("llm.") and self.span.root.calls != self.calls:
            return
        took_ms = (time.perf_counter() - self.began) * 1000
        both = {**self.data, **{name: value for name, value in data.items() if value is not None}}
        self.container.capture(
            functools.partial(_step, self.container, self.span, kind, both, took_ms), self.span.span_id
        )


def _take_event(container: Container, kind: str, data: dict[str, Any]) -> None:
    words = kind.split(".")
    subject, last = words[0], words[-1]
    name = str(data.get("span_id") or data.get("call_id") or data.get("trace_id"))
    if last in ("started", "requested"):
        step = _Step(container, kind, data)
        _open[subject, name] = step
        # The invocation may end first; then nothing more is known of the step.
        step.span.root.open[id(step)] = functools.partial(_forget, subject, name)
        if len(_open) > _OPEN_MAX:
            _forget(*next(iter(_open)))
            _open.popitem(last=False)
    elif last in _ENDS:
        begun = _open.pop((subject, name)) if (subject, name) in _open else _Step(container, kind, data)
        if begun is not None:
            begun.ended(kind, data)
    elif last != "chunk":
        _Step(container, kind, data).ended(kind, {})


def _forget(subject: str, name: str) -> None:
    """Report a step whose end is not known."""
    bus = getattr(sys.modules.get("crewai.events"), "crewai_event_bus", None)
    if bus is not None:
        with Guarded("the events of CrewAI"):
            bus.flush(_BUS_MAX)
    step = _open.get((subject, name))
    if step is not None:
        _open[subject, name] = None
        step.ended(step.kind, {})


def _step(container: Container, span: _trace.Span, kind: str, data: dict[str, Any], took_ms: float) -> Record:
    subject = kind.split(".", 1)[0]
    attributes = _allowed(container, data)
    for name in ("trace_id", "span_id", "duration_ms"):
        attributes.pop(name, None)
    what = data.get("agent_role") or data.get("tool_name") or data.get("model") or data.get("crew_name")
    record = Record(span, container.resource, _KINDS_OF.get(kind) or _KINDS.get(subject, "general"), kind)
    record.name = f"{kind.rpartition('.')[0] if kind.rpartition('.')[2] in _ENDS else kind} {what or ''}".strip()
    record.duration_ms = _number(data.get("duration_ms")) or took_ms
    record.attributes = attributes
    if kind.endswith((".failed", ".error")):
        record.fail(str(attributes.pop("error", kind)))
    return record


def _allowed(container: Container, fields: dict[str, Any]) -> dict[str, Any]:
    stored = container.settings.store_prompts
    return {name: value for name, value in fields.items() if value is not None and (stored or name not in _CONTENT)}


def _number(value: object) -> float:
    return float(value) if isinstance(value, (int, float)) else 0.0


_TAKE: dict[str, Callable[[Any], None]] = {
    "zespan_fastapi": _take_fastapi,
    "zespan_flask": _take_flask,
    "zespan_crewai.ingest": _take_ingest,
    "zespan_autogen.ingest": _take_ingest,
}
