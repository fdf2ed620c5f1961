"""Settings: arguments of a decorator or of `init()`, over ZESPAN_* environment variables, over defaults.

A mistake in code raises while decorating. A mistake in the environment, which changes without a deployment, is
logged once and ignored. A value out of range is clamped, and logged once, wherever it comes from.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NamedTuple

from ._log import warn_once
from .errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from ._delivery import FlushReport
    from .exporters import Dropped, Exporter

DEFAULT_BASE_URL = "https://api.zespan.com"
FLUSH_MODES = ("auto", "after_response", "before_return")
EXPORTERS = ("zespan", "console", "memory")


class Settings(NamedTuple):
    """Every setting, its unit and its default; the environment variable is ZESPAN_ + the name in upper case."""

    api_key: str | None = None
    """Sent as `x-api-key`. Without one, and with the default base_url, telemetry is off."""
    api_key_secret: str | None = None
    """Where to read the key instead, when there is something to send: the ARN of a secret or parameter, or ssm:/name.
    Needs boto3. Kept, and read again when the backend refuses it. `api_key` wins."""
    base_url: str = DEFAULT_BASE_URL
    """Events go to {base_url}/v1/ingest."""
    environment: str = "production"
    enabled: bool = True
    """ZESPAN_ENABLED=0 is the kill switch: the decorator then only calls the function."""
    service_name: str | None = None
    """Names the root event; default: the function's name."""
    flush_mode: str = "auto"
    """`before_return`, `after_response`, or `auto`: after the response where the host supports it safely."""
    flush_timeout: float = 1.0
    """Seconds: the longest that one flush may take."""
    flush_reserve: float = 0.2
    """Seconds that stay free before the invocation's deadline; at least 0.1."""
    batch_size: int = 50
    """Events in one request, at most."""
    batch_bytes: int = 3_670_016
    """Bytes in one request before compression, at most (3.5 MiB); a larger event is shortened."""
    flush_interval: float = 5.0
    """Seconds after which a long invocation's events are sent before it ends."""
    max_events: int = 1000
    """Events kept while the backend is away; then the oldest are dropped and counted."""
    max_bytes: int = 8_388_608
    """Bytes kept while the backend is away (8 MiB)."""
    journal: str = "auto"
    """Whether events are also kept on disk until they are settled, and where: `off`, `on` (a folder in the temporary
    directory), a folder's path, or `auto`: on where a sandbox is started anew with its disk, which is Lambda."""
    sample_rate: float = 1.0
    """Share of traces kept, decided by the trace id as the SDK does."""
    store_prompts: bool = True
    """Whether prompts, completions and tool arguments are sent.

    Without them, an exception that came out of a model's call, of openai or pydantic, or was raised because of such a
    one is sent as its kind, status and code, for its text may quote them. What you say yourself is sent: metadata,
    tags, names, texts of your own exceptions; so are the names and descriptions of tools, and a hash of the prompt."""
    redact_keys: tuple[str, ...] = ("password", "secret", "token", "api_key")
    """Values under these keys are replaced before an event is stored or sent: at any depth of what an event holds, in
    texts of JSON, whole, cut off, within other words or within JSON, in Python's words for a dict, and in the texts of
    errors also behind `key=` and `key:`. Case and punctuation of a key do not matter."""
    root_event: bool = True
    """Whether every invocation sends an event of its own."""
    tags: Mapping[str, str] | None = None
    """Put on every event; in the environment: a=1,b=2."""
    exporter: Exporter | str = "zespan"
    """`zespan`, `console`, `memory`, or an object with the methods of `exporters.Exporter`."""
    on_error: Callable[[Dropped], object] | None = None
    """Called, off the request path, with every group of events that had to be dropped."""
    on_flush: Callable[[FlushReport], object] | None = None
    """Called, off the request path, with what the flush of each invocation came to."""
    debug: bool = False
    """Log what every flush did."""

    def __repr__(self) -> str:
        shown = ((name, value) for name, value in self._asdict().items() if name != "api_key")
        key = "***" if self.api_key else None
        return f"Settings(api_key={key}, {', '.join(f'{name}={value!r}' for name, value in shown)})"


_RANGES: dict[str, tuple[float, float]] = {
    "flush_timeout": (0.01, 60.0),
    "flush_reserve": (0.1, 60.0),  # a flush that has to be cut off takes up to 0.05 s longer
    "flush_interval": (0.1, 3600.0),
    "batch_size": (1, 500),
    "batch_bytes": (1024, 4_194_304),
    "max_events": (1, 100_000),
    "max_bytes": (1024, 268_435_456),
    "sample_rate": (0.0, 1.0),
}
_CHOICES = {"flush_mode": FLUSH_MODES, "exporter": EXPORTERS}
_SECRET = ("api_key", "api_key_secret")  # never shown: somebody puts the key itself into the other one
_NOT_IN_ENVIRONMENT = ("on_error", "on_flush")
_TYPES: dict[type, tuple[tuple[type, ...], str]] = {
    bool: ((bool,), "True or False"),
    int: ((int,), "a whole number"),
    float: ((int, float), "a number"),
    str: ((str,), "a string"),
}
_TRUE, _FALSE = ("1", "true", "yes", "on"), ("0", "false", "no", "off")
_DEFAULTS = Settings()


def check(arguments: Mapping[str, object]) -> dict[str, Any]:
    """Arguments given in code, as they will be used; raises ConfigurationError on a name or type that is wrong.

    None means "not given".
    """
    checked: dict[str, Any] = {}
    for name, value in arguments.items():
        if name not in Settings._fields:
            raise ConfigurationError(f"unknown setting {name!r}{_did_you_mean(name)}")
        if value is not None:
            checked[name] = _typed(name, value)
    return checked


def resolve(arguments: Mapping[str, Any], environ: Mapping[str, str] | None = None) -> Settings:
    """The settings in force: checked `arguments` over the environment over the defaults. Never raises."""
    environ = os.environ if environ is None else environ
    values = dict(arguments)
    for name in Settings._fields:
        text = environ.get("ZESPAN_" + name.upper(), "").strip()
        if text and name not in values and name not in _NOT_IN_ENVIRONMENT:
            try:
                values[name] = _parsed(name, text)
            except (ValueError, ConfigurationError) as error:
                consequence = "ignored"
                if name == "base_url":  # the default would send the events to somebody else
                    values["enabled"], consequence = False, "cannot be used, telemetry is off"
                shown = "" if name in _SECRET else f"={text!r}"
                warn_once("ZESPAN_%s%s %s: %s", name.upper(), shown, consequence, error)
    for name, (low, high) in _RANGES.items():
        if name in values:
            given = values[name]
            values[name] = type(getattr(_DEFAULTS, name))(min(max(given, low), high))
            if values[name] != given:
                warn_once("%s=%r is out of range, using %r (from %r to %r)", name, given, values[name], low, high)
    return Settings(**values)


def usable(settings: Settings) -> bool:
    """Whether telemetry is on. Says once, and only once, why it is off for want of a key."""
    if not settings.enabled:
        return False
    has_key = settings.api_key or settings.api_key_secret
    if settings.exporter == "zespan" and not has_key and settings.base_url == DEFAULT_BASE_URL:
        warn_once("no telemetry: set ZESPAN_API_KEY (or ZESPAN_BASE_URL to send elsewhere, or ZESPAN_ENABLED=0)")
        return False
    return True


def _typed(name: str, value: Any) -> Any:
    """A value given in code, checked; ConfigurationError says what to type instead."""
    default = getattr(_DEFAULTS, name)
    if name == "exporter" and not isinstance(value, str):
        missing = [m for m in ("encode", "send", "cancel", "close") if not callable(getattr(value, m, None))]
        if missing:
            raise ConfigurationError(f"exporter has no {', '.join(missing)}(): use one of {EXPORTERS} or an Exporter")
        return value
    if name in ("on_error", "on_flush"):
        if not callable(value):
            raise ConfigurationError(f"{name} must be callable, not {value!r}")
        from ._loops import is_async

        if is_async(value):
            raise ConfigurationError(f"{name} must be a def, not an async def: it is called in a thread without a loop")
        return value
    if name == "tags":
        if isinstance(value, str) or not hasattr(value, "items"):
            raise ConfigurationError(f"tags must be a mapping of strings, such as {{'team': 'search'}}, not {value!r}")
        return {str(k): str(v) for k, v in value.items()}
    if name == "redact_keys":
        keys = None if isinstance(value, str) or not hasattr(value, "__iter__") else tuple(value)
        if keys is None or not all(isinstance(key, str) for key in keys):
            raise ConfigurationError(f"redact_keys must be a list of strings, not {value!r}")
        return _stripped(keys)
    types, kind = _TYPES[str if default is None else type(default)]
    if not isinstance(value, types) or (isinstance(value, bool) and bool not in types) or value != value:
        shown = f"a {type(value).__name__}" if name in _SECRET else repr(value)
        raise ConfigurationError(f"{name} must be {kind}, not {shown}")
    return _text(name, value) if isinstance(value, str) else value


def _text(name: str, value: str) -> str:
    """A string setting: trimmed, one of its choices, a usable header or URL."""
    value = value.strip()
    if name in _CHOICES and value not in _CHOICES[name]:
        raise ConfigurationError(f"{name} must be one of {', '.join(_CHOICES[name])}, not {value!r}")
    if name == "api_key" and not (value.isascii() and value.isprintable()):
        raise ConfigurationError("api_key has characters that no HTTP header can carry")
    if name == "api_key_secret":
        from . import _secrets

        if not _secrets.is_source(value):
            raise ConfigurationError(f"api_key_secret must be like {_secrets.FORMS}")
    if name == "journal" and "/" not in value:  # a folder called "0" would hold the prompts that nobody wanted on disk
        word = value.lower()
        value = "on" if word in _TRUE else "off" if word in _FALSE else word
        if value not in ("on", "off", "auto"):
            raise ConfigurationError(f"journal must be on, off, auto or a folder's path with a /, not {word!r}")
    if name == "base_url":
        value = value.rstrip("/").removesuffix("/v1/ingest")
        if not _is_base_url(value):
            raise ConfigurationError(f"base_url must be like {DEFAULT_BASE_URL!r}, not {value!r}")
    return value


def _is_base_url(value: str) -> bool:
    from urllib.parse import urlsplit  # which every client of HTTP has loaded

    try:
        url = urlsplit(value)
        usable = url.scheme in ("https", "http") and url.hostname and url.port != 0 and not url.query + url.fragment
    except ValueError:  # a port or an IPv6 address that is none
        return False
    return bool(usable) and value.isascii() and value.isprintable() and " " not in value


def _parsed(name: str, text: str) -> Any:
    """A value from the environment, in its setting's type; ValueError or ConfigurationError if it makes no sense."""
    default = getattr(_DEFAULTS, name)
    if isinstance(default, bool):
        if text.lower() not in _TRUE + _FALSE:
            raise ValueError("use 1 or 0")
        return text.lower() in _TRUE
    if isinstance(default, (int, float)):
        try:
            return _typed(name, type(default)(text))
        except ValueError:
            wanted = "a number, such as 1.5" if isinstance(default, float) else "a whole number"
            raise ValueError(f"use {wanted}") from None
    if name == "tags":
        pairs = [pair.partition("=") for pair in text.split(",") if pair.strip()]
        if not all(key.strip() and equals for key, equals, _ in pairs):
            raise ValueError("use a=1,b=2")
        return {key.strip(): value.strip() for key, _, value in pairs}
    if name == "redact_keys":
        return _stripped(text.split(","))
    return _text(name, text)


def _stripped(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(stripped for text in texts if (stripped := text.strip()))


def _did_you_mean(name: str) -> str:
    import difflib  # only on the way to an error

    close = difflib.get_close_matches(name, Settings._fields, 1)
    return f", did you mean {close[0]!r}?" if close else f"; there are {', '.join(Settings._fields)}"
