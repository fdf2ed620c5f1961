"""Functions on Vercel's own Python runtime, with a backend on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol

import pytest

from tests.vercel.driver import Function, interpreter
from zespan_serverless.testing import Backend

APPS = Path(__file__).parent / "apps"


class Deploy(Protocol):
    """Starts an instance of the function in `apps`; it is ended after the test."""

    def __call__(self, file: str, variable: str = "app", **options: Any) -> Function: ...


@pytest.fixture
def deploy(backend: Backend) -> Iterator[Deploy]:
    if interpreter() is None:
        pytest.skip("Vercel's runtime needs Python 3.12: run the tests on it, or have `make test` find one")
    with ExitStack() as stack:

        def deploy(file: str, variable: str = "app", *, env: dict[str, str] | None = None, **options: Any) -> Function:
            environment = {"ZESPAN_API_KEY": "zsp_test", "ZESPAN_BASE_URL": backend.url, **(env or {})}
            return stack.enter_context(Function(APPS / file, variable, env=environment, **options))

        yield deploy
