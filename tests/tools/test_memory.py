"""Memory is flat, however often a process serves; `python -m tools.memory` shows it over 100,000 invocations."""

from __future__ import annotations

import gc
import threading
import time
import tracemalloc
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.delivery.support import lock_of, sender_of
from zespan_serverless import span, testing, zespan_lambda
from zespan_serverless._process import container as _container
from zespan_serverless.exporters import Outcome
from zespan_serverless.exporters.zespan import ZespanExporter
from zespan_serverless.testing import Backend

pytestmark = pytest.mark.host(seconds=30)


class Sink(ZespanExporter):
    """Delivered at once, and forgotten: a backend in this process would keep what it is sent."""

    def send(self, batch: Any, timeout: float) -> Outcome:
        return Outcome("delivered")


@pytest.fixture
def traced() -> Iterator[None]:
    tracemalloc.start()
    yield
    tracemalloc.stop()


@pytest.mark.parametrize("journal", [False, True])
@pytest.mark.parametrize("alive", [True, False])
def test_memory_is_flat(traced: None, journal: bool, alive: bool, tmp_path: Path) -> None:
    """After 600 invocations, when the buffer is full, 700 more leave less than 20 bytes each, and no object.

    Of two rounds the better one counts: what leaks does so in each, while a cache of Python's may grow once.
    """
    with Backend() as dead:
        dead.mode = "refuse"

        @zespan_lambda(
            flush_mode="before_return",
            flush_timeout=0.1,
            max_events=500,
            base_url=dead.url,
            journal=str(tmp_path / "journal") if journal else "off",
            exporter=Sink(dead.url, None) if alive else None,
        )
        def handler(event: object, context: object) -> None:
            with span("step") as details:
                details["found"] = 3

        context = testing.LambdaContext(timeout=1e6)

        def serve(count: int) -> tuple[int, int, int]:
            for number in range(count):
                context.aws_request_id = f"{number:06}"
                handler({"number": number}, context)
            container = _container.current()
            assert container is not None
            while True:
                with lock_of(container.delivery):
                    if sender_of(container.delivery).job is None:  # else a batch is on its way, as one large body
                        gc.collect()
                        return tracemalloc.get_traced_memory()[0], len(gc.get_objects()), threading.active_count()
                time.sleep(0.01)

        readings = [serve(600), serve(700), serve(700)]
        left = [[end - start for start, end in zip(*pair, strict=True)] for pair in pairwise(readings)]
        assert min(size for size, _, _ in left) < 700 * 20
        assert min(objects for _, objects, _ in left) < 70
        assert min(threads for _, _, threads in left) <= 0
        size = sum(file.stat().st_size for file in (tmp_path / "journal").iterdir()) if journal else 0
        assert size < 20_000_000
