"""Arguments over the environment over the defaults; a mistake in code raises, one in the environment is said."""

from __future__ import annotations

import ast
import inspect
import itertools
import logging
import math
import os
import subprocess
import sys
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import text_of
from zespan_serverless import ConfigurationError, init, testing, zespan_lambda
from zespan_serverless import settings as _settings
from zespan_serverless._base.log import PREFIX
from zespan_serverless._delivery.worker import ABORT_GRACE
from zespan_serverless.exporters.memory import MemoryExporter
from zespan_serverless.exporters.stores import STORES, open_store
from zespan_serverless.settings import Settings, _flush, _kwargs, _stores, check, resolve, usable
from zespan_serverless.settings._fields import FIELDS, Number, Switch

ROOT = Path(_settings.__file__).parents[2]
BOUNDS = {name: field.bounds for name, field in FIELDS.items() if field.bounds}
Warnings = Callable[[], list[str]]


@pytest.fixture
def warnings(caplog: pytest.LogCaptureFixture) -> Warnings:
    """What has been logged so far, as text."""

    def said() -> list[str]:
        lines = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
        assert all(line.startswith(PREFIX) for line in lines)
        return [text_of(line) for line in lines]

    return said


FROM_ENVIRONMENT: dict[str, tuple[str, object]] = {
    "api_key": (" zsp_1 ", "zsp_1"),
    "api_key_secret": (" ssm:/zespan/api-key ", "ssm:/zespan/api-key"),
    "base_url": ("http://localhost:4318/", "http://localhost:4318"),
    "environment": ("staging", "staging"),
    "enabled": ("0", False),
    "service_name": ("search", "search"),
    "flush_mode": ("before_return", "before_return"),
    "flush_timeout": ("0.5", 0.5),
    "flush_reserve": ("1", 1.0),
    "cap_timeouts": ("2.5", 2.5),
    "batch_size": ("7", 7),
    "batch_bytes": ("4096", 4096),
    "flush_interval": ("2.5", 2.5),
    "max_events": ("10", 10),
    "max_bytes": ("100000", 100000),
    "journal": ("/var/tmp/events", "/var/tmp/events"),
    "sample_rate": ("0.25", 0.25),
    "sample_errors": ("on", True),
    "store_prompts": ("off", False),
    "redact_keys": ("pin, iban ,,", ("pin", "iban")),
    "propagate_to": ("API.example.com; *.internal,aws:sqs", ("api.example.com", "*.internal", "aws:sqs")),
    "root_event": ("No", False),
    "tags": ("team=search, tier = gold,empty=", {"team": "search", "tier": "gold", "empty": ""}),
    "exporter": ("console", "console"),
    "console_format": ("tree", "tree"),
    "flush": ("sentry, langfuse", ("sentry", "langfuse")),
    "headers": ("X-Team=search,b=two%20words", {"x-team": "search", "b": "two words"}),
    "fallback": ("'/mnt/efs/parking'", "/mnt/efs/parking"),
    "fallback_after": ("90", 90.0),
    "debug": ("TRUE", True),
}


def test_every_setting_can_be_set_in_the_environment() -> None:
    """All but those that are code."""
    assert set(FROM_ENVIRONMENT) == set(FIELDS) - {"http_client", "on_error", "on_flush", *_settings.READERS}


def test_type_checkers_see_every_setting() -> None:
    """They see the same names and choices as `FIELDS`, also at run time."""
    types = typing.get_type_hints(_settings.SettingsKwargs)
    assert list(types) == list(FIELDS)
    for name in ("flush_mode", "exporter", "console_format"):
        (literal,) = [one for one in typing.get_args(types[name]) if typing.get_origin(one) is typing.Literal]
        assert typing.get_args(literal) == FIELDS[name].choices
    assert typing.get_args(_kwargs.SdkName) == _flush.SDKS
    for function in (init, testing.recording):
        assert typing.get_type_hints(function)["settings"] == typing.Unpack[_settings.SettingsKwargs]
        assert inspect.signature(function, eval_str=True).parameters["settings"].kind is inspect.Parameter.VAR_KEYWORD


@pytest.mark.parametrize("name", FIELDS)
def test_type_checkers_see_the_type_of_each_setting(name: str) -> None:
    """Switches are bool, numbers int or float as their default is; None is allowed everywhere, and Any nowhere."""
    field, allowed = FIELDS[name], typing.get_args(typing.get_type_hints(_settings.SettingsKwargs)[name])
    assert type(None) in allowed
    assert Any not in allowed
    if type(field) in (Switch, Number):
        assert set(allowed) == {type(field.default), type(None)}


def documented() -> dict[str, str]:
    """Return what editors show of each setting: the text below its line in SettingsKwargs."""
    body = ast.parse(Path(_kwargs.__file__).read_text()).body
    (kwargs,) = [node for node in body if isinstance(node, ast.ClassDef) and node.name == "SettingsKwargs"]
    texts: dict[str, str] = {}
    for node, text in itertools.pairwise(kwargs.body):
        if isinstance(node, ast.AnnAssign) and isinstance(text, ast.Expr):
            texts[ast.unparse(node.target)] = " ".join(str(ast.literal_eval(text.value)).split())
    return texts


@pytest.mark.parametrize("name", FIELDS)
def test_editors_show_default_range_and_variable(name: str) -> None:
    """The docstring of each setting has its default, its range and its variable."""
    field, text = FIELDS[name], documented()[name]
    assert (field.variable or "Not in the environment") in text
    if field.variable:
        default = field.default
        if isinstance(default, tuple):
            default = ", ".join(default)
        elif not isinstance(default, (bool, str, type(None))):
            default = f"{default:,}"
        assert f"Default: {'none' if default is None else default}" in text or name == "service_name"
    if field.bounds:
        low, high = (f"{bound:,}".removesuffix(".0") for bound in field.bounds)
        assert f"{low} to {high}" in text


@pytest.mark.parametrize("name", FROM_ENVIRONMENT)
def test_setting_is_read_from_its_variable(name: str, monkeypatch: pytest.MonkeyPatch, warnings: Warnings) -> None:
    """ZESPAN_ + the name in upper case, in its type, without a word."""
    text, value = FROM_ENVIRONMENT[name]
    monkeypatch.setenv(f"ZESPAN_{name.upper()}", text)
    found = getattr(resolve({}), name)
    assert (found, type(found)) == (value, type(value))
    assert found != getattr(Settings(), name)
    assert warnings() == []


@pytest.mark.parametrize("name", FROM_ENVIRONMENT)
def test_empty_variable_is_not_given(name: str, warnings: Warnings) -> None:
    """Templates set variables to nothing."""
    assert resolve({}, {f"ZESPAN_{name.upper()}": "  "}) == Settings()
    assert warnings() == []


def test_arguments_precede_environment_precedes_defaults() -> None:
    """Each setting on its own."""
    environ = {"ZESPAN_ENVIRONMENT": "env", "ZESPAN_BATCH_SIZE": "7"}
    settings = resolve(check({"environment": "code", "debug": True}), environ)
    assert (settings.environment, settings.batch_size, settings.debug) == ("code", 7, True)
    assert settings.replaced(environment="production", batch_size=500, debug=False) == Settings()


def test_none_means_not_given() -> None:
    """An argument that is None leaves room for the environment."""
    assert resolve(check({"api_key": None}), {"ZESPAN_API_KEY": "zsp_1"}).api_key == "zsp_1"


def test_argument_hides_an_invalid_variable(warnings: Warnings) -> None:
    """What is not used is not complained about."""
    assert resolve(check({"batch_size": 3}), {"ZESPAN_BATCH_SIZE": "many"}).batch_size == 3
    assert warnings() == []


def test_unknown_name_raises_while_decorating() -> None:
    """The error names the setting that was probably meant."""
    with pytest.raises(ConfigurationError, match=r"unknown setting 'flush_timout', did you mean 'flush_timeout'\?"):
        zespan_lambda(flush_timout=1)  # type: ignore[call-overload]
    with pytest.raises(
        ConfigurationError, match=r"unknown setting 'xyz'; the settings are api_key, api_key_secret, base_url"
    ):
        zespan_lambda(xyz=1)  # type: ignore[call-overload]


WRONG: list[tuple[str, Any]] = [
    ("api_key", b"zsp_1"),
    ("api_key", 5),
    ("api_key", "zsp\n1"),
    ("api_key", "zsp_ü"),
    ("base_url", 5),
    ("base_url", ""),
    ("base_url", "api.zespan.com"),
    ("base_url", "ftp://api.zespan.com"),
    ("base_url", "https://"),
    ("base_url", "https:///v1"),
    ("base_url", "https://host:port"),
    ("base_url", "https://host:99999"),
    ("base_url", "https://host:0"),
    ("base_url", "https://[::1"),
    ("base_url", "https://a host"),
    ("base_url", "https://host/pa th"),
    ("base_url", "https://host\n.example"),
    ("base_url", "https://hóst"),
    ("base_url", "https://host/?a=1"),
    ("base_url", "https://host/#a"),
    ("base_url", "https://user:hunter2@host"),
    ("base_url", "https://hunter2@host"),
    ("base_url", "https://user:hunter2@host:port"),
    ("base_url", "user:hunter2@host"),
    ("base_url", "https://host?key=hunter2"),
    ("environment", 1),
    ("enabled", 1),
    ("enabled", "yes"),
    ("service_name", ["x"]),
    ("flush_mode", "never"),
    ("flush_mode", True),
    ("flush_timeout", "1"),
    ("flush_timeout", True),
    ("flush_timeout", math.nan),
    ("flush_reserve", [1]),
    ("cap_timeouts", "yes"),
    ("cap_timeouts", math.nan),
    ("batch_size", 1.5),
    ("batch_size", "50"),
    ("batch_size", True),
    ("sample_rate", "0.1"),
    ("store_prompts", 0),
    ("journal", True),
    ("redact_keys", "password"),
    ("redact_keys", 5),
    ("redact_keys", [1]),
    ("redact_keys", b"ab"),
    ("tags", "team=search"),
    ("tags", ["team"]),
    ("exporter", "zipkin"),
    ("exporter", object()),
    ("fallback", 5),
    ("fallback", object()),
    ("fallback", MemoryExporter),
    ("fallback", "parking"),
    ("fallback", "s4://bucket"),
    ("fallback", "file://mnt/efs"),
    ("fallback", "file://"),
    ("fallback", "s3://key:secret@bucket"),
    ("fallback", "s3://bucket?regio=eu-west-1"),
    ("fallback", "pubsub://project"),
    ("fallback", "azurequeue://account/queue/x"),
    ("exporter", "s4://bucket"),
    ("exporter", "sqs://"),
    ("exporter", ["zespan", "sqs://"]),
    ("fallback_after", "soon"),
    ("on_error", "print"),
    ("on_flush", 5),
    ("debug", "1"),
]


@pytest.mark.parametrize(("name", "value"), WRONG, ids=lambda v: repr(v)[:20])
def test_wrong_value_raises_while_decorating(name: str, value: Any) -> None:
    """The error names the setting, and never shows a key."""
    with pytest.raises(ConfigurationError, match=rf"^{name} (must be|must not|has|has no) ") as error:
        zespan_lambda(**{name: value})
    assert isinstance(error.value, TypeError)
    assert "hunter2" not in str(error.value)
    if name == "api_key":
        assert "zsp" not in str(error.value)


def test_exporter_without_a_method_raises() -> None:
    """An exporter is checked for its methods when it is given, not when it is needed."""

    class Half(MemoryExporter):
        cancel = None  # type: ignore[assignment]

    with pytest.raises(ConfigurationError, match=r"exporter has no cancel\(\)"):
        check({"exporter": Half()})


class Mine(MemoryExporter):
    """An exporter whose destination can be named."""

    def __init__(self, destination: str = "") -> None:
        super().__init__()
        self.destination = destination


class Tuple(tuple[int, ...]):
    """An exporter that happens to be a tuple."""

    encode = send = MemoryExporter.send


def test_several_exporters_are_a_tuple() -> None:
    """Given as a list or a tuple of names and objects, or by their names; a list of one is that one."""
    one, other, odd = Mine("one"), Mine("other"), Tuple()
    for value, expected in (
        (["zespan", one], ("zespan", one)),
        (("console", "zespan"), ("console", "zespan")),
        ([one, other], (one, other)),
        ("zespan, console", ("zespan", "console")),
        ("zespan,", "zespan"),
        (["memory"], "memory"),
        ([one], one),
        (odd, odd),
    ):
        settings = resolve(check({"exporter": value}), {})
        assert settings.exporter == expected
        assert settings.exporters == (expected if type(expected) is tuple else (expected,))
    assert resolve({}, {"ZESPAN_EXPORTER": "zespan, console"}).exporter == ("zespan", "console")


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ([], r"exporter is an empty list: name a destination"),
        (",", r"exporter is an empty list"),
        (["zespan", "zespan"], r"exporter has 'zespan' twice: name each destination once"),
        ("zespan,console,zespan", r"exporter has 'zespan' twice"),
        (["zespan", "zipkin"], r"exporter must be one of zespan, .*, not 'zipkin'"),
        (
            "/mnt/efs/parking",
            r"exporter must be a name, or a URL like file:///mnt/efs/parking .*, not '/mnt/efs/parking'",
        ),
        ("s3:/bucket", r"exporter must be a name, or a URL like .* s3://bucket/prefix, not 's3:/bucket'"),
        (["zespan", ["console"]], r"exporter has no encode, send\(\): use one of .* or a list of them"),
        (["zespan", None], r"exporter has no encode, send\(\)"),
        ({"zespan", "console"}, r"exporter has no encode, send\(\)"),
        ([MemoryExporter(), MemoryExporter()], r"exporter has two destinations called 'MemoryExporter'"),
        (
            [Mine("here"), Mine("here")],
            r"exporter has two destinations called 'here': give each object a `destination`",
        ),
        (["zespan", Mine("zespan")], r"exporter has two destinations called 'zespan'"),
    ],
)
def test_a_list_of_exporters_that_cannot_be_used_raises(value: Any, says: str) -> None:
    """The error says what to write instead."""
    with pytest.raises(ConfigurationError, match=f"^{says}"):
        zespan_lambda(exporter=value)


def test_a_list_in_the_environment_that_cannot_be_used_is_ignored(warnings: Warnings) -> None:
    """As every mistake in the environment: with one line in the log."""
    assert resolve({}, {"ZESPAN_EXPORTER": "console,console"}).exporter == "zespan"
    (said,) = warnings()
    assert "ZESPAN_EXPORTER='console,console' ignored: exporter has 'console' twice" in said


def test_a_destination_without_a_key_is_left_out(warnings: Warnings) -> None:
    """The others get their events; which one does not, and why, is logged once."""
    mine = Mine("here")
    for value, left in (
        (["zespan", mine], mine),
        (["console", "zespan", mine], ("console", mine)),
    ):
        settings = usable(resolve(check({"exporter": value}), {}))
        assert settings is not None
        assert settings.exporter == left
    (said,) = warnings()
    assert said.startswith("nothing is sent to zespan: set ZESPAN_API_KEY")
    with_key = usable(resolve(check({"exporter": ["zespan", mine], "api_key": "zsp_1"}), {}))
    assert with_key is not None
    assert with_key.exporter == ("zespan", mine)


def test_under_pytest_a_list_with_a_destination_elsewhere_is_off() -> None:
    """No test sends to production because its events go to memory, too."""
    environ = {"ZESPAN_API_KEY": "zsp_1", "PYTEST_VERSION": "8.2"}
    assert usable(resolve(check({"exporter": ["memory", "zespan"]}), environ)) is None
    assert usable(resolve(check({"exporter": ["memory", "console"]}), environ)) is not None


def test_every_store_that_can_be_opened_can_be_a_fallback(monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings know the same schemes as the stores, and an example of each."""
    monkeypatch.setattr(_stores, "_is_installed", lambda module: True)
    assert set(_stores.KNOWN) == set(STORES)
    for scheme, (form, _) in _stores.KNOWN.items():
        assert form.startswith(f"{scheme}://")
        assert check({"fallback": form}) == {"fallback": form}
        assert open_store(form).url == form


def test_a_store_whose_package_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """While configuring, and with the name of what is to be installed."""
    monkeypatch.setitem(_stores.KNOWN, "file", ("file:///mnt/efs", "google.cloud.nothing"))
    with pytest.raises(ConfigurationError, match="needs a package that is missing: google-cloud-nothing"):
        check({"fallback": "file:///mnt/efs"})


def test_valid_values_are_normalized() -> None:
    """They have the types that the package uses."""
    exporter = MemoryExporter()
    given: dict[str, Any] = {
        "api_key": " zsp_1 ",
        "base_url": "HTTPS://[::1]:8443/prefix/",
        "flush_timeout": 2,
        "redact_keys": (key for key in [" pin ", ""]),
        "tags": {"n": 1},
        "exporter": exporter,
        "on_error": print,
    }
    settings = resolve(check(given), {})
    assert settings == Settings(
        api_key="zsp_1",
        base_url="HTTPS://[::1]:8443/prefix",
        flush_timeout=2.0,
        redact_keys=("pin",),
        tags={"n": "1"},
        exporter=exporter,
        on_error=print,
    )
    assert type(settings.flush_timeout) is float


ODD: list[tuple[str, str]] = [
    ("flush_mode", "never"),
    ("flush_timeout", "soon"),
    ("flush_timeout", "nan"),
    ("batch_size", "1.5"),
    ("batch_size", "9" * 5000),
    ("root_event", "maybe"),
    ("tags", "team"),
    ("tags", "=x"),
    ("exporter", "zipkin"),
    ("fallback", "parking"),
    ("fallback", "file://mnt/efs"),
    ("sample_rate", "10%"),
    ("api_key", "zsp_\u2026"),
]


@pytest.mark.parametrize(("name", "text"), ODD, ids=lambda v: v[:20])
def test_invalid_variable_is_ignored_and_logged_once(name: str, text: str, warnings: Warnings) -> None:
    """A deployment's mistake is not an exception in the function."""
    environ = {f"ZESPAN_{name.upper()}": text}
    assert resolve({}, environ) == Settings()
    assert resolve({}, environ) == Settings()
    (said,) = warnings()
    assert said.startswith(f"ZESPAN_{name.upper()}")
    assert "ignored" in said
    assert name != "api_key" or "zsp" not in said


OFF = ["0", "n", "F", "no", "FALSE", "off", '"false"', "'0'", "' No '"]
ON = ["1", "y", "T", "yes", "True", "on", '"true"', "'1'"]
UNREADABLE = ["never", "0.0", "disabled", "-1", "none", '""', "'", '"0', "nope"]


@pytest.mark.parametrize("name", ["enabled", "store_prompts", "root_event"])
@pytest.mark.parametrize(("text", "value"), [*((text, False) for text in OFF), *((text, True) for text in ON)])
def test_switch_accepts_common_words(name: str, text: str, value: bool, warnings: Warnings) -> None:
    """Those of YAML and of shells, in quotes or without."""
    assert getattr(resolve({}, {f"ZESPAN_{name.upper()}": text}), name) is value
    assert warnings() == []


@pytest.mark.parametrize("name", ["enabled", "store_prompts"])
@pytest.mark.parametrize("text", UNREADABLE)
def test_invalid_switch_keeps_data_back(name: str, text: str, warnings: Warnings) -> None:
    """These two are set only to send less, so an unreadable value means off, which is logged once."""
    environ = {f"ZESPAN_{name.upper()}": text}
    for _ in range(2):
        assert resolve({}, environ) == resolve(check({name: False}), {})
    (said,) = warnings()
    assert said == f"ZESPAN_{name.upper()}={text!r} cannot be read and is taken as off: use 1 or 0"
    assert getattr(resolve(check({name: True}), environ), name)  # code prevails


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("ssn;pin", ("ssn", "pin")),
        ("ssn pin", ("ssn", "pin")),
        ("ssn\tpin\n iban", ("ssn", "pin", "iban")),
        ("ssn; pin, iban", ("ssn", "pin", "iban")),
        ("first name, pin", ("first name", "pin")),
    ],
)
def test_redact_keys_are_separated_by_commas_semicolons_or_blanks(text: str, keys: tuple[str, ...]) -> None:
    """With commas or semicolons a key may contain blanks."""
    assert resolve({}, {"ZESPAN_REDACT_KEYS": text}).redact_keys == keys


RANGES = [
    (name, given, bound)
    for name, (low, high) in BOUNDS.items()
    for given, bound in [(low - 1, low), (high + 1, high), (-(10**400), low), (10**400, high)]
]


@pytest.mark.parametrize(("name", "given_", "bound"), RANGES, ids=lambda v: str(v)[:20])
def test_out_of_range_is_clamped_and_logged_once(name: str, given_: float, bound: float, warnings: Warnings) -> None:
    """This is for values in code. The setting keeps its type."""
    values = [getattr(resolve(check({name: given_}), {}), name) for _ in range(2)]
    assert values == [bound, bound]
    assert type(values[0]) is type(getattr(Settings(), name))
    (said,) = warnings()
    assert said.startswith(f"{name}=")
    assert "out of range" in said


@pytest.mark.parametrize(("text", "value"), [("-1", 0.01), ("1e9", 60.0), ("inf", 60.0), ("0", 0.01)])
def test_out_of_range_in_the_environment_is_clamped(text: str, value: float, warnings: Warnings) -> None:
    """The same there."""
    assert resolve({}, {"ZESPAN_FLUSH_TIMEOUT": text}).flush_timeout == value
    assert len(warnings()) == 1


def test_bounds_are_in_range(warnings: Warnings) -> None:
    """The bounds themselves are fine."""
    for name, bounds in BOUNDS.items():
        for bound in bounds:
            assert getattr(resolve(check({name: bound}), {}), name) == bound
    assert warnings() == []


@pytest.mark.parametrize("text", ["api.zespan.com", "https://", "https://host:port", "redis://x"])
@pytest.mark.parametrize("arguments", [{}, {"enabled": True}])
def test_invalid_base_url_switches_telemetry_off(text: str, arguments: dict[str, Any], warnings: Warnings) -> None:
    """Telemetry is off, because the default would send the events to the wrong backend."""
    environ = {"ZESPAN_BASE_URL": text, "ZESPAN_API_KEY": "zsp_1", "ZESPAN_ENABLED": "1"}
    settings = resolve(check(arguments), environ)
    assert not usable(settings)
    (said,) = warnings()
    assert said.startswith(f"ZESPAN_BASE_URL={text!r} cannot be used, telemetry is off")


@pytest.mark.parametrize(
    ("arguments", "on"),
    [
        ({}, False),
        ({"api_key": ""}, False),
        ({"api_key": "zsp_1"}, True),
        ({"base_url": "http://localhost:1"}, True),  # one's own, without a key
        ({"exporter": "console"}, True),
        ({"exporter": MemoryExporter()}, True),
        ({"api_key": "zsp_1", "enabled": False}, False),
    ],
)
def test_telemetry_needs_a_destination_or_a_key(arguments: dict[str, Any], on: bool) -> None:
    """Telemetry needs a destination, and a key where that is the default one."""
    assert (usable(resolve(check(arguments), {})) is not None) is on


def test_missing_key_is_logged_once(warnings: Warnings) -> None:
    """One line in the log says why there is no telemetry, and what to do."""
    assert not usable(resolve({}, {}))
    assert not usable(resolve({}, {}))
    (said,) = warnings()
    assert "ZESPAN_API_KEY" in said


def test_switched_off_is_silent(warnings: Warnings) -> None:
    """Who has pulled the kill switch knows."""
    assert not usable(resolve({}, {"ZESPAN_ENABLED": "0"}))
    assert warnings() == []


def test_the_key_is_never_shown() -> None:
    """Neither repr, str nor formatting shows it, of the settings or of an object that holds them."""
    settings = Settings(api_key="zsp_secret", tags={"a": "b"})
    for text in (repr(settings), str(settings), f"{settings}", f"{settings!r}", repr([settings])):
        assert "zsp_secret" not in text
        assert "api_key=***" in text
        assert "tags={'a': 'b'}" in text
    assert "api_key=None" in repr(Settings())


@given(st.dictionaries(st.sampled_from(list(FIELDS)), st.text()))
def test_no_environment_raises(variables: dict[str, str]) -> None:
    """Whatever the variables are, the settings are valid and within their bounds."""
    settings = resolve({}, {f"ZESPAN_{name.upper()}": text for name, text in variables.items()})
    for name, (low, high) in BOUNDS.items():
        assert low <= getattr(settings, name) <= high


ANYTHING = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.binary(), st.lists(st.text()))


@given(st.dictionaries(st.sampled_from(list(FIELDS)), ANYTHING))
def test_arguments_raise_nothing_but_configuration_errors(arguments: dict[str, Any]) -> None:
    """Arguments that pass can be used."""
    try:
        checked = check(arguments)
    except ConfigurationError:
        return
    resolve(checked, {})


def test_warnings_are_logged_and_never_issued() -> None:
    """People run with -W error: an odd environment must not become an exception there."""
    code = "import zespan_serverless; zespan_serverless.init(flush_timeout=-1); print('fine')"
    environ = {"ZESPAN_BATCH_SIZE": "many", "ZESPAN_BASE_URL": "nowhere", "ZESPAN_TAGS": "x"}
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(command, env=environ, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout == "fine\n"
    assert done.stderr.count("ZESPAN_") == 3
    assert "Warning" not in done.stderr


def test_warning_never_raises(caplog: pytest.LogCaptureFixture) -> None:
    """It survives an argument whose repr raises, and a log filter that raises."""

    class Mute:
        def __repr__(self) -> str:
            raise RuntimeError("no words")

    def angry(record: logging.LogRecord) -> bool:
        raise RuntimeError("no more logs")

    from zespan_serverless._base import log

    log.warn_once("x", "mute %r", Mute())
    log.logger.addFilter(angry)
    try:
        log.warn_once("x", "never arrives")
    finally:
        log.logger.removeFilter(angry)
    assert caplog.records == []


def test_number_of_warnings_is_bounded(warnings: Warnings) -> None:
    """Warnings that embed changing values fill neither the log nor the memory."""
    from zespan_serverless._base import log

    for n in range(1000):
        log.warn_once("x", "trouble %s", n)
    assert len(warnings()) < 300


def test_flush_reserve_covers_the_abort_of_a_flush() -> None:
    """However small it is set, a flush that has to be cut off ends before the invocation's deadline."""
    assert resolve({"flush_reserve": 0.0}, {}).flush_reserve > ABORT_GRACE


@pytest.mark.parametrize("name", ["on_flush", "on_error"])
def test_async_callback_raises(name: str) -> None:
    """It would be called, and never run."""

    async def told(report: object) -> None: ...

    class Told:
        async def __call__(self, report: object) -> None: ...

    for callback in (told, Told()):
        with pytest.raises(ConfigurationError, match="must be a def"):
            check({name: callback})


@pytest.mark.parametrize(
    ("text", "kept"),
    [("0", "off"), ("False", "off"), ("OFF", "off"), ("1", "on"), ("Auto", "auto"), ("./here", "./here")],
)
def test_journal_accepts_words_of_a_switch(text: str, kept: str) -> None:
    """As of every other switch; a word is never taken for the name of a folder, which prompts would be written to."""
    assert resolve({}, {"ZESPAN_JOURNAL": text}).journal == kept
    assert check({"journal": text}) == {"journal": kept}


def test_invalid_journal_is_logged_with_valid_values(warnings: Warnings) -> None:
    """The message lists the valid values."""
    with pytest.raises(ConfigurationError, match="journal must be 'on', 'off', 'auto' or a folder's path"):
        check({"journal": "disk"})
    assert resolve({}, {"ZESPAN_JOURNAL": "disk"}).journal == "auto"
    assert "ZESPAN_JOURNAL='disk' ignored: journal must be" in "".join(warnings())


def test_base_url_may_be_the_whole_endpoint() -> None:
    """Who copies the address that events go to means the same."""
    assert resolve({}, {"ZESPAN_BASE_URL": "https://zespan.example/v1/ingest/"}).base_url == "https://zespan.example"


@pytest.mark.parametrize("url", [value for name, value in WRONG if name == "base_url" and "hunter2" in str(value)])
def test_a_password_in_a_url_of_the_environment_is_not_logged(url: str, warnings: Warnings) -> None:
    """This holds whatever is wrong with the URL."""
    assert not resolve({}, {"ZESPAN_BASE_URL": url}).enabled
    (said,) = warnings()
    assert "telemetry is off" in said
    assert "hunter2" not in said


def test_at_sign_in_a_path_is_not_a_user(warnings: Warnings) -> None:
    """Only before the host it is one."""
    assert resolve({}, {"ZESPAN_BASE_URL": "https://host/@team"}).enabled
    assert warnings() == []


@pytest.mark.parametrize(
    ("url", "remarked"),
    [
        ("http://zespan.internal:4318", True),
        ("http://10.0.0.7", True),
        ("https://zespan.internal", False),
        ("http://localhost:4318", False),
        ("http://a.localhost", False),
        ("http://127.0.0.2", False),
        ("http://[::1]:4318", False),
    ],
)
def test_plain_http_to_another_machine_is_logged(url: str, remarked: bool, warnings: Warnings) -> None:
    """One warning says that the key and all prompts are sent in clear."""
    for _ in range(2):
        assert resolve({"base_url": url}, {}).enabled
    assert [("others can read" in said) for said in warnings()] == [True] * remarked


@pytest.mark.parametrize(
    ("variable", "value", "meant"),
    [
        ("ZESPAN_APIKEY", "zsp_1", "ZESPAN_API_KEY"),
        ("ZESPAN_API_KEI", "zsp_1", "ZESPAN_API_KEY"),
        ("zespan_api_key", "zsp_1", "ZESPAN_API_KEY"),
        ("ZESPAN_URL", "http://localhost", "ZESPAN_BASE_URL"),
        ("ZESPAN_STORE_PROMPT", "1", "ZESPAN_STORE_PROMPTS"),
        ("ZESPAN_STORE_PROMPT", "perhaps", "ZESPAN_STORE_PROMPTS"),
        ("ZESPAN_DISABLED", "0", "ZESPAN_ENABLED"),
        ("ZESPAN_FLUSHTIMEOUT", "1", "ZESPAN_FLUSH_TIMEOUT"),
        ("ZESPAN_SERVICE", "search", "ZESPAN_SERVICE_NAME"),
        ("ZESPAN_ENV", "staging", "ZESPAN_ENVIRONMENT"),
        ("ZESPAN_NO_STORE_PROMPTS", "0", "ZESPAN_STORE_PROMPTS"),
        ("ZESPAN_SEND_PROMPTS", "1", "ZESPAN_STORE_PROMPTS"),
    ],
)
def test_misspelled_variable_is_logged(variable: str, value: str, meant: str, warnings: Warnings) -> None:
    """Once, with the name that was meant; it is ignored."""
    for _ in range(2):
        assert resolve({}, {variable: value}) == Settings()
    assert warnings() == [f"{variable} is not a setting and is ignored; did you mean {meant}?"]


@pytest.mark.parametrize(
    ("variable", "value", "changed"),
    [
        ("ZESPAN_STORE_PROMPT", "0", {"store_prompts": False}),
        ("ZESPAN_STOREPROMPTS", "off", {"store_prompts": False}),
        ("zespan_store_prompts", "false", {"store_prompts": False}),
        ("ZESPAN_PROMPTS", "0", {"store_prompts": False}),
        ("ZESPAN_NO_STORE_PROMPTS", "1", {"store_prompts": False}),
        ("ZESPAN_NO_PROMPTS", "true", {"store_prompts": False}),
        ("ZESPAN_SEND_PROMPTS", "0", {"store_prompts": False}),
        ("ZESPAN_SAVE_PROMPTS", "'0'", {"store_prompts": False}),
        ("ZESPAN_CAPTURE_PROMPTS", "n", {"store_prompts": False}),
        ("ZESPAN_STORE_PROMPTS_ENABLED", "0", {"store_prompts": False}),
        ("ZESPAN_DISABLE_PROMPTS", "1", {"store_prompts": False}),
        ("ZESPAN_DISABLE_STORE_PROMPTS", "1", {"store_prompts": False}),
        ("ZESPAN_HIDE_PROMPTS", "yes", {"store_prompts": False}),
        ("ZESPAN_ENABLE", "0", {"enabled": False}),
        ("ZESPAN_DISABLED", "1", {"enabled": False}),
        ("ZESPAN_REDACT_KEY", "iban", {"redact_keys": (*Settings().redact_keys, "iban")}),
    ],
)
def test_misspelled_variable_that_keeps_data_back_is_honoured(
    variable: str, value: str, changed: dict[str, Any], warnings: Warnings
) -> None:
    """A typo in one letter does not send prompts that were meant to be switched off."""
    assert resolve({}, {variable: value}) == Settings().replaced(**changed)
    (said,) = warnings()
    assert said.startswith(
        f"{variable} is not a setting, but is honoured because it keeps data back; rename it to ZESPAN_"
    )


def test_correctly_spelled_variable_takes_precedence(warnings: Warnings) -> None:
    """Then the other one may be anybody's, and is passed over."""
    environ = {"ZESPAN_STORE_PROMPTS": "1", "ZESPAN_STORE_PROMPT": "0"}
    assert resolve({}, environ).store_prompts
    assert resolve({"store_prompts": True}, {"ZESPAN_STORE_PROMPT": "0"}).store_prompts
    assert warnings() == []


@pytest.mark.parametrize(
    "name", ["PROJECT_ID", "LAMBDA_HANDLER", "API_KEY_ARN", "PILOT", "QUEUE_URL", "VERSION", "PROMPTS_TABLE", ""]
)
def test_unrelated_variable_is_ignored_silently(name: str, warnings: Warnings) -> None:
    """A variable of the SDK, of a template or of a wrapper causes no warning."""
    assert resolve({}, {f"ZESPAN_{name}": "0"}) == Settings()
    assert warnings() == []


def test_endpoint_of_the_official_sdk_is_logged(warnings: Warnings) -> None:
    """Who has set its variable expects events elsewhere; beside a base_url it is that SDK's own business."""
    for _ in range(2):
        assert resolve({}, {"ZESPAN_ENDPOINT": "https://own.example/v1/ingest"}) == Settings()
    said = "ZESPAN_ENDPOINT belongs to the official SDK and is ignored; use ZESPAN_BASE_URL"
    assert warnings() == [said]
    resolve({"base_url": "https://own.example"}, {"ZESPAN_ENDPOINT": "https://other.example"})
    assert warnings() == [said]


def test_trace_of_a_caller_is_no_setting() -> None:
    """The error for `run(traceparent=...)` says what continues a trace."""
    with pytest.raises(ConfigurationError, match=r"unknown setting 'traceparent': task_scope\(name, traceparent"):
        check({"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"})


@pytest.mark.parametrize(
    ("name", "hint"),
    [("project_id", "the API key says which project"), ("endpoint", "base_url"), ("autopatch", "leave it out")],
)
def test_argument_of_the_official_sdk_gets_a_hint(name: str, hint: str) -> None:
    """The error says what it is here."""
    with pytest.raises(
        ConfigurationError, match=f"unknown setting '{name}', which belongs to the official SDK; here .*{hint}"
    ):
        zespan_lambda(**{name: cast(Any, True)})


@pytest.mark.parametrize("quoted", ['"zsp_1"', "'zsp_1'", "' zsp_1 '"])
def test_quotes_around_a_key_are_ignored_and_logged(quoted: str, warnings: Warnings) -> None:
    """The key is what is between the quotes."""
    assert resolve({}, {"ZESPAN_API_KEY": quoted}).api_key == "zsp_1"
    assert check({"api_key": quoted})["api_key"] == "zsp_1"
    assert warnings() == ["api_key is in quotes, which are ignored: remove them"]


@pytest.mark.parametrize(("base_url", "said"), [(None, 1), ("https://own.example", 0)])
def test_key_without_prefix_is_logged_for_the_default_backend(
    base_url: str | None, said: int, warnings: Warnings
) -> None:
    """Zespan's begin with zsp_; what another backend takes is its own business."""
    resolve(check({"api_key": "sk-proj-123", "base_url": base_url}), {})
    assert len(warnings()) == said
    assert "123" not in "".join(warnings())


# ---------------------------------------------------------------------- under pytest

PYTEST = ({"PYTEST_VERSION": "9.0"}, {"PYTEST_CURRENT_TEST": "test_mine.py::test (call)"})


@pytest.mark.parametrize("environ", PYTEST, ids=str)
@pytest.mark.parametrize("base_url", [None, "https://own.example"])
def test_under_pytest_no_event_leaves_the_machine(
    environ: dict[str, str], base_url: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    """A key in the shell does not send a unit test's events to production. This is logged, but not as a warning."""
    arguments = check({"base_url": base_url})
    with caplog.at_level(logging.INFO):
        for _ in range(2):
            assert not usable(resolve(arguments, environ | {"ZESPAN_API_KEY": "zsp_1"}))
            assert not usable(resolve(arguments, environ))
    (record,) = caplog.records
    assert record.levelno == logging.INFO
    assert "ZESPAN_ENABLED=1" in record.getMessage()


@pytest.mark.parametrize("environ", PYTEST, ids=str)
@pytest.mark.parametrize(
    ("arguments", "variables"),
    [
        ({"enabled": True}, {}),
        ({}, {"ZESPAN_ENABLED": "1"}),
        ({"base_url": "http://127.0.0.1:4318"}, {}),
        ({}, {"ZESPAN_BASE_URL": "http://localhost:4318"}),
        ({"exporter": "memory"}, {}),
        ({}, {"ZESPAN_EXPORTER": "console"}),
        ({"exporter": MemoryExporter()}, {}),
    ],
)
def test_under_pytest_explicit_settings_apply(
    environ: dict[str, str], arguments: dict[str, Any], variables: dict[str, str]
) -> None:
    """Switched on by name, or sent to where no harm can be done."""
    assert usable(resolve(check(arguments), {"ZESPAN_API_KEY": "zsp_1", **environ, **variables}))


def test_pytest_is_recognized_by_its_variables(pytestconfig: pytest.Config) -> None:
    """pytest sets them itself, also for its children."""
    script = "import os; from zespan_serverless import settings as _settings; assert _settings.is_test(os.environ)"
    assert _settings.is_test(os.environ)
    subprocess.run([sys.executable, "-c", script], check=True)


@pytest.mark.parametrize(
    ("text", "value"),
    [("1", 0.5), ("on", 0.5), ("0", 0.0), ("off", 0.0), ("1.0", 1.0), ("2", 2.0), ("-1", 0.0), ("1e9", 900.0)],
)
def test_cap_timeouts_is_a_switch_or_seconds(text: str, value: float) -> None:
    """In the environment 1 switches it on, as with every switch; a second is 1.0."""
    assert resolve({}, {"ZESPAN_CAP_TIMEOUTS": text}).cap_timeouts == value


@pytest.mark.parametrize("text", ["nan", "soon"])
def test_cap_timeouts_that_cannot_be_read_is_off(text: str) -> None:
    """It changes how the function behaves: nothing is guessed."""
    assert resolve({}, {"ZESPAN_CAP_TIMEOUTS": text}).cap_timeouts == 0.0


def test_cap_timeouts_in_code() -> None:
    """True, False, or seconds."""
    assert [check({"cap_timeouts": value})["cap_timeouts"] for value in (True, False, 1, 2.5)] == [0.5, 0.0, 1, 2.5]
    with pytest.raises(ConfigurationError, match="cap_timeouts must be True, False or a number of seconds, not 'yes'"):
        check({"cap_timeouts": "yes"})
