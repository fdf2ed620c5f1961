"""How often a flush waits for the network: counted by a proxy that makes the backend far away."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import pytest

from tools.bench import far
from zespan_serverless import span, testing, zespan_lambda
from zespan_serverless.testing import Backend

ROUND_TRIP = 0.05  # seconds


class Way:
    """The way to the backend: its URL through the proxy, and what the proxy has seen."""

    def __init__(self, backend: Backend, run: Callable[..., int]) -> None:
        self.seen: list[str] = []
        port = urlsplit(backend.url).port
        assert port is not None
        self.url = f"https://127.0.0.1:{run(far.listen(port, ROUND_TRIP, self.seen))}"

    def turns(self, since: int = 0) -> str:
        """Return what it has seen, with several pieces in one direction as one."""
        return "".join(direction for direction, _ in itertools.groupby(self.seen[since:]))


@pytest.fixture
def way(tls_backend: Backend, trusted: None) -> Iterator[Way]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield Way(tls_backend, lambda made: asyncio.run_coroutine_threadsafe(made, loop).result(10))
    finally:
        testing.reset()  # closes the connection
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        _end(loop)


def _end(loop: asyncio.AbstractEventLoop) -> None:
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()


def test_a_cold_flush_over_tls_costs_one_round_trip(way: Way, tls_backend: Backend) -> None:
    """The connection is made while the function works, and kept: each flush is one request and its answer."""
    ends: list[int] = []

    @zespan_lambda(api_key="zsp_test", base_url=way.url, flush_timeout=10.0)
    def handler(event: object, context: object) -> str:
        with span("work"):
            give_up = time.monotonic() + 20
            while not way.turns().startswith("c><><") and time.monotonic() < give_up:
                time.sleep(0.01)  # TLS is ready when the server has answered the client's second message
        ends.append(len(way.seen))
        return "done"

    for number in range(2):
        assert handler(number, testing.LambdaContext(timeout=60)) == "done"
        assert len(tls_backend.wait_for(2 * number + 2)) == 2 * number + 2
        assert way.turns(ends[-1]).lstrip("<") == "><"
    assert way.seen.count("c") == 1
