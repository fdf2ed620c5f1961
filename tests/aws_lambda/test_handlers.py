"""Every shape of handler, on Lambda and in a test: called once, with its own result, and none the wiser."""

from __future__ import annotations

import asyncio
import functools
import inspect
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock, Mock

import pytest
from zespan_serverless_dev.emulator.model import ModelEndpoint

from tests.aws_lambda.support import StartFunction, calls, roots
from zespan_serverless import ConfigurationError, capture, zespan_lambda
from zespan_serverless.testing import Backend, LambdaContext, recording

ROOT = Path(__file__).parents[2]
SHAPES = ["object", "method", "method_of_class", "partial", "async_object", "async_partial", "settings", "threads"]


@pytest.mark.parametrize("shape", SHAPES)
def test_handlers_of_every_shape_are_traced(start: StartFunction, backend: Backend, shape: str) -> None:
    """Whatever a handler is, it answers, it is traced with its calls, and its flush comes after the response."""
    sandbox = start(f"shapes.with_{shape}")
    for number in (1, 2):
        answer = sandbox.invoke("Ada")
        assert answer.payload == "hello Ada"
        assert len(roots(backend.events)) == len(backend.requests) == number
        root = roots(backend.events)[-1]
        assert root["metadata"]["faas.invocation_id"] == answer.request_id
        assert root["tags"] == ({"team": "search"} if shape == "settings" else None)
        for call in calls(backend.requests[-1].events):
            assert (call["trace_id"], call["parent_span_id"]) == (root["trace_id"], root["span_id"])
    assert len(calls(backend.events)) == (8 if shape == "threads" else 2)


def test_async_handler_keeps_one_loop(start: StartFunction, backend: Backend, model: ModelEndpoint) -> None:
    """An async handler has one loop for all invocations, so that its clients live on, and a context for each."""
    env = {"OPENAI_BASE_URL": model.url, "OPENAI_API_KEY": "none"}
    sandbox = start("asynchronous.handler", env=env, timeout=20)
    for number, tenant in enumerate(("a", "b", "c"), start=1):
        answer = sandbox.invoke({"tenant": tenant})
        assert answer.payload == {
            "tenant_before": None,
            "tenant_now": tenant,
            "loops": 1,
            "answers": ["Hello, serverless world!"] * 2,
        }
        assert len(backend.requests) == number
        (root,) = roots(backend.requests[-1].events)
        assert [call["parent_span_id"] for call in calls(backend.requests[-1].events)] == [root["span_id"]] * 2


def sync_handler(event: Any, context: Any) -> Any:
    """Return what it does."""
    return event()


async def async_handler(event: Any, context: Any) -> Any:
    """Return what it does."""
    await asyncio.sleep(0)
    return event()


both = pytest.mark.parametrize("function", [sync_handler, async_handler])


@both
def test_result_is_the_handlers(function: Callable[..., Any]) -> None:
    """The very object that the handler returned comes back, from one call."""
    result, event = object(), Mock()
    event.return_value = result
    with recording() as events:
        assert zespan_lambda(function)(event, LambdaContext()) is result
    event.assert_called_once_with()
    assert len(roots(events)) == 1


@both
@pytest.mark.parametrize("error", [ValueError("no luck"), SystemExit(3), KeyboardInterrupt(), GeneratorExit()])
def test_exception_is_the_handlers(function: Callable[..., Any], error: BaseException) -> None:
    """The very exception that the handler raised comes out, whatever kind it is, from one call."""
    event = Mock(side_effect=error)
    with recording() as events, pytest.raises(type(error)) as raised:
        zespan_lambda(function)(event, LambdaContext())
    assert raised.value is error
    event.assert_called_once_with()
    assert [root["status"] for root in roots(events)] == ["error"]


@both
def test_decorated_handler_keeps_its_name_and_signature(function: Callable[..., Any]) -> None:
    """Name, documentation, module and signature are the handler's."""
    decorated = zespan_lambda(function)
    assert (decorated.__name__, decorated.__doc__) == (function.__name__, "Return what it does.")
    assert (decorated.__module__, decorated.__qualname__) == (function.__module__, function.__qualname__)
    assert inspect.signature(decorated) == inspect.signature(function)
    assert inspect.unwrap(decorated) is function


@both
@pytest.mark.parametrize("context", [None, Mock(), MagicMock(), object()])
def test_unit_tests_may_pass_any_context(function: Callable[..., Any], context: Any) -> None:
    """A unit test may pass anything as a context: the handler works, and a recording has the event."""
    with recording() as events:
        assert zespan_lambda(function)(lambda: 42, context) == 42
    assert len(roots(events)) == 1


@both
def test_arguments_may_come_by_position_or_by_name(function: Callable[..., Any]) -> None:
    """Arguments may come by position or by name; wrong ones are the handler's own TypeError."""
    decorated, context = zespan_lambda(function), LambdaContext()
    with recording() as events:
        assert decorated(lambda: 1, context=context) == 1
        assert decorated(event=lambda: 2, context=context) == 2
        with pytest.raises(TypeError, match="missing 1 required positional argument"):
            decorated(lambda: 3)
    ids = [root["metadata"].get("faas.invocation_id") for root in roots(events)]
    assert ids == [context.aws_request_id, context.aws_request_id, None]


def test_async_handler_under_a_running_loop() -> None:
    """In an async test the result of an async handler is awaited, and is traced just the same."""

    async def main() -> Any:
        awaitable = zespan_lambda(async_handler)(lambda: 42, LambdaContext())
        assert inspect.isawaitable(awaitable)
        return await awaitable

    with recording() as events:
        assert asyncio.run(main()) == 42
    assert len(roots(events)) == 1


def test_class_as_handler_makes_an_instance() -> None:
    """A class is called to make an instance; that its instances can be awaited or called is another matter."""

    class Handler:
        def __init__(self, event: Any, context: Any) -> None:
            self.event = event

        async def __call__(self) -> None: ...

    with recording() as events:
        made: Any = zespan_lambda(Handler)("event", LambdaContext())
    assert made.event == "event"
    assert len(roots(events)) == 1


def test_plain_function_costs_no_import() -> None:
    """Decorating a plain function, sync or async, imports neither inspect nor asyncio."""
    script = """
import logging, sys  # logging imports inspect in Python 3.14, but not in 3.13 and 3.15
before = set(sys.modules)
from zespan_serverless import zespan_lambda

@zespan_lambda
def handler(event, context): ...

@zespan_lambda
async def handler(event, context): ...

assert not {"inspect", "asyncio"} & (set(sys.modules) - before), "imported"
assert handler({}, None) is None
"""
    subprocess.run([sys.executable, "-c", script], check=True, cwd=ROOT)


def test_copied_mark_does_not_prevent_decorating() -> None:
    """functools.wraps copies our mark to a function that is not ours: it is decorated all the same."""

    @zespan_lambda
    def ours(event: Any, context: Any) -> str:
        return "ours"

    @functools.wraps(ours)
    def theirs(event: Any, context: Any) -> str:
        capture({"span_kind": "llm"})
        return "theirs"

    assert zespan_lambda(ours) is ours
    with recording() as events:
        assert zespan_lambda(theirs)({}, LambdaContext()) == "theirs"
    assert len(roots(events)) == len(calls(events)) == 1


def test_mistakes_in_code_raise_while_decorating() -> None:
    """A setting that does not exist, and a setting passed as if it were a handler, raise at import."""
    with pytest.raises(ConfigurationError, match="did you mean 'flush_timeout'"):
        zespan_lambda(flush_timeot=1)  # type: ignore[call-overload]
    with pytest.raises(ConfigurationError, match="settings go by keyword"):
        zespan_lambda("zsp_key")  # type: ignore[call-overload]
