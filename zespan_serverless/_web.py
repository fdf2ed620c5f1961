"""What the hosts of web applications have in common: a request as an Invocation, and what the platform below does."""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING, NamedTuple

from . import _container
from ._invocation import ColdStart, Invocation
from ._trace import parse_traceparent

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_TEXT_MAX = 1024


class Platform(NamedTuple):
    """Where a web application runs, as far as its environment tells.

    `keeps_cpu`: whether threads run on when no request is under way. `timeout`: seconds that a request may take.
    """

    name: str = ""
    attributes: Mapping[str, object] = {}
    keeps_cpu: bool = True
    timeout: float | None = None


def platform() -> Platform:
    """What this process runs on.

    Cloud Run gives CPU to requests only, unless it is billed by instance, which nothing in the container tells
    (https://cloud.google.com/run/docs/container-contract, https://cloud.google.com/run/docs/configuring/billing-settings).
    Lambda behind its Web Adapter freezes after the response (https://github.com/awslabs/aws-lambda-web-adapter).
    Any other process is taken for one that keeps its CPU.
    """
    environ = os.environ
    if "K_SERVICE" in environ:
        attributes = {
            "cloud.provider": "gcp",
            "cloud.platform": "gcp_cloud_run",
            "faas.version": environ.get("K_REVISION"),
        }
        return Platform(environ["K_SERVICE"], attributes, False, _seconds(environ.get("CLOUD_RUN_TIMEOUT_SECONDS")))
    if "AWS_LAMBDA_FUNCTION_NAME" in environ:
        attributes = {
            "cloud.provider": "aws",
            "cloud.platform": "aws_lambda",
            "faas.version": environ.get("AWS_LAMBDA_FUNCTION_VERSION"),
            "faas.instance": environ.get("AWS_LAMBDA_LOG_STREAM_NAME"),
        }
        return Platform(environ["AWS_LAMBDA_FUNCTION_NAME"], attributes, False)
    return Platform()


class WebHost:
    """A web server's answers to the core's questions (see `_lifecycle.Host`), but for `read`."""

    one_at_a_time = False

    def __init__(self) -> None:
        self.platform = platform()
        _container.at_exit()  # in a server that forks, its workers have it from here

    def origin(self) -> ColdStart:
        return ColdStart("cold")

    def result(self, result: object) -> Mapping[str, object]:
        """Of a status code. Only the server's own failures are errors, as OpenTelemetry has it."""
        if not isinstance(result, int):
            return {}
        said: dict[str, object] = {"http.response.status_code": result}
        if result >= 500:
            said |= {"error.type": str(result), "error.message": f"HTTP {result}"}
        return said

    def begin(self, invocation: Invocation) -> None: ...

    def goes_on(self, invocation: Invocation) -> bool:
        container = _container.current()
        wanted = container is not None and container.settings.flush_mode == "after_response"
        return wanted or self.platform.keeps_cpu

    def end(self, invocation: Invocation, flush: Callable[[], object] | None) -> bool:
        return False

    def request(
        self,
        method: str,
        path: str,
        scheme: str,
        header: Callable[[str], str | None],
        route: Callable[[], object],
    ) -> Invocation:
        """A request in neutral words. `header` gives one by its lower-case name; `route` is asked when all is over."""
        host = header("host")
        adapter = _adapter(header) if self.platform.attributes.get("cloud.provider") == "aws" else {}

        def describe() -> Mapping[str, object]:
            found = route()
            known = found[:_TEXT_MAX] if isinstance(found, str) else None
            return {
                "operation": f"{method} {known or path[:_TEXT_MAX]}",
                "faas.trigger": "http",
                "http.request.method": method,
                "http.route": known,
                "url.path": path[:_TEXT_MAX],
                "url.scheme": scheme,
                "server.address": host[:_TEXT_MAX] if host else None,
                **self.platform.attributes,
            }

        request_id = adapter.get("request_id")
        return Invocation(
            id=request_id if isinstance(request_id, str) else None,
            name=self.platform.name,
            parent=parse_traceparent(header("traceparent")),
            remaining=self._clock(adapter.get("deadline")),
            describe=describe,
        )

    def _clock(self, deadline_ms: object) -> Callable[[], float] | None:
        """The seconds that a request has left: until Lambda's deadline, or of Cloud Run's timeout."""
        if isinstance(deadline_ms, (int, float)):
            until = deadline_ms / 1000
            return lambda: until - time.time()
        if self.platform.timeout is None:
            return None
        end = time.monotonic() + self.platform.timeout
        return lambda: end - time.monotonic()


def _adapter(header: Callable[[str], str | None]) -> Mapping[str, object]:
    """What the Web Adapter tells of Lambda's context, in a header of its own."""
    try:
        found = json.loads(header("x-amzn-lambda-context") or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _seconds(text: str | None) -> float | None:
    try:
        value = float(text or 0)
    except ValueError:
        return None
    return value if 0 < value < float("inf") else None
