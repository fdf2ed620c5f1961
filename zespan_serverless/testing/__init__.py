"""For your tests: a recording exporter, a stand-in for Lambda's context, a local backend with faults, and a reset.

with testing.recording() as events:
    my_handler({"prompt": "hi"}, testing.LambdaContext())
assert events[-1]["operation"] == "my-function"
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Unpack

from .. import _observe, _process
from .. import settings as _settings
from .._observe import api
from ..exporters.memory import MemoryExporter
from ._backend import Backend

__all__ = ["Backend", "LambdaContext", "MemoryExporter", "recording", "reset"]


_FLUSH = 5.0  # seconds that the end of a recording waits, at most, for what has been captured outside of invocations
_recordings: list[dict[str, Any]] = []  # under way, the latest last


class LambdaContext:
    """What awslambdaric passes as `context`, with a real clock. `timeout` in seconds; without an id a new one."""

    def __init__(
        self, timeout: float = 30.0, function_name: str = "my-function", *, aws_request_id: str | None = None
    ) -> None:
        self.aws_request_id = aws_request_id or str(uuid.uuid4())
        self.function_name = function_name
        self.function_version = "$LATEST"
        self.memory_limit_in_mb = "512"
        self.invoked_function_arn = f"arn:aws:lambda:us-east-1:123456789012:function:{function_name}"
        self.log_group_name = f"/aws/lambda/{function_name}"
        self.log_stream_name = "2026/01/01/[$LATEST]0123456789abcdef0123456789abcdef"
        self._deadline = time.time() + timeout

    def get_remaining_time_in_millis(self) -> int:
        return max(0, int((self._deadline - time.time()) * 1000))

    def __repr__(self) -> str:
        left = self.get_remaining_time_in_millis()
        return f"<LambdaContext of {self.function_name}, request {self.aws_request_id}, {left} ms left>"


@contextmanager
def recording(**settings: Unpack[_settings.SettingsKwargs]) -> Iterator[list[dict[str, Any]]]:
    """Telemetry that goes into a list, for decorated functions called inside. Nothing leaves the process.

    What a function was decorated with is in force: it records no prompts if it sends none. `settings` (see `Settings`)
    prevail over that, and both over the environment; ZESPAN_ENABLED=0 does not switch a recording off. The list is
    complete after the block; inside, it has the events of every invocation that is over.

    There is one telemetry in a process, and so one list at a time: of several recordings, nested or in several threads,
    the one that began last has the events. Raises ConfigurationError for a setting that does not exist.
    """
    exporter = MemoryExporter()
    given = {"exporter": exporter, "flush_mode": "before_return", "journal": "off", **settings}
    mine = _settings.check(given)
    _recordings.append(mine)
    _record(mine)
    try:
        yield exporter.events
    finally:
        api.flush(_FLUSH)
        _recordings.remove(mine)
        _record(_recordings[-1] if _recordings else {})


def _record(settings: dict[str, Any]) -> None:
    _process.record(settings)
    if settings:
        _observe.start({})


def reset() -> None:
    """Forget settings, events and spans, as if the package had just been imported. openai stays patched."""
    _process.forget()
