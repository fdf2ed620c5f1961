"""The user's function is never harmed, on any host: its own result or exception, called once, in bounded time."""

from __future__ import annotations

import asyncio
import faulthandler
import functools
import gc
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import GeneratorType
from typing import Any, cast
from unittest import mock

import pytest

import zespan_serverless
from tests.never_harm import HOSTS, PACKAGE, Came, Host, Ours, came, struck, used
from zespan_serverless import (
    asgi,
    run,
    testing,
    wsgi,
    zespan_azure,
    zespan_cloud_event,
    zespan_gcf,
    zespan_lambda,
    zespan_vercel,
)
from zespan_serverless._base import log
from zespan_serverless._delivery.journal import Journal
from zespan_serverless._process import container
from zespan_serverless.testing import Backend

# A failure in one of our threads ends that thread, with a message.
pytestmark = [
    pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

ERROR, RESULT = LookupError("mine"), object()

# Functions between the server and the user's function. They guard what they call, and there is nothing in themselves
# that could fail; a failure on entry, which is what is simulated here, nobody could guard against.
SEAMS = {
    *("call", "call_async", "_function.<locals>.wrapper", "_coroutine.<locals>.wrapper", "_on_a_loop.<locals>.wrapper"),
    *("Tracer.open", "Tracer.open_call", "Tracer.read_ahead"),
    *("Guarded.__init__", "Guarded.__enter__", "Guarded.__exit__"),
    *("ActiveInvocation.begin", "ActiveInvocation.returned", "ActiveInvocation.raised", "ActiveInvocation.leave"),
    *("ActiveInvocation.returned_async", "ActiveInvocation.raised_async", "ActiveInvocation.leave_context"),
    *("ActiveInvocation.finish", "ActiveInvocation.finish_async", "ActiveInvocation.close"),
    *(
        "ActiveInvocation.settle",
        "ActiveInvocation.settle_async",
        "ActiveInvocation.report",
        "ActiveInvocation.abandon",
    ),
    *(
        "_Scope.__enter__",
        "_Scope.__exit__",
        "_Scope._leave",
        "_Step.__init__",
        "_Step.__enter__",
        "_Step.open",
        "_Step.close",
    ),
    *("_Context.__init__", "_Context.open", "Entered.__init__", "Entered.enter", "Entered.leave", "_Scope.close"),
    *("_OwnLoop.is_usable", "_OwnLoop.run", "_OwnLoop.__init__", "_on_a_loop.<locals>.function", "run", "is_running"),
    *("current", "capture", "flush", "span", "with_context", "traceparent", "Span.child", "Span.traceparent"),
    *("id_text", "Span.concerning", "GeneralSpan.__init__", "GeneralSpan._close", "_Step._send", "current_span"),
    *("task_scope", "Task.__init__", "Task.__enter__", "Task.__exit__", "Task.__aenter__", "Task.__aexit__"),
    *("_is_number", "_ActiveTask._end", "_ActiveTask._end_async"),
    *("_forgiving.<locals>.called", "trace_headers", "_Scope._leave"),
    *("new_span", "leave", "_text", "_repeated", "_mapping", "_tags", "_tags.<locals>.<genexpr>", "_end"),
    *("_begin", "_found", "traced_records", "records", "Batch.__iter__", "is_from_signal", "_code_of", "_handler"),
    *("is_from_signal.<locals>.<listcomp>", "_is_called_as_handler"),
    *("Exchange.__init__", "Exchange.begin", "Exchange.returned", "Exchange.raised", "Exchange.leave"),
    *("Exchange.returned_async", "Exchange.raised_async", "Exchange.leave_context", "Exchange.end"),
    *("Exchange.end_async", "Exchange.is_last", "Exchange.flush_rest", "Exchange.follow", "Exchange.failure"),
    *("Body.__init__", "Body.__iter__", "Body._next", "Body.close", "Answer.follow", "Answer.failure"),
    *("Awaited.returned", "Awaited.leave", "Awaited._leave"),
    *("_Exchange.__init__", "_Exchange.receive", "_Exchange.send", "_Exchange.leave", "_Exchange.end"),
    *("_Exchange.start_response", "_Exchange.follow", "_Request.__init__", "ZespanMiddleware.__call__"),
    *("_without_context.<locals>.called", "_without_context.<locals>.awaited"),
    *("_bound", "_noting.<locals>.send_response_only", "_Asgi._linger", "_lingering"),
    *("generator.<locals>.wrapper", "async_generator.<locals>.wrapper", "_pieces", "GeneratorAnswer.begin"),
    *("_first_step", "Turns.__init__", "Turns.__enter__", "Turns.__exit__", "Turns.leave"),
    *(
        "Run.__init__",
        "Run.__enter__",
        "Run.__exit__",
        "RunHost.__init__",
        "Tracer.__init__",
        "begin",
        "check",
        "expect",
    ),
    *("ActiveRun.begin", "ActiveRun.returned", "ActiveRun.raised", "ActiveRun.leave", "ActiveRun.leave_context"),
    *("ActiveRun.returned_async", "ActiveRun.raised_async", "ActiveRun._end", "ActiveRun._end_async"),
    *("ActiveRun._close", "ActiveRun._report", "expect.<locals>.<lambda>"),
}


class Odd(BaseException):
    """Not an Exception, as SystemExit and asyncio.CancelledError are not."""


def returns() -> object:
    return RESULT


def fails() -> object:
    raise ERROR.with_traceback(None)  # or it would have one more frame every time


def unharmed(seen: Came, work: Callable[[], object]) -> bool:
    own = seen.result is RESULT if work is returns else seen.error is ERROR
    return own and seen.calls == 1


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Backend]:
    """A real backend to send to, with a journal on the way, and little time for either."""
    monkeypatch.setattr(container.Container, "FLUSH_BY_HAND", 0.1)
    with Backend() as backend:
        monkeypatch.setenv("ZESPAN_BASE_URL", backend.url)
        monkeypatch.setenv("ZESPAN_FLUSH_TIMEOUT", "0.1")
        monkeypatch.setenv("ZESPAN_JOURNAL", str(tmp_path / "journal"))
        yield backend


@pytest.fixture(scope="module", autouse=True)
def litter() -> Iterator[None]:
    """Sockets that an injected failure has left open are collected here, where they are expected."""
    yield
    gc.collect()


every_host = pytest.mark.parametrize("host", HOSTS.values(), ids=HOSTS)
# For tests that make much fail, one thing after the other: --quick has one host of each room.
EVERY_DAY = {"lambda steps", "asgi", "wsgi", "google", "azure", "vercel class", "run"}
every_host_in_time = pytest.mark.parametrize(
    "host",
    [pytest.param(host, id=name, marks=() if name in EVERY_DAY else pytest.mark.slow) for name, host in HOSTS.items()],
)
both = pytest.mark.parametrize("work", [returns, fails])


# ---------------------------------------------------------------------- what the function does


ERRORS: list[BaseException] = [
    *(ValueError("x"), KeyError(), StopIteration(1), StopAsyncIteration(), TimeoutError(), MemoryError()),
    *(RecursionError(), ExceptionGroup("g", [ValueError()]), GeneratorExit(), Odd("y"), asyncio.CancelledError()),
    *(SystemExit(3), KeyboardInterrupt()),
]
# All of them on one host of each kind: a function, a coroutine, a block of code.
ERRORS_ELSEWHERE: list[BaseException] = [ValueError("x"), StopIteration(1), Odd("y")]


@every_host
def test_an_exception_is_the_very_object(host: Host, backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of whatever kind; what Python itself makes of one in a coroutine or a generator, it makes of it with us, too."""
    for error in ERRORS if host in (HOSTS["lambda steps"], HOSTS["asgi"], HOSTS["run"]) else ERRORS_ELSEWHERE:
        work = mock.Mock(side_effect=error.with_traceback(None))
        with monkeypatch.context() as patch:
            patch.setenv("ZESPAN_ENABLED", "0")
            testing.reset()
            plain = came(host, work)
        testing.reset()
        traced = came(host, work)
        assert traced.calls == 1, error
        if plain.error is error:
            assert traced.error is error
        else:
            assert (type(traced.error), str(traced.error)) == (type(plain.error), str(plain.error)), error


def generates() -> Iterator[int]:
    yield 1


async def coroutine() -> int:
    return 1


RESULTS: list[Callable[[], object]] = [
    *(lambda: None, lambda: 0, lambda: "text", lambda: b"bytes", dict, lambda: {"statusCode": 500}, lambda: ()),
    *(lambda: float("nan"), object, lambda: ValueError("returned"), mock.Mock, lambda: coroutine, lambda: Odd),
    *(generates, lambda: iter([1]), dict, list),
]


@every_host
def test_a_result_is_the_very_object(host: Host, backend: Backend) -> None:
    """The result is the function's own, whatever it is; a generator has not been read."""
    for make in RESULTS:
        result = make()
        seen = came(host, lambda: result)  # noqa: B023 (it is called at once)
        assert (seen.calls, seen.error) == (1, None)
        is_ours = isinstance(seen.result, GeneratorType) and seen.result.gi_code.co_filename.startswith(PACKAGE)
        if is_ours or type(seen.result).__module__.startswith("zespan_serverless"):  # a stream, watched on its way
            assert list(cast("Iterable[object]", seen.result)) == [1]
        else:
            assert seen.result is result
            if type(result).__name__ in ("generator", "list_iterator"):
                assert list(cast("Iterable[object]", result)) == [1]


# ---------------------------------------------------------------------- injected failures


def _seam(function: Ours) -> bool:
    return function.name in SEAMS


# What a host has for itself; all other functions serve every host.
ROOMS = (
    "_calls.py",
    "adk.py",
    "agentcore/",
    "alibaba.py",
    "asgi.py",
    "aws_lambda/",
    "azure_functions/",
    "cloudflare.py",
    "cog.py",
    "google_cloud/",
    "jobs.py",
    "openwhisk.py",
    "oracle.py",
    "modal.py",
    "runpod.py",
    "tasks.py",
    "vercel.py",
    "vercel_queue.py",
    "vercel_step/",
    "wsgi.py",
)


@every_host_in_time
@both
def test_a_function_of_the_hosts_room_that_fails_is_not_noticed(
    host: Host, work: Callable[[], object], backend: Backend
) -> None:
    """Each function of the room that serves a request may raise: the user's function is called once, and no internal
    exception comes out."""
    functions = {function for function in used(host, work).here if function.file.startswith(ROOMS)}
    failed = fail_each(host, work, functions)
    assert failed or host is HOSTS["by hand"]  # which has no room of its own


@pytest.mark.parametrize(
    "host",
    [
        pytest.param(host, id=name, marks=() if name == "lambda steps" else pytest.mark.slow)
        for name, host in HOSTS.items()
    ],
)
@both
def test_a_function_of_another_room_that_fails_is_not_noticed(
    host: Host, work: Callable[[], object], backend: Backend
) -> None:
    """The same for what every host uses: invocation, delivery, settings, spans, and so on down to the ground."""
    functions = {function for function in used(host, work).here if not function.file.startswith(ROOMS)}
    assert fail_each(host, work, functions) > 40


def fail_each(host: Host, work: Callable[[], object], functions: set[Ours]) -> int:
    """Make one function after the other fail, and check the user's function; how many were called, and did fail."""
    harmed, struck_at = [], 0
    for function in sorted(function for function in functions if not _seam(function)):
        testing.reset()
        if host is HOSTS["by hand"]:
            zespan_serverless.init()
        strike = mock.Mock(side_effect=RuntimeError("ours"))
        seen = came(host, work, struck=functools.partial(struck, function, strike))
        struck_at += strike.called
        if not unharmed(seen, work) or seen.seconds > 5:
            harmed.append((str(function), seen))
    assert not harmed
    return struck_at


@pytest.mark.slow
@both
def test_a_function_that_fails_in_another_thread_is_not_noticed(work: Callable[[], object], backend: Backend) -> None:
    """Nor does it wait longer than a flush may take."""
    host = HOSTS["lambda"]
    assert fail_each(host, work, used(host, work).elsewhere) > 20


@pytest.mark.slow
def test_io_that_hangs_in_another_thread_is_not_waited_for(backend: Backend) -> None:
    """What does I/O may hang: the exporter, its connection, the reading of journals. A flush takes no longer for it."""
    host, release = HOSTS["lambda"], threading.Event()
    found = used(host, returns).elsewhere
    hanging = [
        f
        for f in found
        if f.file.startswith(("exporters/", "_http/transport"))
        or (f.file.startswith("_delivery/journal_f") and f.name in ("list_journals", "take", "parse_records"))
    ]
    assert len(hanging) > 8
    for function in sorted(hanging):
        testing.reset()
        seen = came(host, returns, struck=functools.partial(struck, function, functools.partial(release.wait, 30)))
        assert unharmed(seen, returns), function
        assert seen.seconds < 5, function
    release.set()


LACKS: list[tuple[object, str, Exception]] = [
    (threading.Thread, "start", RuntimeError("can't start new thread")),
    (signal, "signal", ValueError("not in the main thread")),
    (faulthandler, "register", RuntimeError("unable to register")),
    (os, "pwrite", OSError(28, "No space left on device")),
    (os, "mkdir", PermissionError(13, "Permission denied")),
    (os, "listdir", PermissionError(13, "Permission denied")),
    (os, "urandom", NotImplementedError("no randomness")),
    (Journal, "append_event", RuntimeError("ours")),
    (Journal, "mark_settled", RuntimeError("ours")),
]


@every_host_in_time
@both
def test_missing_abilities_of_a_platform_are_not_noticed(
    host: Host, work: Callable[[], object], backend: Backend
) -> None:
    """No threads, no signals, a full or read-only disk, no randomness: the function runs."""
    for owner, name, error in LACKS:
        testing.reset()
        seen = came(host, work, struck=functools.partial(_lacking, owner, name, error))
        assert unharmed(seen, work), name
        assert seen.seconds < 5, name


@contextmanager
def _lacking(owner: Any, name: str, error: Exception) -> Iterator[None]:
    real = getattr(owner, name)

    def lacks(*args: Any) -> Any:
        if args and "process_request_thread" in getattr(args[0], "name", ""):
            return real(*args)  # the backend's: it is on another machine
        raise type(error)(*error.args)

    with mock.patch.object(owner, name, lacks):
        yield


@contextmanager
def _told(modules: list[str], clock: object) -> Iterator[None]:
    with ExitStack() as stack:
        for module in modules:
            stack.enter_context(mock.patch(f"zespan_serverless.{module}.time", new=clock))
        yield


NOT_A_TIME = float("nan")


@pytest.mark.parametrize("name", ["time", "monotonic", "perf_counter"])
@pytest.mark.parametrize(
    ("host", "now"),
    [
        *((HOSTS["lambda"], now) for now in (-1e12, 0.0, 1e18, float("inf"), NOT_A_TIME)),
        *((HOSTS[name], NOT_A_TIME) for name in ("asgi", "run")),
    ],
    ids=["past", "zero", "future", "infinite", "lambda", "asgi", "run"],
)
def test_a_clock_that_gives_nonsense_is_not_noticed(host: Host, now: float, name: str, backend: Backend) -> None:
    """Whatever time it tells, the function is called and its result is its own."""
    parts = ("accounts", "background", "delivery", "flushing", "intake", "sending", "waiters", "worker")
    modules = ["_observe.active"] if name == "perf_counter" else [f"_delivery.{part}" for part in parts]
    clocks = {"time": time.time, "monotonic": time.monotonic, "perf_counter": time.perf_counter}
    clock = mock.Mock(**{**clocks, name: lambda: now})
    seen = came(host, returns, struck=lambda: _told(modules, clock))
    assert unharmed(seen, returns)
    assert seen.seconds < 5


@every_host
@both
def test_a_backend_that_fails_costs_one_flush_at_most(host: Host, work: Callable[[], object], backend: Backend) -> None:
    """Costs the time of one flush at most."""
    modes: list[Any] = ["hang", "refuse", 400]
    for mode in modes:
        testing.reset()
        backend.mode = mode
        seen = came(host, work)
        assert unharmed(seen, work), mode
        assert seen.seconds < 5, mode


# ---------------------------------------------------------------------- what the platform hands over


class Hostile:
    """Raises at whatever is done to it."""

    def _raise(self, *args: object) -> Any:
        raise RuntimeError("hostile")

    __getattr__ = __str__ = __repr__ = __len__ = __iter__ = __eq__ = __bool__ = __getitem__ = __contains__ = _raise
    __hash__ = None  # type: ignore[assignment]


def _cycle() -> dict[str, Any]:
    event: dict[str, Any] = {"Records": []}
    event["Records"].append(event)
    return event


def _deep(depth: int = 100_000) -> Any:
    event: Any = {}
    for _ in range(depth):
        event = {"Records": [event]}
    return event


BIG = "x" * 2_000_000
ODD_EVENTS: list[Any] = [
    *(None, {}, [], "text", 7, b"bytes", object(), mock.Mock(), mock.MagicMock(), Hostile(), {"Records": Hostile()}),
    *(_cycle(), _deep(), {"Records": None}, {"Records": [None]}, {"records": {"a": None}}, {1: 2, None: 3}),
    {"headers": {"traceparent": BIG}, "requestContext": {"http": {"method": BIG}}, "rawPath": BIG},
    {"headers": {f"h{i}": "v" for i in range(10_000)}, "httpMethod": "GET", "path": "/\x00\x1b[31m\r\nx: y"},
    {"headers": {"traceparent": "\x00" * 55}, "multiValueHeaders": {"traceparent": [BIG] * 100}, "httpMethod": "GET"},
    {"headers": Hostile(), "requestContext": Hostile(), "httpMethod": Hostile()},
    {"Records": [{"eventSource": "aws:sqs", "body": '{"traceparent":' + "[" * 100_000}]},
    {"Records": [{"eventSource": Hostile(), "messageAttributes": 5}] * 10_000},
]


@pytest.mark.parametrize(
    ("event", "context"),
    [
        *((event, testing.LambdaContext()) for event in ODD_EVENTS),
        *(({}, context) for context in (None, mock.MagicMock(), Hostile())),
        (Hostile(), Hostile()),
    ],
    ids=lambda value: type(value).__name__,
)
def test_odd_events_and_contexts_reach_the_handler_unchanged(event: Any, context: Any, backend: Backend) -> None:
    """Handed to the function as they are, once, and nothing is made of what they hide."""
    calls: list[tuple[object, object]] = []

    @zespan_lambda(flush_mode="before_return")
    def handler(event: object, context: object) -> object:
        calls.append((event, context))
        return RESULT

    began = time.monotonic()
    assert handler(event, context) is RESULT
    assert time.monotonic() - began < 5
    assert len(calls) == 1
    assert calls[0][0] is event
    assert calls[0][1] is context


HEADERS: list[Any] = [
    [(b"traceparent", BIG.encode())],
    [(b"traceparent", b"\xff" * 55), (b"host", b"\x00\x1b[31m")],
    [(b"h%d" % i, b"v") for i in range(10_000)],
    [("text", "text")],
    [(b"one",)],
    [None],
    None,
    5,
    iter([(b"host", b"h")]),
]


@pytest.mark.parametrize(
    ("headers", "missing"),
    [*((headers, "") for headers in HEADERS), *(([], missing) for missing in ("path", "method", "headers", "type"))],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_odd_scopes_reach_the_application_unchanged(headers: Any, missing: str, backend: Backend) -> None:
    """An ASGI application gets the scope that the server has made, and its messages are the server's."""
    scope = {"type": "http", "method": "GET", "path": "/", "headers": headers}
    scope.pop(missing, None)
    calls, sent = [], []
    odd: dict[str, Any] = {"no type": 1}

    async def app(scope: Any, receive: Any, send: Any) -> None:
        calls.append(scope)
        assert await receive() is odd
        await send(odd)

    async def receive() -> dict[str, Any]:
        return odd

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(asgi.ZespanMiddleware(app)(scope, receive, send))
    assert len(calls) == 1
    assert calls[0] is scope
    assert sent == [odd]


@pytest.mark.parametrize("argument", [None, 5, Hostile(), mock.MagicMock(), {"a": 1}], ids=type)
@pytest.mark.parametrize("decorate", [zespan_gcf, zespan_cloud_event, zespan_azure, run])
def test_odd_arguments_reach_the_function_unchanged(
    argument: Any, decorate: Callable[[Any], Any], backend: Backend
) -> None:
    """Other functions get what they are called with."""
    calls = []

    @decorate
    def function(req: object) -> object:
        calls.append(req)
        return RESULT

    @decorate
    async def awaited(req: object) -> object:
        calls.append(req)
        return RESULT

    assert function(argument) is RESULT
    assert asyncio.run(awaited(argument)) is RESULT
    assert len(calls) == 2
    assert all(call is argument for call in calls)


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"HTTP_TRACEPARENT": BIG, "PATH_INFO": BIG, "REQUEST_METHOD": BIG},
        {"HTTP_TRACEPARENT": 5, "PATH_INFO": None, "SCRIPT_NAME": b"", "REQUEST_METHOD": None, "HTTP_HOST": None},
        {"PATH_INFO": "/\ud800", "HTTP_HOST": "\x00", "werkzeug.request": Hostile(), "wsgi.file_wrapper": Hostile()},
        {f"HTTP_H{i}": "v" for i in range(10_000)},
    ],
    ids=["empty", "big", "types", "surrogates", "many"],
)
@pytest.mark.parametrize("wrap", [wsgi.ZespanMiddleware, zespan_vercel])
def test_odd_environs_reach_the_application_unchanged(
    environ: dict[str, Any], wrap: Callable[[Any], Any], backend: Backend
) -> None:
    """A WSGI application gets the environ that the server has made."""
    calls = []

    def app(environ: Any, start_response: Any) -> Any:
        calls.append(environ)
        start_response("200 OK", [("X", 5), None])
        return [b"x"]

    started: list[Any] = []
    body = wrap(app)(environ, lambda *args: started.append(args))
    assert list(body) == [b"x"]
    if hasattr(body, "close"):
        body.close()
    assert len(calls) == 1
    assert calls[0] is environ
    assert started == [("200 OK", [("X", 5), None])]


def test_what_a_handler_says_of_itself_may_be_nonsense(backend: Backend) -> None:
    """Ids, tags and details that are none are left out; the work is done, and its exception is its own."""

    @zespan_lambda(flush_mode="before_return")
    def handler(event: object, context: object) -> object:
        nonsense: Any = Hostile()
        with (
            zespan_serverless.with_context(user_id=nonsense, session_id=nonsense, tags=nonsense),
            zespan_serverless.span(nonsense, kind=nonsense, metadata=nonsense, replaying=nonsense) as details,
        ):
            details["x"] = nonsense
            zespan_serverless.capture(nonsense)
            zespan_serverless.capture({"trace_id": nonsense, "span_id": nonsense, "tags": nonsense})
        return RESULT

    assert handler({}, testing.LambdaContext()) is RESULT
    assert backend.wait_for(2)


def test_a_flush_by_hand_that_fails_inside_is_no_exception(backend: Backend) -> None:
    """`flush()` and `shutdown()` report what they know, and raise no internal exception."""
    zespan_serverless.init()
    with mock.patch("zespan_serverless._delivery.flushing.FlushWaiter", side_effect=RuntimeError("ours")):
        assert zespan_serverless.flush().reason == "failed"
        assert zespan_serverless.shutdown().reason == "failed"


def test_a_log_that_fails_is_not_the_functions(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    """A handler or filter of the user's for our logger may raise at every line."""
    backend.mode = 401
    monkeypatch.setattr(log.logger, "handle", mock.Mock(side_effect=RuntimeError("log")))
    assert unharmed(came(HOSTS["lambda"], returns), returns)
