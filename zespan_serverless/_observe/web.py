"""Common parts of web hosts: converts a request to an Invocation, and decides when to flush."""

from __future__ import annotations

import functools
import sys
from typing import TYPE_CHECKING, Any

from .. import _process, _trace, settings
from .._base.guard import Guarded, pass_on
from .._platforms.detect import detect
from .._platforms.platform import TEXT_MAX
from .._platforms.probes import is_probe
from .._process import sigterm
from .._record.invocation import Description, Invocation, Result
from .host import Host, Request

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .._platforms.platform import Header, Platform, RequestFacts
    from .._trace import Span


def read_status(status: object, is_cut: bool = False) -> Result:
    """Return the outcome that a response's status means. `is_cut`: the client disconnected before its end."""
    number = int(status) if isinstance(status, int) else None  # as in http.HTTPStatus
    return Result(number, {"client_disconnected": True} if is_cut else None)


class WebHost(Host[Request]):
    """A web server as a host, except for `read`."""

    one_at_a_time = False
    is_told_to_stop = True
    """Whether the host learns when the process has served its last request: from atexit, or the lifespan protocol."""

    def __init__(self, arguments: Mapping[str, Any] | None = None) -> None:
        self.platform: Platform = detect()
        self.may_suspend: bool = self.platform.may_suspend
        if self.platform.attributes.get("cloud.provider") == "azure":
            from .._platforms import azure

            if azure.in_worker() and settings.usable(settings.resolve(arguments or {})):
                _process.watch()  # only here is this the main thread: WSGI applications are called in others

    def resource(self) -> Mapping[str, object]:
        return self.platform.attributes

    def process_stays_alive(self, invocation: Invocation) -> bool:
        if not self.is_told_to_stop and sigterm.terminating():
            return False  # the server is about to end the process
        if self.platform.keeps_cpu:
            return True
        container = _process.current()
        return container is not None and container.settings.flush_mode == "after_response"

    def invocation(
        self,
        method: str,
        path: str,
        scheme: str,
        header: Header,
        route: Callable[[], object],
        extensions: Mapping[str, Any] | None = None,
    ) -> Invocation:
        """Describe a request. `header` returns a header by its lower-case name; `route` is called at the end.

        `extensions` contains the server's own entries: of an ASGI scope, or a WSGI environ.
        """
        facts = self.platform.facts(header)
        # AsgiFunctionApp or WsgiFunctionApp of `azure.functions`.
        if extensions and "azure_functions.invocation_id" in extensions:
            from .._platforms import azure

            facts = azure.request_facts(extensions, facts)
        return Invocation(  # without names, which cost a class 0.8 us
            facts.id,
            facts.name or self.platform.name,
            facts.parent,
            facts.remaining,
            functools.partial(_described, method[:TEXT_MAX], path, scheme, header("host"), route, facts),
            lambda: is_probe(path, header) or self.platform.is_check(path, header),
            self.platform.kills,
        )


def _described(
    method: str, path: str, scheme: str, host: str | None, route: Callable[[], object], facts: RequestFacts
) -> Description:
    """Describe a request that has ended: its route is known by then."""
    found = route()
    known = found[:TEXT_MAX] if isinstance(found, str) else None
    attributes = {
        "faas.trigger": "http",
        "http.request.method": method,
        "http.route": known,
        "url.path": path[:TEXT_MAX],
        "url.scheme": scheme,
        "server.address": host[:TEXT_MAX] if host else None,
        **facts.attributes(),
    }
    return Description(attributes, f"{method} {known or path[:TEXT_MAX]}")


def note_inner_error(error: Exception) -> None:
    """Store the exception of an inner application that its framework turns into a response.

    If the response is a failure, the root event names this error.
    """
    here = _trace.current()
    active = here.root.invocation() if here is not None else None
    if active is not None:
        active.inner_error = error


def go_on() -> None:
    """Send what was pending when this process was suspended, without waiting. Never raises."""
    with Guarded("a restore"):
        container = _process.current()
        if container is not None and container.delivery.pending:
            container.delivery.flush_in_background(container.settings.flush_timeout)


def address(span: Span, user_id: str | None, session_id: str | None) -> None:
    """Put the user and the session that a platform names on a root span, where the user's own code names none."""
    span.user_id = span.user_id or (user_id[:TEXT_MAX] if user_id else None)
    span.session_id = span.session_id or (session_id[:TEXT_MAX] if session_id else None)


def django_route(kind: str, path: str) -> str | None:
    """Return the route that Django matches to a path, if this process serves with its handler (`asgi` or `wsgi`).

    Django does not expose the route that it has matched, so the path is resolved again.
    """
    if f"django.core.handlers.{kind}" not in sys.modules:
        return None
    try:
        return "/" + str(sys.modules["django.urls"].resolve(path).route).removeprefix("/")
    except Exception as error:  # no such route, or not a Django application
        pass_on(error)
        return None


def content_length(value: str | bytes | None) -> int:
    """Return the number of bytes in a Content-Length header; -1 if it is missing or not a number."""
    try:
        return -1 if value is None else int(value)
    except ValueError:
        return -1
