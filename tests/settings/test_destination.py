"""Where events are sent: the URL of the backend, and the key for it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.settings.support import WRONG, Warnings
from zespan_serverless.exporters.memory import MemoryExporter
from zespan_serverless.settings import Settings, check, resolve, usable


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
