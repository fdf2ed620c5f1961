"""The warnings that a test has caused."""

from __future__ import annotations

import logging

import pytest

from tests.settings.support import Warnings
from tests.support import text_of
from zespan_serverless._base.log import PREFIX


@pytest.fixture
def warnings(caplog: pytest.LogCaptureFixture) -> Warnings:
    """What has been logged so far, as text."""

    def said() -> list[str]:
        lines = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
        assert all(line.startswith(PREFIX) for line in lines)
        return [text_of(line) for line in lines]

    return said
