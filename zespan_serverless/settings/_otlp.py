"""Address of an OTLP exporter: from the settings, the backend's own variables, or OpenTelemetry's.

Imported only for such an exporter. The settings `base_url` and `headers` take precedence. Then, for a named backend
(`_backends`), its variables apply, and for `otlp` those of OpenTelemetry:
https://opentelemetry.io/docs/specs/otel/protocol/exporter/. A mistake in a variable is logged once, without its value
where that may be a secret.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from .._base.guard import pass_on
from .._base.log import warn_once
from ._backends import BACKENDS, Read
from ._fields import DEFAULT_BASE_URL, without_secrets
from ._headers import pairs_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Protocol

    class Given(Protocol):
        """The settings that matter here."""

        exporter: Any
        base_url: str
        headers: Mapping[str, str] | None
        service_name: str | None
        flush_timeout: float


_PATH = "/v1/traces"
_DEFAULT = "http://localhost:4318"
_SECONDS_BELOW = 100.0
"""A timeout below this is in seconds, as Python's SDK reads it; from there on in milliseconds, as it is specified."""


class Target:
    """Where and how to send.

    `missing`: why that is unknown; empty if it is known. `resource`: attributes of the process. `dialect`: the backend
    whose names some attributes get as well. `hint`: what to do if the backend does not accept the key.
    """

    __slots__ = ("certificate", "compresses", "dialect", "headers", "hint", "is_json", "missing", "resource", "url")

    def __init__(self, url: str, headers: Mapping[str, str], dialect: str, hint: str, missing: str = "") -> None:
        self.url: str = url
        self.headers: Mapping[str, str] = headers
        self.dialect: str = dialect
        self.hint: str = hint
        self.missing: str = missing
        self.is_json: bool = False
        self.compresses: bool = True
        self.certificate: str | None = None
        self.resource: Mapping[str, str] = {}

    @property
    def account(self) -> tuple[str, str]:
        """The destination and format, and the account there. The second part is secret."""
        form = "json" if self.is_json else "protobuf"
        return f"{self.url} {form} {self.dialect}", " ".join(f"{name}:{self.headers[name]}" for name in self.headers)


def target(settings: Given, environ: Mapping[str, str] | None = None) -> Target:
    """Return the target of the exporter in the settings. Never raises."""
    environ = os.environ if environ is None else environ
    name = str(settings.exporter)
    found = _of_backend(settings, name, environ) if name in BACKENDS else _of_standard(settings, environ)
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        found.missing = "unset OTEL_SDK_DISABLED"
    found.headers = {**found.headers, **(settings.headers or {})}
    variable = "OTEL_RESOURCE_ATTRIBUTES"
    given = {**pairs_of(environ.get(variable, ""), variable), **found.resource}
    service = settings.service_name or environ.get("OTEL_SERVICE_NAME", "").strip()
    found.resource = {**given, "service.name": service} if service else given
    return found


def flush_timeout(settings: Given, environ: Mapping[str, str]) -> float:
    """Return the seconds that a flush may take if the setting is missing."""
    seconds = _timeout(environ) if settings.exporter in ("otlp", "collector") else None
    return settings.flush_timeout if seconds is None else min(seconds, settings.flush_timeout)


def _of_backend(settings: Given, name: str, environ: Mapping[str, str]) -> Target:
    read = Read(environ, f"the address of {name}")
    place = BACKENDS[name](read)
    base, variable = place.base, read.address
    if settings.base_url != DEFAULT_BASE_URL:
        base, variable = settings.base_url, "base_url"
    keys = " and ".join(read.needed)
    hint = f"set {keys} to a valid one" if keys else "check the headers"
    if read.missing:
        return Target(base + place.path, {}, name, hint, f"set {' and '.join(read.missing)}")
    found = _checked(base, place.path, variable, place.headers, name, hint)
    found.resource = place.resource
    return found


def _of_standard(settings: Given, environ: Mapping[str, str]) -> Target:
    variable, path = "base_url", _PATH
    base = settings.base_url if settings.base_url != DEFAULT_BASE_URL else ""
    if not base:
        variable, path = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", ""
        base = environ.get(variable, "").strip()
    if not base:
        variable, path = "OTEL_EXPORTER_OTLP_ENDPOINT", _PATH
        base = environ.get(variable, "").strip() or _DEFAULT
    names = ("OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS")
    headers: dict[str, str] = {}
    for name in names:
        headers |= pairs_of(environ.get(name, ""), name, are_headers=True)
    hint = "set headers, or OTEL_EXPORTER_OTLP_HEADERS, to valid ones"
    found = _checked(base, path, variable, headers, "", hint)
    found.is_json = _word(environ, "PROTOCOL", ("http/protobuf", "http/json")) == "http/json"
    found.compresses = _word(environ, "COMPRESSION", ("gzip", "none")) != "none"
    found.certificate = _certificate(environ)
    return found


def _checked(base: str, path: str, name: str, headers: dict[str, str], dialect: str, hint: str) -> Target:
    """Return the target with this address, or without one if that is invalid."""
    base = base.rstrip("/")
    url = base if base.endswith(path) else base + path
    problem = ""
    try:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0 or not url.isascii():
            problem = f"must be like {_DEFAULT}"
        elif "@" in parts.netloc:
            problem = "must not contain a user and password: put them into a header"
        elif parts.query or parts.fragment or not url.isprintable() or " " in url:
            problem = f"must be like {_DEFAULT}"
    except ValueError as error:
        pass_on(error)
        problem = f"must be like {_DEFAULT}"
    missing = f"{name} {problem}, not {without_secrets(base)!r}" if problem else ""
    return Target("" if problem else url, headers, dialect, hint, missing)


def _variable(environ: Mapping[str, str], name: str) -> tuple[str, str]:
    """Return (name, text) of the variable for traces, otherwise of the general one."""
    for variable in (f"OTEL_EXPORTER_OTLP_TRACES_{name}", f"OTEL_EXPORTER_OTLP_{name}"):
        text = environ.get(variable, "").strip()
        if text:
            return variable, text
    return "", ""


def _word(environ: Mapping[str, str], name: str, known: tuple[str, ...]) -> str:
    variable, text = _variable(environ, name)
    if text and text.lower() not in known:
        message = "%s=%r is not supported, %s is used: there are %s"
        warn_once("otlp-variable", message, variable, text, known[0], ", ".join(known))
    return text.lower() if text.lower() in known else known[0]


def _timeout(environ: Mapping[str, str]) -> float | None:
    variable, text = _variable(environ, "TIMEOUT")
    try:
        number = float(text) if text else 0.0
    except ValueError as error:
        pass_on(error)
        number = -1.0
    if not 0 <= number < float("inf"):
        warn_once("otlp-variable", "%s=%r is ignored: use a number of milliseconds", variable, text)
        number = 0.0
    seconds = number if number < _SECONDS_BELOW else number / 1000
    return max(seconds, 0.01) if number else None


def _certificate(environ: Mapping[str, str]) -> str | None:
    variable, path = _variable(environ, "CERTIFICATE")
    if path and not os.path.isfile(path):  # noqa: PTH113 (pathlib would be another module to load)
        warn_once("otlp-variable", "%s=%r is ignored: there is no such file", variable, path)
        return None
    return path or None
