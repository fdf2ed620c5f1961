"""Resolves settings: arguments of a decorator or `init()` over ZESPAN_* environment variables over defaults.

`_fields.FIELDS` has the rules of each setting. `SettingsKwargs` documents each for users and type checkers.

A mistake in code raises ConfigurationError while decorating. A mistake in the environment, which may change without a
deployment, is logged once and ignored, unless the setting withholds data: then it gets the value that sends least, see
`Field.keeps_back`. A value out of range is clamped and logged once, wherever it comes from.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, ClassVar

from .._base.guard import pass_on
from .._base.log import INFO, claim, line, warn_once
from ..errors import ConfigurationError
from ._fields import (
    ADDRESSED,
    DEFAULT_BASE_URL,
    FIELDS,
    OTLP_EXPORTERS,
    READERS,
    VARIABLES,
    Field,
    Number,
    without_secrets,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .._base.exporter import CustomExporter, Fallback
    from .._base.http_client import HttpClient
    from .._base.reports import Dropped, FlushReport
    from . import _carbon, _otlp
    from ._flush import Flushable
    from ._kwargs import SettingsKwargs as SettingsKwargs

else:

    def __getattr__(name: str) -> object:
        """Import `SettingsKwargs` when it is first used at run time, as `typing.get_type_hints(init)` does."""
        if name != "SettingsKwargs":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from ._kwargs import SettingsKwargs

        return SettingsKwargs


__all__ = ["OTLP_EXPORTERS", "READERS", "Settings", "SettingsKwargs", "check", "is_test", "lacks", "resolve", "usable"]

OFFICIAL_SDKS = ("zespan", "zespan_fastapi", "zespan_flask", "zespan_crewai.ingest", "zespan_autogen.ingest")
"""Other modules whose settings apply as well; see `_official`."""

_SHOWN_MAX = 200  # characters of a value that are logged


class Settings:
    """The effective settings, with a value for every setting. `SettingsKwargs` documents each of them."""

    __slots__ = tuple(FIELDS)

    api_key: str | None
    api_key_secret: str | None
    base_url: str
    environment: str
    enabled: bool
    service_name: str | None
    flush_mode: str
    flush_timeout: float
    flush_reserve: float
    cap_timeouts: float
    batch_size: int
    batch_bytes: int
    flush_interval: float
    max_events: int
    max_bytes: int
    journal: str
    sample_rate: float
    sample_errors: bool
    store_prompts: bool
    redact_keys: tuple[str, ...]
    propagate_to: tuple[str, ...]
    root_event: bool
    tags: Mapping[str, str] | None
    user_id: Callable[[Any], object] | None
    session_id: Callable[[Any], object] | None
    conversation_id: Callable[[Any], object] | None
    exporter: CustomExporter | str | tuple[CustomExporter | str, ...]
    fallback: Fallback | str | None
    fallback_after: float
    flush: tuple[Flushable | str, ...]
    console_format: str
    headers: Mapping[str, str] | None
    http_client: HttpClient | Callable[[], HttpClient] | None
    on_error: Callable[[Dropped], object] | None
    on_flush: Callable[[FlushReport], object] | None
    debug: bool

    def __init__(self, **values: Any) -> None:
        """Store values without checks, which `check` and `resolve` do. Raises TypeError for an unknown name."""
        for name in values:
            if name not in FIELDS:
                raise TypeError(f"unknown setting {name!r}")
        for name, field in FIELDS.items():
            setattr(self, name, values.get(name, field.default))

    def replaced(self, **values: Any) -> Settings:
        """Return a copy in which these settings have other values."""
        return Settings(**{**self._values(), **values})

    @property
    def exporters(self) -> tuple[CustomExporter | str, ...]:
        """Return all exporters, even if there is only one."""
        return self.exporter if type(self.exporter) is tuple else (self.exporter,)  # type: ignore[return-value]

    @property
    def names(self) -> list[str]:
        """Return the exporters that have a name."""
        return [one for one in self.exporters if isinstance(one, str)]

    def alone(self, exporter: CustomExporter | str) -> Settings:
        """Return the settings of one of several destinations. `base_url` and `headers` belong to one of them only: to
        Zespan, if it is among them, otherwise to the only one that has an address, or speaks OTLP."""
        own = self.replaced(exporter=exporter)
        if isinstance(exporter, str) and exporter in ADDRESSED:
            if "zespan" in self.names or sum(name in ADDRESSED for name in self.names) > 1:
                own.base_url = DEFAULT_BASE_URL
            if sum(name in OTLP_EXPORTERS for name in self.names) > 1:
                own.headers = None
        return own

    def __eq__(self, other: object) -> bool:
        return self._values() == other._values() if isinstance(other, Settings) else NotImplemented

    __hash__: ClassVar[None]  # type: ignore[assignment]  # its exporter and tags can change

    def __repr__(self) -> str:
        """Return all settings, with secrets masked."""
        shown = []
        for name, value in self._values().items():
            shown.append(f"{name}=***" if value and FIELDS[name].is_secret else f"{name}={value!r}")
        return f"Settings({', '.join(shown)})"

    def _values(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in FIELDS}


# ---------------------------------------------------------------------- from arguments and environment to Settings


def check(arguments: Mapping[str, object]) -> dict[str, Any]:
    """Check and normalize arguments given in code. None means "not given".

    Raises ConfigurationError for an unknown name, or a value of the wrong type.
    """
    checked: dict[str, Any] = {}
    for name, value in arguments.items():
        field = FIELDS.get(name)
        if field is None:
            from .._base.hints import suggestion

            raise ConfigurationError(f"unknown setting {name!r}{suggestion(name, FIELDS)}")
        if value is not None:
            checked[name] = field.check(value)
    return checked


def resolve(arguments: Mapping[str, Any], environ: Mapping[str, str] | None = None) -> Settings:
    """Combine checked `arguments`, the environment (default: os.environ) and the defaults. Never raises."""
    environ = os.environ if environ is None else environ
    values = dict(arguments)
    given = {name: environ.get(name, "").strip() for name in environ if name[:7].upper() == "ZESPAN_"}
    for name, variable in VARIABLES.items():
        text = given.get(variable)
        if text and name not in values:
            _read(FIELDS[name], text, values)
    if environ is os.environ and any(name in sys.modules for name in OFFICIAL_SDKS):
        from ._official import of_official_sdk

        values = {**of_official_sdk(), **values}
    unknown = [name for name in given if name not in VARIABLES.values()]
    if unknown:
        from ._misspelled import correct

        correct(unknown, environ, values)
    for name, value in values.items():
        field = FIELDS[name]
        if isinstance(field, Number):
            values[name] = field.clamp(value)
    settings = Settings(**values)
    addresses = [settings.base_url] if "zespan" in settings.names else []
    for name in settings.names:
        if name in ADDRESSED:
            addresses.append(_target(settings, name, environ).url)
        if name in OTLP_EXPORTERS and "flush_timeout" not in values:
            from ._otlp import flush_timeout

            settings.flush_timeout = flush_timeout(settings, environ)
    addresses += [name for name in settings.names if "://" in name and not name.lower().startswith("file:")]
    if addresses and settings.enabled:
        if "enabled" not in values and is_test(environ) and not all(map(_is_loopback, addresses)):
            _log_off_in_test()
            return settings.replaced(enabled=False)
        _warn_of_risks(settings)
    return settings


def _read(field: Field, text: str, values: dict[str, Any]) -> None:
    """Put the value of an environment variable into `values`, or log why it cannot be used and what follows."""
    try:
        values[field.name] = field.parse(text)
    except (ValueError, ConfigurationError) as error:
        pass_on(error)
        message = "%s%s ignored: %s"
        if field.name == "base_url":  # the default would send the events to another backend than the intended one
            values["enabled"], message = False, "%s%s cannot be used, telemetry is off: %s"
        elif field.keeps_back:
            values[field.name], message = False, "%s%s cannot be read and is taken as off: %s"
        if field.name == "base_url" or "://" in text:
            text = without_secrets(text)
        shown = text if len(text) <= _SHOWN_MAX else f"{text[:_SHOWN_MAX]}..."
        shown = "" if field.is_secret else f"={shown!r}"
        warn_once("variable-unreadable", message, field.variable, shown, error)


def is_test(environ: Mapping[str, str]) -> bool:
    """Whether pytest runs this process, or has started it."""
    return "PYTEST_VERSION" in environ or "PYTEST_CURRENT_TEST" in environ


def _is_loopback(base_url: str) -> bool:
    """Whether a base_url is on this machine."""
    if base_url == DEFAULT_BASE_URL:
        return False
    from urllib.parse import urlsplit

    host = urlsplit(base_url).hostname or ""
    return host in ("localhost", "::1") or host.endswith(".localhost") or host.startswith("127.")


def _log_off_in_test() -> None:
    if claim("in a test"):
        line("off-in-tests", "telemetry is off in tests: set ZESPAN_ENABLED=1, or use testing.recording()", level=INFO)


def _warn_of_risks(settings: Settings) -> None:
    """Warn of settings that are allowed, but probably not intended."""
    key, base_url = settings.api_key or "", settings.base_url
    if "zespan" not in settings.names:
        return  # a collector in a private network has no TLS, and no key
    if key and base_url == DEFAULT_BASE_URL and not key.startswith("zsp_"):
        text = "api_key does not begin with zsp_, as Zespan's keys do: check that it is the right one"
        warn_once("key-unusual", text)
    if base_url.startswith("http://") and not _is_loopback(base_url):
        risk = "base_url is http:// to another machine: others can read the API key and all prompts; use https://"
        warn_once("no-tls", risk)


def usable(settings: Settings) -> Settings | None:
    """Return the settings without destinations that lack a key, which are logged once; None if telemetry is off."""
    if not settings.enabled:
        return None
    lacking = {name: text for name in settings.names if (text := lacks(settings, name))}
    if not lacking:
        return settings
    others = [one for one in settings.exporters if not (isinstance(one, str) and one in lacking)]
    for name, text in lacking.items():
        if others:
            warn_once("no-key", "nothing is sent to %s: %s (or ZESPAN_ENABLED=0)", name, text)
        else:
            warn_once("no-key", "telemetry is off: %s (or ZESPAN_ENABLED=0)%s", text, _similar_name(name))
    return settings.replaced(exporter=tuple(others) if len(others) > 1 else others[0]) if others else None


def _similar_name(exporter: str) -> str:
    """Return what to add to the line that there is no key, if a variable of another prefix may be meant for it."""
    if exporter != "zespan":
        return ""
    from .._base.hints import similar

    found = similar(VARIABLES["api_key"], os.environ)
    return f"; found {found}: did you mean {VARIABLES['api_key']}?" if found else ""


def lacks(settings: Settings, name: str, environ: Mapping[str, str] | None = None) -> str:
    """Return what to do before events can be sent to this exporter; empty if nothing. Default: os.environ."""
    if name == "zespan":
        has_key = settings.api_key or settings.api_key_secret or settings.base_url != DEFAULT_BASE_URL
        return "" if has_key else "set ZESPAN_API_KEY, or ZESPAN_BASE_URL to send elsewhere"
    return _target(settings, name, environ).missing if name in ADDRESSED else ""


def _target(settings: Settings, name: str, environ: Mapping[str, str] | None = None) -> _carbon.Target | _otlp.Target:
    """Return where an exporter with its own address sends, and what is missing for that."""
    own = settings.alone(name)
    if name == "carbon":
        from . import _carbon

        return _carbon.target(own, environ)
    from . import _otlp

    return _otlp.target(own, environ)
