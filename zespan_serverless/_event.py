"""What an event is: its fields (the names and types that the SDK `zespan` sends), redaction, encoding, sampling."""

from __future__ import annotations

import functools
import json
import time
from typing import TYPE_CHECKING, Any

from . import _trace
from ._version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from ._settings import Settings

Event = dict[str, Any]

SDK_NAME = "zespan-serverless-python"  # the backend tells Python SDKs by "python" in it
REDACTED = "[REDACTED]"
ERROR_TEXT_MAX = 500  # characters, as the SDK cuts it
_SCALARS = frozenset((str, int, float, bool, type(None)))
_DEPTH_MAX = 20
_INT_BITS_MAX = 1024  # as many as a float can hold the size of; Python refuses to write out very large ones


def timestamp(seconds: float) -> str:
    """RFC 3339 in UTC, to the millisecond. An event's `timestamp` is its end; start = end - latency_ms."""
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
    """Put an exception's name and text on an event. Survives a `__str__` that raises."""
    try:
        text = str(error)
    except Exception:
        text = "<text not available>"
    event["status"] = "error"
    event["error_message"] = (text or type(error).__name__)[:ERROR_TEXT_MAX]


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


def normalized(keys: Iterable[str]) -> frozenset[str]:
    """Keys as `redact` compares them: lower case, letters and digits only."""
    return frozenset(k for k in (_normal(key) for key in keys) if k)


def redact(value: Any, keys: frozenset[str], above: tuple[int, ...] = ()) -> Any:
    """A copy of `value` with what stands under one of `keys` replaced, at any depth, in models and dataclasses too."""
    held = None if type(value) in _SCALARS else _held(value)
    if held is None:
        return value
    if len(above) > _DEPTH_MAX or id(value) in above:
        return "[REDACTED_DEPTH_LIMIT]"
    above += (id(value),)
    if isinstance(held, dict):
        return {
            k: (
                REDACTED
                if issubclass(type(k), str) and _normal(k) in keys
                else v
                if type(v) in _SCALARS  # most are: not worth a call
                else redact(v, keys, above)
            )
            for k, v in held.items()
        }
    return [redact(v, keys, above) for v in held]


def redact_text(text: str, keys: frozenset[str]) -> str:
    """The same for a text that holds a JSON object or array. A text with nothing to replace stays as it is."""
    if not keys or text.lstrip()[:1] not in ("{", "["):
        return text
    try:
        parsed = json.loads(text)
        redacted = redact(parsed, keys)
        return text if redacted == parsed else to_json(redacted)
    except ValueError:
        return text
    except RecursionError:  # nobody can tell what is in there
        return REDACTED


def to_json(value: Any) -> str:
    """JSON for anything: what JSON cannot say is said as text. Raises only if even that is impossible."""
    try:
        return _encoder.encode(value)
    except Exception:  # odd keys, NaN, a cycle, too deep, changed by another thread meanwhile
        return _encoder.encode(_plain(value))


def shortened(event: Mapping[str, Any], room: int) -> Iterator[Event]:
    """Copies of an event that has more than `room` bytes, each shorter than the one before; texts say what is cut."""
    for share in (4, 32, 256, 2048):  # one text has it all, or there are many
        yield {name: _cut(value, max(room // share, 32)) for name, value in event.items()}


def encode(event: Mapping[str, Any]) -> bytes:
    """One event as one line of NDJSON, without the newline."""
    return to_json(event).encode("utf-8", "replace")  # half a surrogate pair is no Unicode; many parsers refuse it


@functools.lru_cache(maxsize=1024)
def _normal(key: str) -> str:
    return "".join(c for c in key.lower() if c.isascii() and c.isalnum())


def _held(value: Any) -> dict[Any, Any] | list[Any] | None:
    """What a container, a pydantic model or a dataclass holds, of its own or as a copy; None for anything else."""
    try:
        if isinstance(value, (dict, list)):
            return value
        if value is None or isinstance(value, (str, int, float)):
            return None
        if isinstance(value, (tuple, set, frozenset)):
            return list(value)
        dump, fields = getattr(value, "model_dump", None), getattr(type(value), "__dataclass_fields__", None)
        if fields is not None:
            return {name: getattr(value, name) for name in fields}
        held = dump(mode="json", exclude_unset=True) if callable(dump) else None
        return held if isinstance(held, (dict, list)) else None
    except RecursionError:  # so deep that `to_json` has to begin again
        raise
    except Exception:  # there are objects that raise when they are looked at
        return None


def _words(value: Any) -> Any:
    """What JSON is to say of a value that it has no word for."""
    held = _held(value)
    return _leaf(value) if held is None else held


def _leaf(value: Any) -> Any:
    """A value that holds no others, as itself where JSON has a word for it, else as text."""
    try:
        if value is None or isinstance(value, (bool, str)):
            return value
        if isinstance(value, int):
            return value if value.bit_length() <= _INT_BITS_MAX else hex(value)  # no limit to the digits of that
        if isinstance(value, float):
            return value if value - value == 0 else str(value)  # NaN and the infinities are not JSON
        return bytes(value).decode("utf-8", "replace") if isinstance(value, (bytes, bytearray)) else str(value)
    except Exception:
        return f"<{type(value).__name__}>"


def _cut(value: Any, longest: int, above: tuple[int, ...] = ()) -> Any:
    """A copy with no text longer than `longest` characters, and no container of more than an eighth as many items."""
    held = _held(value)
    if held is None:
        leaf = _leaf(value)
        if not isinstance(leaf, str) or len(leaf) <= longest:
            return leaf
        return f"{leaf[:longest]} [{len(leaf) - longest} of {len(leaf)} characters cut]"
    if len(above) > _DEPTH_MAX or id(value) in above:
        return "[DEPTH_LIMIT]"
    above += (id(value),)
    most = longest // 8
    left_out = f"[{len(held) - most} of {len(held)} left out]" if len(held) > most else ""
    if isinstance(held, dict):
        kept = {str(_leaf(k))[:longest]: _cut(v, longest, above) for k, v in list(held.items())[:most]}
        return {**kept, "...": left_out} if left_out else kept
    return [*(_cut(v, longest, above) for v in held[:most]), *([left_out] if left_out else [])]


def _plain(value: Any, above: tuple[int, ...] = ()) -> Any:
    """A copy that JSON cannot object to: text for odd keys and numbers, an end to cycles and depth."""
    held = _held(value)
    if held is None:
        return _leaf(value)
    if len(above) > _DEPTH_MAX or id(value) in above:
        return "[DEPTH_LIMIT]"
    above += (id(value),)
    if isinstance(held, dict):
        return {str(_leaf(k)): _plain(v, above) for k, v in list(held.items())}
    return [_plain(v, above) for v in list(held)]


_encoder = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_words)
