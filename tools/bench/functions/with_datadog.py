"""With Datadog: its wrapper of Lambda functions, and LLM Observability without an agent."""

from __future__ import annotations

from typing import Any

from bench_work import client, work
from datadog_lambda.wrapper import datadog_lambda_wrapper
from ddtrace import patch

patch(openai=True)
model = client()


@datadog_lambda_wrapper
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    return work(model, event)
