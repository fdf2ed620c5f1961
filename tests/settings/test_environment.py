"""A mistake in the environment is logged, and never raises."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.settings.support import BOUNDS, Warnings
from zespan_serverless import ConfigurationError
from zespan_serverless.settings import Settings, check, resolve
from zespan_serverless.settings._fields import FIELDS

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


@given(st.dictionaries(st.sampled_from(list(FIELDS)), st.text()))
def test_no_environment_raises(variables: dict[str, str]) -> None:
    """Whatever the variables are, the settings are valid and within their bounds."""
    settings = resolve({}, {f"ZESPAN_{name.upper()}": text for name, text in variables.items()})
    for name, (low, high) in BOUNDS.items():
        assert low <= getattr(settings, name) <= high


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
