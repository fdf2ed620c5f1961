"""Fixtures for tests in a real browser; a folder's conftest.py imports them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tools.chromium import Chromium, ChromiumUnavailable, Page, executable


@pytest.fixture(scope="module")
def chromium() -> Iterator[Chromium]:
    try:
        executable()
    except ChromiumUnavailable as problem:
        pytest.skip(str(problem))
    with Chromium() as chromium:
        yield chromium


@contextmanager
def tab(chromium: Chromium) -> Iterator[Page]:
    """A tab. No script may fail in it, and it may ask no other host for anything: its security policy reports that."""
    with chromium.page() as page:
        yield page
        violations = page.violations()
        assert violations == [], violations  # pytest explains an assertion only in test modules
        assert page.problems == [], page.problems
