"""What users call inside a handler."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from zespan_serverless import capture, flush, span, testing, traceparent, with_context, zespan_lambda


class Unwritable:
    def __str__(self) -> str:
        raise ValueError("no text")


def test_a_span_is_one_event_with_its_duration_and_metadata() -> None:
    """span() sends its name, kind and what was learned inside."""
    with testing.recording() as events:
        with span("search", kind="retriever", metadata={"k": 5}) as details:
            details["found"] = 3
        flush()
    (event,) = events
    assert (event["operation"], event["span_kind"], event["status"]) == ("search", "retriever", "success")
    assert event["metadata"] == {"k": 5, "found": 3}
    assert isinstance(event["latency_ms"], int)


def test_a_failing_span_says_so_and_lets_the_error_through() -> None:
    """The exception is the user's own, untouched."""
    error = ValueError("no")

    @zespan_lambda
    def handler(event: object, context: object) -> None:
        with span("step"):
            raise error

    with testing.recording() as events, pytest.raises(ValueError, match="no") as caught:
        handler({}, testing.LambdaContext())
    assert caught.value is error
    step, root = events
    assert (step["status"], step["error_message"], step["metadata"]) == ("error", "no", {"error.type": "ValueError"})
    assert root["status"] == "error"


def test_events_inside_a_span_are_its_children() -> None:
    """What happens inside a span belongs to it."""

    @zespan_lambda
    def handler(event: object, context: object) -> str | None:
        with span("outer"), span("inner"):
            capture({"operation": "leaf"})
            return traceparent()

    with testing.recording() as events:
        header = handler({}, testing.LambdaContext())
    leaf, inner, outer, root = events
    assert [e["operation"] for e in events] == ["leaf", "inner", "outer", "my-function"]
    assert leaf["parent_span_id"] == inner["span_id"]
    assert inner["parent_span_id"] == outer["span_id"]
    assert outer["parent_span_id"] == root["span_id"]
    assert root["parent_span_id"] is None
    assert header == f"00-{root['trace_id']}-{inner['span_id']}-03"
    assert len({e["trace_id"] for e in events}) == 1


def test_with_context_adds_to_what_is_in_force() -> None:
    """An inner context keeps the outer user and merges tags."""

    @zespan_lambda
    def handler(event: object, context: object) -> None:
        with with_context(user_id="ada", tags={"a": "1"}), with_context(session_id="s", tags={"b": "2"}):
            capture({"operation": "x"})

    with testing.recording(tags={"all": "0"}) as events:
        handler({}, testing.LambdaContext())
    x, root = events
    assert (x["user_id"], x["session_id"], x["tags"]) == ("ada", "s", {"all": "0", "a": "1", "b": "2"})
    assert (root["user_id"], root["session_id"], root["tags"]) == ("ada", "s", {"all": "0", "a": "1", "b": "2"})


@pytest.mark.parametrize(("given", "sent"), [(17, "17"), (["a"], "['a']"), (Unwritable(), None)])
def test_ids_are_sent_as_text(given: Any, sent: str | None) -> None:
    """A number is an id, too; an id that cannot be converted is left out without harm."""
    with testing.recording() as events:
        with with_context(user_id=given, session_id=given), span("a"):
            pass
        flush()
    assert [(e["user_id"], e["session_id"]) for e in events] == [(sent, sent)]


def test_with_context_outside_an_invocation_leaves_no_orphans() -> None:
    """It begins a trace, whose first spans have no parent that never arrives."""

    @with_context(user_id="ada")
    def work() -> None:
        assert traceparent() is None
        with span("a"):
            pass
        with span("b"):
            pass

    with testing.recording() as events:
        work()
        flush()
    assert [e["parent_span_id"] for e in events] == [None, None]
    assert len({e["trace_id"] for e in events}) == 1
    assert {e["user_id"] for e in events} == {"ada"}


def test_threads_of_a_pool_belong_to_the_invocation() -> None:
    """A worker thread has no context of its own, and shares the invocation's trace all the same."""
    pool = ThreadPoolExecutor(1)

    @zespan_lambda
    def handler(event: object, context: object) -> None:
        pool.submit(lambda: capture({"operation": "x"})).result()

    with testing.recording() as events, pool:
        handler({}, testing.LambdaContext())
        handler({}, testing.LambdaContext())
    assert [events[0]["trace_id"], events[2]["trace_id"]] == [events[1]["trace_id"], events[3]["trace_id"]]
    assert events[0]["trace_id"] != events[2]["trace_id"]
    assert events[0]["parent_span_id"] == events[1]["span_id"]


def test_capture_keeps_what_is_given_and_fills_in_the_rest() -> None:
    """A capture by hand needs only what it is about."""
    with testing.recording() as events:
        capture({"operation": "lookup", "span_kind": "tool", "metadata": {"n": 1}, "trace_id": "t" * 32})
        capture({"metadata": {"what json cannot say": object}})
        flush()
    first, second = events
    assert (first["operation"], first["span_kind"], first["trace_id"]) == ("lookup", "tool", "t" * 32)
    assert first["event_id"] != second["event_id"]
    assert first["environment"] == "production"


def test_what_must_not_be_stored_is_replaced_in_metadata_too() -> None:
    """redact_keys hold for spans and captures of your own."""
    with testing.recording() as events:
        with span("step", metadata={"Api-Key": "k", "deep": [{"password": "p", "n": 1}]}):
            capture({"operation": "x", "metadata": {"token": "t"}, "input_tokens": 5})
        flush()
    captured, step = events
    assert (captured["metadata"], captured["input_tokens"]) == ({"token": "[REDACTED]"}, 5)
    assert step["metadata"] == {"Api-Key": "[REDACTED]", "deep": [{"password": "[REDACTED]", "n": 1}]}


def test_nothing_happens_while_telemetry_is_off() -> None:
    """Without a key everything works, and sends nothing."""

    @zespan_lambda
    def handler(event: object, context: object) -> int:
        with with_context(user_id="a"), span("b"):
            capture({"operation": "c"})
            return 1

    assert handler({}, None) == 1


@pytest.mark.parametrize("replaying", [True, False])
def test_a_step_that_is_only_replayed_is_not_sent_again(replaying: bool) -> None:
    """What counts is whether it still is a replay when the step is over."""
    answers = iter([replaying])
    with testing.recording() as events:
        with span("step", replaying=lambda: next(answers)):
            pass
        flush()
    assert len(events) == (not replaying)


def test_an_undeclared_replay_is_sent() -> None:
    """If the question fails, the step is sent and the function goes on."""

    def broken() -> bool:
        raise RuntimeError("no answer")

    with testing.recording() as events:
        with span("step", replaying=broken):
            pass
        flush()
    assert len(events) == 1


class SuspendExecution(BaseException):
    """As in AWS's SDK for durable functions, which raises others that are derived from it."""


class TimedSuspendExecution(SuspendExecution): ...


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (TimedSuspendExecution(), "success", {"suspended": True}),
        (KeyboardInterrupt(), "error", {"error.type": "KeyboardInterrupt"}),
    ],
)
def test_being_suspended_is_no_failure(error: BaseException, status: str, said: dict[str, Any]) -> None:
    """What suspends a durable function, which is called again later, is no error of a step or an invocation."""

    @zespan_lambda
    def handler(event: object, context: object) -> None:
        with span("wait"):
            raise error

    with testing.recording() as events, pytest.raises(type(error)) as caught:
        handler({}, testing.LambdaContext())
    assert caught.value is error
    step, root = events
    assert (step["status"], step["metadata"]) == (status, said)
    assert root["status"] == status
    assert said.items() <= root["metadata"].items()


# ---------------------------------------------------------------------- as decorators


@span("total")
async def total(numbers: list[int], start: int = 0) -> int:
    """Adds up."""
    await asyncio.sleep(0.05)
    capture({"operation": "inside"})
    return sum(numbers, start)


@span("count")
def count(to: int) -> Iterator[str | None]:
    """Counts."""
    for _ in range(to):
        yield traceparent()
        capture({"operation": "inside"})


@span("acount")
async def acount(to: int) -> AsyncIterator[str | None]:
    """Counts."""
    for _ in range(to):
        await asyncio.sleep(0.01)
        yield traceparent()
        capture({"operation": "inside"})


def test_a_decorated_coroutine_is_a_step_until_it_has_been_awaited() -> None:
    """Its duration is that of the run, calls inside belong to it, and the function stays what it was."""
    assert inspect.iscoroutinefunction(total)
    assert str(inspect.signature(total)) == "(numbers: 'list[int]', start: 'int' = 0) -> 'int'"
    assert total.__doc__ == "Adds up."
    with testing.recording() as events:
        coroutine = total([1, 2], start=3)
        assert asyncio.run(coroutine) == 6
        flush()
    inside, step = events
    assert inside["parent_span_id"] == step["span_id"]
    assert step["operation"] == "total"
    assert step["latency_ms"] >= 45


def test_a_decorated_coroutine_that_fails_is_a_failed_step() -> None:
    """Also when it is cancelled; every call has a step of its own, several at once, too."""

    @span("slow")
    async def slow(error: BaseException | None = None) -> None:
        await asyncio.sleep(0.01)
        if error is not None:
            raise error

    async def main() -> None:
        await asyncio.gather(slow(), slow(ValueError("no")), return_exceptions=True)
        task = asyncio.create_task(slow())
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])

    with testing.recording() as events:
        asyncio.run(main())
        flush()
    assert sorted((e["status"], (e["metadata"] or {}).get("error.type")) for e in map(_full, events)) == [
        ("error", "CancelledError"),
        ("error", "ValueError"),
        ("success", None),
    ]


def _full(event: dict[str, Any]) -> dict[str, Any]:
    return {"metadata": None, **event}


def test_a_decorated_generator_is_a_step_until_it_is_exhausted() -> None:
    """What happens in it belongs to it; what its reader does between two pieces does not."""
    assert inspect.isgeneratorfunction(count)
    with testing.recording() as events:
        with span("reader"):
            headers = []
            for header in count(2):
                headers.append(header)
                capture({"operation": "outside"})
        flush()
    named = {event["operation"]: event for event in events}
    assert [e["operation"] for e in events] == ["outside", "inside", "outside", "inside", "count", "reader"]
    assert {e["parent_span_id"] for e in events if e["operation"] == "inside"} == {named["count"]["span_id"]}
    assert {e["parent_span_id"] for e in events if e["operation"] == "outside"} == {named["reader"]["span_id"]}
    assert named["count"]["parent_span_id"] == named["reader"]["span_id"]
    assert all(header is not None and named["count"]["span_id"] in header for header in headers)


def test_a_decorated_async_generator_is_a_step_until_it_is_exhausted() -> None:
    """The same with `async for`."""
    assert inspect.isasyncgenfunction(acount)

    async def read() -> None:
        with span("reader"):
            async for _ in acount(2):
                capture({"operation": "outside"})

    with testing.recording() as events:
        asyncio.run(read())
        flush()
    named = {event["operation"]: event for event in events}
    assert [e["operation"] for e in events] == ["outside", "inside", "outside", "inside", "acount", "reader"]
    assert {e["parent_span_id"] for e in events if e["operation"] == "inside"} == {named["acount"]["span_id"]}
    assert {e["parent_span_id"] for e in events if e["operation"] == "outside"} == {named["reader"]["span_id"]}


def test_a_decorated_generator_is_driven_as_any_other() -> None:
    """send, throw, close and the returned value reach it; closing it is no failure, what it raises is one."""

    @span("talk")
    def talk() -> Generator[str, str, str]:
        said: list[str] = []
        while True:
            try:
                said.append((yield ",".join(said)))
            except KeyError:
                return "done"

    with testing.recording() as events:
        talking = talk()
        assert next(talking) == ""
        assert talking.send("a") == "a"
        with pytest.raises(StopIteration) as ended:
            talking.throw(KeyError())
        assert ended.value.value == "done"
        closed = talk()
        next(closed)
        closed.close()
        failed = talk()
        next(failed)
        with pytest.raises(ValueError, match="no"):
            failed.throw(ValueError("no"))
        flush()
    assert [event["status"] for event in events] == ["success", "success", "error"]


def test_decorated_async_generators_that_are_open_when_their_loop_ends() -> None:
    """The loop closes each once: the one inside ours is not closed in the midst of that."""
    said: list[object] = []
    closed: list[int] = []

    @span("count")
    async def count() -> AsyncIterator[int]:
        try:
            yield 1
            yield 2
        finally:
            await asyncio.sleep(0.01)
            closed.append(1)

    async def main() -> list[Any]:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: said.append(context))
        left = [count() for _ in range(3)]
        for one in left:
            await anext(one)
        return left

    asyncio.run(main())
    assert (said, closed) == ([], [1, 1, 1])


def test_a_decorated_async_generator_is_driven_as_any_other() -> None:
    """asend, athrow and aclose reach it."""
    closed = []

    @span("talk")
    async def talk() -> AsyncGenerator[str, str]:
        said: list[str] = []
        try:
            while True:
                try:
                    said.append((yield ",".join(said)))
                except KeyError:
                    return
        finally:
            closed.append(True)

    async def main() -> None:
        talking = talk()
        assert await anext(talking) == ""
        assert await talking.asend("a") == "a"
        with pytest.raises(StopAsyncIteration):
            await talking.athrow(KeyError())
        left = talk()
        await anext(left)
        await left.aclose()
        failed = talk()
        await anext(failed)
        with pytest.raises(ValueError, match="no"):
            await failed.athrow(ValueError("no"))

    with testing.recording() as events:
        asyncio.run(main())
        flush()
    assert [event["status"] for event in events] == ["success", "success", "error"]
    assert closed == [True] * 3


def test_a_step_inside_a_generator_goes_on_from_piece_to_piece() -> None:
    """Its own spans are current again when it runs again, in whatever context that is."""

    @span("outer")
    def pieces() -> Iterator[int]:
        with span("inner"):
            yield 1
            capture({"operation": "inside"})
            yield 2

    with testing.recording() as events:
        running = pieces()
        next(running)
        assert traceparent() is None
        contextvars.copy_context().run(next, running)
        assert list(running) == []
        assert traceparent() is None
        flush()
    inside, inner, outer = events
    assert inside["parent_span_id"] == inner["span_id"]
    assert inner["parent_span_id"] == outer["span_id"]


def test_with_context_decorates_coroutines_and_generators() -> None:
    """The user is on what happens in them, however long they run, and on nothing else."""

    @with_context(user_id="ada")
    async def ask() -> None:
        await asyncio.sleep(0)
        capture({"operation": "asked"})

    @with_context(user_id="bob")
    def stream() -> Iterator[int]:
        capture({"operation": "streamed"})
        yield 1
        capture({"operation": "streamed"})

    with testing.recording() as events:
        asyncio.run(ask())
        for _ in stream():
            capture({"operation": "other"})
        flush()
    assert [(e["operation"], e["user_id"]) for e in events] == [
        ("asked", "ada"),
        ("streamed", "bob"),
        ("other", None),
        ("streamed", "bob"),
    ]


# ---------------------------------------------------------------------- whom an invocation concerns


def test_with_context_reaches_the_event_of_the_invocation() -> None:
    """As a block in the handler, and as a decorator on either side of the host's."""

    @zespan_lambda
    def block(event: object, context: object) -> None:
        with with_context(user_id="ada", session_id="s", tags={"a": "1"}):
            pass

    @zespan_lambda
    @with_context(user_id="ada", session_id="s", tags={"a": "1"})
    def below(event: object, context: object) -> None: ...

    @with_context(user_id="ada", session_id="s", tags={"a": "1"})
    @zespan_lambda
    def above(event: object, context: object) -> None:
        capture({"operation": "inside"})

    with testing.recording(tags={"all": "0"}) as events:
        for handler in (block, below, above):
            handler({}, testing.LambdaContext())
    assert len(events) == 4
    for event in events:
        said = (event["user_id"], event["session_id"], event["tags"])
        assert said == ("ada", "s", {"all": "0", "a": "1"})


def test_an_invocation_has_what_all_agree_on() -> None:
    """Of records of different users it is of none; an inner block that overrides an outer one does not count."""

    @zespan_lambda
    def batch(event: object, context: object) -> None:
        for user in ("ada", "bob"):
            with with_context(user_id=user, session_id="s", tags={"user": user, "kind": "x"}):
                capture({"operation": user})

    @zespan_lambda
    def nested(event: object, context: object) -> None:
        with with_context(user_id="ada", tags={"a": "1"}), with_context(user_id="root", tags={"a": "2", "b": "2"}):
            pass

    with testing.recording() as events:
        batch({}, testing.LambdaContext())
        nested({}, testing.LambdaContext())
    ada, bob, several, one = events
    assert (ada["user_id"], bob["user_id"]) == ("ada", "bob")
    assert (several["user_id"], several["session_id"], several["tags"]) == (None, "s", {"kind": "x"})
    assert (one["user_id"], one["tags"]) == ("ada", {"a": "1", "b": "2"})


def test_whom_one_invocation_concerns_is_not_said_of_another() -> None:
    """Neither of the next one, nor of what is outside the block."""

    @zespan_lambda
    def handler(event: str, context: object) -> None:
        if event:
            with with_context(user_id=event):
                pass
        capture({"operation": "after"})

    with testing.recording() as events:
        handler("ada", testing.LambdaContext())
        handler("", testing.LambdaContext())
    assert [event["user_id"] for event in events] == [None, "ada", None, None]


def test_a_block_may_be_used_again_before_it_has_ended() -> None:
    """Inside itself, and by several tasks at once: each use has its event, and what was current is so again."""
    step, who = span("step", kind="tool"), with_context(user_id="ada")

    async def work(number: int) -> bool:
        before = traceparent()
        with who, step as target:
            target.result(number)
            await asyncio.sleep(0.02 - number / 200)  # they end in another order than they have begun
        return traceparent() == before

    async def main() -> list[bool]:
        return await asyncio.gather(*map(work, range(4)))

    with testing.recording() as events, span("around"):
        before = traceparent()
        with step, step as inner:
            inner.result("inner")
        assert traceparent() == before
        assert asyncio.run(main()) == [True] * 4
        with step:
            pass
        flush()
    first, outer, *others, _ = events
    assert (first["tool_call_result"], first["parent_span_id"]) == ("inner", outer["span_id"])
    assert sorted(str(event.get("tool_call_result")) for event in others) == ["0", "1", "2", "3", "None"]
    assert {event["parent_span_id"] for event in others} == {outer["parent_span_id"]}
    assert [event["user_id"] for event in others] == ["ada"] * 4 + [None]
