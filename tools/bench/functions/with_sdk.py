"""With the official SDK, as on a server: it sends on a timer."""

from __future__ import annotations

import os
from typing import Any

import zespan
from bench_work import client, work

zespan.init(
    api_key="zsp_bench", endpoint=os.environ["BENCH_BACKEND"] + "/v1/ingest", base_url=os.environ["BENCH_BACKEND"]
)
model = client()


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    return work(model, event)
