"""Rules on the values of environment variables, wherever they are set."""

from __future__ import annotations

from collections.abc import Iterator

from zespan_serverless.errors import ConfigurationError
from zespan_serverless.settings import OTLP_EXPORTERS, lacks, resolve
from zespan_serverless.settings._fields import DEFAULT_BASE_URL, FIELDS, VARIABLES, Number, unquoted, without_secrets

from ..findings import Finding, rule
from ..lookup import environ_of, given_in_code, is_traced, quiet, variables
from ..model import Function, Project, Variable

_SETTING = {variable: FIELDS[name] for name, variable in VARIABLES.items()}
_DESTINATION = {"api_key", "api_key_secret", "base_url", "exporter"}
_DESTINATION_VARIABLES = {VARIABLES[name] for name in _DESTINATION if name in VARIABLES}
_COMPLETE = ("aws_lambda", "alibaba", "digitalocean")
_SHOWN_MAX = 60  # characters of a value in a message


@rule(
    "ZS001",
    "no-destination",
    "error",
    "Without an API key, or another destination, telemetry is off.",
    "Set ZESPAN_API_KEY_SECRET or ZESPAN_API_KEY in the function's environment, or ZESPAN_BASE_URL to send elsewhere.",
)
def no_destination(project: Project) -> Iterator[Finding]:
    """Find functions that are traced, and that no file tells where to send, on hosts whose files have all variables."""
    for function in project.functions:
        is_known = function.host in _COMPLETE and not function.environment_is_partial
        given = given_in_code(project, function)
        if not is_known or function.is_packaged_as_image or not is_traced(project, function):
            continue
        if given is None or given & _DESTINATION or any(map(_is_invalid, function.environment.values())):
            continue  # ZS003 says what is wrong with a value
        for what in sorted(_missing(function)):
            text = f"the function {function.name} sends nothing: {what}"
            is_said = what.startswith("set ZESPAN_API_KEY") and function.host == "aws_lambda"  # the secret is AWS's
            remedy = "" if is_said else f"{what[:1].upper()}{what[1:]}."
            yield Finding(text, function.place, remedy, function.name)


def _is_invalid(variable: Variable) -> bool:
    """Whether a variable names a destination, or its key, in a form that the package ignores."""
    if variable.name not in _DESTINATION_VARIABLES or not isinstance(variable.value, str) or not variable.value.strip():
        return False
    try:
        with quiet():
            _SETTING[variable.name].parse(variable.value.strip())
    except (ValueError, ConfigurationError) as error:
        return "needs a package" not in str(error)  # which may be missing here, and present in the function
    return False


def _missing(function: Function) -> set[str]:
    """Return what is missing, of each destination that the function's environment names."""
    environ = environ_of(function)
    with quiet():
        settings = resolve({}, environ)
        return {lacks(settings, name, environ) for name in settings.names} - {""} if settings.enabled else set()


@rule(
    "ZS003",
    "invalid-value",
    "error",
    "A value that cannot be parsed is ignored when the function starts, or replaced by the one that sends least.",
    "Write the value as the message says.",
)
def invalid_value(project: Project) -> Iterator[Finding]:
    """Find values that the package's own parser does not accept."""
    for variable, text in _settings(project):
        field = _SETTING[variable.name]
        try:
            with quiet():
                field.parse(text)
        except (ValueError, ConfigurationError) as error:
            if "needs a package" in str(error):  # which may be missing here, and present in the function
                continue
            yield Finding(f"{variable.name}{_shown(variable.name, text)}: {error}", variable.place)


@rule(
    "ZS004",
    "out-of-range",
    "warning",
    "A number that is out of range is replaced by the nearest one that is allowed.",
    "Use a number in the range.",
)
def out_of_range(project: Project) -> Iterator[Finding]:
    """Find numbers that are clamped."""
    for variable, text in _settings(project):
        field = _SETTING[variable.name]
        if not isinstance(field, Number) or field.bounds is None:
            continue
        try:
            value = field.parse(text)
        except (ValueError, ConfigurationError):
            continue
        low, high = field.bounds
        if not low <= value <= high:
            yield Finding(f"{variable.name}={value:g} is out of range: use {low:g} to {high:g}", variable.place)


@rule(
    "ZS006",
    "key-format",
    "warning",
    "A key in another format probably belongs to another service, and is refused.",
    "Copy the key again, without quotes: it begins with zsp_.",
)
def key_format(project: Project) -> Iterator[Finding]:
    """Find keys in quotes, and keys for Zespan that do not begin as its keys do."""
    for variable, text in _settings(project, "ZESPAN_API_KEY"):
        key = unquoted(text)
        environ = _beside(project, variable)
        is_zespan = "ZESPAN_BASE_URL" not in environ and environ.get("ZESPAN_EXPORTER", "zespan") == "zespan"
        if key != text:
            yield Finding("ZESPAN_API_KEY has quotes as a part of its value", variable.place)
        elif key.isascii() and is_zespan and not key.startswith("zsp_") and "{{resolve:" not in key:
            yield Finding("ZESPAN_API_KEY does not begin with zsp_", variable.place)


@rule(
    "ZS007",
    "prompts-are-sent",
    "info",
    "Prompts and answers are sent as they are; only values under keys such as password and token are replaced.",
    "Set ZESPAN_REDACT_KEYS to the keys of personal data in your prompts, or ZESPAN_STORE_PROMPTS=0.",
)
def prompts_are_sent(project: Project) -> Iterator[Finding]:
    """Find, once in a project, functions that send prompts without having said what to leave out."""
    found = [function for function in project.functions if _sends_all_prompts(project, function)]
    if found:
        names = ", ".join(dict.fromkeys(function.name for function in found))
        yield Finding(f"prompts and answers are sent by {names}", found[0].place)


def _sends_all_prompts(project: Project, function: Function) -> bool:
    given = given_in_code(project, function)
    if not is_traced(project, function) or given is None or given & {"store_prompts", "redact_keys"}:
        return False
    return not {"ZESPAN_STORE_PROMPTS", "ZESPAN_REDACT_KEYS"} & function.environment.keys()


@rule(
    "ZS008",
    "switched-off",
    "info",
    "With ZESPAN_ENABLED=0 the decorator only calls the function.",
    "Remove the variable where you want events.",
)
def switched_off(project: Project) -> Iterator[Finding]:
    """Find functions whose telemetry is switched off."""
    for function in project.functions:
        variable = function.environment.get("ZESPAN_ENABLED")
        if variable is None or not isinstance(variable.value, str):
            continue
        with quiet():
            is_off = not resolve({}, {"ZESPAN_ENABLED": variable.value}).enabled
        if is_off:
            text = f"telemetry of the function {function.name} is switched off"
            yield Finding(text, variable.place, function=function.name)


@rule(
    "ZS009",
    "plain-http",
    "warning",
    "Over http:// others on the network can read the API key and all prompts.",
    "Use https://.",
)
def plain_http(project: Project) -> Iterator[Finding]:
    """Find addresses without TLS, of another machine, to which Zespan's exporter sends."""
    for variable, text in _settings(project, "ZESPAN_BASE_URL"):
        named = {name.strip() for name in _beside(project, variable).get("ZESPAN_EXPORTER", "").split(",")}
        host = without_secrets(text).partition("://")[2].split("/")[0]
        is_here = host.startswith(("localhost", "127.", "[::1]")) or host.split(":")[0].endswith(".localhost")
        if text.startswith("http://") and not is_here and not named & {*OTLP_EXPORTERS, "carbon"}:
            yield Finding(f"ZESPAN_BASE_URL={without_secrets(text)!r} sends without encryption", variable.place)


def _settings(project: Project, *names: str) -> Iterator[tuple[Variable, str]]:
    """Yield the variables of settings, or those with these names, that have a value, with it."""
    for variable in variables(project):
        if variable.name in (names or _SETTING) and isinstance(variable.value, str) and variable.value.strip():
            yield variable, variable.value.strip()


def _beside(project: Project, variable: Variable) -> dict[str, str]:
    """Return the environment that a variable is in: that of its function, or all that is in the same file."""
    for function in project.functions:
        if function.environment.get(variable.name) is variable:
            return environ_of(function)
    same = [one for one in project.variables if one.place.file == variable.place.file]
    return {one.name: one.value for one in same if isinstance(one.value, str)}


def _shown(name: str, text: str) -> str:
    """Return a value for a message; empty if it is secret, or an address that may have a password."""
    if _SETTING[name].is_secret or "://" in text or text == DEFAULT_BASE_URL:
        return ""
    return f"={text[:_SHOWN_MAX]!r}"
