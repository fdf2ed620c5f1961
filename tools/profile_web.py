"""python -m tools.profile_web: what a web request costs below the middleware, by function.

Counts calls and instructions of bytecode in the thread that serves the requests, which does not depend on the machine;
what the application costs by itself is subtracted. With `--pieces` the response has so many, and the costs are those of
each piece.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

from zespan_serverless import asgi, shutdown, wsgi
from zespan_serverless.testing import Backend

from .profile import MAIN, Count, table

REQUESTS, ROUNDS = 50, 3
HEADERS = {"host": "localhost", "user-agent": "curl/8.1", "accept": "*/*"}


class Asgi:
    """An application whose response has so many pieces, and its requests."""

    def __init__(self, pieces: int, middleware: bool) -> None:
        self._pieces, app = pieces, self._app
        self._served: Any = asgi.ZespanMiddleware(app) if middleware else app
        lines = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
        self._scope = {"type": "http", "method": "GET", "path": "/things/1", "scheme": "http", "headers": lines}

    async def _app(self, scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for number in range(self._pieces):
            await send({"type": "http.response.body", "body": b"ok", "more_body": number + 1 < self._pieces})

    def __call__(self, requests: int) -> None:
        async def nothing(message: Any = None) -> None: ...

        async def serve() -> None:
            for _ in range(requests):
                await self._served(dict(self._scope), nothing, nothing)

        asyncio.run(serve())


class Wsgi:
    """The same for WSGI."""

    def __init__(self, pieces: int, middleware: bool) -> None:
        self._pieces, app = pieces, self._app
        self._served: Any = wsgi.ZespanMiddleware(app) if middleware else app
        lines = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in HEADERS.items()}
        self._environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/things/1", "wsgi.url_scheme": "http", **lines}

    def _app(self, environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        return [b"ok"] if self._pieces == 1 else (b"ok" for _ in range(self._pieces))

    def __call__(self, requests: int) -> None:
        for _ in range(requests):
            body = self._served(dict(self._environ), lambda *arguments: None)
            for _ in body:
                pass
            getattr(body, "close", bool)()


def counted(what: str, requests: Callable[[int], None]) -> Count:
    """Count in one request. Of several rounds the smallest: a thread that meets the sender at a lock does more."""
    requests(REQUESTS)  # the first one imports
    rounds = [_round(what, requests) for _ in range(ROUNDS)]
    return {key: number / REQUESTS for key, number in min(rounds, key=lambda found: sum(found.values())).items()}


def _round(what: str, requests: Callable[[int], None]) -> Count:
    found: Counter[tuple[str, str, str]] = Counter()

    def called(frame: FrameType, event: str, argument: Any) -> None:
        if event in ("call", "c_call"):
            found[MAIN, "python" if event == "call" else "c", _name(frame)] += 1

    def executed(frame: FrameType, event: str, argument: Any) -> Any:
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        found[MAIN, "instructions", _name(frame)] += event == "opcode"
        return executed

    begin: Callable[[Any], None] = sys.setprofile if what == "calls" else sys.settrace
    begin(called if what == "calls" else executed)
    try:
        requests(REQUESTS)
    finally:
        begin(None)
    return dict(found)


def _name(frame: FrameType) -> str:
    code = frame.f_code
    return f"{code.co_filename.rpartition('zespan_serverless/')[2]}:{code.co_firstlineno} {code.co_qualname}"


def added(server: type[Asgi | Wsgi], what: str, pieces: int) -> Count:
    """Return what the middleware adds to a request; of several pieces, to each piece."""
    found, beside = (_slope(server, what, pieces, middleware) for middleware in (True, False))
    return {key: found.get(key, 0) - beside.get(key, 0) for key in found.keys() | beside.keys()}


def _slope(server: type[Asgi | Wsgi], what: str, pieces: int, middleware: bool) -> Count:
    all_pieces = counted(what, server(pieces, middleware))
    if pieces == 1:
        return all_pieces
    half = counted(what, server(pieces // 2, middleware))
    return {key: (number - half.get(key, 0)) / (pieces - pieces // 2) for key, number in all_pieces.items()}


def lines(server: type[Asgi | Wsgi], pieces: int, shown: int) -> Iterator[str]:
    """Yield the tables of one server."""
    for what in ("calls", "instructions"):
        yield f"\n{server.__name__}, {what} of a {'request' if pieces == 1 else 'piece'}"
        yield from table(added(server, what, pieces), shown)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(prog="python -m tools.profile_web", description=__doc__)
    parser.add_argument("--pieces", type=int, default=1, help="of the response")
    parser.add_argument("--shown", type=int, default=40, help="functions")
    chosen = parser.parse_args()
    with Backend() as backend:
        os.environ["ZESPAN_BASE_URL"] = backend.url
        for server in (Asgi, Wsgi):
            print("\n".join(lines(server, chosen.pieces, chosen.shown)))
        shutdown()  # while there is a backend


if __name__ == "__main__":
    main()
