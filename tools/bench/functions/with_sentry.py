"""With Sentry: its integrations of Lambda, which flushes before the return, and of openai."""

from __future__ import annotations

import os
from typing import Any

import sentry_sdk
from bench_work import client, work
from sentry_sdk.integrations.aws_lambda import AwsLambdaIntegration
from sentry_sdk.integrations.openai import OpenAIIntegration

sentry_sdk.init(
    dsn=os.environ["BENCH_BACKEND"].replace("://", "://public@") + "/1",
    integrations=[AwsLambdaIntegration(timeout_warning=True), OpenAIIntegration()],
    traces_sample_rate=1.0,
    send_default_pii=True,
)
model = client()


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    return work(model, event)
