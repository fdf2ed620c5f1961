"""A durable function, with this package above and below its decorator."""

from __future__ import annotations

from typing import Any

from aws_durable_execution_sdk_python import DurableContext, StepContext, durable_execution, durable_step
from aws_durable_execution_sdk_python.config import Duration, StepConfig
from aws_durable_execution_sdk_python.retries import RetryDecision

from zespan_serverless import capture, span, zespan_lambda
from zespan_serverless.durable import ZespanOperations


def model_call(operation: str) -> str:
    capture({"span_kind": "llm", "operation": operation})
    return operation


@durable_step
def ask(step: StepContext, operation: str) -> str:
    if operation == "fails":
        raise ValueError("no luck")
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


def operations(event: dict[str, Any], context: DurableContext) -> dict[str, Any]:
    drafts: Any = context.map(["a", "b"], lambda inner, item, *_: inner.step(ask(item), name=item), name="drafts")
    context.wait(Duration.from_seconds(1), name="pause")
    once = StepConfig(retry_strategy=lambda error, attempt: RetryDecision(attempt < 2, Duration.from_seconds(1)))
    review = context.step(ask("fails" if event.get("fail") else "review"), name="review", config=once)
    return {"said": [*drafts.get_results(), review]}


handler = zespan_lambda(durable_execution(work))
steps = zespan_lambda(durable_execution(operations, plugins=[ZespanOperations()]))
inside = durable_execution(zespan_lambda(work))
