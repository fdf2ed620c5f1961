"""The application of the documentation's page, and what the decorator accepts; without the runtime."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.documentation import PAGES, blocks, run
from tests.support import roots
from zespan_serverless import ConfigurationError, testing, zespan_cloudflare


def test_the_application_of_the_page_is_traced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its request has an event, with the route."""
    monkeypatch.setitem(sys.modules, "workers", SimpleNamespace(WorkerEntrypoint=object))
    monkeypatch.setitem(sys.modules, "asgi", SimpleNamespace())
    with testing.recording() as events:
        module = run(blocks(PAGES["hosts/cloudflare"])[1])
        with TestClient(module.app) as client:
            assert client.get("/api/hello").json() == "hello"
    (root,) = roots([dict(event) for event in events])
    assert root["operation"] == "GET /api/hello"


@pytest.mark.parametrize("given", [int, print, type("Empty", (), {"fetch": lambda self: None}), "Default"])
def test_what_is_no_entrypoint_is_refused(given: Any) -> None:
    """The error says what to decorate."""
    with pytest.raises(ConfigurationError, match="a class with async methods, such as fetch"):
        zespan_cloudflare(given)


def test_only_public_coroutines_are_traced() -> None:
    """Other attributes stay what they are, and a class that is decorated twice is traced once."""

    class Base:
        async def inherited(self) -> None: ...

    class Default(Base):
        name = "a Worker"

        async def fetch(self, request: object) -> str:
            return "answer"

        async def _helper(self) -> None: ...
        def now(self) -> int:
            return 1

    before = {name: getattr(Default, name) for name in ("name", "_helper", "now", "fetch", "inherited")}
    assert zespan_cloudflare(zespan_cloudflare(Default)) is Default
    changed = {name for name, value in before.items() if getattr(Default, name) is not value}
    assert changed == {"fetch", "inherited"}
    assert Default.fetch.__wrapped__ is before["fetch"]  # type: ignore[attr-defined]
