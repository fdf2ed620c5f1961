"""With this package, as its README says."""

from __future__ import annotations

from typing import Any

from bench_work import client, work

from zespan_serverless import zespan_lambda

model = client()


@zespan_lambda
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    return work(model, event)
