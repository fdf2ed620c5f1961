"""With Logfire, which exports by OTLP: instruments openai, and Lambda, where it flushes before the return."""

from __future__ import annotations

from typing import Any

import logfire
from bench_work import client, work

logfire.configure(send_to_logfire=False, service_name="f", console=False)
logfire.instrument_openai()
model = client()


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    return work(model, event)


logfire.instrument_aws_lambda(handler)
