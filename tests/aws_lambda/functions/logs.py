"""A handler that logs, as itself and as a library does, in whatever format Lambda is set to."""

from __future__ import annotations

import logging
from typing import Any

from zespan_serverless import add_trace_ids, capture, span, zespan_lambda

add_trace_ids()
logging.getLogger().setLevel(logging.INFO)
logging.getLogger().info("importing")


@zespan_lambda
def handler(event: Any, context: Any) -> None:
    logging.getLogger().info("in the handler")
    with span("step"):
        logging.getLogger("some.library").info("in a step")
    capture({"span_kind": "llm"})
