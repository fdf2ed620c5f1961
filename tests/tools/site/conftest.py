"""The built site's tests look at it in a real browser."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.browser import chromium as chromium
from tests.browser import tab
from tools.chromium import Chromium, Page


@pytest.fixture
def page(chromium: Chromium) -> Iterator[Page]:
    with tab(chromium) as page:
        yield page
