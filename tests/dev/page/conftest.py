"""A server with a run, and a tab of a real browser that shows its page."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from zespan_serverless_dev.server import DevServer

from tests.browser import chromium as chromium
from tests.browser import tab
from tools.chromium import Chromium, Page


@pytest.fixture
def dev() -> Iterator[DevServer]:
    with DevServer() as dev:
        yield dev


@pytest.fixture
def page(chromium: Chromium, dev: DevServer) -> Iterator[Page]:
    """A tab, which is closed before the server is: otherwise it would report that its stream of events broke off."""
    with tab(chromium) as page:
        yield page
