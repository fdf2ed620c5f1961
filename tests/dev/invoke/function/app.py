"""A handler that does what its event says."""

from __future__ import annotations

import time
from typing import Any

from zespan_serverless import span, zespan_lambda


@zespan_lambda
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    print("called with", event)
    match event:
        case {"sleep": seconds}:
            with span("sleep"):
                time.sleep(seconds)
        case {"raise": message}:
            raise ValueError(message)
    return {"remaining_ms": context.get_remaining_time_in_millis()}
