"""A delivery with a journal, whose books are checked after its test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.delivery.journal.support import Begin, Looking, journal
from tests.delivery.support import Scripted, assert_balanced
from zespan_serverless._delivery.delivery import Delivery
from zespan_serverless.settings import Settings
from zespan_serverless.testing import Backend


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the journals are; not made yet."""
    return tmp_path / "journals"


@pytest.fixture
def begin(folder: Path) -> Iterator[Begin]:
    """begin(exporter, **settings): a delivery with a journal; its books are checked when the test is over."""
    made: list[Delivery] = []

    def begin(exporter: Scripted, **settings: Any) -> Delivery:
        given = Settings(flush_timeout=5.0, exporter=exporter).replaced(**settings)
        made.append(Looking(exporter, given, journal(folder, cap=given.max_bytes)))
        return made[-1]

    yield begin
    for delivery in made:
        assert_balanced(delivery)
        delivery.reset()


@pytest.fixture
def environment(backend: Backend) -> dict[str, str]:
    return {"ZESPAN_BASE_URL": backend.url, "ZESPAN_API_KEY": "zsp_secret"}
