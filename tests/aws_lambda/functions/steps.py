"""A handler that does what its event says. A captured event stands in for a model call, which would cost an import."""

from __future__ import annotations

import os
import threading
import time
from typing import Any

from zespan_serverless import capture, zespan_lambda


def model_call() -> None:
    capture({"span_kind": "llm", "operation": "chat"})


@zespan_lambda
def handler(event: Any, context: Any) -> Any:
    model_call()
    match event:
        case {"sleep": seconds}:
            time.sleep(seconds)
        case {"raise": text}:
            raise ValueError(text)
        case {"leave": code}:
            raise SystemExit(code)
        case {"late": seconds}:
            threading.Thread(target=late, args=(seconds,), daemon=True).start()
    return {"pid": os.getpid()}


def late(seconds: float) -> None:
    """A model call that ends when the invocation is over."""
    time.sleep(seconds)
    model_call()
