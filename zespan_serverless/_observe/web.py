"""What the hosts of web applications have in common: a request as an Invocation, and what the platform below does."""

from __future__ import annotations

import json
import os
import sys
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from .. import _process, settings
from .._base.guard import pass_on
from .._process import sigterm
from .._record.invocation import ColdStart, Invocation
from .._trace.context import parse_traceparent

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_TEXT_MAX = 1024

# Who asks whether we are well: Kubernetes, load balancers of Google, AWS and Azure, Route 53, Azure's App Service.
_PROBES = (
    *("kube-probe/", "GoogleHC/", "ELB-HealthChecker/", "Amazon-Route53-Health-Check-Service", "Edge Health Probe"),
    *("Load Balancer Agent", "HealthCheck/1.0", "ReadyForRequest/1.0", "AlwaysOn"),
)
# Where they ask, and what platforms announce: warm-ups, snapshots, ends.
_PROBED = frozenset(
    (
        *("/health", "/healthz", "/healthcheck", "/health-check", "/health/live", "/health/ready", "/_health"),
        *("/live", "/livez", "/liveness", "/ready", "/readyz", "/readiness", "/ping", "/_ah/health", "/_ah/warmup"),
        *(
            "/admin/warmup",
            "/robots933456.txt",
            "/_agent/before-snapshot",
            "/_agent/after-restore",
            "/_before_snapshot",
        ),
        *("/pre-freeze", "/pre-stop"),
    )
)
_HOOKS = "/aws/lambda-microvms/runtime/v1/"


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
    Vercel, which may run on Lambda, gives CPU while requests are under way (`zespan_vercel` makes more of that:
    https://vercel.com/docs/environment-variables/system-environment-variables).
    Any other process is taken for one that keeps its CPU.
    """
    environ = os.environ
    if "VERCEL" in environ or "VERCEL_IPC_PATH" in environ:
        attributes: dict[str, object] = {
            "cloud.provider": "vercel",
            "cloud.region": environ.get("VERCEL_REGION"),
            "faas.version": environ.get("VERCEL_DEPLOYMENT_ID"),
            "vercel.env": environ.get("VERCEL_ENV"),
            "vercel.url": environ.get("VERCEL_URL"),
        }
        name = environ.get("__VC_HANDLER_ENTRYPOINT", "")
        return Platform(name, attributes, keeps_cpu=False)
    if "K_SERVICE" in environ:
        from .._platforms import google

        timeout = _positive(environ.get("CLOUD_RUN_TIMEOUT_SECONDS"))
        return Platform(environ["K_SERVICE"], google.attributes(), False, timeout)
    if "AWS_LAMBDA_FUNCTION_NAME" in environ:
        attributes = {
            "cloud.provider": "aws",
            "cloud.platform": "aws_lambda",
            "faas.version": environ.get("AWS_LAMBDA_FUNCTION_VERSION"),
            "faas.instance": environ.get("AWS_LAMBDA_LOG_STREAM_NAME"),
        }
        return Platform(environ["AWS_LAMBDA_FUNCTION_NAME"], attributes, False)
    if "FUNCTIONS_WORKER_RUNTIME" in environ:
        from .._platforms import azure

        return Platform(azure.full_name(""), azure.attributes(""), timeout=azure.app().timeout)
    return Platform()


class Response(NamedTuple):
    """What is known of a response by its end. `cut`: the client left before it."""

    status: object
    cut: bool = False

    def describe(self) -> dict[str, object]:
        """As attributes. Only the server's own failures are errors, as OpenTelemetry has it."""
        said: dict[str, object] = {"client_disconnected": True} if self.cut else {}
        if isinstance(self.status, int):
            status = int(self.status)  # of an http.HTTPStatus
            said["http.response.status_code"] = status
            if status >= 500:
                said |= {"error.type": str(status), "error.message": f"HTTP {status}"}
        return said


class WebHost:
    """A web server's answers to the core's questions (see `_observe.call.Host`), but for `read`."""

    one_at_a_time = False
    is_told_to_stop = True
    """Whether we hear of it when the process has served its last request: from atexit, or the lifespan protocol."""

    def __init__(self, arguments: Mapping[str, Any] | None = None) -> None:
        self.platform: Platform = platform()
        if self.platform.attributes.get("cloud.provider") == "azure":
            from .._platforms import azure

            if azure.in_worker() and settings.usable(settings.resolve(arguments or {})):
                _process.watch()  # only now is this the main thread: WSGI applications are called in others

    @property
    def is_killed(self) -> bool:
        """Whether the process ends with the time of a request. On Cloud Run it goes on:
        https://cloud.google.com/run/docs/configuring/request-timeout."""
        return self.platform.attributes.get("cloud.provider") != "gcp"

    def origin(self) -> ColdStart:
        return ColdStart("cold")

    def result(self, result: object) -> Mapping[str, object]:
        """Of a response, or its status."""
        return (result if isinstance(result, Response) else Response(result)).describe()

    def begin(self, invocation: Invocation, on_record: Callable[[], None]) -> None:
        on_record()

    def goes_on(self, invocation: Invocation) -> bool:
        if sigterm.terminating() and not self.is_told_to_stop:
            return False  # the server is about to end the process
        container = _process.current()
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
        extensions: Mapping[str, Any] | None = None,
    ) -> Invocation:
        """A request in neutral words. `header` gives one by its lower-case name; `route` is asked when all is over.

        `extensions` is where a server puts what is its own: an ASGI scope, a WSGI environ.
        """
        if extensions and "azure_functions.invocation_id" in extensions:
            return self._on_azure(self.request(method, path, scheme, header, route), extensions)
        host, method = header("host"), method[:_TEXT_MAX]
        provider = self.platform.attributes.get("cloud.provider")
        is_cron = provider == "vercel" and (header("user-agent") or "").startswith("vercel-cron/")

        def describe() -> Mapping[str, object]:
            found = route()
            known = found[:_TEXT_MAX] if isinstance(found, str) else None
            return {
                "operation": f"{method} {known or path[:_TEXT_MAX]}",
                "faas.trigger": "timer" if is_cron else "http",  # https://vercel.com/docs/cron-jobs
                "http.request.method": method,
                "http.route": known,
                "url.path": path[:_TEXT_MAX],
                "url.scheme": scheme,
                "server.address": host[:_TEXT_MAX] if host else None,
                **self.platform.attributes,
            }

        adapter = _adapter(header) if provider == "aws" else {}
        request_id = header("x-vercel-id") if provider == "vercel" else adapter.get("request_id")
        invocation = Invocation(
            is_probe=_is_probe(path, header),
            is_killed=self.is_killed,
            id=request_id[:_TEXT_MAX] if isinstance(request_id, str) else None,
            name=self.platform.name,
            parent=parse_traceparent(header("traceparent")),
            remaining=self._clock(adapter.get("deadline")),
            describe=describe,
        )
        return self._on_google(invocation, header) if "K_SERVICE" in os.environ else invocation

    def _on_google(self, invocation: Invocation, header: Callable[[str], str | None]) -> Invocation:
        """A request on Cloud Run: Google's own header of a trace, and what it says of who calls."""
        from .._platforms import google

        parent, links = google.parents(header)
        return invocation.replaced(
            id=(header("function-execution-id") or "")[:_TEXT_MAX] or None,
            parent=parent,
            describe=lambda: {**invocation.describe(), **google.by_header(header), **links},
        )

    def _on_azure(self, invocation: Invocation, said: Mapping[str, Any]) -> Invocation:
        """A request that azure.functions' AsgiFunctionApp or WsgiFunctionApp has made of an invocation."""
        from .._platforms import azure

        function, invocation_id = said.get("azure_functions.function_name"), said["azure_functions.invocation_id"]
        name = function if isinstance(function, str) else ""
        return invocation.replaced(
            id=invocation_id if isinstance(invocation_id, str) else None,
            name=azure.full_name(name),
            parent=azure.parent(said.get("azure_functions.trace_context")) or invocation.parent,
            describe=lambda: {**invocation.describe(), **azure.attributes(name)},
        )

    def _clock(self, deadline_ms: object) -> Callable[[], float] | None:
        """The seconds that a request has left: until Lambda's or Vercel's deadline, or of Cloud Run's timeout."""
        until = _positive(deadline_ms)
        if until is not None:
            return lambda: until / 1000 - time.time()
        ends = vercel_deadline()
        if ends is not None:
            return lambda: ends - time.time()
        return countdown(self.platform.timeout)


def _is_probe(path: str, header: Callable[[str], str | None]) -> bool:
    """Whether a request is one that platforms make to see how we are, or to tell us what they are about to do."""
    where = path.rstrip("/").lower()
    return where in _PROBED or where.startswith(_HOOKS) or (header("user-agent") or "").startswith(_PROBES)


def django_route(kind: str, path: str) -> str | None:
    """The route that Django takes for a path, if this process serves with its handler (`asgi` or `wsgi`). It keeps
    what it has found to itself, so it is asked again."""
    if f"django.core.handlers.{kind}" not in sys.modules:
        return None
    try:
        return "/" + str(sys.modules["django.urls"].resolve(path).route).removeprefix("/")
    except Exception as error:  # no such route, or not a Django application after all
        pass_on(error)
        return None


def content_length(value: str | bytes | None) -> int:
    """How many bytes a Content-Length header announces; -1 if it says nothing."""
    try:
        return -1 if value is None else int(value)
    except ValueError:
        return -1


def countdown(seconds: float | None) -> Callable[[], float] | None:
    """What is left of so many seconds from now on; None if nobody knows how many there are."""
    if seconds is None:
        return None
    end = time.monotonic() + seconds
    return lambda: end - time.monotonic()


def _adapter(header: Callable[[str], str | None]) -> Mapping[str, object]:
    """What the Web Adapter tells of Lambda's context, in a header of its own."""
    try:
        found = json.loads(header("x-amzn-lambda-context") or "{}")
    except (ValueError, RecursionError):  # where there is no Adapter it may be anybody's
        return {}
    return found if isinstance(found, dict) else {}


def vercel_deadline() -> float | None:
    """When Vercel ends the request under way, seconds since the epoch; as `vercel.functions.get_deadline` has it."""
    ask = getattr(sys.modules.get("vercel_runtime"), "get_deadline", None)
    if ask is None:
        return None
    try:
        found: float = ask().timestamp()
    except Exception as error:
        pass_on(error)
        return None  # no runtime of Vercel's, or one that sets no deadline
    return found


def _positive(value: Any) -> float | None:
    try:
        number = float(value)
    except (ValueError, TypeError, OverflowError):
        return None
    return number if 0 < number < float("inf") else None
