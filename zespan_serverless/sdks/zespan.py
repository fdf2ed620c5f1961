"""Adopts the official SDK `zespan`: its code stays unchanged, and this package delivers its events.

A thread sends its queue every two seconds, which a frozen or killed function never reaches. Its `flush` may block for
half a minute, or return with events left. With a container in the process

    BatchEngine.push    hands an event to the container: in the trace of the invocation, with the settings' redaction
    BatchEngine.flush   is our flush, within `flush_timeout` and what the invocation has left; the SDK's thread ends
    init                makes one client of one configuration in a process
    autopatch           imports no provider: one is patched when the function imports it
    patch_openai, ...   leave the calls to the rooms of `providers`, see `_zespan_calls`
    flush               exists, because the SDK's guide for serverless functions calls it; spans work with `with`

Without one (telemetry is off, or this package has not been called yet) each of them does what the SDK does. The event
of a stream's beginning is left out, because the one of its end has everything. Written for zespan 1.6.1; parts that
another version lacks are skipped.
"""

from __future__ import annotations

import atexit
import functools
import sys
import threading
from importlib import import_module
from typing import TYPE_CHECKING, Any

from .. import _process, _trace
from .._base.guard import Guarded, pass_on
from .._base.hook import when_imported
from .._base.log import describe, warn_once
from .._record.record import Record
from . import _zespan_calls, _zespan_context

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import ModuleType

    from .._process.container import Container

PROVIDERS = {
    "openai": "patch_openai",
    "anthropic": "patch_anthropic",
    "google.generativeai": "patch_google",
    "boto3": "patch_bedrock",
    "mistralai": "patch_mistral",
    "groq": "patch_groq",
    "cohere": "patch_cohere",
    "litellm": "patch_litellm",
    "pinecone": "patch_pinecone",
    "chromadb": "patch_chroma",
    "qdrant_client": "patch_qdrant",
    "weaviate": "patch_weaviate",
}
"""What the SDK's `autopatch` patches, and with what."""

_OURS = frozenset(
    ("openai", "anthropic", "boto3", "mistralai", "groq", "cohere", "litellm")
)  # traced by rooms of `providers`
_STREAM_START = "stream_start"
_MARK = "__zespan_original__"
_served: Container | None = None
_taken_over = threading.Event()  # there was a container


def adopt() -> None:
    """Adopt the SDK. Idempotent; raises what the SDK's parts raise."""
    global _served
    client = sys.modules.get("zespan.client")
    if client is None:
        return
    batch: Any = import_module("zespan.batch")  # which the SDK imports with its first client
    if not hasattr(batch.BatchEngine.push, _MARK):
        _replace_all(sys.modules["zespan"], client, batch)
    container = _process.current()
    if container is not None and container is not _served:
        _served = container
        _taken_over.set()
        _serve(client, container)


def _replace_all(package: Any, client: Any, batch: Any) -> None:
    _zespan_context.join()
    _zespan_calls.once()
    _replace(batch.BatchEngine, "push", _push)
    _replace(batch.BatchEngine, "flush", _flush)
    _replace(client, "_flush_loop", _loop)
    _replace(client, "init", _init)
    _replace(client.ZespanClient, "autopatch", _autopatch)
    package.init = client.init
    for name in {*PROVIDERS.values(), "patch_google_genai", "patch_openrouter"}:
        if hasattr(package, name):
            _replace(package, name, functools.partial(_patch, name))
    if not hasattr(package, "flush"):
        package.flush = _flush_of_package
    span = package.ManualSpan
    if not hasattr(span, "__enter__"):
        span.__enter__, span.__exit__ = _enter_span, _exit_span
        _replace(span, "end", _end_span)


def _replace(owner: Any, name: str, by: Callable[..., Any]) -> None:
    """Replace a function by one that gets it as the first argument."""
    original = getattr(owner, name)

    @functools.wraps(original)
    def replaced(*args: Any, **kwargs: Any) -> Any:
        return by(original, *args, **kwargs)

    replaced.__zespan_original__ = original  # type: ignore[attr-defined]
    setattr(owner, name, replaced)


def _serve(module: ModuleType, container: Container) -> None:
    """Adopt what the SDK has done before this container was made."""
    client: Any = getattr(module, "_client", None)
    if client is None:
        return
    atexit.unregister(client.flush)  # this package handles the exit, and knows how long it may take
    _zespan_calls.redact(container, client)
    _take_queue(client._batch_engine)


def _take_queue(engine: Any) -> None:
    """Capture what was queued before there was a container."""
    queue = getattr(engine, "_queue", None)
    while queue:
        engine.push(queue.popleft())


# ---------------------------------------------------------------------- events and flushes


def _push(original: Callable[..., Any], engine: Any, event: Mapping[str, Any]) -> None:
    container = _process.current()
    if container is None:
        original(engine, event)
    elif event.get("finish_reason") != _STREAM_START:
        with Guarded("an event of the SDK zespan"):
            container.capture(functools.partial(_record, container, dict(event), _trace.current()))


def _flush(original: Callable[..., Any], engine: Any) -> None:
    container = _process.current()
    if container is None:
        original(engine)
        return
    _take_queue(engine)
    if "(_flush_loop)" in threading.current_thread().name:  # of a client that was started earlier
        raise SystemExit  # which ends this thread
    client = getattr(sys.modules["zespan.client"], "_client", None)
    if engine is getattr(client, "_batch_engine", None):  # at exit those of older clients are called as well
        _flush_container(container)


def _flush_of_package() -> None:
    """Send what is pending, like the client's own `flush`."""
    client = getattr(sys.modules["zespan.client"], "_client", None)
    container = _process.current()
    if client is not None:
        client.flush()
    elif container is not None:
        _flush_container(container)


def _flush_container(container: Container) -> None:
    """Flush within `flush_timeout`, and what the invocation has left.

    It takes no longer, although the caller waits for it: remaining events are sent at the end of the invocation.
    """
    with Guarded("the flush"):
        container.delivery.flush(min(container.settings.flush_timeout, container.flush_by_hand()), probe=True)


def _loop(original: Callable[..., Any], client: Any) -> None:
    """Replace the loop of the SDK's thread, which ends when there is a container, because this package then flushes."""
    while not _taken_over.wait(client.flush_interval):
        client.flush()


def _record(container: Container, event: dict[str, Any], here: _trace.Span | None) -> Record:
    """Return the record of an SDK's event, in this package's trace, with ids of W3C's length."""
    span = _trace.new_span(here)
    event["trace_id"] = (
        _zespan_context.hexadecimal(event.get("trace_id"), 32) if here is None else ""
    ) or span.trace_id
    parent = _zespan_context.hexadecimal(event.get("parent_span_id"), 16)
    event["parent_span_id"] = parent or (here.span_id or None if here is not None else None)
    event["span_id"] = _zespan_context.hexadecimal(event.get("span_id"), 16) or span.span_id
    span.trace_id, span.span_id, span.parent_span_id = event["trace_id"], event["span_id"], event["parent_span_id"]
    event["span_kind"] = event.get("span_kind") or "general"
    record = Record(span, container.resource, str(event["span_kind"]), "")
    event.pop("timestamp", None)  # to the second; replaced with milliseconds
    for name in ("user_id", "session_id", "tags", "environment"):
        if not event.get(name):
            event.pop(name, None)  # those of the invocation apply
    for name in record.agent or ():
        if event.get(name) is None:
            event.pop(name, None)  # the agent of an enclosing span
    if span.step is not None and (event.get("input_tokens") or event.get("output_tokens")):
        span.step._observed(record.kind)
    record.fields = event
    return record


# ---------------------------------------------------------------------- starts and patches


def _init(original: Callable[..., Any], autopatch: Any = True, *args: Any, **kwargs: Any) -> Any:
    """Replace `init`: keep an existing client if it has the same configuration."""
    module: Any = sys.modules["zespan.client"]
    known = getattr(module, "_client", None)
    if known is None or args or not _is_configured(known, kwargs):
        result = original(autopatch, *args, **kwargs)
        container = _process.current()
        if container is None:
            _process.reconsider()  # it may be off because there was no key
        else:
            _serve(module, container)
        return result
    if autopatch:
        known.autopatch()
    return None


def _is_configured(client: Any, kwargs: dict[str, Any]) -> bool:
    """Whether `init` with these arguments would make a client that is configured like this one."""
    fields: Mapping[str, Any] = getattr(client, "__dataclass_fields__", {})
    given = {name: value for name, value in kwargs.items() if name != "auto_instrument_http"}
    if given != kwargs or not set(given) <= set(fields):
        return False
    for name, field in fields.items():
        if field.init:
            default = field.default_factory() if callable(field.default_factory) else field.default
            if getattr(client, name, None) != given.get(name, default):
                return False
    return True


def _autopatch(original: Callable[..., Any], client: Any) -> list[str]:
    """Patch imported modules now, and others when they are imported. Return the installed ones."""
    from importlib.util import find_spec

    installed = []
    for name in PROVIDERS:
        try:
            is_installed = name in sys.modules or find_spec(name) is not None
        except (ImportError, ValueError, AttributeError):  # of a package around it that is not installed
            is_installed = False
        if is_installed:
            installed.append(name.split(".")[0])
            when_imported({name: {f"the SDK zespan cannot trace {name}": _patch_provider}})
    return installed


def _patch_provider(module: ModuleType) -> None:
    getattr(sys.modules["zespan"], PROVIDERS[module.__name__])()


def _patch(name: str, original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Replace a patch of the SDK, which skips what it cannot patch."""
    if _process.current() is not None and not args and not kwargs.get("guardrails"):
        provider = next((known for known, patch in PROVIDERS.items() if patch == name), "openai")
        if provider in _OURS or name == "patch_google_genai":
            return None  # this package has patched it, with costs, cached tokens and the times of streams
    try:
        return original(*args, **kwargs)
    except AttributeError as error:
        pass_on(error)
        warn_once("sdk-failed", "the SDK zespan failed at %s: %r", name, error)
        return None
    finally:
        _zespan_calls.step_aside()


# ---------------------------------------------------------------------- spans as the README has them


def _enter_span(span: Any) -> Any:
    span._zespan_block = span.run()
    span._zespan_block.__enter__()
    return span


def _exit_span(span: Any, kind: Any, error: BaseException | None, traceback: Any) -> None:
    span._zespan_block.__exit__(None, None, None)
    if not getattr(span, "_zespan_ended", False):
        span.end(status="success" if error is None else "error", error_message=None if error is None else _text(error))


def _text(error: BaseException) -> str:
    """Return the text of an exception, without confidential quotes, and without raising."""
    container = _process.current()
    return describe(error) if container is None else container.policy.error(error)


def _end_span(original: Callable[..., Any], span: Any, *args: Any, **kwargs: Any) -> Any:
    span._zespan_ended = True
    return original(span, *args, **kwargs)
