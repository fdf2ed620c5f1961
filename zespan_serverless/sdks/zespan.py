"""The official SDK `zespan`, adopted: its code stays as it is, and its events go the way of ours.

Its queue is sent by a thread every two seconds, which a function that is frozen or killed never gets; its `flush` may
block for half a minute, or return with events left. With a container in the process

    BatchEngine.push    hands an event to the container: in the trace of the invocation, with the settings' redaction
    BatchEngine.flush   is our flush, within what the invocation has left; the SDK's thread flushes nothing
    init                makes one client in a process, starts no thread, and imports no provider
    flush               exists, because the SDK's guide for serverless functions calls it

An event of a stream's beginning is left out: the one of its end has everything. Written for zespan 1.6.1; what another
version lacks is left alone.
"""

from __future__ import annotations

import functools
import sys
import threading
from typing import TYPE_CHECKING, Any

from .. import _process, _trace
from .._base.guard import Guarded, pass_on
from .._base.log import warn_once
from .._record.record import Record

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import ModuleType

    from .._process.container import Container

CLIENT = "zespan.client"
_STREAM_START = "stream_start"
_VECTOR_STORES = {
    "pinecone": "patch_pinecone",
    "chromadb": "patch_chroma",
    "qdrant_client": "patch_qdrant",
    "weaviate": "patch_weaviate",
}
_MARK = "__zespan_original__"


def adopt() -> None:
    """Take over the SDK's events, if it has been imported. Idempotent; raises what the SDK's parts raise."""
    client, batch = sys.modules.get(CLIENT), sys.modules.get("zespan.batch")
    if client is None or batch is None:
        return
    engine = batch.BatchEngine
    if not hasattr(engine.push, _MARK):
        _replace(engine, "push", _push)
        _replace(engine, "flush", _flush)
        _replace(client, "_flush_loop", _no_loop)
        _replace(client, "init", _init)
        package = sys.modules["zespan"]
        package.init = client.init  # type: ignore[attr-defined]
        if not hasattr(package, "flush"):
            package.flush = _flush_by_hand  # type: ignore[attr-defined]
        _take_queue(client)


def _replace(owner: Any, name: str, by: Callable[..., Any]) -> None:
    """Put a function in the place of one that it gets as its first argument."""
    original = getattr(owner, name)

    @functools.wraps(original)
    def replaced(*args: Any, **kwargs: Any) -> Any:
        return by(original, *args, **kwargs)

    replaced.__zespan_original__ = original  # type: ignore[attr-defined]
    setattr(owner, name, replaced)


def _push(original: Callable[..., Any], engine: Any, event: Mapping[str, Any]) -> None:
    container = _process.current()
    if container is None:
        original(engine, event)
    elif event.get("finish_reason") != _STREAM_START:
        with Guarded("an event of the SDK zespan"):
            container.capture(functools.partial(_record, container, dict(event)))


def _flush(original: Callable[..., Any], engine: Any) -> None:
    container = _process.current()
    if container is None:
        original(engine)
    elif "_flush_loop" not in threading.current_thread().name:  # of a client that was there before us
        _flush_by_hand()


def _flush_by_hand() -> None:
    """Send what is pending, within what the invocation has left."""
    container = _process.current()
    if container is not None:
        with Guarded("the flush"):
            container.delivery.flush(container.flush_by_hand(), probe=True)


def _no_loop(original: Callable[..., Any], client: Any) -> None:
    if _process.current() is None:
        original(client)


def _init(original: Callable[..., Any], autopatch: Any = True, *args: Any, **kwargs: Any) -> Any:
    """`init` without the imports of `autopatch`, and without another client where there is one with this key."""
    module: Any = sys.modules[CLIENT]
    if _process.current() is None:
        return original(autopatch, *args, **kwargs)
    known = getattr(module, "_client", None)
    if known is None or getattr(known, "api_key", None) != kwargs.get("api_key"):
        original(False, *args, **kwargs)
    if autopatch:
        for name, patch in _VECTOR_STORES.items():  # our rooms trace the models
            if name in sys.modules:
                try:
                    getattr(sys.modules["zespan"], patch)()
                except Exception as error:  # a package of another version than the SDK knows
                    pass_on(error)
                    warn_once("the SDK zespan cannot trace %s: %r", name, error)
    return None


def _take_queue(client: ModuleType) -> None:
    """Capture what the SDK has queued before us."""
    engine: Any = getattr(getattr(client, "_client", None), "_batch_engine", None)
    queue = getattr(engine, "_queue", None)
    while queue:
        engine.push(queue.popleft())


def _record(container: Container, event: dict[str, Any]) -> Record:
    """The record of an event of the SDK's: what it says, with our trace, our parent and ids of W3C's length."""
    here = _trace.current()
    span = _trace.new_span(here)
    parent = event.get("parent_span_id")
    if here is not None:
        event["trace_id"] = here.trace_id
        event["parent_span_id"] = (
            here.span_id or None if parent is None or _is_only_context(parent) else _span_id(parent)
        )
    else:
        event["trace_id"] = _digits(event.get("trace_id"), 32) or span.trace_id
        event["parent_span_id"] = None if parent is None or _is_only_context(parent) else _span_id(parent)
    span.span_id = event["span_id"] = _span_id(event.get("span_id")) or span.span_id
    record = Record(span, container.resource, str(event.get("span_kind", "general")), "")
    event.pop("timestamp", None)  # to the second; ours is to the millisecond
    for name in ("user_id", "session_id", "tags", "environment"):
        if not event.get(name):
            event.pop(name, None)  # those of the invocation are in force
    for name in record.agent or ():
        if event.get(name) is None:
            event.pop(name, None)  # that of a span around is at work
    if span.step is not None and (event.get("input_tokens") or event.get("output_tokens")):
        span.step._observed(record.kind)
    record.fields = event
    return record


def _is_only_context(span_id: object) -> bool:
    """Whether this is the id that `with_zespan_context` makes up for its block, which never has an event."""
    context = sys.modules.get("zespan.context")
    now: Any = context._zespan_ctx.get() if context is not None else None
    return bool(now) and now.get("span_id") == span_id and "agent_id" not in now


def _span_id(value: object) -> str:
    return _digits(value, 16)


def _digits(value: object, count: int) -> str:
    """The SDK's ids are UUIDs: their first digits, which are random, too."""
    digits = value.replace("-", "") if isinstance(value, str) else ""
    return digits[:count] if len(digits) >= count and set(digits) <= set("0123456789abcdef") else ""
