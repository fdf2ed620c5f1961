"""Functions of azure-functions-durable. What the replays have done is said by `text()`."""

from typing import Any

import azure.durable_functions as df  # type: ignore[import-untyped]
import azure.functions as func
from page import app  # type: ignore[import-not-found]  # the app of the documentation's page

from zespan_serverless import span, zespan_azure

RUNS: list[str] = []


@app.orchestration_trigger(context_name="context")
@zespan_azure
def traced(context: Any) -> Any:
    """An orchestrator that is no generator function, as those of durable OpenAI agents."""
    RUNS.append(f"replay: {context.is_replaying}")
    return run(context)


def run(context: Any) -> Any:
    return (yield context.call_activity("attempt", "a")) + (yield context.call_activity("attempt", "b"))


@app.activity_trigger(input_name="word")
@zespan_azure
async def attempt(word: str) -> str:
    with span("inside"):
        if word == "fails":
            raise LookupError("mine")
    return word.upper()


@app.entity_trigger(context_name="context")
@zespan_azure
def tally(context: df.DurableEntityContext) -> None:
    with span("inside"):
        if context.operation_name == "fail":
            raise LookupError("mine")
    context.set_state((context.get_state(lambda: 0) or 0) + 1)
    context.set_result(context.get_input())


@app.route(route="runs")
def runs(req: func.HttpRequest) -> str:
    return ", ".join(RUNS)
