"""A server with a run, and a tab of a real browser that shows its page."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from zespan_serverless_dev.server import DevServer

from tools.chromium import Chromium, ChromiumUnavailable, Page, executable


@pytest.fixture(scope="module")
def chromium() -> Iterator[Chromium]:
    try:
        executable()
    except ChromiumUnavailable as problem:
        pytest.skip(str(problem))
    with Chromium() as chromium:
        yield chromium


@pytest.fixture
def dev() -> Iterator[DevServer]:
    with DevServer() as dev:
        yield dev


@pytest.fixture
def page(chromium: Chromium) -> Iterator[Page]:
    """A tab; whatever the test does, nothing may be wrong in its console, and its security policy must hold."""
    with chromium.page() as page:
        yield page
        assert page.violations() == []
        assert page.problems == []
