"""The WSGI middleware by itself: what passes through it, when a request ends, and in whose trace things are."""

from __future__ import annotations

import gc
import io
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from wsgiref.util import FileWrapper, setup_testing_defaults

import pytest

from tests.support import until
from zespan_serverless import ConfigurationError, flush, span, testing, traceparent
from zespan_serverless._platforms import google
from zespan_serverless.testing import Backend
from zespan_serverless.wsgi import ZespanMiddleware

Environ = dict[str, Any]
HELD = ["auto", "before_return"]


def environ(path: str = "/x", more: Environ | None = None) -> Environ:
    made: Environ = {"PATH_INFO": path, **(more or {})}
    setup_testing_defaults(made)
    return made


class Started:
    """A server's start_response."""

    def __init__(self) -> None:
        self.args: tuple[Any, ...] = ()
        self.written: list[bytes] = []

    def __call__(self, *args: Any) -> Callable[[bytes], object]:
        self.args = args
        return self.written.append


class Body:
    """An iterable that says what is done with it."""

    def __init__(self, pieces: Iterable[bytes], done: list[str] | None = None) -> None:
        self._pieces, self.done = iter(pieces), [] if done is None else done

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._pieces:
            self.done.append(f"made {piece.decode()}")
            yield piece

    def close(self) -> None:
        self.done.append("closed")


def serve(app: Any, given: Environ | None = None) -> list[bytes]:
    """As a server does: read the body to its end, and close it."""
    body = app(environ() if given is None else given, Started())
    try:
        return list(body)
    finally:
        close = getattr(body, "close", None)
        if close is not None:
            close()


@pytest.mark.parametrize("mode", HELD)
@pytest.mark.parametrize(
    "body", [[b"x"], (b"x", b"y"), [], b"", FileWrapper(io.BytesIO(b"x"))], ids=lambda body: type(body).__name__
)
def test_a_body_that_is_there_is_not_touched(body: Any, mode: Any) -> None:
    """A server sees the application's own list, or file: it looks at their length, or sends them its own way."""

    def app(environ: Environ, start_response: Any) -> Any:
        start_response("200 OK", [])
        return body

    with testing.recording(flush_mode=mode) as events:
        assert ZespanMiddleware(app)(environ(more={"wsgi.file_wrapper": FileWrapper}), Started()) is body
        flush()
    assert len(events) == 1


def test_a_servers_own_kind_of_file_is_not_touched() -> None:
    """Some servers' file_wrapper is a function, and they look for the very object that it has made."""
    made: list[object] = []

    def file_wrapper(file: object, size: int = 8192) -> object:
        made.append(iter([b"x"]))
        return made[0]

    def app(environ: Environ, start_response: Any) -> Any:
        start_response("200 OK", [])
        return environ["wsgi.file_wrapper"](object(), 4096)

    with testing.recording() as events:
        assert ZespanMiddleware(app)(environ(more={"wsgi.file_wrapper": file_wrapper}), Started()) is made[0]
        flush()
    assert len(events) == 1


def test_a_sized_body_keeps_its_size() -> None:
    """A server takes the only piece's length for the response's."""

    class Sized(list[bytes]):
        pass

    class Lazy:
        def __len__(self) -> int:
            return 1

        def __iter__(self) -> Iterator[bytes]:
            return iter([b"x"])

    for body in (Sized([b"x"]), Lazy()):
        with testing.recording():
            served = ZespanMiddleware(lambda e, s, body=body: body)(environ(), Started())  # type: ignore[misc]
            assert len(served) == 1  # type: ignore[arg-type]
            assert list(served) == [b"x"]


def test_pieces_come_one_by_one_and_the_body_is_closed_once() -> None:
    """A piece is made when the server asks for it, and no earlier; the request's event ends with the last one."""
    body = Body([b"0", b"1"])

    def app(environ: Environ, start_response: Any) -> Any:
        start_response("200 OK", [])
        return body

    with testing.recording() as events:
        served = ZespanMiddleware(app)(environ(), Started())
        pieces = iter(served)
        assert body.done == []
        assert next(pieces) == b"0"
        assert body.done == ["made 0"]
        flush()
        assert events == []
        assert list(pieces) == [b"1"]
        flush()
        assert len(events) == 1
        served.close()  # type: ignore[attr-defined]
        flush()
    assert body.done == ["made 0", "made 1", "closed"]
    assert len(events) == 1
    assert "client_disconnected" not in events[0]["metadata"]


def test_start_response_is_the_servers() -> None:
    """Its arguments pass as they are, exc_info too, and the application writes with the server's own write()."""
    started = Started()
    headers = [("a", "b")]

    def app(environ: Environ, start_response: Any) -> Any:
        try:
            raise LookupError("mine")
        except LookupError as error:
            info = (LookupError, error, None)
            write = start_response("500 No", headers, info)
        write(b"x")
        return []

    with testing.recording() as events:
        ZespanMiddleware(app)(environ(), started)
        flush()
    assert started.args[0] == "500 No"
    assert started.args[1] is headers
    assert started.written == [b"x"]
    assert (events[0]["metadata"]["error.type"], events[0]["error_message"]) == ("LookupError", "mine")


@pytest.mark.parametrize("mode", HELD)
def test_headers_that_can_be_read_once_are_the_servers_to_read(mode: Any) -> None:
    """They should be a list; a server that accepts any iterable receives all of them."""
    started = Started()

    def app(environ: Environ, start_response: Any) -> list[bytes]:
        start_response("200 OK", iter([("a", "b"), ("content-length", "1")]))
        return [b"x"]

    with testing.recording(flush_mode=mode):
        serve(lambda e, _: ZespanMiddleware(app)(e, started))
    assert list(started.args[1]) == [("a", "b"), ("content-length", "1")]


def test_a_late_start_is_seen() -> None:
    """An application that is a generator says its status with the first piece."""

    def app(environ: Environ, start_response: Any) -> Iterator[bytes]:
        start_response("503 Later", [])
        yield b"x"

    with testing.recording() as events:
        assert serve(ZespanMiddleware(app)) == [b"x"]
        flush()
    assert (events[0]["status"], events[0]["metadata"]["http.response.status_code"]) == ("error", 503)


@pytest.mark.parametrize("where", ["call", "piece", "close"])
def test_an_exception_is_the_applications_own(where: str) -> None:
    """The same object, from wherever it comes; the body is closed once, and the event is an error."""
    error = LookupError("mine")
    closed: list[int] = []

    class Failing:
        def __iter__(self) -> Iterator[bytes]:
            yield b"x"
            if where == "piece":
                raise error

        def close(self) -> None:
            closed.append(1)
            if where == "close":
                raise error

    def app(environ: Environ, start_response: Any) -> Any:
        if where == "call":
            raise error
        start_response("200 OK", [])
        return Failing()

    with testing.recording() as events:
        with pytest.raises(LookupError) as caught:
            serve(ZespanMiddleware(app))
        flush()
    assert caught.value is error
    assert error.__cause__ is error.__context__ is None
    assert len(closed) == (where != "call")
    assert events[0]["status"] == ("success" if where == "close" else "error")  # by then the response was complete


@pytest.mark.parametrize("forgets", [False, True])
def test_a_client_that_leaves_is_noted(forgets: bool) -> None:
    """The server closes the body before its end, or forgets to: either way the event is sent, and says so."""

    def app(environ: Environ, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [])
        while True:
            yield b"x"

    with testing.recording() as events:
        body = ZespanMiddleware(app)(environ(), Started())
        next(iter(body))
        if not forgets:
            body.close()  # type: ignore[attr-defined]
        del body
        gc.collect()
        flush()
    assert (events[0]["status"], events[0]["metadata"]["client_disconnected"]) == ("success", True)


@pytest.mark.parametrize("given", [{"REQUEST_METHOD": "HEAD"}, {}])
def test_an_unread_body_is_no_disconnect(given: Environ) -> None:
    """Servers do not read the body of a HEAD, or of a 304."""

    def app(environ: Environ, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK" if given else "304 Not Modified", [])
        return iter([b"x"])

    with testing.recording() as events:
        ZespanMiddleware(app)(environ(more=given), Started()).close()  # type: ignore[attr-defined]
        flush()
    assert "client_disconnected" not in events[0]["metadata"]


def test_the_trace_is_there_for_every_piece_and_nowhere_else() -> None:
    """Pieces are made in the request's trace, a step goes on from one to the next, and the thread keeps nothing."""

    def app(environ: Environ, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [])
        with span("outer"):
            yield b"0"
            with span("inner"):
                yield b"1"

    with testing.recording() as events:
        seen = [traceparent() for _ in ZespanMiddleware(app)(environ(), Started())]
        flush()
    assert seen == [None, None]
    inner, outer, root = events
    assert (inner["parent_span_id"], outer["parent_span_id"]) == (outer["span_id"], root["span_id"])


def test_what_close_does_is_in_the_trace() -> None:
    """Frameworks call what is to be done after the response from the body's close()."""

    class Closing(Body):
        def close(self) -> None:
            with span("after"):
                pass

    with testing.recording() as events:
        serve(ZespanMiddleware(lambda e, s: Closing([b"x"])))
        flush()
    root, after = events
    assert after["parent_span_id"] == root["span_id"]


def test_twice_is_once() -> None:
    """There is one root event, whatever is in between."""
    with testing.recording() as events:
        assert serve(ZespanMiddleware(ZespanMiddleware(lambda e, s: iter([b"x"])))) == [b"x"]
        flush()
    assert len(events) == 1


def test_requests_at_once_do_not_mix() -> None:
    """64 threads: each step is in its own request's trace, though the threads are used again."""
    barrier = threading.Barrier(64)

    def app(environ: Environ, start_response: Any) -> Iterator[bytes]:
        barrier.wait(10)
        with span(environ["PATH_INFO"]):
            barrier.wait(10)
            yield str(traceparent()).encode()

    middleware = ZespanMiddleware(app)
    with testing.recording() as events, ThreadPoolExecutor(64) as pool:
        rounds = [list(pool.map(lambda n: serve(middleware, environ(f"/{n}")), range(64))) for _ in range(2)]
        flush()
    roots = [e for e in events if e["operation"].startswith("GET")]
    assert len({e["trace_id"] for e in roots}) == 128
    by_id = {e["span_id"]: e for e in events}
    for number, (line,) in enumerate(rounds[1]):
        step = by_id[line.decode().split("-")[2]]
        assert step["operation"] == f"/{number}"
        assert by_id[step["parent_span_id"]]["operation"] == f"GET /{number}"


def test_no_request_waits_for_another_s_events(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a backend that hangs, requests of all threads are answered before any flush can be over."""
    with Backend() as backend:
        monkeypatch.setenv("ZESPAN_BASE_URL", backend.url)
        backend.mode = "hang"
        middleware = ZespanMiddleware(lambda e, s: [b"x"], flush_timeout=30)
        began = time.monotonic()
        with ThreadPoolExecutor(16) as pool:
            list(pool.map(lambda n: serve(middleware), range(64)))
        assert time.monotonic() - began < 30
        backend.mode = "ok"
        assert len(backend.wait_for(64)) >= 64


def test_paths_are_as_people_write_them() -> None:
    """WSGI has a path's bytes as Latin-1; an event has them as the UTF-8 that they are, with the mount point."""
    with testing.recording() as events:
        serve(ZespanMiddleware(lambda e, s: [b""]), environ("/caf\u00c3\u00a9", {"SCRIPT_NAME": "/app"}))
        flush()
    assert events[0]["metadata"]["url.path"] == "/app/caf\u00e9"


def test_a_mistake_in_the_settings_is_one_while_the_application_is_made() -> None:
    """And never while it serves."""
    with pytest.raises(ConfigurationError, match="flush_timeout"):
        ZespanMiddleware(lambda e, s: [], flush_timeot=1)  # type: ignore[call-arg]


@pytest.mark.parametrize("status", ["", "OK", 200])
def test_a_broken_status_is_the_servers_to_judge(status: Any) -> None:
    """What is no status reaches the server as it is."""
    started = Started()

    def app(environ: Environ, start_response: Any) -> list[bytes]:
        start_response(status, None)
        return [b"x"]

    with testing.recording() as events:
        assert ZespanMiddleware(app)(environ(), started) == [b"x"]
        flush()
    assert started.args == (status, None)
    assert len(events) == 1


THREADED = """
import os, signal, sys, threading
from http.client import HTTPConnection
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIServer, make_server
from zespan_serverless.wsgi import ZespanMiddleware

def app(environ, start_response):
    start_response("200 OK", [])
    return [b"x"]

class Server(ThreadingMixIn, WSGIServer):
    pass

server = make_server("127.0.0.1", 0, ZespanMiddleware(app), Server)

def ask():
    connection = HTTPConnection(*server.server_address)
    connection.request("GET", "/")
    connection.getresponse().read()
    os.kill(os.getpid(), signal.SIGTERM)

threading.Thread(target=ask).start()
server.serve_forever()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there SIGTERM ends a process without a handler")
def test_a_server_that_serves_in_threads_only_sends_what_it_has_at_sigterm() -> None:
    """As waitress does: no request comes to the main thread, the only one where signals can be set."""
    with Backend() as backend:
        env = {**os.environ, "ZESPAN_BASE_URL": backend.url, "ZESPAN_FLUSH_INTERVAL": "3600"}
        ended = subprocess.run([sys.executable, "-c", THREADED], env=env, capture_output=True, timeout=60, check=False)
        assert ended.returncode != 0
        assert [event["operation"] for event in backend.events] == ["GET /"]


def test_nothing_is_started_where_there_is_nothing_to_send_to() -> None:
    """By the middleware's construction: no thread, and SIGTERM is left as it is."""
    before = signal.getsignal(signal.SIGTERM), threading.active_count()
    ZespanMiddleware(lambda environ, start_response: [])
    assert (signal.getsignal(signal.SIGTERM), threading.active_count()) == before


def test_work_after_a_response_is_sent_without_waiting_for_the_interval() -> None:
    """Where the process goes on: no end of a request would ask for it."""
    released = threading.Event()

    def later() -> None:
        released.wait(10)
        with span("later"):
            pass

    thread = threading.Thread(target=later)

    def app(environ: Environ, start_response: Callable[..., Any]) -> list[bytes]:
        start_response("200 OK", [])
        thread.start()
        return [b"x"]

    with Backend() as backend:
        serve(ZespanMiddleware(app, base_url=backend.url, flush_interval=3600.0))
        until(lambda: backend.events)
        released.set()
        thread.join()
        until(lambda: len(backend.events) == 2)


@pytest.mark.parametrize("left", [-1.0, 0.02])
def test_a_request_that_has_used_up_its_time_is_sent_where_the_process_goes_on(
    left: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On Cloud Run a request's time is not its container's: past it there is time to send, shortly before it a thread
    does."""
    monkeypatch.setenv("K_SERVICE", "service")
    monkeypatch.setenv("CLOUD_RUN_TIMEOUT_SECONDS", "1000")

    def app(environ: Environ, start_response: Callable[..., Any]) -> list[bytes]:
        start_response("200 OK", [])
        ends[0] = time.monotonic() + left
        return [b"x"]

    ends = [time.monotonic() + 1000]
    monkeypatch.setattr(google, "countdown", lambda seconds: lambda: ends[0] - time.monotonic())
    with Backend() as backend:
        serve(ZespanMiddleware(app, base_url=backend.url, flush_interval=3600.0))
        if left < 0:
            assert len(backend.events) == 1
        until(lambda: backend.events)


def test_only_the_first_request_of_a_process_is_a_cold_start() -> None:
    """The page about web servers says so."""
    testing.reset()

    def app(environ: Environ, start: Any) -> Iterable[bytes]:
        start("200 OK", [])
        return [b"x"]

    traced = ZespanMiddleware(app)
    with testing.recording() as events:
        serve(traced)
        serve(traced)
    assert [event["metadata"]["faas.coldstart"] for event in events] == [True, False]
