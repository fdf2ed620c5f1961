"""The kinds of steps, their arguments, and the current step of a kind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._base.log import warn_once
from .._record.values import leaf
from .steps import STEPS_MAX, AgentSpan, GeneralSpan, HandoffSpan, PlanningSpan, RetrieverSpan, ToolSpan

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .._trace import Span

KINDS: dict[str, type[GeneralSpan]] = {
    "general": GeneralSpan,
    "chain": GeneralSpan,
    "agent": AgentSpan,
    "tool": ToolSpan,
    "retriever": RetrieverSpan,
    "planning": PlanningSpan,
    "handoff": HandoffSpan,
}
MODEL_KINDS = ("llm", "embedding", "rerank", "moderation", "image_gen", "video_gen", "audio")
NAMES = (*KINDS, *MODEL_KINDS)
MODEL_FIELDS = ("model", "provider", "messages", "system", "tools", "stream")
"""Arguments of a model call. The first two are required."""


def nearest(kind: str | None, span: Span | None) -> GeneralSpan:
    """Return the innermost enclosing step of a kind. If there is none: a target that is never sent, with a warning."""
    kind = None if kind is None else str(leaf(kind))
    step: Any = None if span is None else span.step  # or a block of another SDK (`sdks`), which is not a target
    for _ in range(STEPS_MAX):
        if step is None or (isinstance(step, GeneralSpan) and kind in (None, step.kind)):
            break
        step = step._around
    if not isinstance(step, GeneralSpan) or kind not in (None, step.kind):
        where = "a span" if kind is None else f"a span of kind {kind!r}"
        warn_once("no-span", "current_span() is called outside %s: nothing that is set on its result is sent", where)
        return made(kind or "general", None)
    return step


def made(kind: object, outer: GeneralSpan | None) -> GeneralSpan:
    """Create the target for a step of this kind, inside another one. An unknown kind becomes `general`."""
    if not isinstance(kind, str):
        return GeneralSpan("general", outer)
    if kind in MODEL_KINDS:
        from .model_span import ModelSpan

        return ModelSpan(kind, outer)
    home = KINDS.get(kind)
    return GeneralSpan("general", outer) if home is None else home(kind, outer)


def problem(kind: str, given: Mapping[str, Any]) -> str:
    """Return what is wrong with the arguments of a `span()`, and what to type instead; empty if nothing is."""
    if kind not in NAMES:
        return f"{kind!r} is not a kind of span{_hint(str(kind), NAMES)}"
    fields = MODEL_FIELDS if kind in MODEL_KINDS else KINDS[kind]._fields
    for name in given:
        if name not in fields:
            return f"a span of kind {kind!r} has no {name!r}{_hint(name, (*fields, 'metadata'))}"
    if kind not in MODEL_KINDS:
        return ""
    missing = [f"{name}=..." for name in MODEL_FIELDS[:2] if given.get(name) is None]
    return f"a span of kind {kind!r} needs {' and '.join(missing)}" if missing else ""


def _hint(name: str, names: Sequence[str]) -> str:
    import difflib

    close = difflib.get_close_matches(name, names, 1, 0.6)
    return f", did you mean {close[0]!r}?" if close else f"; there are {', '.join(names)}"
