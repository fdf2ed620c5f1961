"""Adds the trace context to the user's outgoing requests and messages.

    headers   the W3C headers of the current span      allowed   where they may be sent automatically
    http      adds them to requests                    aws       adds them to messages

Nothing is patched unless `propagate_to` names a host or a service. A patch changes neither the user's objects nor the
result of a call, never sends twice, and sends without the headers if anything in this package fails.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import ModuleType

_REQUESTS = (
    "httpx._transports.default",
    "httpx2._transports.default",
    "urllib3.connectionpool",
    "aiohttp.client_reqrep",
)
_MESSAGES = ("botocore.client", "aiobotocore.client")


def watch() -> None:
    """Add the trace context to what is sent to the hosts and services of `propagate_to`. Idempotent.

    A library that has not been imported yet is patched when it is: this imports none. requests sends by urllib3.
    """
    from .._base.hook import when_imported

    meaning = "the trace context is not propagated by {}"
    when_imported(
        {name: {meaning.format(name.partition(".")[0]): _patch_requests} for name in _REQUESTS}
        | {name: {meaning.format(name.partition(".")[0]): _patch_messages} for name in _MESSAGES}
    )


def _patch_requests(module: ModuleType) -> None:
    from . import http

    http.patch(module)


def _patch_messages(module: ModuleType) -> None:
    from . import aws

    aws.patch(module)
