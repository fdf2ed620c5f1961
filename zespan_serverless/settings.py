"""Settings: arguments of a decorator or of `init()`, over ZESPAN_* environment variables, over defaults.

A mistake in code raises while decorating. A mistake in the environment, which changes without a deployment, is
logged once and ignored; only a switch that keeps data back is then off, see `_FAIL_SAFE`. A value out of range is
clamped, and logged once, wherever it comes from.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NamedTuple

from ._base.guard import Guarded, pass_on
from ._base.log import first, logger, warn_once
from .errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from ._base.reports import Dropped, Exporter, FlushReport
    from ._base.settings_kwargs import SettingsKwargs as SettingsKwargs

if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        """`SettingsKwargs`, made when somebody asks for it at run time, as `typing.get_type_hints(init)` does."""
        if name != "SettingsKwargs":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from ._base.settings_kwargs import SettingsKwargs

        return SettingsKwargs


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
    """ZESPAN_ENABLED=0 is the kill switch: the decorator then only calls the function.

    In a process that pytest has started (8.2 or later sets PYTEST_VERSION), and in its children, the default is False
    if events would leave the machine: unit tests do not send to production. Events to a backend on a loopback address,
    to `console`, `memory` or an exporter of your own, and in `testing.recording()`, are sent as ever; all are if this
    is set to True."""
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
    errors also behind `key=` and `key:`. Case and punctuation of a key do not matter.
    In the environment a comma or a semicolon separates them; where there is neither, a blank does."""
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
_SHOWN_MAX = 200  # characters of a value
_NOT_IN_ENVIRONMENT = ("on_error", "on_flush")
_VARIABLES = {name: "ZESPAN_" + name.upper() for name in Settings._fields if name not in _NOT_IN_ENVIRONMENT}
_TYPES: dict[type, tuple[tuple[type, ...], str]] = {
    bool: ((bool,), "True or False"),
    int: ((int,), "a whole number"),
    float: ((int, float), "a number"),
    str: ((str,), "a string"),
}
_JOURNAL = "'on', 'off', 'auto' or a folder's path with a /"
_TRUE, _FALSE = ("1", "true", "t", "yes", "y", "on"), ("0", "false", "f", "no", "n", "off")
_FAIL_SAFE = ("enabled", "store_prompts")  # off if what the environment says cannot be read: nothing is sent by mistake
_DEFAULTS = Settings()


def check(arguments: Mapping[str, object]) -> dict[str, Any]:
    """Arguments given in code, as they will be used; raises ConfigurationError on a name or type that is wrong.

    None means "not given".
    """
    checked: dict[str, Any] = {}
    for name, value in arguments.items():
        if name not in Settings._fields:
            from ._base.hints import instead_of

            raise ConfigurationError(f"unknown setting {name!r}{instead_of(name, Settings._fields)}")
        if value is not None:
            checked[name] = _typed(name, value)
    return checked


def resolve(arguments: Mapping[str, Any], environ: Mapping[str, str] | None = None) -> Settings:
    """The settings in force: checked `arguments` over the environment over the defaults. Never raises."""
    environ = os.environ if environ is None else environ
    values = dict(arguments)
    for name, variable in _VARIABLES.items():
        text = environ.get(variable, "").strip()
        if text and name not in values:
            try:
                values[name] = _parsed(name, text)
            except (ValueError, ConfigurationError) as error:
                pass_on(error)
                consequence = "ignored"
                if name == "base_url":  # the default would send the events to somebody else
                    values["enabled"], consequence = False, "cannot be used, telemetry is off"
                elif name in _FAIL_SAFE:
                    values[name], consequence = False, "cannot be read and is taken as off"
                shown = "" if name in _SECRET else f"={_shown(name, text)!r}"
                warn_once("%s%s %s: %s", variable, shown, consequence, error)
    unknown = [name for name in environ if name[:7].upper() == "ZESPAN_" and name not in _VARIABLES.values()]
    if unknown:
        _guess(unknown, environ, values)
    for name, (low, high) in _RANGES.items():
        if name in values:
            given = values[name]
            values[name] = type(getattr(_DEFAULTS, name))(min(max(given, low), high))
            if values[name] != given:
                warn_once("%s=%r is out of range, using %r (from %r to %r)", name, given, values[name], low, high)
    settings = Settings(**values)
    if settings.exporter == "zespan" and settings.enabled:
        if "enabled" not in values and _is_test(environ) and not _is_here(settings.base_url):
            _say_in_test()
            return settings._replace(enabled=False)
        _remark(settings)
    return settings


def _guess(unknown: Iterable[str], environ: Mapping[str, str], values: dict[str, Any]) -> None:
    """Say which of these variables must be misspelt.

    One that would keep data back is taken at its word until its name is corrected: nobody who has meant to switch
    prompts off wants them sent because of a letter.
    """
    from ._base.hints import is_of_the_sdk, misspelt

    for variable, name, negated in misspelt(unknown, _VARIABLES):
        text = environ[variable].strip()
        if name in values or not text:
            continue
        kept_back = _kept_back(name, text, negated=negated)
        if kept_back is None and is_of_the_sdk(variable):
            warn_once("%s is the official SDK's and is ignored; here it is %s", variable, _VARIABLES[name])
        elif kept_back is None:
            warn_once("%s is no setting and is ignored, did you mean %s?", variable, _VARIABLES[name])
        else:
            values[name] = kept_back
            text = "%s is no setting, but is honoured because it keeps data back: call it %s"
            warn_once(text, variable, _VARIABLES[name])


def _kept_back(name: str, text: str, *, negated: bool) -> object:
    """The setting's value, if a misspelt variable asks for less to be sent than by default; else None."""
    if name == "redact_keys":
        return (*_DEFAULTS.redact_keys, *_parsed(name, text))
    return False if name in _FAIL_SAFE and _unquoted(text).lower() in (_TRUE if negated else _FALSE) else None


def _is_test(environ: Mapping[str, str]) -> bool:
    """Whether pytest runs this process, or has started it."""
    return "PYTEST_VERSION" in environ or "PYTEST_CURRENT_TEST" in environ


def _is_here(base_url: str) -> bool:
    """Whether a base_url is on this machine."""
    if base_url == DEFAULT_BASE_URL:
        return False
    from urllib.parse import urlsplit

    host = urlsplit(base_url).hostname or ""
    return host in ("localhost", "::1") or host.endswith(".localhost") or host.startswith("127.")


def _say_in_test() -> None:
    with Guarded("saying that it is off"):
        if first("in a test"):
            logger.info("no telemetry in a process of pytest's: set ZESPAN_ENABLED=1, or use testing.recording()")


def _remark(settings: Settings) -> None:
    """Say what is not wrong, but hardly meant."""
    key, base_url = settings.api_key or "", settings.base_url
    if key and base_url == DEFAULT_BASE_URL and not key.startswith("zsp_"):
        warn_once("api_key does not begin with zsp_, as Zespan's keys do: is it another one?")
    if base_url.startswith("http://") and not _is_here(base_url):
        warn_once("base_url is http:// to another machine: the API key and all prompts can be read on the way")


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
        from ._base.aio import is_async

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
    if name == "journal":
        kind = _JOURNAL
    if not isinstance(value, types) or (isinstance(value, bool) and bool not in types) or value != value:
        shown = f"a {type(value).__name__}" if name in _SECRET else repr(value)
        raise ConfigurationError(f"{name} must be {kind}, not {shown}")
    return _text(name, value) if isinstance(value, str) else value


def _text(name: str, value: str) -> str:
    """A string setting: trimmed, one of its choices, a usable header or URL."""
    value = value.strip()
    if name in _CHOICES and value not in _CHOICES[name]:
        raise ConfigurationError(f"{name} must be one of {', '.join(_CHOICES[name])}, not {value!r}")
    if name == "api_key":
        unquoted = _unquoted(value)
        if unquoted != value:
            value = unquoted
            warn_once("api_key is in quotes, which are left out: they are not part of it")
        if not (value.isascii() and value.isprintable()):
            raise ConfigurationError("api_key has characters that no HTTP header can carry")
    if name == "api_key_secret":
        from ._platforms import secrets

        if not secrets.is_source(value):
            raise ConfigurationError(f"api_key_secret must be like {secrets.FORMS}")
    if name == "journal" and "/" not in value:  # a folder called "0" would hold the prompts that nobody wanted on disk
        word = _unquoted(value).lower()
        value = "on" if word in _TRUE else "off" if word in _FALSE else word
        if value not in ("on", "off", "auto"):
            raise ConfigurationError(f"journal must be {_JOURNAL}, not {word!r}")
    if name == "base_url":
        value = value.rstrip("/").removesuffix("/v1/ingest")
        if not _is_base_url(value):
            raise ConfigurationError(f"base_url must be like {DEFAULT_BASE_URL!r}, not {_shown(name, value)!r}")
        if _has_user(value):
            raise ConfigurationError("base_url must be without a user and password: the key goes into api_key")
    return value


def _has_user(base_url: str) -> bool:
    from urllib.parse import urlsplit

    return "@" in urlsplit(base_url).netloc


def _is_base_url(value: str) -> bool:
    from urllib.parse import urlsplit  # which every client of HTTP has loaded

    try:
        url = urlsplit(value)
        usable = url.scheme in ("https", "http") and url.hostname and url.port != 0 and not url.query + url.fragment
    except ValueError as error:  # a port or an IPv6 address that is none
        pass_on(error)
        return False
    return bool(usable) and value.isascii() and value.isprintable() and " " not in value


def _parsed(name: str, text: str) -> Any:
    """A value from the environment, in its setting's type; ValueError or ConfigurationError if it makes no sense."""
    default = getattr(_DEFAULTS, name)
    if isinstance(default, bool):
        word = _unquoted(text).lower()
        if word not in _TRUE + _FALSE:
            raise ValueError("use 1 or 0")
        return word in _TRUE
    if isinstance(default, (int, float)):
        try:
            return _typed(name, type(default)(text))
        except ValueError as error:
            pass_on(error)
            wanted = "a number, such as 1.5" if isinstance(default, float) else "a whole number"
            raise ValueError(f"use {wanted}") from None
    if name == "tags":
        pairs = [pair.partition("=") for pair in text.split(",") if pair.strip()]
        if not all(key.strip() and equals for key, equals, _ in pairs):
            raise ValueError("use a=1,b=2")
        return {key.strip(): value.strip() for key, _, value in pairs}
    if name == "redact_keys":
        text = text.replace(";", ",")
        return _stripped(text.split("," if "," in text else None))
    return _text(name, text)


def _unquoted(text: str) -> str:
    """A text without the quotes around it, which a file of variables leaves there if nobody takes them off."""
    return text[1:-1].strip() if len(text) > 2 and text[0] == text[-1] and text[0] in "'\"" else text


def _stripped(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(stripped for text in texts if (stripped := text.strip()))


def _shown(name: str, value: str) -> str:
    """A value for the log: its beginning, and a URL without what may be a password in it."""
    if name != "base_url":
        return value if len(value) <= _SHOWN_MAX else f"{value[:_SHOWN_MAX]}..."
    _, at, rest = value.rpartition("@")
    rest, query, _ = rest.partition("?")
    return f"{'***@' if at else ''}{rest}{'?***' if query else ''}"
