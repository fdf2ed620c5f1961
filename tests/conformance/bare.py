"""The package as if it were not there: the same names, which do nothing. What rooms are compared with."""

from __future__ import annotations

import contextlib
import inspect
import sys
import types
from collections.abc import Callable, Iterator
from typing import Any


def install() -> None:
    """`import zespan_serverless` gives this from now on."""
    bare: Any = types.ModuleType("zespan_serverless")
    middleware = types.SimpleNamespace(ZespanMiddleware=lambda app, **settings: app)
    bare.asgi = bare.wsgi = middleware
    bare.zespan_lambda = _decorator(_handler)
    bare.zespan_azure = _decorator(_without_context)
    for name in (
        *("zespan_gcf", "zespan_cloud_event", "zespan_job", "zespan_vercel", "zespan_agentcore", "zespan_alibaba"),
        *("zespan_openwhisk", "zespan_oracle", "zespan_runpod", "zespan_cog", "zespan_modal", "zespan_vercel_queue"),
        *("zespan_cloudflare", "zespan_vercel_step"),
    ):
        setattr(bare, name, _decorator(lambda function: function))
    bare.run, bare.span, bare.with_context = _run, _block, _block
    bare.task_scope = lambda name, **settings: contextlib.nullcontext()
    bare.traced_records = lambda event: event["Records"]
    bare.capture = bare.init = bare.traceparent = lambda *args, **settings: None
    bare.flush = bare.shutdown = lambda timeout=None: types.SimpleNamespace(pending=0, reason="")
    sys.modules["zespan_serverless"] = bare


def _decorator(decorate: Callable[[Any], Any]) -> Callable[..., Any]:
    """Bare, and with settings."""
    return lambda function=None, **settings: decorate if function is None else decorate(function)


def _handler(function: Any) -> Any:
    """Lambda knows no `async def`: its users have a loop of their own for that."""
    if not inspect.iscoroutinefunction(function):
        return function
    import asyncio
    import atexit

    runner = asyncio.Runner()
    atexit.register(runner.close)

    def handler(*args: Any) -> Any:
        return function(*args) if _loop_is_running() else runner.run(function(*args))

    return handler


def _loop_is_running() -> bool:
    import asyncio

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _without_context(function: Any) -> Any:
    """Azure's worker passes its context only to those who ask for it."""
    return lambda context=None, **inputs: function(**inputs)


def _run(name: Any = None, /, **settings: Any) -> Any:
    return name if callable(name) else _Block()


class _Block(contextlib.nullcontext[None]):
    def __call__(self, function: Any) -> Any:
        return function


class _Target(dict[str, Any]):
    """What a block is entered as: it takes whatever it is told."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *args, **fields: None


@contextlib.contextmanager
def _block(*args: Any, **fields: Any) -> Iterator[dict[str, Any]]:
    yield _Target()
