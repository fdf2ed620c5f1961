"""A server with a run, and a tab of a real browser that shows its page."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from zespan_serverless_dev.server import DevServer

from tests.browser import chromium as chromium
from tests.browser import page as page


@pytest.fixture
def dev() -> Iterator[DevServer]:
    with DevServer() as dev:
        yield dev
