"""For your tests: a recording exporter, a stand-in for Lambda's context, a local backend with faults, and a reset.

with testing.recording() as events:
    my_handler({"prompt": "hi"}, testing.LambdaContext())
assert events[-1]["operation"] == "my-function"
"""

from __future__ import annotations

import time
import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from .. import _container, _settings
from ..exporters.memory import MemoryExporter
from ._backend import Backend

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Backend", "LambdaContext", "MemoryExporter", "recording", "reset"]


class LambdaContext:
    """What awslambdaric passes as `context`, with a real clock."""

    def __init__(self, timeout: float = 30.0, function_name: str = "my-function") -> None:
        self.aws_request_id = str(uuid.uuid4())
        self.function_name = function_name
        self.function_version = "$LATEST"
        self.memory_limit_in_mb = "512"
        self.invoked_function_arn = f"arn:aws:lambda:us-east-1:123456789012:function:{function_name}"
        self.log_group_name = f"/aws/lambda/{function_name}"
        self.log_stream_name = "2026/01/01/[$LATEST]0123456789abcdef0123456789abcdef"
        self._deadline = time.time() + timeout

    def get_remaining_time_in_millis(self) -> int:
        return max(0, int((self._deadline - time.time()) * 1000))


@contextmanager
def recording(**settings: Any) -> Iterator[list[dict[str, Any]]]:
    """Telemetry that goes into a list, for decorated functions called inside. Nothing leaves the process."""
    reset()
    exporter = MemoryExporter()
    _container.start(_settings.check({"exporter": exporter, "flush_mode": "before_return", **settings}))
    try:
        yield exporter.events
    finally:
        reset()


def reset() -> None:
    """Forget settings, events and spans, as if the package had just been imported. openai stays patched."""
    _container.forget()
