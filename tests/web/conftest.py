"""Fixtures for the tests of this folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.web.support import Server
from zespan_serverless.testing import Backend


@pytest.fixture
def start(backend: Backend) -> Iterator[Callable[..., Server]]:
    """start(server, app, **environment): a server that accepts requests; it is stopped after the test."""
    with ExitStack() as stack:

        def start(name: str, app: str, **env: str) -> Server:
            return stack.enter_context(Server(name, app, {"ZESPAN_BASE_URL": backend.url, **env}))

        yield start
