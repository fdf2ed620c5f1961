"""AWS Lambda durable functions: a plugin of AWS's SDK that makes an event of every operation."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, Any

from aws_durable_execution_sdk_python.plugin import (  # pyright: ignore[reportMissingImports]
    DurableInstrumentationPlugin,
)

from . import _process, _trace
from ._base.guard import Guarded
from ._observe.spans import span
from ._record.record import Record

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ZespanOperations"]

_OUTSIDE = ("WAIT", "CALLBACK", "CHAINED_INVOKE")
"""Operations that run no function here, and end while the execution is suspended."""


class ZespanOperations:
    """A factory of plugins for `durable_execution`, below `@zespan_lambda`::

        from zespan_serverless.durable import ZespanOperations

        @zespan_lambda
        @durable_execution(plugins=[ZespanOperations()])
        def handler(event, context): ...

    Each attempt of a step has an event with name, number, duration and error; model calls in it are below it. Child
    contexts and the branches of `map` and `parallel` have one as well, and so have waits, callbacks and invocations of
    other functions, with the time that they took. A replay sends nothing again.

    The variable DURABLE_EXECUTION_PLUGINS=zespan does the same without code. There is one factory in a process, so that
    AWS's SDK knows it again if a function has both.
    """

    _only: ZespanOperations | None = None

    def __new__(cls) -> ZespanOperations:
        if cls._only is None:
            cls._only = super().__new__(cls)
        return cls._only

    def create_plugin(self, info: Any) -> DurableInstrumentationPlugin:
        """Return the plugin for one invocation."""
        return _Operations()


class _Operations(DurableInstrumentationPlugin):  # type: ignore[misc, unused-ignore]
    """The operations of one invocation. The SDK calls it in the thread that runs the operation."""

    def __init__(self) -> None:
        self._open: dict[tuple[str, int], Any] = {}

    def on_user_function_start(self, info: Any) -> None:
        if not info.is_replay_children:
            with Guarded("the start of an operation"):
                block = span(_name(info), metadata=_attributes(info))
                self._open[info.operation_id, threading.get_ident()] = block
                block.__enter__()

    def on_user_function_end(self, info: Any) -> None:
        with Guarded("the end of an operation"):
            block = self._open.pop((info.operation_id, threading.get_ident()), None)
            if block is not None:
                # The SDK is in the `finally` of the user's function, which an `except` may have called.
                error = None if info.outcome.value == "SUCCEEDED" else sys.exception()
                block.__exit__(None, error, None)

    def on_operation_end(self, info: Any) -> None:
        with Guarded("the end of an operation"):
            container = _process.current()
            if container is None or info.is_replayed or info.operation_type.value not in _OUTSIDE:
                return
            here, took, ended = _trace.new_span(_trace.current()), 0.0, None
            if info.start_time is not None and info.end_time is not None:
                took = max(0.0, (info.end_time - info.start_time).total_seconds() * 1000)
                ended = info.end_time.timestamp()

            def make() -> Record:
                record = Record(here, container.resource, "general", _name(info), took, _attributes(info), ended)
                if info.error is not None:
                    record.fail(str(info.error.message or info.error.type))
                    record.attributes = {**record.attributes, "error.type": info.error.type}
                return record

            container.capture(make, here.span_id)


def _name(info: Any) -> str:
    return str(info.name or info.sub_type or info.operation_type.value)


def _attributes(info: Any) -> Mapping[str, Any]:
    return {
        "aws.lambda.durable_execution.operation.id": info.operation_id,
        "aws.lambda.durable_execution.operation.type": str(info.sub_type or info.operation_type.value),
        **({} if info.attempt is None else {"aws.lambda.durable_execution.operation.attempt": info.attempt}),
    }


operations: ZespanOperations = ZespanOperations()
"""What the entry point `zespan` names."""
