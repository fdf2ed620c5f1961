"""The user's function is never harmed."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import gc
import inspect
import os
import signal
import threading
import time
import warnings
from typing import Any
from unittest import mock
from wsgiref.util import setup_testing_defaults

import pytest

from tests.delivery.support import pending_flushes
from zespan_serverless import FlushReport, asgi, capture, init, span, testing, zespan_azure, zespan_lambda
from zespan_serverless._base import threads
from zespan_serverless._delivery.delivery import Delivery
from zespan_serverless._observe import active as _active
from zespan_serverless._observe import root_record, wrap
from zespan_serverless._process import container
from zespan_serverless._trace import context as _trace
from zespan_serverless.aws_lambda import HOST
from zespan_serverless.wsgi import ZespanMiddleware


class Odd(BaseException):
    """Not an Exception, as SystemExit and asyncio.CancelledError are not."""


@pytest.mark.parametrize("error", [ValueError("x"), KeyError(), Odd("y"), SystemExit(3), KeyboardInterrupt()])
def test_an_exception_passes_through_untouched(error: BaseException) -> None:
    """The very object, of whatever kind; its event is there before it leaves."""

    @zespan_lambda
    def handler(event: object, context: object) -> None:
        raise error

    with testing.recording() as events, pytest.raises(type(error)) as caught:
        handler({}, testing.LambdaContext())
    assert caught.value is error
    assert [(e["status"], e["metadata"]["error.type"]) for e in events] == [("error", type(error).__name__)]


def test_an_error_whose_text_fails_is_reported_all_the_same() -> None:
    """A `__str__` that raises is survived."""

    class Broken(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no text")

    @zespan_lambda
    def handler(event: object, context: object) -> None:
        raise Broken

    with testing.recording() as events, pytest.raises(Broken):
        handler({}, testing.LambdaContext())
    assert events[0]["status"] == "error"


@pytest.mark.parametrize("kind", ["__len__", "__bool__"])
def test_an_error_that_is_false_is_an_error(kind: str) -> None:
    """An exception whose truth value is false, or has none, fails an invocation and a request like any other."""

    def truth(self: Exception) -> int:
        if kind == "__bool__":
            raise RuntimeError("no truth value")
        return 0

    error = type("Falsy", (Exception,), {kind: truth})("made up")

    @zespan_lambda
    def handler(event: object, context: object) -> None:
        raise error

    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise error

    async def nothing(*args: Any) -> Any:
        return {"type": "http.request"}

    scope = {"type": "http", "method": "GET", "path": "/chat", "headers": []}
    with testing.recording() as events:
        with pytest.raises(type(error)):
            handler({}, testing.LambdaContext())
        with pytest.raises(type(error)):
            asyncio.run(asgi.ZespanMiddleware(app)(scope, nothing, nothing))
    assert [(e["status"], e["metadata"]["error.type"]) for e in events] == [("error", "Falsy")] * 2


def test_the_function_is_called_once_with_what_was_passed() -> None:
    """By position or keyword, and the result is the very object."""
    calls: list[tuple[tuple[object, ...], dict[str, object]]] = []
    result = object()

    @zespan_lambda
    def handler(*args: object, **kwargs: object) -> object:
        calls.append((args, kwargs))
        return result

    event, context = {"a": 1}, testing.LambdaContext()
    with testing.recording() as events:
        assert handler(event, context) is result
        assert handler(event=event, context=context) is result
        assert handler(event, context=context) is result
        assert handler(event) is result
        assert handler() is result
    assert calls == [
        ((event, context), {}),
        ((), {"event": event, "context": context}),
        ((event,), {"context": context}),
        ((event,), {}),
        ((), {}),
    ]
    assert len(events) == 5


@pytest.mark.parametrize("context", [None, mock.Mock(), mock.MagicMock(), object(), 7, {"aws_request_id": "x"}])
def test_any_context_will_do(context: object) -> None:
    """None, mocks and objects without a clock are what tests pass."""

    @zespan_lambda
    def handler(event: object, context: object) -> object:
        return context

    with testing.recording():
        assert handler({}, context) is context


BROKEN: list[tuple[object, str]] = [
    (HOST, "request"),
    (HOST, "read"),
    (HOST, "scope"),
    (HOST, "origin"),
    (HOST, "result"),
    (HOST, "begin"),
    (HOST, "process_stays_alive"),
    (HOST, "end"),
    (root_record, "Record"),
    (root_record, "identity"),
    (_active, "flush_budget"),
    (root_record, "_max_rss"),
    (_trace.Entered, "enter"),
    (_trace.Entered, "leave"),
    (_trace, "continued"),
    (wrap, "start"),
    (container.Container, "capture"),
    (Delivery, "flush"),
    (Delivery, "ensure_sender"),
    (Delivery, "capture"),
]


@pytest.mark.parametrize(("owner", "name"), BROKEN, ids=lambda v: v if isinstance(v, str) else "")
@pytest.mark.parametrize("fails", [False, True])
def test_whatever_breaks_inside_us_the_function_does_not_notice(
    owner: object, name: str, fails: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Result or exception are the function's own, and it is called once, with any of our internals failing."""
    calls = []

    @zespan_lambda
    def handler(event: object, context: object) -> str:
        calls.append(1)
        if fails:
            raise LookupError("mine")
        return "mine"

    with testing.recording():
        monkeypatch.setattr(owner, name, mock.Mock(side_effect=RuntimeError("ours")))
        for _ in range(2):
            if fails:
                with pytest.raises(LookupError, match="mine"):
                    handler({}, testing.LambdaContext())
            else:
                assert handler({}, testing.LambdaContext()) == "mine"
        assert len(calls) == 2
        monkeypatch.undo()
        active = container.current()
        assert active is not None
        assert not active.active  # later invocations are not taken for nested ones
        if name != "leave":
            assert _trace.current() is None


def test_after_an_internal_failure_the_next_invocation_is_traced(monkeypatch: pytest.MonkeyPatch) -> None:
    """A failure costs the events of its own invocation at most."""

    @zespan_lambda
    def handler(event: object, context: object) -> None: ...

    with testing.recording() as events:
        with monkeypatch.context() as patch:
            patch.setattr(HOST, "read", mock.Mock(side_effect=RuntimeError("ours")))
            handler({}, testing.LambdaContext())
        handler({}, testing.LambdaContext())
    assert len(events) == 1


def test_a_decorated_function_called_by_another_is_part_of_its_invocation() -> None:
    """There is one root event, whatever else is decorated."""

    @zespan_lambda
    def inner(event: object, context: object) -> int:
        return 1

    @zespan_lambda
    def outer(event: object, context: object) -> int:
        return inner(event, context) + 1

    with testing.recording() as events:
        assert outer({}, testing.LambdaContext()) == 2
    assert len(events) == 1


def test_a_helper_that_an_older_invocation_left_running_hides_no_later_one() -> None:
    """A decorated function in a background thread, with the context of an old invocation, is not in the way."""
    release, started = threading.Event(), threading.Event()

    @zespan_lambda
    def helper(event: object, context: object) -> None:
        started.set()
        release.wait(10)

    @zespan_lambda
    def handler(event: object, context: object) -> int:
        return 1

    with testing.recording() as events:
        thread = threading.Thread(target=helper, args=({}, testing.LambdaContext()))
        thread.start()
        started.wait(10)
        handler({}, testing.LambdaContext())
        assert len(events) == 1
        release.set()
        thread.join()
    assert len(events) == 2


def test_a_span_without_an_invocation_hides_none() -> None:
    """In a thread of a pool, what some code has left open makes no invocation part of another one that is under way."""
    begun, done = threading.Event(), threading.Event()

    @zespan_azure
    def waits(req: object) -> None:
        begun.set()
        done.wait(10)

    @zespan_azure
    def quick(req: object) -> None: ...

    def in_a_thread_left_open() -> None:
        left_open = span("left open")
        left_open.__enter__()
        quick(None)

    with testing.recording() as events:
        other = threading.Thread(target=waits, args=(None,))
        other.start()
        begun.wait(10)
        contextvars.Context().run(in_a_thread_left_open)
        done.set()
        other.join()
    assert [event["operation"] for event in events if event["operation"] != "left open"] == ["quick", "waits"]


def test_an_event_that_the_function_takes_apart_is_still_described() -> None:
    """What the event said is read after the response, from what it was before."""

    @zespan_lambda
    def handler(event: dict[str, Any], context: object) -> int:
        return len(event.pop("Records"))

    record = {"eventSource": "aws:sqs", "eventSourceARN": "arn:aws:sqs:us-east-1:123456789012:jobs", "messageId": "m"}
    with testing.recording() as events:
        assert handler({"Records": [record]}, testing.LambdaContext()) == 1
    assert events[0]["metadata"]["faas.trigger"] == "pubsub"


def test_a_failure_while_decorating_is_not_the_modules(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever keeps us from registering, the handler's module is imported, and its handler is traced."""
    monkeypatch.setattr(HOST, "attach", mock.Mock(side_effect=RuntimeError("ours")))

    @zespan_lambda
    def handler(event: object, context: object) -> int:
        return 1

    with testing.recording() as events:
        assert handler({}, testing.LambdaContext()) == 1
    assert len(events) == 1


def test_decorating_twice_is_decorating_once() -> None:
    """A second decorator changes nothing."""

    @zespan_lambda
    def handler(event: object, context: object) -> int:
        return 1

    assert zespan_lambda(handler) is handler


def test_the_function_keeps_its_face() -> None:
    """Name, docstring, signature and attributes are the function's own."""

    def handler(event: dict[str, Any], context: object, extra: int = 3) -> int:
        """Mine."""
        return extra

    handler.mark = "x"  # type: ignore[attr-defined]
    wrapped = zespan_lambda(handler)
    assert (wrapped.__name__, wrapped.__doc__, wrapped.mark) == ("handler", "Mine.", "x")  # type: ignore[attr-defined]
    assert inspect.signature(wrapped) == inspect.signature(handler)
    assert wrapped.__wrapped__ is handler  # type: ignore[attr-defined]


class Handlers:
    def __call__(self, event: object, context: object) -> str:
        return "called"

    def method(self, event: object, context: object) -> str:
        return "method"

    async def asynchronous(self, event: object, context: object) -> str:
        return "asynchronous"


class AsyncCallable:
    async def __call__(self, event: object, context: object) -> str:
        return "async called"


@pytest.mark.parametrize(
    ("handler", "expected"),
    [
        (Handlers(), "called"),
        (Handlers().method, "method"),
        (Handlers().asynchronous, "asynchronous"),
        (functools.partial(Handlers().method), "method"),
        (functools.partial(Handlers().asynchronous), "asynchronous"),
        (AsyncCallable(), "async called"),
        (lambda event, context: "lambda", "lambda"),
    ],
)
def test_any_callable_can_be_a_handler(handler: Any, expected: str) -> None:
    """Objects, methods and partials, sync or async."""
    with testing.recording() as events:
        assert zespan_lambda(handler)({}, testing.LambdaContext()) == expected
    assert len(events) == 1


def test_async_handlers_share_one_loop_but_not_their_context() -> None:
    """Clients that belong to a loop live on; variables set in one invocation are not seen in the next."""
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")
    loops = []

    @zespan_lambda
    async def handler(event: object, context: object) -> str:
        loops.append(asyncio.get_running_loop())
        seen = variable.get()
        variable.set("set")
        return seen

    with testing.recording() as events:
        assert [handler({}, testing.LambdaContext()) for _ in range(3)] == ["unset"] * 3
    assert loops[0] is loops[1] is loops[2]
    assert len({e["trace_id"] for e in events}) == 3


def test_under_a_running_loop_an_async_handler_is_awaited() -> None:
    """Tests with an event loop of their own await the result."""

    @zespan_lambda
    async def handler(event: object, context: object) -> str:
        return "x"

    async def test() -> str:
        return await handler({}, testing.LambdaContext())  # type: ignore[misc, no-any-return]

    with testing.recording() as events:
        assert asyncio.run(test()) == "x"
    assert len(events) == 1


def test_an_async_error_is_the_users_own() -> None:
    """The exception passes the event loop untouched."""
    error = ValueError("x")

    @zespan_lambda
    async def handler(event: object, context: object) -> None:
        raise error

    with testing.recording() as events, pytest.raises(ValueError, match="x") as caught:
        handler({}, testing.LambdaContext())
    assert caught.value is error
    assert events[0]["status"] == "error"


# ---------------------------------------------------------------------- async handlers


def test_threads_run_async_handlers_at_once() -> None:
    """Each on an event loop of its own, which lasts as long as the thread."""
    together = threading.Barrier(3)

    @zespan_lambda
    async def handler(event: object, context: object) -> asyncio.AbstractEventLoop:
        await asyncio.to_thread(together.wait, 10)
        return asyncio.get_running_loop()

    found: list[tuple[Any, Any]] = []

    def twice() -> None:
        found.append((handler({}, testing.LambdaContext()), handler({}, testing.LambdaContext())))

    with testing.recording() as events:
        threads = [threading.Thread(target=twice) for _ in range(3)]
        for number in range(3):
            threads[number].start()
        while threads:
            threads.pop().join()
    assert all(first is second for first, second in found)
    assert len({id(first) for first, _ in found}) == 3
    assert [(event["status"], event["error_message"]) for event in events] == [("success", None)] * 6
    gc.collect()
    assert all(loop.is_closed() for loop, _ in found)


def test_a_closed_loop_is_replaced() -> None:
    """One handler's mistake does not break the others."""

    @zespan_lambda
    async def handler(event: object, context: object) -> asyncio.AbstractEventLoop:
        await asyncio.sleep(0)
        return asyncio.get_running_loop()

    with testing.recording():
        first = handler({}, testing.LambdaContext())
        first.close()
        second = handler({}, testing.LambdaContext())
        assert handler({}, testing.LambdaContext()) is second
    assert second is not first


def test_an_interrupted_loop_is_replaced() -> None:
    """What an alarm of the user's has left on it does not go on in the next call."""
    steps = []

    def rings(number: int, frame: object) -> None:
        raise TimeoutError("alarm")

    @zespan_lambda
    async def handler(event: float, context: object) -> str:
        steps.append("began")
        await asyncio.sleep(event)
        steps.append("went on")
        return "done"

    before = signal.signal(signal.SIGALRM, rings)
    try:
        with testing.recording() as events:
            signal.setitimer(signal.ITIMER_REAL, 0.1)
            with pytest.raises(TimeoutError, match="alarm"):
                handler(0.3, testing.LambdaContext())
            assert handler(0.5, testing.LambdaContext()) == "done"
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert steps == ["began", "began", "went on"]
    assert [event["metadata"].get("error.type") for event in events] == ["TimeoutError", None]


def test_a_child_leaves_its_parents_loop_alone() -> None:
    """They have an epoll in common: to close the copy would take the parent's wakeup out of it."""

    @zespan_lambda
    async def handler(event: object, context: object) -> int:
        return await asyncio.to_thread(os.getpid)  # whose end has to wake the loop

    with testing.recording(), warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of a fork of a process with threads
        assert handler({}, testing.LambdaContext()) == os.getpid()
        child = os.fork()
        if not child:
            code = 1
            try:
                code = handler({}, testing.LambdaContext()) != os.getpid()
            finally:
                os._exit(code)
        assert os.waitpid(child, 0)[1] == 0
        assert handler({}, testing.LambdaContext()) == os.getpid()


@pytest.mark.slow
@pytest.mark.parametrize("fails", [False, True])
def test_an_awaited_handler_leaves_its_loop_free_while_the_backend_hangs(fails: bool) -> None:
    """Under a loop that is running already, whatever else is on it goes on during the flush."""
    ticks = []

    @zespan_lambda
    async def handler(event: object, context: object) -> str:
        if fails:
            raise LookupError("mine")
        return "done"

    async def tick() -> None:
        while True:
            await asyncio.sleep(0.01)
            ticks.append(1)

    async def main() -> object:
        other = asyncio.create_task(tick())
        try:
            return await handler({}, testing.LambdaContext())  # type: ignore[misc]
        except LookupError as error:
            return error
        finally:
            other.cancel()

    with testing.Backend() as backend:
        backend.mode = "hang"
        init(base_url=backend.url, flush_timeout=1.0)
        result = asyncio.run(main())
    assert isinstance(result, LookupError) if fails else result == "done"
    assert len(ticks) > 20


def test_a_flush_that_is_awaited_is_over_when_all_is_delivered() -> None:
    """It does not wait for its deadline, is no longer waited for by the sender, and is told to on_flush."""
    reports: list[FlushReport] = []

    @zespan_lambda
    async def handler(event: object, context: object) -> None:
        capture({"operation": "inside"})

    async def main() -> float:
        began = time.monotonic()
        await handler({}, testing.LambdaContext(timeout=100))  # type: ignore[misc]
        return time.monotonic() - began

    with testing.Backend() as backend:
        init(base_url=backend.url, flush_timeout=30.0, on_flush=reports.append)
        assert asyncio.run(main()) < 15
        active = container.current()
        assert active is not None
        assert not pending_flushes(active.delivery)
        deadline = time.monotonic() + 10
        while not reports and time.monotonic() < deadline:
            time.sleep(0.01)
        assert [(report.delivered, report.pending) for report in reports] == [(2, 0)]
        assert len(backend.events) == 2


def test_an_awaited_flush_that_is_cut_short_is_ended_and_told() -> None:
    """At its deadline the sender waits for it no longer, and on_flush hears what is pending."""
    reports: list[FlushReport] = []

    @zespan_lambda
    async def handler(event: object, context: object) -> None: ...

    with testing.Backend() as backend:
        backend.mode = "hang"
        init(base_url=backend.url, flush_timeout=0.3, on_flush=reports.append)

        async def main() -> None:
            await handler({}, testing.LambdaContext())  # type: ignore[misc]

        asyncio.run(main())
        active = container.current()
        assert active is not None
        assert not pending_flushes(active.delivery)
        deadline = time.monotonic() + 10
        while not reports and time.monotonic() < deadline:
            time.sleep(0.01)
        assert [(report.pending, report.reason) for report in reports] == [(1, "deadline")]


def test_the_root_event_is_there_before_a_flush_in_the_background(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no thread can be started, that flush runs at once: it sends the root event, too."""

    def no_thread(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    def application(environ: object, start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        return [b"done"]

    with testing.Backend() as backend, monkeypatch.context() as patched:
        server = ZespanMiddleware(application, base_url=backend.url, api_key="zsp_test", flush_mode="after_response")
        patched.setattr(threads, "start", no_thread)
        environ: dict[str, Any] = {}
        setup_testing_defaults(environ)
        assert b"".join(server(environ, lambda *_: lambda _: None)) == b"done"
        assert [event["span_kind"] for event in backend.events] == ["general"]


def test_where_a_process_runs_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each root event has it, without a secret; other events do not repeat it."""
    asked: list[int] = []

    def resource() -> dict[str, object]:
        asked.append(1)
        return {"cloud.region": "eu-central-1", "token": "secret", "faas.version": None}

    @zespan_lambda
    def handler(event: object, context: object) -> None:
        with span("step"):
            pass

    monkeypatch.setattr(HOST, "resource", resource)
    with testing.recording() as events:
        for _ in range(2):
            handler({}, testing.LambdaContext())
    assert len(asked) == 1
    step, root, _, again = events
    assert root["metadata"]["cloud.region"] == again["metadata"]["cloud.region"] == "eu-central-1"
    assert (root["metadata"]["token"], "metadata" in step) == ("[REDACTED]", False)
