"""Requests of httpx and httpx2, all of which pass `send`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..._base.guard import Guarded
from . import current, replace

if TYPE_CHECKING:
    from types import ModuleType


def patch(httpx: ModuleType) -> None:
    """Patch the clients of httpx or httpx2."""

    def make(theirs: Any) -> Any:
        def send(client: Any, request: Any, *args: Any, **kwargs: Any) -> Any:
            attempts = current.get()
            if attempts is None:
                return theirs(client, request, *args, **kwargs)
            if attempts.until is None:
                with Guarded("a request"):
                    attempts.sending(request.url.raw_path)
                return theirs(client, request, *args, **kwargs)
            from . import _bounded

            return _bounded.send(httpx, attempts, theirs, client, request, *args, **kwargs)

        return send

    def make_async(theirs: Any) -> Any:
        async def send(client: Any, request: Any, *args: Any, **kwargs: Any) -> Any:
            attempts = current.get()
            if attempts is None:
                return await theirs(client, request, *args, **kwargs)
            if attempts.until is None:
                with Guarded("a request"):
                    attempts.sending(request.url.raw_path)
                return await theirs(client, request, *args, **kwargs)
            from . import _bounded

            return await _bounded.send_async(httpx, attempts, theirs, client, request, *args, **kwargs)

        return send

    replace(httpx.Client, "send", make)
    replace(httpx.AsyncClient, "send", make_async)
