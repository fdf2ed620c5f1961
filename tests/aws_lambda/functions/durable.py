"""A durable function, with this package above and below its decorator."""

from __future__ import annotations

from typing import Any

from aws_durable_execution_sdk_python import DurableContext, StepContext, durable_execution, durable_step
from aws_durable_execution_sdk_python.config import Duration

from zespan_serverless import capture, span, zespan_lambda


def model_call(operation: str) -> str:
    capture({"span_kind": "llm", "operation": operation})
    return operation


@durable_step
def ask(step: StepContext, operation: str) -> str:
    return model_call(operation)


def work(event: dict[str, Any], context: DurableContext) -> dict[str, Any]:
    with span("draft", replaying=context.is_replaying):
        draft = context.step(ask("draft"))
    with span("review", replaying=context.is_replaying):
        context.wait(Duration.from_seconds(1))
        review = context.step(ask("review"))
    if event.get("fail"):
        raise ValueError("no luck")
    return {"said": [draft, review]}


handler = zespan_lambda(durable_execution(work))
inside = durable_execution(zespan_lambda(work))
