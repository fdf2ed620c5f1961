"""Environment variables that are almost settings."""

from __future__ import annotations

from typing import Any

import pytest

from tests.settings.support import Warnings
from zespan_serverless import ConfigurationError
from zespan_serverless.settings import Settings, check, resolve


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
