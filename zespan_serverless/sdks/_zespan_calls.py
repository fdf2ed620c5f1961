"""Model calls that the SDK `zespan` also traces, after `zespan.patch_openai()` and similar calls.

Each call is one event. It is this package's if the call reaches a room of `providers`: with costs, cached tokens and
the time of the first content. This is decided during the call, whatever other tools are in between:

    step_aside   a wrapper of the SDK's that only traces calls what it wraps, and does nothing else
    once         another one (with guardrails, with OpenTelemetry, of a client's own methods, of a provider that no
                 room knows) does its work; its event is left out if a room of `providers` has seen the call

The SDK's wrappers fail for messages that are not JSON, and return streams that lack methods. With a container in the
process they do neither.
"""

from __future__ import annotations

import functools
import json
import sys
from contextvars import ContextVar
from types import FunctionType, GeneratorType
from typing import TYPE_CHECKING, Any

from .. import _process, _trace
from .._base.log import warn_once
from .._record.policy import Policy
from .._record.values import to_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import ModuleType

    from .._process.container import Container
    from .._record.record import Record

_WRAPPERS = "zespan.wrappers."
_OF_MODELS = ("openai", "anthropic", "google", "bedrock", "mistral", "groq", "cohere", "litellm")
_METHODS = (
    ("openai.resources.chat.completions", "Completions", "create"),
    ("anthropic.resources.messages", "Messages", "create"),
    ("groq.resources.chat.completions", "Completions", "create"),
    ("cohere.client_v2", "ClientV2", "chat"),
    ("cohere.client_v2", "ClientV2", "chat_stream"),
)
"""Where the SDK wraps methods of classes: module, class, method."""

_TEXTS = frozenset(
    (
        *("prompt_text", "completion_text", "system_prompt", "tool_call_args", "tool_call_result", "metadata"),
        *("decision_rationale", "delegation_reason", "error_message", "planning_steps"),
    )
)
"""Fields of the SDK's events that may quote users."""

_LAYERS_MAX = 50  # wrappers of other tools around a method

_END = object()
_current: ContextVar[_Call | None] = ContextVar("zespan_serverless_sdk_call", default=None)


class _Call:
    """The SDK's client for one call of a wrapper: without its event if a room of `providers` has seen the call."""

    def __init__(self, client: Any) -> None:
        outer: _Call | None = _current.get()
        self._client = client
        self.outer = outer if outer is not None and outer.is_inside else None
        self.is_inside: bool = False  # whether the wrapped method is running
        self.is_seen = _trace.open_call.get() is not None  # our wrapper may enclose the SDK's

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def enqueue(self, event: dict[str, Any]) -> None:
        if not self.is_seen:
            self._client.enqueue(event)


class _Inside:
    """Replaces the SDK's block around the wrapped method, which would hide the call's agent and parent."""

    def __enter__(self) -> None:
        self._call = _current.get()
        if self._call is not None:
            self._call.is_inside = True

    def __exit__(self, *_: object) -> None:
        if self._call is not None:
            self._call.is_inside = False
            _current.set(self._call.outer)


class _Json:
    """Replaces the module `json` in the SDK, and also accepts values that are not JSON."""

    def __getattr__(self, name: str) -> Any:
        return getattr(json, name)

    def dumps(self, value: Any, **options: Any) -> str:
        if _process.current() is None:
            return json.dumps(value, **options)
        try:
            return json.dumps(value, **options)
        except (TypeError, ValueError, RecursionError):
            return to_json(value)


def seen() -> None:
    """Note that a room of `providers` records the current call, so that the wrappers around it need not."""
    call = _current.get()
    while call is not None:
        call.is_seen = True
        call = call.outer


def once() -> None:
    """Make the SDK's wrappers leave out the events of calls that this package records. Idempotent."""
    for module in _modules(_WRAPPERS):
        if module.__name__.removeprefix(_WRAPPERS).removesuffix("_wrapper") in _OF_MODELS:
            _replace(module, "get_client", _get_client)
            _replace(module, "with_zespan_context", _block)
            for name in [name for name in vars(module) if name.endswith("StreamWrapper")]:
                _replace(module, name, _stream)
    for module in _modules("zespan."):
        if getattr(module, "json", None) is json and module.__name__ != "zespan.batch":
            module.json = _Json()  # type: ignore[attr-defined]
    step_aside()


def _modules(prefix: str) -> list[ModuleType]:
    return [module for name, module in [*sys.modules.items()] if name.startswith(prefix)]


def _replace(module: Any, name: str, by: Callable[..., Any]) -> None:
    original = getattr(module, name, None)
    if original is not None and getattr(original, "func", None) is not by:
        setattr(module, name, functools.partial(by, original))


def _get_client(original: Callable[[], Any]) -> Any:
    client = original()
    if _process.current() is None:
        return client
    call = _Call(client)
    _current.set(call)
    return call


def _block(original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    return original(*args, **kwargs) if _process.current() is None else _Inside()


def _stream(original: Callable[..., Any], stream: Any, *args: Any, **kwargs: Any) -> Any:
    """Return the user's own stream, if a room of `providers` reads along in it."""
    call = kwargs.get("client")
    if type(call) is not _Call:
        return original(stream, *args, **kwargs)
    if call.is_seen:
        return stream
    return original(_begun(call, stream) if type(stream) is GeneratorType else stream, *args, **kwargs)


def _begun(call: _Call, stream: Any) -> Iterator[Any]:
    """Wrap a generator whose call begins with its first item."""
    outside = _current.get()
    _current.set(call)
    try:
        first = next(stream, _END)
    finally:
        _current.set(outside)
    if first is not _END:
        yield first
        yield from stream


# ---------------------------------------------------------------------- wrappers that do nothing


def step_aside() -> None:
    """Make the SDK's wrappers of methods only call what they wrap, wherever they are by now. Idempotent."""
    for module, kind, method in _METHODS:
        owner = vars(sys.modules.get(module, sys)).get(kind)
        if owner is not None:
            for set_place, wrapper in _wrappers(owner, method):
                original = _wrapped(wrapper)
                if original is not None:
                    set_place(_aside(wrapper, original))


def _wrappers(owner: Any, name: str) -> Iterator[tuple[Callable[[Any], None], FunctionType]]:
    """Yield the SDK's wrappers of a method, and a function that replaces each.

    The wrappers of other tools are searched as well: they store what they wrap in `__wrapped__`, or in their closures.
    """
    places: list[tuple[Callable[[Any], None], Any]] = [(functools.partial(setattr, owner, name), getattr(owner, name))]
    known: list[Any] = []
    while places and len(known) < _LAYERS_MAX:
        set_place, layer = places.pop()
        if any(layer is one for one in known) or not isinstance(layer, FunctionType):
            continue
        known.append(layer)
        if layer.__module__.startswith(_WRAPPERS):
            yield set_place, layer
        marks = [mark for mark in ("__wrapped__", "__zespan_original__") if mark in vars(layer)]
        places += [(functools.partial(setattr, layer, mark), vars(layer)[mark]) for mark in marks]
        for cell in layer.__closure__ or ():
            try:
                places.append((functools.partial(setattr, cell, "cell_contents"), cell.cell_contents))
            except ValueError:  # an empty one
                continue


def _wrapped(wrapper: FunctionType) -> Callable[..., Any] | None:
    """Return what an SDK's wrapper wraps; None if it does more than trace, or is known already."""
    if hasattr(wrapper, "__zespan_aside__"):
        return None
    inner = dict(zip(wrapper.__code__.co_freevars, wrapper.__closure__ or (), strict=False))
    settings = inner.get("guardrail_settings")
    if settings is not None and settings.cell_contents:
        return None
    originals = [cell.cell_contents for name, cell in inner.items() if name.startswith("orig_")]
    return originals[0] if len(originals) == 1 else None


def _aside(wrapper: FunctionType, original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def method(*args: Any, **kwargs: Any) -> Any:
        client = getattr(sys.modules["zespan.client"], "_client", None)
        if _process.current() is None or getattr(client, "enable_otel", False):
            return wrapper(*args, **kwargs)
        text = (
            "model calls that the SDK zespan has patched are traced by zespan_serverless instead, each once, with"
            " costs, cached tokens and the time to the first content"
        )
        warn_once("sdk-calls-taken-over", text)
        return original(*args, **kwargs)

    wrapper.__zespan_aside__ = method  # type: ignore[attr-defined]
    return method


# ---------------------------------------------------------------------- personal data


def redact(container: Container, client: Any) -> None:
    """Apply the redaction of the SDK's client to all records: `redact_pii=True`."""
    config: Any = getattr(client, "_pii_config", dict)()
    if config.get("enabled"):
        container.policy = _Without(container, config)


class _Without(Policy):
    """The policy of the settings, with the SDK's patterns of personal data."""

    def __init__(self, container: Container, config: dict[str, Any]) -> None:
        super().__init__(container.settings)
        from importlib import import_module

        redact = import_module("zespan.pii").redact_pii_in_text
        self._given = {name: config.get(name) for name in ("categories", "whitelist")}
        self._given["mode"] = config.get("mode") or "placeholder"
        self._redact = redact

    def applied(self, record: Record) -> Record:
        cleaned = super().applied(record).copy()
        cleaned.attributes, cleaned.error = self._cleaned(cleaned.attributes), self._cleaned(cleaned.error)
        if cleaned.model is not None:
            answer = cleaned.model.answer.mapped(self._cleaned)
            answer.model = cleaned.model.answer.model
            cleaned.model = cleaned.model.with_answer(answer)
            if not record.has_allowed_beginning:
                cleaned.model.prompt = cleaned.model.prompt.mapped(self._cleaned)
        if cleaned.step is not None:
            cleaned.step = cleaned.step.mapped(self._cleaned)
        if cleaned.fields is not None:
            fields = cleaned.fields
            cleaned.fields = {name: self._cleaned(fields[name]) if name in _TEXTS else fields[name] for name in fields}
        return cleaned

    def _cleaned(self, value: Any) -> Any:
        if isinstance(value, str):
            return self._redact(value, **self._given)
        if isinstance(value, dict):
            return {name: self._cleaned(inner) for name, inner in value.items()}
        return [self._cleaned(inner) for inner in value] if isinstance(value, list) else value


_trace.ON_CALL.append(seen)
