"""Requests by botocore and aiobotocore. Those of aiobotocore are made by aiohttp or httpx, which count them, too."""

from __future__ import annotations

import inspect
import sys
from typing import TYPE_CHECKING, Any

from ..._base.guard import Guarded
from . import current, replace

if TYPE_CHECKING:
    from types import ModuleType


def patch(module: ModuleType) -> None:
    """Patch `botocore.endpoint` or `aiobotocore.endpoint`."""
    for name in ("Endpoint", "AioEndpoint"):
        owner = vars(module).get(name)
        if owner is not None:
            replace(owner, "_send", _counted)


def _counted(theirs: Any) -> Any:
    is_async = inspect.iscoroutinefunction(theirs)

    def send(endpoint: Any, request: Any) -> Any:
        attempts = current.get()
        if attempts is not None:
            if attempts.left <= 0:
                raise sys.modules["botocore.exceptions"].ConnectTimeoutError(endpoint_url=request.url)
            if not is_async:
                with Guarded("a request"):
                    attempts.sending(request.url)
                    if attempts.until is not None:
                        from ._urllib3 import patch_sockets

                        patch_sockets()
        return theirs(endpoint, request)

    return send
