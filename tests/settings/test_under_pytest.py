"""Under pytest no event leaves the machine, unless settings say so."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from typing import Any

import pytest

from zespan_serverless import settings as _settings
from zespan_serverless.exporters.memory import MemoryExporter
from zespan_serverless.settings import check, resolve, usable

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
