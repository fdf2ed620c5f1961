"""The built site's tests look at it in a real browser."""

from __future__ import annotations

from tests.browser import chromium as chromium
from tests.browser import page as page
