"""Stand-ins for the contexts that platforms pass to a function with its event."""

from __future__ import annotations

import threading
import time
import uuid
from types import SimpleNamespace


class LambdaContext:
    """The `context` argument of AWS Lambda.

    Args:
        timeout: Seconds from now until the invocation times out, by the real clock.
        function_name: Name of the function, also in its ARN and log group.
        aws_request_id: Id of the invocation. Default: a new one.
    """

    def __init__(
        self, timeout: float = 30.0, function_name: str = "my-function", *, aws_request_id: str | None = None
    ) -> None:
        self.aws_request_id: str = aws_request_id or str(uuid.uuid4())
        self.function_name = function_name
        self.function_version = "$LATEST"
        self.memory_limit_in_mb = "512"
        self.invoked_function_arn: str = f"arn:aws:lambda:us-east-1:123456789012:function:{function_name}"
        self.log_group_name: str = f"/aws/lambda/{function_name}"
        self.log_stream_name = "2026/01/01/[$LATEST]0123456789abcdef0123456789abcdef"
        self._deadline = time.time() + timeout

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds until the invocation times out; 0 after that."""
        return max(0, int((self._deadline - time.time()) * 1000))

    def __repr__(self) -> str:
        remaining = self.get_remaining_time_in_millis()
        return f"<LambdaContext of {self.function_name}, request {self.aws_request_id}, {remaining} ms left>"


class AzureContext:
    """The `context` argument of Azure Functions.

    Args:
        function_name: Name of the function.
        invocation_id: Id of the invocation. Default: a new one.
        traceparent: W3C trace context of the Functions host. Default: none.
        retry_count: How often the invocation has been retried.
        max_retry_count: How often it may be retried; 0 if it has no retry policy.
    """

    def __init__(
        self,
        function_name: str = "my-function",
        *,
        invocation_id: str | None = None,
        traceparent: str | None = None,
        retry_count: int = 0,
        max_retry_count: int = 0,
    ) -> None:
        self.function_name = function_name
        self.function_directory: str = f"/home/site/wwwroot/{function_name}"
        self.invocation_id: str = invocation_id or str(uuid.uuid4())
        self.thread_local_storage: threading.local = threading.local()
        self.trace_context: SimpleNamespace = SimpleNamespace(trace_parent=traceparent, trace_state=None, attributes={})
        self.retry_context: SimpleNamespace = SimpleNamespace(
            retry_count=retry_count, max_retry_count=max_retry_count, exception=None
        )

    def __repr__(self) -> str:
        return f"<AzureContext of {self.function_name}, invocation {self.invocation_id}>"


class GoogleContext:
    """The `context` argument of a background function under Google's functions framework.

    Args:
        event_type: Type of the event.
        resource: Name of the resource that the event is from.
        event_id: Id of the event. Default: a new one.
        timestamp: When the event happened, in ISO 8601.
    """

    def __init__(
        self,
        event_type: str = "google.pubsub.topic.publish",
        resource: str = "projects/my-project/topics/my-topic",
        *,
        event_id: str | None = None,
        timestamp: str = "2026-01-01T00:00:00.000Z",
    ) -> None:
        self.event_id: str = event_id or str(uuid.uuid4())
        self.event_type = event_type
        self.resource = resource
        self.timestamp = timestamp

    def __repr__(self) -> str:
        return f"<GoogleContext of {self.event_type}, event {self.event_id}>"
