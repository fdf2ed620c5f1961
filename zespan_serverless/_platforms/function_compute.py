"""What Alibaba Cloud's Function Compute says about a web application in its custom runtime, or in a container."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from .._trace.context import caller_of
from .platform import TEXT_MAX, Platform, RequestFacts, countdown, positive

if TYPE_CHECKING:
    from .platform import Header, Hook


_HOOKS: dict[str, Hook] = {"/initialize": "started", "/pre-freeze": "snapshot", "/pre-stop": "snapshot"}


class FunctionCompute(Platform):
    """An instance is frozen between requests.

    https://www.alibabacloud.com/help/en/functioncompute/fc/user-guide/principles
    """

    has_hooks = True

    def hook(self, path: str, header: Header) -> Hook | None:
        """Return what the platform announces. A client's request for the same path has a mark.

        Clients cannot set headers that begin with x-fc-:
        https://www.alibabacloud.com/help/doc-detail/191345.htm
        """
        return _HOOKS.get(path) if path in _HOOKS and header("x-fc-control-path") != "/http-invoke" else None

    def facts(self, header: Header) -> RequestFacts:
        return RequestFacts(
            id=(header("x-fc-request-id") or "")[:TEXT_MAX] or None,
            parent=caller_of(header),
            remaining=countdown(positive(header("x-fc-function-timeout"))),
        )


def platform() -> FunctionCompute:
    """https://www.alibabacloud.com/help/en/functioncompute/fc/user-guide/environment-variables."""
    environ = os.environ
    attributes: dict[str, object] = {
        "cloud.provider": "alibaba_cloud",
        "cloud.platform": "alibaba_cloud_fc",
        "cloud.region": environ.get("FC_REGION"),
        "cloud.account.id": environ.get("FC_ACCOUNT_ID"),
        "faas.version": environ.get("FC_VERSION_ID") or environ.get("FC_QUALIFIER"),
        "faas.instance": environ.get("FC_INSTANCE_ID"),
    }
    return FunctionCompute(environ["FC_FUNCTION_NAME"], attributes, keeps_cpu=False)
