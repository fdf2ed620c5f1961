"""Without telemetry."""

from __future__ import annotations

from typing import Any

from bench_work import client, work

model = client()


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    return work(model, event)
