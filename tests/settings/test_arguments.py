"""A mistake in code raises while decorating, with what to write instead."""

from __future__ import annotations

from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.settings.support import WRONG
from zespan_serverless import ConfigurationError, zespan_lambda
from zespan_serverless.exporters.memory import MemoryExporter
from zespan_serverless.settings import Settings, check, resolve
from zespan_serverless.settings._fields import FIELDS


def test_unknown_name_raises_while_decorating() -> None:
    """The error names the setting that was probably meant."""
    with pytest.raises(ConfigurationError, match=r"unknown setting 'flush_timout', did you mean 'flush_timeout'\?"):
        zespan_lambda(flush_timout=1)  # type: ignore[call-overload]
    with pytest.raises(
        ConfigurationError, match=r"unknown setting 'xyz'; the settings are api_key, api_key_secret, base_url"
    ):
        zespan_lambda(xyz=1)  # type: ignore[call-overload]


@pytest.mark.parametrize(("name", "value"), WRONG, ids=lambda v: repr(v)[:20])
def test_wrong_value_raises_while_decorating(name: str, value: Any) -> None:
    """The error names the setting, and never shows a key."""
    with pytest.raises(ConfigurationError, match=rf"^{name} (must be|must not|has|has no) ") as error:
        zespan_lambda(**{name: value})
    assert isinstance(error.value, TypeError)
    assert "hunter2" not in str(error.value)
    if name == "api_key":
        assert "zsp" not in str(error.value)


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


ANYTHING = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.binary(), st.lists(st.text()))


@given(st.dictionaries(st.sampled_from(list(FIELDS)), ANYTHING))
def test_arguments_raise_nothing_but_configuration_errors(arguments: dict[str, Any]) -> None:
    """Arguments that pass can be used."""
    try:
        checked = check(arguments)
    except ConfigurationError:
        return
    resolve(checked, {})


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
    ("name", "hint"),
    [("project_id", "the API key says which project"), ("endpoint", "base_url"), ("autopatch", "leave it out")],
)
def test_argument_of_the_official_sdk_gets_a_hint(name: str, hint: str) -> None:
    """The error says what it is here."""
    with pytest.raises(
        ConfigurationError, match=f"unknown setting '{name}', which belongs to the official SDK; here .*{hint}"
    ):
        zespan_lambda(**{name: cast(Any, True)})


def test_cap_timeouts_in_code() -> None:
    """True, False, or seconds."""
    assert [check({"cap_timeouts": value})["cap_timeouts"] for value in (True, False, 1, 2.5)] == [0.5, 0.0, 1, 2.5]
    with pytest.raises(ConfigurationError, match="cap_timeouts must be True, False or a number of seconds, not 'yes'"):
        check({"cap_timeouts": "yes"})
