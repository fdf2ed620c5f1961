"""What an event is: its fields (the names and types that the SDK `zespan` sends), sampling, and JSON for any value.

What an event may say, `redact_keys` and `store_prompts`, is decided in `_redaction`.
"""

from __future__ import annotations

import functools
import json
import time
from collections import UserString, deque
from collections.abc import ItemsView, KeysView, Mapping, Sequence, Set, ValuesView
from itertools import islice
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from .. import _trace
from .._base.guard import pass_on
from .._version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..settings import Settings

Event = dict[str, Any]

SDK_NAME = "zespan-serverless-python"  # the backend tells Python SDKs by "python" in it
ERROR_TEXT_MAX = 500  # characters, as the SDK cuts it
DATA_URL_MAX = 65_536  # characters; of a longer one, a picture or a recording, the beginning is kept
_DEPTH_MAX = 20
_ITEMS_MAX = 1_000_000  # in one walk; JSON has at least two bytes for each
_STRANGE_ITEMS_MAX = 100_000  # of a container that is not Python's own, and may have no end
_DATA_URL_KEPT = 100
_LAST_SECOND = 253_402_300_799  # of the year 9999
_TRIES = 3  # to read a container that another thread changes
_INT_PLAIN = 2**63
_INT_BITS_MAX = 1024  # as many as a float can hold the size of; Python refuses to write out very large ones


def timestamp(seconds: float) -> str:
    """RFC 3339 in UTC, to the millisecond. An event's `timestamp` is its end; start = end - latency_ms."""
    if not 0 <= seconds <= _LAST_SECOND:  # a clock may say anything; no calendar has words for that
        seconds = float(_LAST_SECOND if seconds > 0 else 0)
    whole, ms = divmod(round(seconds * 1000), 1000)
    return f"{_to_the_second(whole)}.{ms:03d}Z"


@functools.lru_cache(maxsize=8)
def _to_the_second(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))


def new_event(span: _trace.Span, settings: Settings, latency_ms: float, *, kind: str, operation: str) -> Event:
    """What every kind of event has. It ends now; `latency_ms` is how long it took."""
    return {
        "event_id": span.event_id or _trace.new_event_id(),
        "project_id": "",
        "trace_id": span.trace_id,
        "span_id": span.span_id,
        "parent_span_id": span.parent_span_id,
        "timestamp": timestamp(time.time()),
        # An invocation or a step has no model: the SDK's placeholder "custom" would show up as one in cost tables.
        "provider": "",
        "model": "",
        "operation": operation,
        "latency_ms": round(latency_ms),
        "stream": False,
        "input_tokens": 0,
        "output_tokens": 0,
        "cost_usd": None,
        "status": "success",
        "error_message": None,
        "environment": settings.environment,
        "user_id": span.user_id,
        "session_id": span.session_id,
        "tags": {**(settings.tags or {}), **(span.tags or {})} or None,
        "span_kind": kind,
        "sdk_version": __version__,
        "sdk_name": SDK_NAME,
    }


def failed(event: Event, error: BaseException) -> None:
    """Put an exception on an event. What may be said of its text is decided when the event is captured."""
    event["status"] = "error"
    event["error_message"] = error


def suspends(error: BaseException) -> bool:
    """Whether this only suspends a function that will be called again (AWS's durable functions): not a failure."""
    return not isinstance(error, Exception) and any(c.__name__ == "SuspendExecution" for c in type(error).__mro__)


def sampled(trace_id: str, rate: float) -> bool:
    """Whether a trace is kept: FNV-1a of its id, as the SDKs compute it, so that every service decides alike."""
    if rate >= 1.0 or not trace_id:
        return rate > 0.0
    digest = 0x811C9DC5
    for byte in trace_id.encode("utf-8", "replace"):
        digest = (digest ^ byte) * 0x01000193 & 0xFFFFFFFF
    return digest / 4294967296.0 < rate


def plain(value: Any) -> Any:
    """A copy in what JSON has words for: dicts with texts for keys, lists, texts, numbers, booleans, None.

    Never raises, but for what a signal handler of the user's raises. Nothing of the user's is changed or used up:
    iterators are not read, methods of Python's own containers that a subclass has replaced are not called.
    """
    return Walk().value(value)


def to_json(value: Any) -> str:
    """JSON for anything: what JSON cannot say is said as text. Raises only if even that is impossible."""
    try:
        return _encoder.encode(value)
    except Exception as error:  # odd keys, NaN, a cycle, too deep, changed by another thread meanwhile
        pass_on(error)
        return _encoder.encode(plain(value))


def encode(event: Mapping[str, Any]) -> bytes:
    """One event as one line of NDJSON, without the newline."""
    return to_json(event).encode("utf-8", "replace")  # half a surrogate pair is no Unicode; many parsers refuse it


def shortened(event: Mapping[str, Any], room: int) -> Iterator[Event]:
    """Copies of an event that has more than `room` bytes, each shorter than the one before; texts say what is cut."""
    whole = plain(event)
    for share in (4, 32, 256, 2048):  # one text has it all, or there are many
        yield {name: _cut(value, max(room // share, 32)) for name, value in whole.items()}


def leaf(value: Any) -> Any:
    """A value that holds no others, as itself where JSON has a word for it, else as text."""
    kind = type(value)
    try:
        if value is None or kind is bool:
            return value
        if issubclass(kind, str):
            return str.__str__(value)  # not str(): a subclass may have replaced `__str__`
        if issubclass(kind, int):
            whole = int.__pos__(value)
            return whole if whole.bit_length() <= _INT_BITS_MAX else hex(whole)  # no limit to the digits of that
        if issubclass(kind, float):
            number = float.__pos__(value)
            return number if number - number == 0 else str(number)  # NaN and the infinities are not JSON
        if issubclass(kind, (bytes, bytearray, memoryview)):
            return bytes(value).decode("utf-8", "replace")
        if hasattr(kind, "__next__"):
            return f"<{kind.__name__}>"  # some show what they hold
        if kind.__module__ == "numpy" and value.shape == ():
            number = value.item()
            return leaf(number) if type(number) is not kind else str(number)
        # A MagicMock would remember that it has been asked for its str().
        return str.__str__(repr(value) if kind.__module__ == "unittest.mock" else str(value))
    except Exception as error:
        pass_on(error)
        return f"<{kind.__name__}>"


class Walk:
    """One pass over a value, see `plain`. `_redaction` has one that leaves out secrets on the way."""

    TOO_DEEP = "[DEPTH_LIMIT]"
    READY: type | None = None  # what is passed as it is

    __slots__ = ("_above", "_left")

    def __init__(self) -> None:
        self._above: set[int] = set()
        self._left = _ITEMS_MAX

    def value(self, value: Any) -> Any:
        """What there is to say of one value."""
        kind = type(value)
        if kind is str:  # most have nothing that could be looked into: not worth a call
            return self._text(value) if '"' in value or "'" in value or len(value) > DATA_URL_MAX else value
        if value is None or kind is bool or kind is self.READY or (kind is int and -_INT_PLAIN < value < _INT_PLAIN):
            return value
        held = None if kind is int or kind is float else _held(value)
        if held is None:
            said = leaf(value)
            if type(said) is not str:
                return said
            return self.text(said) if issubclass(kind, (str, bytes, bytearray)) else self.description(said, value)
        above, me = self._above, id(value)
        self._left -= len(held[1])
        if len(above) > _DEPTH_MAX or me in above or self._left < 0:
            return self.TOO_DEEP
        above.add(me)
        try:
            return self.pairs(held[1]) if held[0] else [self.value(v) for v in held[1]]
        finally:
            above.discard(me)

    def pairs(self, pairs: list[Any]) -> dict[str, Any]:
        """What there is to say of keys and what stands under them."""
        return {key_text(key): self.value(value) for key, value in pairs}

    def text(self, text: str) -> str:
        """What there is to say of a text."""
        return text

    def description(self, text: str, value: Any) -> str:
        """The same for the text that an object, `value`, describes itself with."""
        return text

    def _text(self, text: str) -> str:
        if len(text) > DATA_URL_MAX and text.startswith("data:"):
            return f"{text[:_DATA_URL_KEPT]}... [{len(text) - _DATA_URL_KEPT} of {len(text)} characters left out]"
        return self.text(text)


def key_text(key: Any) -> str:
    """A key as JSON spells it."""
    if type(key) is str:
        return key
    if key is None or type(key) is bool:
        return {None: "null", True: "true", False: "false"}[key]
    return str(leaf(key))


def _held(value: Any) -> tuple[bool, list[Any]] | None:
    """What a container, a model or a record holds: (True, pairs) of keys and values, or (False, items); None for
    anything else. It is asked of the type what that is: a value may lie, and looking at one may change it (mocks)."""
    kind = type(value)
    for _ in range(_TRIES):
        try:
            return _contents(value, kind)
        except RuntimeError as error:  # changed meanwhile
            pass_on(error)
        except Exception as error:
            pass_on(error)
            return None
    return None


def _contents(value: Any, kind: type) -> tuple[bool, list[Any]] | None:
    if issubclass(kind, dict):
        return True, list(dict.items(value))
    if issubclass(kind, list):
        return False, list.copy(value)
    if issubclass(kind, (str, bytes, bytearray, memoryview, int, float, range)):
        return None
    if issubclass(kind, tuple):
        return _named([*tuple.__iter__(value)], getattr(kind, "_fields", None))
    for own in (set, frozenset, deque):
        if issubclass(kind, own):
            return False, [*own.__iter__(value)]
    return _fields(value, kind) or _strange(value, kind)


def _fields(value: Any, kind: type) -> tuple[bool, list[Any]] | None:
    """What a data class, a class of attrs or msgspec, a namespace or a pydantic model (what is set of it) holds."""
    if getattr(kind, "__pydantic_root_model__", False):
        return _contents(value.root, type(value.root)) or (False, [value.root])
    names: Any = getattr(kind, "__dataclass_fields__", None) or getattr(kind, "__struct_fields__", None)
    attrs = getattr(kind, "__attrs_attrs__", None)
    if isinstance(attrs, tuple):
        names = [field.name for field in attrs]
    if isinstance(names, (dict, tuple, list)):
        found = [(name, getattr(value, name, _MISSING)) for name in names]
        return True, [pair for pair in found if pair[1] is not _MISSING]
    if issubclass(kind, SimpleNamespace):
        return True, list(vars(value).items())
    given = getattr(kind, "__pydantic_fields_set__", None) or getattr(kind, "__fields_set__", None)
    if given is None:
        return None
    if hasattr(kind, "__pydantic_fields_set__"):
        given, known = value.__pydantic_fields_set__, kind.model_fields  # type: ignore[attr-defined]
    else:  # version 1
        given, known = value.__fields_set__, kind.__fields__  # type: ignore[attr-defined]
    kept = {**vars(value), **(getattr(value, "__pydantic_extra__", None) or {})}
    out = {name for name, field in known.items() if name not in given or getattr(field, "exclude", None) is True}
    return True, [pair for pair in kept.items() if pair[0] not in out]


def _strange(value: Any, kind: type) -> tuple[bool, list[Any]] | None:
    """What a container that is not Python's own holds, as far as one can look at it without using it up."""
    if issubclass(kind, Mapping):
        return True, [(key, value[key]) for key in islice(value, _STRANGE_ITEMS_MAX)]
    if issubclass(kind, ItemsView):
        return True, [*islice(value, _STRANGE_ITEMS_MAX)]
    if issubclass(kind, (Sequence, Set, KeysView, ValuesView)) and not issubclass(kind, UserString):
        return _named([*islice(value, _STRANGE_ITEMS_MAX)], getattr(value, "_fields", None))
    return None


def _named(items: list[Any], names: object) -> tuple[bool, list[Any]]:
    """A tuple, or a row of a database, which may have names for what it holds."""
    if isinstance(names, (tuple, list)) and len(names) == len(items):
        return True, [*zip(names, items, strict=True)]
    return False, items


def _words(value: Any) -> Any:
    """What JSON is to say of a value that it has no word for."""
    return plain(value)


def _cut(value: Any, longest: int) -> Any:
    """A copy with no text longer than `longest` characters, and no container of more than an eighth as many items."""
    if type(value) is str and len(value) > longest:
        return f"{value[:longest]} [{len(value) - longest} of {len(value)} characters cut]"
    if type(value) not in (dict, list):
        return value
    most = longest // 8
    left_out = f"[{len(value) - most} of {len(value)} left out]" if len(value) > most else ""
    if type(value) is dict:
        kept = {key[:longest]: _cut(v, longest) for key, v in islice(value.items(), most)}
        return {**kept, "...": left_out} if left_out else kept
    return [*(_cut(v, longest) for v in value[:most]), *([left_out] if left_out else [])]


_MISSING = object()
_encoder = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_words)
