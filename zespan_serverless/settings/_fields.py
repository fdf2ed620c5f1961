"""The rules of every setting: default, range, choices, environment variable, and how values are checked and parsed."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .._base.guard import pass_on
from .._base.log import warn_once
from ..errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

DEFAULT_BASE_URL = "https://api.zespan.com"
FLUSH_MODES = ("auto", "after_response", "before_return")
OTLP_EXPORTERS = (
    *("otlp", "collector", "braintrust", "datadog", "grafana", "honeycomb", "langfuse", "langsmith", "logfire"),
    *("newrelic", "phoenix", "sentry"),
)
"""Exporters that speak OTLP; all but the first two are backends with their own variables, see `_backends`."""
ADDRESSED = ("carbon", *OTLP_EXPORTERS)
"""Exporters with their own address, which `base_url` replaces."""
EXPORTERS = ("zespan", "console", "memory", *ADDRESSED)
CONSOLE_FORMATS = ("auto", "tree", "json")
READERS = ("user_id", "session_id", "conversation_id")

TRUE, FALSE = ("1", "true", "t", "yes", "y", "on"), ("0", "false", "f", "no", "n", "off")


class Field:
    """One setting and the rules for its values, which are strings. Subclasses are for other types."""

    __slots__ = ("bounds", "choices", "default", "is_secret", "keeps_back", "name", "normalize", "variable", "wanted")

    def __init__(
        self,
        name: str,
        default: Any = None,
        *,
        bounds: tuple[float, float] | None = None,
        choices: tuple[str, ...] = (),
        normalize: Callable[[str], str] | None = None,
        is_secret: bool = False,
        keeps_back: bool = False,
        in_environment: bool = True,
        wanted: str = "a string",
    ) -> None:
        self.name = name
        self.default = default
        self.bounds = bounds  # least and greatest value; others are clamped
        self.choices = choices
        self.normalize = normalize  # converts a string to the one that is used; may raise ConfigurationError
        self.is_secret = is_secret  # its value is never shown
        self.keeps_back = keeps_back  # False sends less, and so replaces a value in the environment that is not valid
        self.variable = "ZESPAN_" + name.upper() if in_environment else None
        self.wanted = wanted  # describes a valid value, for errors

    def check(self, value: Any) -> Any:
        """Check and normalize a value given in code. Raises ConfigurationError, which says what to write instead."""
        if not isinstance(value, str):
            raise self.mismatch(self.wanted, value)
        return self.parse(value)

    def parse(self, text: str) -> Any:
        """Parse an environment variable. Raises ValueError or ConfigurationError, which say what to write instead."""
        text = text.strip()
        if self.choices and text not in self.choices:
            raise ConfigurationError(f"{self.name} must be one of {', '.join(self.choices)}, not {text!r}")
        return text if self.normalize is None else self.normalize(text)

    def mismatch(self, wanted: str, value: object) -> ConfigurationError:
        """Return the error for a value of the wrong type."""
        shown = f"a {type(value).__name__}" if self.is_secret else repr(value)
        return ConfigurationError(f"{self.name} must be {wanted}, not {shown}")


class Switch(Field):
    """True or False."""

    __slots__ = ()

    def check(self, value: Any) -> bool:
        if not isinstance(value, bool):
            raise self.mismatch("True or False", value)
        return value

    def parse(self, text: str) -> bool:
        word = unquoted(text).lower()
        if word not in TRUE + FALSE:
            raise ValueError("use 1 or 0")
        return word in TRUE


class Number(Field):
    """An int if its default is one, else a float."""

    __slots__ = ()

    def check(self, value: Any) -> float:
        is_whole = isinstance(self.default, int)
        if isinstance(value, bool) or not isinstance(value, int if is_whole else (int, float)) or value != value:
            raise self.mismatch("a whole number" if is_whole else "a number", value)
        return value

    def parse(self, text: str) -> float:
        try:
            value = type(self.default)(text)
        except ValueError as error:
            pass_on(error)
            raise ValueError("use a whole number" if type(self.default) is int else "use a number like 1.5") from None
        return self.check(value)

    def clamp(self, value: float) -> float:
        """Return the value within its bounds; one that is out of range is logged."""
        low, high = self.bounds or (value, value)
        clamped: float = type(self.default)(min(max(value, low), high))
        if clamped != value:
            text = "%s=%r is out of range, using %r (from %r to %r)"
            warn_once("out-of-range", text, self.name, value, clamped, low, high)
        return clamped


class Seconds(Number):
    """Seconds that can be switched: True is 0.5 of them, and False none."""

    __slots__ = ()

    def check(self, value: Any) -> float:
        if isinstance(value, str):
            raise self.mismatch("True, False or a number of seconds", value)
        return value * 0.5 if isinstance(value, bool) else Number.check(self, value)

    def parse(self, text: str) -> float:
        word = unquoted(text).lower()
        return self.check(word in TRUE) if word in TRUE + FALSE else Number.parse(self, word)


class Keys(Field):
    """A tuple of strings."""

    __slots__ = ()

    def check(self, value: Any) -> tuple[str, ...]:
        keys = None if isinstance(value, str) or not hasattr(value, "__iter__") else tuple(value)
        if keys is None or not all(isinstance(key, str) for key in keys):
            raise self.mismatch("a list of strings", value)
        return self._stripped(keys)

    def parse(self, text: str) -> tuple[str, ...]:
        text = text.replace(";", ",")
        return self._stripped(text.split("," if "," in text else None))

    def _stripped(self, keys: Iterable[str]) -> tuple[str, ...]:
        return tuple(stripped for key in keys if (stripped := key.strip()))


class Hosts(Keys):
    """A tuple of hosts, as `_hosts` normalizes them."""

    __slots__ = ()

    def _stripped(self, keys: Iterable[str]) -> tuple[str, ...]:
        from ._hosts import host_entry

        return tuple(dict.fromkeys(map(host_entry, super()._stripped(keys))))


class Tags(Field):
    """A mapping of strings to strings."""

    __slots__ = ()

    def check(self, value: Any) -> dict[str, str]:
        if isinstance(value, str) or not hasattr(value, "items"):
            raise self.mismatch("a mapping of strings, such as {'team': 'search'}", value)
        return {str(key): str(tag) for key, tag in value.items()}

    def parse(self, text: str) -> dict[str, str]:
        pairs = [pair.partition("=") for pair in text.split(",") if pair.strip()]
        if not all(key.strip() and equals for key, equals, _ in pairs):
            raise ValueError("use a=1,b=2")
        return {key.strip(): value.strip() for key, _, value in pairs}


class Exporter(Field):
    """The name of an exporter, the URL of a store, an object with an exporter's methods, or a tuple of several."""

    __slots__ = ()

    def check(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.parse(value)
        from .exporters import checked

        return checked(value, self._one, self.choices)

    def parse(self, text: str) -> Any:
        return self.check([name for name in text.split(",") if name.strip()]) if "," in text else self._one(text)

    def _one(self, text: str) -> str:
        if "/" not in text:
            return super().parse(text)  # type: ignore[no-any-return]
        from ._stores import url

        return url(unquoted(text.strip()), self.name)


class Deferred(Field):
    """A setting that most do without. What checks its values is imported with the first one.

    `checks` is the function for a value in code, and `parses` that for an environment variable, as `module.function`.
    Without the latter, the former gets the text.
    """

    __slots__ = ("_checks", "_parses")

    def __init__(self, name: str, default: Any = None, *, checks: str, parses: str = "", **rules: Any) -> None:
        super().__init__(name, default, **rules)
        self._checks, self._parses = checks, parses

    def check(self, value: Any) -> Any:
        return _function(self._checks)(value, self.name)

    def parse(self, text: str) -> Any:
        text = text.strip()
        return _function(self._parses)(text, self.name) if self._parses else self.check(unquoted(text))


def _function(path: str) -> Callable[[Any, str], Any]:
    module, _, name = path.partition(".")
    return getattr(import_module(f"{__package__}.{module}"), name)  # type: ignore[no-any-return]


# ---------------------------------------------------------------------- rules of single settings


def _api_key(text: str) -> str:
    key = unquoted(text)
    if key != text:
        warn_once("key-quoted", "api_key is in quotes, which are ignored: remove them")
    if not (key.isascii() and key.isprintable()):
        raise ConfigurationError("api_key has characters that are not allowed in an HTTP header: copy it anew")
    return key


def _api_key_secret(text: str) -> str:
    from .._platforms import secrets

    if not secrets.is_source(text):
        raise ConfigurationError(f"api_key_secret must be like {secrets.FORMS}")
    return text


def _base_url(text: str) -> str:
    url = text.rstrip("/").removesuffix("/v1/ingest")
    if not _is_base_url(url):
        raise ConfigurationError(f"base_url must be like {DEFAULT_BASE_URL!r}, not {without_secrets(url)!r}")
    if "@" in url.split("/", 3)[2]:  # the host, which exists, and what may precede it
        raise ConfigurationError("base_url must not contain a user and password: put the key into api_key")
    return url


def _is_base_url(text: str) -> bool:
    from urllib.parse import urlsplit  # loaded already if any HTTP client is

    try:
        url = urlsplit(text)
        usable = url.scheme in ("https", "http") and url.hostname and url.port != 0 and not url.query + url.fragment
    except ValueError as error:  # not a port, or not an IPv6 address
        pass_on(error)
        return False
    return bool(usable) and text.isascii() and text.isprintable() and " " not in text


def without_secrets(url: str) -> str:
    """Return a URL for the log, without its user, password and query."""
    _, at, address = url.rpartition("@")
    address, query, _ = address.partition("?")
    return f"{'***@' if at else ''}{address}{'?***' if query else ''}"


_JOURNAL = "'on', 'off', 'auto' or a folder's path with a /"


def _journal(text: str) -> str:
    if "/" in text:  # a word without a / is never a folder: "0" means off, and must not write prompts to disk
        return text
    word = unquoted(text).lower()
    mode = "on" if word in TRUE else "off" if word in FALSE else word
    if mode not in ("on", "off", "auto"):
        raise ConfigurationError(f"journal must be {_JOURNAL}, not {mode!r}")
    return mode


def unquoted(text: str) -> str:
    """Return a string without the quotes around it that some readers of .env files do not remove."""
    return text[1:-1].strip() if len(text) > 2 and text[0] == text[-1] and text[0] in "'\"" else text


# ---------------------------------------------------------------------- the table

FIELDS: dict[str, Field] = {
    field.name: field
    for field in (
        Field("api_key", normalize=_api_key, is_secret=True),
        Field("api_key_secret", normalize=_api_key_secret, is_secret=True),  # some users put the key itself here
        Field("base_url", DEFAULT_BASE_URL, normalize=_base_url),
        Field("environment", "production"),
        Switch("enabled", True, keeps_back=True),
        Field("service_name"),
        Field("flush_mode", "auto", choices=FLUSH_MODES),
        Number("flush_timeout", 1.0, bounds=(0.01, 60.0)),
        Number("flush_reserve", 0.2, bounds=(0.1, 60.0)),  # aborting a flush takes up to 0.05 s
        Seconds("cap_timeouts", 0.0, bounds=(0.0, 900.0)),
        Number("batch_size", 500, bounds=(1, 500)),
        Number("batch_bytes", 3_670_016, bounds=(1024, 4_194_304)),
        Number("flush_interval", 5.0, bounds=(0.1, 3600.0)),
        Number("max_events", 1000, bounds=(1, 100_000)),
        Number("max_bytes", 8_388_608, bounds=(1024, 268_435_456)),
        Field("journal", "auto", normalize=_journal, wanted=_JOURNAL),
        Number("sample_rate", 1.0, bounds=(0.0, 1.0)),
        Switch("sample_errors", False),
        Switch("store_prompts", True, keeps_back=True),
        Keys("redact_keys", ("password", "secret", "token", "api_key")),
        Hosts("propagate_to", ()),
        Switch("root_event", True),
        Tags("tags"),
        *(Deferred(name, checks="_functions.reader", in_environment=False) for name in READERS),
        Exporter("exporter", "zespan", choices=EXPORTERS),
        Field("console_format", "auto", choices=CONSOLE_FORMATS),
        Deferred("headers", checks="_headers.checked", parses="_headers.parsed", is_secret=True),
        Deferred("http_client", checks="_http_client.checked", in_environment=False),
        Deferred("fallback", checks="_stores.checked"),
        Number("fallback_after", 60.0, bounds=(0.0, 86_400.0)),
        Deferred("flush", (), checks="_flush.checked", parses="_flush.parsed"),
        Deferred("on_error", checks="_functions.callback", in_environment=False),
        Deferred("on_flush", checks="_functions.callback", in_environment=False),
        Switch("debug", False),
    )
}
VARIABLES = {name: field.variable for name, field in FIELDS.items() if field.variable}
"""The environment variable of each setting that has one."""
