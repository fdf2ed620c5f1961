"""Spans that never ended: what the journal keeps of one that begins, and the record of one without an end.

A function that times out, runs out of memory, or is killed leaves an unfinished invocation, and often a model call in
it. The thread that receives SIGTERM, or the next process in the sandbox, then reports them. It reuses the event id, so
the backend deduplicates if the original did arrive.
"""

from __future__ import annotations

import json
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from .. import _trace
from .policy import Policy
from .record import Record, Resource
from .values import encode

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from ..settings import Settings
    from .record import Status

_CRASHED = (
    "the process ended before the function did: killed, out of memory, by os._exit, "
    "or at its timeout in code that lets no other thread run"
)
_TIMED_OUT = "the function was still running at its timeout"
_PROMPT_MAX = 65_536  # characters of a prompt that are kept before there is an answer
_SPAN = ("trace_id", "span_id", "parent_span_id", "user_id", "session_id", "tags")
_NAMES = ("event_id", *_SPAN, "conversation_id", "agent", "kind", "name", "attributes", "ended")
_MODEL_NAMES = ("provider", "requested", "stream")
_values, _model_values = attrgetter(*_NAMES), attrgetter(*_MODEL_NAMES)


def to_journal(begun: Record) -> bytes:
    """Return a record of a span that begins now, for the journal: a line of JSON, then the prompt as it is.

    The prompt is JSON already, and to quote it again would take longer than all else.
    """
    model = begun.model
    if model is None:
        return encode(_values(begun))
    known = encode((*_values(begun), *_model_values(model)))
    if not model.has_content:
        return known
    return b"%b\n%b" % (known, model.prompt.text[:_PROMPT_MAX].encode("utf-8", "replace"))


def left_behind(spans: Iterable[bytes], overdue: Iterable[bytes], at: float, settings: Settings) -> Iterator[Record]:
    """Yield the records of spans that a dead process has begun. `at`: when it was last alive; `overdue`: its notes."""
    notes = {noted["trace_id"]: noted for noted in map(json.loads, overdue)}
    policy = Policy(settings)
    resource = Resource(settings, policy.plain(settings.tags))
    for noted_span in spans:
        begun = _from_journal(noted_span, resource, policy)
        noted = notes.get(begun.trace_id)
        # An earlier invocation in the same trace, a first try, may have ended normally.
        if noted is not None and noted["noted"] >= begun.ended:
            yield policy.applied(timed_out(begun, noted))
        else:
            yield policy.applied(ended(begun, at, "crashed", _CRASHED))


def _from_journal(data: bytes, resource: Resource, policy: Policy) -> Record:
    line, mark, text = data.partition(b"\n")
    known = dict(zip((*_NAMES, *_MODEL_NAMES), json.loads(line), strict=False))
    span = _trace.Span(*(known[name] for name in _SPAN))
    span.event_id, span.conversation_id = known["event_id"], known["conversation_id"]
    record = Record(span, resource, known["kind"], known["name"], 0, known["attributes"], float(known["ended"]))
    record.agent = known["agent"]
    if "provider" in known:
        from .model import UNANSWERED, Model, Prompt

        prompt = Prompt(text=policy.text(text.decode()))
        record.model = Model(known["provider"], known["requested"], prompt, UNANSWERED, stream=known["stream"])
        record.model.has_content = bool(mark)
    return record


def timed_out(begun: Record, noted: Mapping[str, Any]) -> Record:
    """Return the record of a span that the function's timeout has ended. `noted`: the time and the stack, if known."""
    record = ended(begun, noted["deadline"], "timeout", _TIMED_OUT)
    if record.kind == "invocation":
        record.attributes = {**record.attributes, "stack": noted.get("stack")}
    return record


def ended(begun: Record, until: float, status: Status, text: str) -> Record:
    """Return the record of a span that has ended without its function."""
    record = begun.copy()
    record.ended = max(begun.ended, until)
    record.duration_ms = (record.ended - begun.ended) * 1000
    record.status, record.error = status, text
    known = begun.attributes if isinstance(begun.attributes, dict) else {}  # they may be redacted as a whole
    record.attributes = {**known, "error.type": status}
    return record
