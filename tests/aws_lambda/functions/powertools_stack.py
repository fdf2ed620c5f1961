"""Powertools' logger, tracer and metrics around one of our handlers, and the other way round."""

from __future__ import annotations

import os
import urllib.request
from typing import Any

from aws_lambda_powertools import Logger, Metrics, Tracer
from openai import OpenAI

from zespan_serverless import add_trace_ids, zespan_lambda
from zespan_serverless.powertools import delivery_metrics

logger = Logger(service="stack")
# With httplib among them every HTTP request of this process is traced: ours too, if they could be seen.
modules = os.environ.get("MODULES")
tracer = Tracer(service="stack", patch_modules=modules.split(",") if modules else None)
metrics = Metrics(namespace="Mine", service="stack")
add_trace_ids(logger)
client = OpenAI()
decorate: Any = zespan_lambda(on_flush=delivery_metrics(namespace="Telemetry", service="stack", stage="test"))


def work(event: Any, context: Any) -> Any:
    messages: Any = [{"role": "user", "content": "hello"}]
    answer = client.chat.completions.create(model="gpt-4o-mini", messages=messages).choices[0].message.content
    logger.info("answered")
    metrics.add_metric("Answers", "Count", 1)
    if event.get("get"):
        urllib.request.urlopen(event["get"]).close()
    if event.get("fail"):
        raise ValueError("as asked")
    return {"answer": answer}


def powertools(handler: Any) -> Any:
    decorated: Any = metrics.log_metrics(handler, capture_cold_start_metric=True)
    decorated = tracer.capture_lambda_handler(decorated)
    return logger.inject_lambda_context(decorated, log_event=True, clear_state=True)


above = decorate(powertools(work))
below = powertools(decorate(work))
