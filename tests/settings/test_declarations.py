"""Each setting has a type, a description and a variable; arguments precede the environment, which precedes defaults."""

from __future__ import annotations

import ast
import inspect
import itertools
import typing
from pathlib import Path
from typing import Any

import pytest

from tests.settings.support import Warnings
from zespan_serverless import init, testing
from zespan_serverless import settings as _settings
from zespan_serverless._delivery.worker import ABORT_GRACE
from zespan_serverless.settings import Settings, _flush, _kwargs, check, resolve
from zespan_serverless.settings._fields import FIELDS, Number, Switch

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


def test_flush_reserve_covers_the_abort_of_a_flush() -> None:
    """However small it is set, a flush that has to be cut off ends before the invocation's deadline."""
    assert resolve({"flush_reserve": 0.0}, {}).flush_reserve > ABORT_GRACE
