"""One redis-server for each file of tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.workers import support


@pytest.fixture(scope="module")
def redis() -> Iterator[str]:
    """The path of the server's socket."""
    with support.redis_server() as path:
        yield path
