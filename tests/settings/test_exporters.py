"""One exporter, several, or a store."""

from __future__ import annotations

from typing import Any

import pytest

from tests.settings.support import Warnings
from zespan_serverless import ConfigurationError, zespan_lambda
from zespan_serverless.exporters.memory import MemoryExporter
from zespan_serverless.exporters.stores import STORES, open_store
from zespan_serverless.settings import _stores, check, resolve, usable


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
