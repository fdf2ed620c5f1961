"""One wrapper for functions of every kind, on every host that takes them."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import inspect
import signal
import sys
import time
import weakref
from collections.abc import AsyncGenerator, Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import Any, NamedTuple

import pytest

from tests.conformance.rooms import Request
from zespan_serverless import (
    capture,
    flush,
    run,
    span,
    testing,
    traceparent,
    zespan_alibaba,
    zespan_azure,
    zespan_cloud_event,
    zespan_gcf,
    zespan_job,
    zespan_lambda,
    zespan_openwhisk,
    zespan_oracle,
)
from zespan_serverless._base.reports import Outcome
from zespan_serverless._process import container
from zespan_serverless._trace import context as _trace
from zespan_serverless.aws_lambda import HOST
from zespan_serverless.cog import zespan_cog
from zespan_serverless.errors import ConfigurationError
from zespan_serverless.exporters import Exporter
from zespan_serverless.exporters.memory import MemoryExporter
from zespan_serverless.modal import zespan_modal
from zespan_serverless.runpod import zespan_runpod


class Tried(NamedTuple):
    """A decorator, and what its platform calls a function with."""

    decorate: Callable[[Any], Any]
    args: tuple[Any, ...]


class Odd(BaseException):
    """Not an Exception, as SystemExit and asyncio.CancelledError are not."""


CONTEXT = testing.LambdaContext()
EVERYWHERE = {
    "lambda": Tried(zespan_lambda, ({}, CONTEXT)),
    "gcf": Tried(zespan_gcf, (Request(),)),
    "cloud event": Tried(zespan_cloud_event, (object(),)),
    "run": Tried(run, ()),
    "job": Tried(zespan_job, ()),
    "azure": Tried(zespan_azure, (None,)),
    "oracle": Tried(zespan_oracle, (None,)),
    "alibaba": Tried(zespan_alibaba, (b"{}", None)),
    "openwhisk": Tried(zespan_openwhisk, ({}, None)),
    "runpod": Tried(zespan_runpod, ({},)),
    "cog": Tried(zespan_cog, ()),
    "modal": Tried(zespan_modal, ({},)),
}
GENERATING = {name: tried for name, tried in EVERYWHERE.items() if name != "azure"}

generating = pytest.mark.parametrize("tried", GENERATING.values(), ids=GENERATING)


def roots(events: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [event for event in events if "start_kind" in (event.get("metadata") or {})]


def untouched() -> bool:
    """Whether no span is current, and no invocation under way."""
    current = container.current()
    return _trace.current() is None and current is not None and not current.active


def sync(*arguments: Any) -> Any:
    """Return a function."""
    return work()


async def awaited(*arguments: Any) -> Any:
    """Return a coroutine function."""
    await asyncio.sleep(0)
    return work()


def passing(*arguments: Any) -> Any:
    """Return a coroutine, as what a decorator makes of a coroutine function."""
    return awaited(*arguments)


def pieces(*arguments: Any) -> Generator[Any, Any, Any]:
    """Yield a generator function."""
    yield 1
    yield work()
    return "returned"


async def apieces(*arguments: Any) -> AsyncGenerator[Any, Any]:
    """Yield an asynchronous generator function."""
    yield 1
    await asyncio.sleep(0)
    yield work()


def work() -> Any:
    return doing[-1]()


doing: list[Callable[[], Any]] = []


@contextmanager
def does(action: Callable[[], Any]) -> Iterator[None]:
    doing.append(action)
    try:
        yield
    finally:
        doing.pop()


def read(result: Any) -> Any:
    """Return what comes out of a call in the end: of a coroutine its result, of a generator its last piece."""
    if inspect.iscoroutine(result):
        return asyncio.run(result)
    if inspect.isasyncgen(result):

        async def last() -> Any:
            return [piece async for piece in result][-1]

        return asyncio.run(last())
    return list(result)[-1] if inspect.isgenerator(result) else result


AWAITING = ("oracle", "runpod")  # platforms that await whatever coroutine they get
FUNCTIONS = [sync, awaited, passing, pieces, apieces]
every_function = pytest.mark.parametrize(
    ("tried", "function"),
    [
        pytest.param(tried, function, id=f"{name}-{function.__name__}")
        for name, tried in EVERYWHERE.items()
        for function in FUNCTIONS
        if function is not passing or name in AWAITING
        if name in GENERATING or function in (sync, awaited)  # Azure's generators are orchestrators, which are replayed
    ],
)


# ---------------------------------------------------------------------- every kind


@every_function
def test_the_function_keeps_its_face(tried: Tried, function: Any) -> None:
    """Name, docstring and kind are the function's own; only Lambda runs coroutines itself."""
    wrapper = tried.decorate(function)
    assert (wrapper.__name__, wrapper.__doc__, wrapper.__wrapped__) == (function.__name__, function.__doc__, function)
    kinds = [inspect.isgeneratorfunction, inspect.isasyncgenfunction]
    if tried.decorate is not zespan_lambda:
        kinds.append(inspect.iscoroutinefunction)
    assert [is_kind(wrapper) for is_kind in kinds] == [is_kind(function) for is_kind in kinds]
    if tried.decorate is not zespan_azure:  # whose worker is to pass its context
        assert inspect.signature(wrapper) == inspect.signature(function)


@every_function
def test_a_call_is_one_invocation(tried: Tried, function: Any) -> None:
    """The result is the very object, there is one event, and what happens inside is in its trace."""
    result, headers = object(), []

    def action() -> object:
        headers.append(traceparent())
        with span("step"):
            capture({"operation": "call"})
        return result

    with testing.recording() as events, does(action):
        assert read(tried.decorate(function)(*tried.args)) is result
        assert untouched()
        assert traceparent() is None
    (root,) = roots(events)
    assert root["status"] == "success"
    assert {event["trace_id"] for event in events} == {root["trace_id"]}
    assert [str(header)[:-3] for header in headers] == [f"00-{root['trace_id']}-{root['span_id']}"]
    assert [event["operation"] for event in events[:-1]] == ["call", "step"]


@every_function
@pytest.mark.parametrize("error", [LookupError("mine"), Odd("mine")], ids=["exception", "odd"])
def test_an_exception_is_the_events_error(tried: Tried, function: Any, error: BaseException) -> None:
    """The very object comes out, also in the middle of a generator."""

    def action() -> object:
        raise error.with_traceback(None)

    with testing.recording() as events, does(action):
        with pytest.raises(type(error)) as caught:
            read(tried.decorate(function)(*tried.args))
        assert caught.value is error
        assert untouched()
        flush()
    (root,) = roots(events)
    assert (root["status"], root["metadata"]["error.type"]) == ("error", type(error).__name__)


@every_function
def test_an_alarm_ends_the_invocation(tried: Tried, function: Any) -> None:
    """What a signal handler raises comes out, and is the event's error."""

    def rings(number: int, frame: object) -> None:
        raise TimeoutError("alarm")

    def action() -> None:
        signal.raise_signal(signal.SIGALRM)

    before = signal.signal(signal.SIGALRM, rings)
    try:
        with testing.recording() as events, does(action):
            with pytest.raises(TimeoutError, match="alarm"):
                read(tried.decorate(function)(*tried.args))
            assert untouched()
            flush()
    finally:
        signal.signal(signal.SIGALRM, before)
    assert [root["metadata"]["error.type"] for root in roots(events)] == ["TimeoutError"]


@every_function
def test_without_telemetry_it_is_the_function(tried: Tried, function: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Switched off, result and exception come through."""
    monkeypatch.setenv("ZESPAN_ENABLED", "0")
    testing.reset()
    result = object()
    with does(lambda: result):
        assert read(tried.decorate(function)(*tried.args)) is result
    with does(lambda: 1 / 0), pytest.raises(ZeroDivisionError):
        read(tried.decorate(function)(*tried.args))


def test_decorating_something_else_is_refused() -> None:
    """The error names the decorator, and says how settings are passed."""
    for tried in EVERYWHERE.values():
        with pytest.raises(ConfigurationError, match=r"decorates a .*settings go by keyword"):
            tried.decorate(42)


def test_what_the_host_does_after_the_response_has_the_root_event(monkeypatch: pytest.MonkeyPatch) -> None:
    """As Lambda's extension does: the function has returned, and only then its event is made and sent."""
    later: list[Callable[[], object]] = []

    def end(invocation: object, flush: Callable[[], object] | None) -> bool:
        if flush is not None:
            later.append(flush)
        return flush is not None

    monkeypatch.setattr(HOST, "end", end)
    with testing.recording(flush_mode="after_response") as events, does(int):
        for _ in range(2):
            zespan_lambda(sync)({}, testing.LambdaContext())  # a deadline of its own
        assert roots(events) == []
        for flush_now in later:
            flush_now()
        assert len(roots(events)) == 2


@pytest.mark.parametrize("name", AWAITING)
@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited")
def test_a_coroutine_that_a_function_returns_ends_the_invocation(name: str) -> None:
    """Its events have been sent when it returns, because its process may be frozen then. A coroutine that nobody awaits
    has an event as well."""
    tried = EVERYWHERE[name]
    sent: list[str] = []
    handler = tried.decorate(passing)

    async def main() -> None:
        await handler(*tried.args)
        sent.extend(event["operation"] for event in events)

    with testing.recording() as events, does(lambda: capture({"operation": "call"})):
        asyncio.run(main())
        assert sent == ["call", "passing"]
        handler(*tried.args)
        gc.collect()
        assert untouched()
        flush()
        assert [event["operation"] for event in events] == ["call", "passing", "passing"]


# ---------------------------------------------------------------------- generators


@generating
def test_a_generator_is_driven_as_any_other(tried: Tried) -> None:
    """send and throw reach it, and `yield from` gets the value that it returns."""

    @tried.decorate
    def talk(*arguments: object) -> Generator[str, str, str]:
        heard: list[str] = []
        while True:
            try:
                heard.append((yield ",".join(heard)))
            except KeyError:
                return "done"

    with testing.recording() as events:
        talking = talk(*tried.args)
        assert next(talking) == ""
        assert talking.send("a") == "a"
        assert roots(events) == []
        with pytest.raises(StopIteration) as ended:
            talking.throw(KeyError())
        assert ended.value.value == "done"
        failing = talk(*tried.args)
        next(failing)
        with pytest.raises(ValueError, match="no"):
            failing.throw(ValueError("no"))
        assert untouched()
        flush()
    assert [root["status"] for root in roots(events)] == ["success", "error"]


@generating
def test_an_async_generator_is_driven_as_any_other(tried: Tried) -> None:
    """asend and athrow reach it."""

    @tried.decorate
    async def talk(*arguments: object) -> AsyncGenerator[str, str]:
        heard: list[str] = []
        while True:
            try:
                heard.append((yield ",".join(heard)))
            except KeyError:
                return

    async def main() -> None:
        talking = talk(*tried.args)
        assert await anext(talking) == ""
        assert await talking.asend("a") == "a"
        with pytest.raises(StopAsyncIteration):
            await talking.athrow(KeyError())
        failing = talk(*tried.args)
        await anext(failing)
        with pytest.raises(ValueError, match="no"):
            await failing.athrow(ValueError("no"))

    with testing.recording() as events:
        asyncio.run(main())
        assert untouched()
        flush()
    assert [root["status"] for root in roots(events)] == ["success", "error"]


@generating
@pytest.mark.parametrize("ends", ["closed", "thrown away"])
def test_a_generator_that_is_not_read_to_its_end(tried: Tried, ends: str) -> None:
    """It is closed as it would be, in its trace, and that is no failure."""
    closed = []

    @tried.decorate
    def count(*arguments: object) -> Generator[int, None, None]:
        try:
            yield 1
            yield 2
        finally:
            closed.append(traceparent())

    with testing.recording() as events:
        reading = count(*tried.args)
        next(reading)
        assert roots(events) == []
        if ends == "closed":
            reading.close()
        del reading
        gc.collect()
        flush()
        (root,) = roots(events)
        assert untouched()
    assert root["status"] == "success"
    assert [str(header)[:-3] for header in closed] == [f"00-{root['trace_id']}-{root['span_id']}"]


@generating
@pytest.mark.parametrize("ends", ["closed", "thrown away", "left open"])
def test_an_async_generator_that_is_not_read_to_its_end(tried: Tried, ends: str) -> None:
    """The same, with whatever closes it: the reader, the garbage collector, the end of the loop."""
    closed = []

    @tried.decorate
    async def count(*arguments: object) -> AsyncGenerator[int, None]:
        try:
            yield 1
            yield 2
        finally:
            await asyncio.sleep(0)
            closed.append(traceparent())

    async def main() -> Any:
        reading = count(*tried.args)
        await anext(reading)
        if ends == "left open":
            return reading
        if ends == "closed":
            await reading.aclose()
        del reading
        gc.collect()
        await asyncio.sleep(0.05)
        return None

    with testing.recording() as events:
        kept = asyncio.run(main())
        del kept
        flush()
        (root,) = roots(events)
        assert untouched()
    assert root["status"] == "success"
    assert [str(header)[:-3] for header in closed] == [f"00-{root['trace_id']}-{root['span_id']}"]


@generating
def test_a_cancelled_async_generator_ends(tried: Tried) -> None:
    """Cancelled while it makes a piece, its event is there, and says so."""

    @tried.decorate
    async def count(*arguments: object) -> AsyncGenerator[int, None]:
        yield 1
        await asyncio.sleep(60)

    async def main() -> None:
        async def reads() -> None:
            async for _ in count(*tried.args):
                pass

        task = asyncio.create_task(reads())
        await asyncio.sleep(0.02)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    with testing.recording() as events:
        asyncio.run(main())
        assert untouched()
        flush()
    assert [root["metadata"]["error.type"] for root in roots(events)] == ["CancelledError"]


@generating
def test_what_reads_the_pieces_is_not_in_the_trace(tried: Tried) -> None:
    """Each piece is made in the invocation's context, and in that of a step that goes on over several pieces."""

    @tried.decorate
    def count(*arguments: object) -> Generator[str | None, None, None]:
        yield traceparent()
        with span("step"):
            yield traceparent()
            yield traceparent()

    with testing.recording() as events:
        inside, outside = [], []
        for header in count(*tried.args):
            inside.append(header)
            outside.append((traceparent(), _trace.root()))
        assert outside == [(None, None)] * 3
        flush()
    (root,) = roots(events)
    (step,) = [event for event in events if event["operation"] == "step"]
    assert [header and header[36:52] for header in inside] == [root["span_id"], step["span_id"], step["span_id"]]
    assert step["parent_span_id"] == root["span_id"]


@generating
def test_a_generator_lasts_until_its_last_piece(tried: Tried) -> None:
    """Its event has the time of all pieces, and of their reader in between."""

    @tried.decorate
    def count(*arguments: object) -> Generator[int, None, None]:
        time.sleep(0.02)
        yield 1
        yield 2
        time.sleep(0.02)

    with testing.recording() as events:
        for _ in count(*tried.args):
            time.sleep(0.02)
    assert roots(events)[0]["latency_ms"] >= 75


@generating
def test_a_generator_that_waits_hides_no_other_invocation(tried: Tried) -> None:
    """The reader of its items may call another decorated function; one that is called inside is part of it."""

    @tried.decorate
    def inner(*arguments: object) -> int:
        return 1

    @tried.decorate
    def count(*arguments: object) -> Generator[int, None, None]:
        yield inner(*tried.args)
        yield inner(*tried.args)

    with testing.recording() as events:
        for _ in count(*tried.args):
            inner(*tried.args)
        flush()
    first, second, _ = roots(events)
    assert [event["status"] for event in (first, second)] == ["success", "success"]
    assert len({event["span_id"] for event in roots(events)}) == 3


def test_a_generator_of_another_invocation_is_part_of_it() -> None:
    """One root event; pieces of both kinds pass through."""
    agenerator, generator = zespan_lambda(apieces), zespan_lambda(pieces)

    @zespan_lambda
    def handler(event: object, context: object) -> Any:
        return [list(generator(event, context)), read(agenerator(event, context))]

    with testing.recording() as events, does(lambda: 2):
        assert handler({}, CONTEXT) == [[1, 2], 2]
    assert len(roots(events)) == 1


@pytest.mark.parametrize("tried", [Tried(zespan_gcf, (Request(),)), Tried(run, ())], ids=["gcf", "run"])
def test_the_flush_of_an_async_generator_leaves_the_loop_free(tried: Tried) -> None:
    """It comes with the last piece, and other tasks run meanwhile."""

    class Slow(Exporter):
        sent = 0

        def send(self, batch: Sequence[bytes], timeout: float) -> Outcome:
            time.sleep(0.2)
            self.sent += len(batch)
            return Outcome("delivered")

    turns = 0

    async def main() -> None:
        async def ticks() -> None:
            nonlocal turns
            while True:
                await asyncio.sleep(0.01)
                turns += 1

        ticking = asyncio.create_task(ticks())
        async for _ in tried.decorate(apieces)(*tried.args):
            assert exporter.sent == 0
        assert exporter.sent == 1
        ticking.cancel()

    exporter = Slow()
    with testing.recording(exporter=exporter, flush_interval=3600.0), does(int):
        asyncio.run(main())
    assert turns >= 5


def test_the_pieces_of_a_web_function_are_a_response() -> None:
    """Its status is that of every generator, and a client that leaves is on the event."""
    with testing.recording() as events, does(int):
        list(zespan_gcf(pieces)(Request()))
        left = zespan_gcf(pieces)(Request())
        next(left)
        left.close()
        flush()
    read_all, left_early = [event["metadata"] for event in roots(events)]
    assert read_all["http.response.status_code"] == left_early["http.response.status_code"] == 200
    assert [metadata.get("client_disconnected") for metadata in (read_all, left_early)] == [None, True]


def test_a_generator_that_is_collected_waits_for_nothing() -> None:
    """The garbage collector may come round in any thread, with the backend away."""

    class Away(MemoryExporter):
        def send(self, batch: Sequence[bytes], timeout: float) -> Outcome:
            return Outcome("retry", retry_after=60)

    def cyclic() -> None:
        held: list[Any] = [run(pieces)()]
        held.append(held)
        next(held[0])

    with testing.recording(exporter=Away()), does(int):
        cyclic()
        began = time.monotonic()
        gc.collect()
        assert time.monotonic() - began < 2
        active = container.current()
        assert active is not None
        assert not active.active
        assert active.delivery.captured == 1


def test_an_error_that_another_generator_yields_does_not_end_the_job() -> None:
    """RunPod stops at a job's own error, not at what the job reads."""

    @zespan_runpod
    def other(job: object) -> Iterator[Any]:
        yield {"error": "none"}

    @zespan_runpod
    def handler(job: object) -> Iterator[Any]:
        yield from map(str, other(job))
        capture({"operation": "call"})

    with testing.recording() as events:
        assert list(handler({})) == ["{'error': 'none'}"]
    assert [(event["operation"], event["status"]) for event in events] == [("call", "success"), ("handler", "success")]


def test_a_module_that_has_modals_name_is_not_modal(monkeypatch: pytest.MonkeyPatch) -> None:
    """One of the user's own does not cost the event."""
    monkeypatch.setitem(sys.modules, "modal", ModuleType("modal"))
    with testing.recording() as events, does(int):
        assert zespan_modal(sync)({}) == 0
    assert len(roots(events)) == 1


def test_above_modals_decorators_the_decorator_is_refused() -> None:
    """What they return may be callable, and Modal looks for it under its name."""
    kind: Any = type("Cls", (), {"__module__": "modal.cls", "__call__": sync})
    with pytest.raises(ConfigurationError, match="below Modal's decorators"):
        zespan_modal(kind())


def test_a_turn_in_the_midst_of_another_invocation_gives_its_root_back() -> None:
    """Threads of that invocation go on to belong to it."""
    with testing.recording(), does(int):
        waiting = run(pieces)()
        next(waiting)
        with run("other"):
            before = _trace.root()
            next(waiting)
            assert before is not None
            assert _trace.root() is before
        waiting.close()
        assert _trace.root() is None


def test_a_failed_invocation_keeps_nothing_alive() -> None:
    """What a failing handler had in its hands is freed with it, not when the garbage collector comes round."""

    class Large:
        pass

    alive: list[Any] = []

    @zespan_lambda
    def handler(event: object, context: object) -> None:
        large = Large()
        alive.append(weakref.ref(large))
        raise LookupError("mine")

    gc.disable()
    try:
        with testing.recording():
            with contextlib.suppress(LookupError):
                handler({}, testing.LambdaContext())
            assert alive[0]() is None
    finally:
        gc.enable()
