"""Decides what may be sent: sampling, `store_prompts`, `redact_keys` and length limits, applied once to each record.

A secret is a value under one of `redact_keys`: in any container or record, and in any text (see `redaction`). Texts of
errors, and descriptions of objects, are searched more thoroughly.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any

from .._base.forks import importing
from .secret_keys import REDACTED, may_change, may_change_loosely, normal
from .values import DATA_URL_MAX, PLAIN_MAX, Walk, key_text, leaf, to_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ..settings import Settings
    from .record import Record

RATIONALE_MAX = 2000  # characters, as in the SDK `zespan`
ERROR_TEXT_MAX = 500  # characters, as in the SDK `zespan`
_ERROR_READ_MAX = 65_536  # characters of an error's text that are searched, of which ERROR_TEXT_MAX are sent
_SHORT = 1000  # characters
_ONLY_TEXTS = frozenset((str,))
_CACHED_KEYS, _CACHED_KEY_MAX = 1024, 64  # how many, and how long

# Parts of a record, by the names that `redact_keys` may use, and those of a model call.
_PARTS = {
    "operation": "name",
    "metadata": "attributes",
    "user_id": "user_id",
    "session_id": "session_id",
    "conversation_id": "conversation_id",
    "tags": "tags",
}
_MODEL_PARTS = (
    *("provider", "model", "finish_reason", "tool_definitions", "tools_used"),
    *("agent_name", "agent_role", "message_role", "prompt_hash"),
)

_STEP_PARTS = (
    *("delegation_from_agent_id", "delegation_from_agent_name", "rag_context_count"),
    *("rag_contexts", "retrieval_query", "to_agent"),
)

# Fields of a captured event, with the names of the SDK `zespan`.
_CONTENT = frozenset(
    (
        *("prompt_text", "completion_text", "system_prompt", "tool_call_args", "tool_call_result"),
        *("decision_rationale", "delegation_reason", "planning_steps"),
    )
)
# Structures, sent as JSON text.
_JSON = frozenset(("prompt_text", "completion_text", "tool_call_args", "tool_call_result"))
_SPECIAL = _CONTENT | {"error_message"}
_LONGEST = {"decision_rationale": RATIONALE_MAX}
# Required fields of an event, which `redact_keys` never hides.
_FRAME = frozenset(
    ("event_id", "project_id", "trace_id", "span_id", "parent_span_id", "timestamp", "span_kind", "status")
)


def sampled(trace_id: str, rate: float) -> bool:
    """Whether a trace is sampled: FNV-1a of its id, as in Zespan's SDKs, so that all services decide alike."""
    if rate >= 1.0 or not trace_id:
        return rate > 0.0
    digest = 0x811C9DC5
    for byte in trace_id.encode("utf-8", "replace"):
        digest = (digest ^ byte) * 0x01000193 & 0xFFFFFFFF
    return digest / 4294967296.0 < rate


class Policy:
    """What records may contain under certain settings."""

    def __init__(self, settings: Settings) -> None:
        self.keys: frozenset[str] = normalized(settings.redact_keys)
        self.stores_prompts: bool = settings.store_prompts
        self.sample_rate: float = settings.sample_rate
        self.shown: set[str] = set()  # keys that are known not to be secret
        names = (*_PARTS, *_CONTENT, *_MODEL_PARTS, *_STEP_PARTS)
        self._hidden = {name for name in names if normal(name) in self.keys}

    def samples(self, trace_id: str) -> bool:
        """Whether a trace is sampled."""
        return sampled(trace_id, self.sample_rate)

    def is_sampled(self, record: Record) -> bool:
        """Whether the record's trace is sampled."""
        return self.sample_rate >= 1.0 or self.samples(self.trace_of(record))

    def trace_of(self, record: Record) -> str:
        """Return the id of the record's trace, or an empty string."""
        trace_id: Any = record.trace_id
        if record.fields is not None:
            trace_id = record.fields.get("trace_id", trace_id)  # in a captured event it may be of any type
        return "" if trace_id is None else str(leaf(trace_id))

    def applied(self, record: Record) -> Record:
        """Return a copy of a record, in JSON's types, without what may not be sent."""
        allowed = record.copy()
        if not record.has_allowed_beginning:
            allowed.map_beginning(self._copied)
            allowed.has_allowed_beginning = True
        allowed.map_end(self._copied)
        if record.error is not None:
            allowed.error = self.error(record.error)
        if allowed.model is not None and not self.stores_prompts:
            allowed.model = allowed.model.without_content()
        if allowed.step is not None and not self.stores_prompts:
            allowed.step = allowed.step.without_content()
        if record.fields is not None:
            allowed.fields = self.fields(record.fields)
        if self._hidden:
            self._hide(allowed)
        return allowed

    def _copied(self, values: list[Any]) -> list[Any]:
        """Replace a record's parts in a list with copies in JSON's types, without secrets."""
        for at, value in enumerate(values):  # most are missing or unchanged texts, where a check costs less than a call
            if value is None:
                continue
            if type(value) is not str or len(value) > DATA_URL_MAX:
                values[at] = _Walk(self).value(value)
            elif '"' in value or "'" in value:
                values[at] = _without(value, self.keys)
        return values

    def _hide(self, record: Record) -> None:
        """Replace whole parts of a record whose names are among the keys."""
        for name, part in _PARTS.items():
            if name in self._hidden and (getattr(record, part) or (part == "tags" and record.resource.tags)):
                setattr(record, part, REDACTED)
        if "metadata" in self._hidden:
            record.conversation_id = None  # some backends have it there
        if record.model is not None:
            record.model.hide(self._hidden, REDACTED)
        if record.step is not None:
            record.step.hide(self._hidden, REDACTED)

    def fields(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Return a copy of an event's fields, in JSON's types, without what may not be sent."""
        walk, shown, allowed = _Walk(self), self.shown, dict[str, Any]()
        for key, value in [*fields.items()]:
            name = key if type(key) is str else key_text(key)
            if value is None:
                allowed[name] = None
            elif name in _SPECIAL:
                self._special(allowed, name, value, walk)
            elif name not in _FRAME and not (type(key) is str and key in shown) and self.hides(key, name):
                allowed[name] = REDACTED
            else:
                allowed[name] = walk.value(value)
        return allowed

    def _special(self, allowed: dict[str, Any], name: str, value: Any, walk: _Walk) -> None:
        """Copy a field that has its own rule."""
        if name == "error_message":
            allowed[name] = self.error(value)
        elif self.stores_prompts:
            if self.hides(name, name):
                allowed[name] = REDACTED
            elif name in _JSON and not issubclass(type(value), str):
                allowed[name] = to_json(walk.value(value))
            elif name == "planning_steps":
                allowed[name] = walk.value(value)
            else:
                allowed[name] = str(walk.value(value))[: _LONGEST.get(name)]
        elif name == "tool_call_args":
            allowed[name] = None  # as if it were missing

    def hides(self, key: object, name: str) -> bool:
        """Whether the value under a key, called `name` in JSON, is secret."""
        hidden = name not in self.shown and normal(name) in self.keys
        if not hidden and len(name) <= _CACHED_KEY_MAX and len(self.shown) < _CACHED_KEYS:
            self.shown.add(name)
        if type(key) is str or hidden or not issubclass(type(key), Enum):
            return hidden
        words = (key.name, key.value)  # type: ignore[attr-defined]
        return any(isinstance(word, str) and normal(word) in self.keys for word in words)

    def plain(self, value: Any) -> Any:
        """Copy a value into JSON's types, without secrets."""
        return _Walk(self).value(value)

    def shows(self, keys: list[Any], text: str) -> bool:
        """Whether all keys are texts, none is secret, as far as is known, and a text certainly contains no secret."""
        return {*map(type, keys)} <= _ONLY_TEXTS and self.shown.issuperset(keys) and not may_change(text, self.keys)

    def text(self, text: str) -> str:
        """Return a text without secrets."""
        return _without(text, self.keys)

    def error(self, error: object, text: str | None = None) -> str:
        """Return the text of an exception, or a text about one, that may be sent. `text` replaces its own."""
        if isinstance(error, BaseException):
            from .errors import text_of

            text = self.instead(error) or text or text_of(error)
        elif text is None:
            text = error if type(error) is str else str(leaf(error))
        return _loosely_without(text[:_ERROR_READ_MAX], self.keys)[:ERROR_TEXT_MAX]

    def instead(self, error: BaseException) -> str:
        """Return the replacement for an exception's text; empty if the text may be sent.

        Without `store_prompts` it is the kind, the status and the code of an exception that may quote a prompt or an
        answer: one raised by a model call, by openai or pydantic, or because of one.
        """
        if self.stores_prompts:
            return ""
        from .errors import kind_of, quotes

        return kind_of(error) if quotes(error) else ""


class _Walk(Walk):
    """One pass over a value that removes secrets."""

    TOO_DEEP = "[REDACTED_DEPTH_LIMIT]"  # as in the SDK `zespan`

    __slots__ = ("_keys", "_policy")

    def __init__(self, policy: Policy) -> None:
        Walk.__init__(self)  # `super` costs 0.5 us before Python 3.12
        self._policy, self._keys = policy, policy.keys

    def mapping(self, held: dict[Any, Any]) -> dict[str, Any]:
        if not (_ONLY_TEXTS.issuperset(map(type, held)) and self._policy.shown.issuperset(held)):
            return self.pairs(held.items())
        for key, value in held.items():  # no key is secret, and most values stay as they are
            kind = type(value)
            if kind is str:
                if len(value) < _SHORT and '"' not in value and "'" not in value:
                    continue
            elif value is None or kind is bool or ((kind is int or kind is float) and -PLAIN_MAX < value < PLAIN_MAX):
                continue
            held[key] = self.value(value)
        return held

    def pairs(self, pairs: Iterable[tuple[Any, Any]]) -> dict[str, Any]:
        allowed: dict[str, Any] = {}
        shown, copied = self._policy.shown, self.value
        for key, value in pairs:
            if type(key) is str:
                name, hidden = key, key not in shown and self._policy.hides(key, key)
            else:
                name = key_text(key)
                hidden = self._policy.hides(key, name)
            allowed[name] = REDACTED if hidden else copied(value)
        return allowed

    def text(self, text: str) -> str:
        return _without(text, self._keys)

    def description(self, text: str, value: Any) -> str:
        instead = self._policy.instead(value) if issubclass(type(value), BaseException) else ""
        return instead or _loosely_without(text, self._keys)


def normalized(keys: Iterable[str]) -> frozenset[str]:
    """Normalize keys for comparison: lower case, letters and digits only."""
    return frozenset(k for k in (normal(key) for key in keys) if k)


def _without(text: str, keys: frozenset[str]) -> str:
    """Replace the values of `keys` in a text."""
    return _searched("without", text, keys) if may_change(text, keys) else text


def _loosely_without(text: str, keys: frozenset[str]) -> str:
    """Replace them in the text of an error or of an object."""
    return _searched("loosely_without", text, keys) if may_change_loosely(text, keys) else text


def _searched(how: str, text: str, keys: frozenset[str]) -> str:
    """Search a text by a function of `redaction`, which is imported with the first text that may have a secret."""
    with importing():  # also in the extension's thread
        from . import redaction
    try:
        return str(getattr(redaction, how)(text, keys))
    except (AttributeError, NameError):  # in a signal handler that interrupts the import
        return REDACTED
