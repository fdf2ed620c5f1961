"""`time_left()`: what the current invocation has, and nothing elsewhere."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest

from zespan_serverless import run, testing, time_left, zespan_gcf, zespan_lambda


def test_there_is_none_outside_an_invocation() -> None:
    """Neither without telemetry, nor before or after an invocation, nor in a script, which has no deadline."""
    assert time_left() is None
    with testing.recording():
        assert time_left() is None
        zespan_lambda(lambda event, context: None)({}, testing.LambdaContext(timeout=9))
        assert time_left() is None
        with run("script"):
            assert time_left() is None


def test_lambda_says_how_long_it_has() -> None:
    """In the handler, its threads and pools, its tasks, and what these send to threads."""

    @zespan_lambda
    async def handler(event: object, context: object) -> list[float | None]:
        found: list[float | None] = [time_left()]
        thread = threading.Thread(target=lambda: found.append(time_left()))
        thread.start()
        thread.join()
        with ThreadPoolExecutor(1) as pool:
            found.append(pool.submit(time_left).result())
        found.append(await asyncio.create_task(_time_left()))
        found.append(await asyncio.to_thread(time_left))
        return found

    with testing.recording():
        found = handler({}, testing.LambdaContext(timeout=60))
    assert len(found) == 5
    assert all(left is not None and 20 < left <= 60 for left in found), found


async def _time_left() -> float | None:
    return time_left()


def test_google_says_how_long_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the variable of Cloud Run."""
    monkeypatch.setenv("K_SERVICE", "f")
    monkeypatch.setenv("CLOUD_RUN_TIMEOUT_SECONDS", "60")
    found: list[float | None] = []

    @zespan_gcf
    def function(request: Any) -> str:
        found.append(time_left())
        return "ok"

    with testing.recording():
        function(SimpleNamespace(headers={}, method="POST", path="/"))
    assert found[0] is not None
    assert 20 < found[0] <= 60


@pytest.mark.parametrize("answer", [-5, float("nan"), "soon", None])
def test_whatever_a_clock_says_it_is_never_negative_and_never_raises(answer: Any) -> None:
    """A context of another make may say anything."""
    found: list[float | None] = []
    context = testing.LambdaContext()
    answers = [1000]
    context.get_remaining_time_in_millis = lambda: answers[0]  # type: ignore[method-assign]

    @zespan_lambda
    def handler(event: object, _: object) -> None:
        answers[0] = answer
        found.append(time_left())
        answers[0] = 1000

    with testing.recording():
        handler({}, context)
    assert found in ([0.0], [None])
