"""Adds the trace context to requests, in the method that sends each attempt and each redirect.

A redirect is a separate request: one to another host gets the headers only if that host is allowed as well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from .allowed import allowed, headers_beside
from .patching import change_arguments

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import ModuleType

    from .patching import Arguments


def patch(module: ModuleType) -> None:
    """Patch the methods of this module that send."""
    for owner, name, change in (
        ("HTTPTransport", "handle_request", _httpx),
        ("AsyncHTTPTransport", "handle_async_request", _httpx),
        ("HTTPConnectionPool", "_make_request", _urllib3),
        ("ClientRequest", "send", _aiohttp),
    ):
        found = vars(module).get(owner)
        if found is not None:
            change_arguments(found, name, change)


def _added(scheme: str, host: str, port: int | None, headers: Callable[[], Mapping[Any, Any]]) -> dict[str, str]:
    """Return the headers to add to a request. None if AWS's signature, which would not cover them, protects it."""
    where = allowed()
    if where is None or not where.host(scheme, host, port):
        return {}
    present = {_text(name).lower(): value for name, value in headers().items()}
    if _text(present.get("authorization", "")).startswith("AWS"):
        return {}
    return headers_beside(set(present))


def _httpx(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Arguments:
    """Copy the request, from which httpx makes that of a redirect."""
    transport, *rest = args
    request = rest[0] if rest else kwargs["request"]
    url, headers = request.url, request.headers
    added = _added(url.scheme, url.raw_host.decode("ascii"), url.port, lambda: headers)
    if not added:
        return args, kwargs
    copy = object.__new__(type(request))
    vars(copy).update(vars(request))
    copy.headers = type(headers)(headers)
    copy.headers.update(added)
    return (transport, copy), {}


def _urllib3(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Arguments:
    """Resolve the URL, which is only the host's path, and may begin with `//`, unless it is for a proxy."""
    pool, headers = args[0], kwargs["headers"]
    if pool.proxy is None or args[3].startswith("/"):
        added = _added(pool.scheme, pool.host, pool.port, lambda: headers)
    else:
        url = urlsplit(args[3])
        added = _added(url.scheme, url.hostname or "", url.port, lambda: headers)
    if not added:
        return args, kwargs
    copy = headers.copy() if hasattr(headers, "copy") else dict(headers)
    copy.update(added)
    return args, {**kwargs, "headers": copy}


def _aiohttp(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Arguments:
    """Add to the headers of the object that aiohttp makes for each hop."""
    request = args[0]
    url = request.url
    request.headers.update(_added(url.scheme, url.raw_host or "", url.port, lambda: request.headers))
    return args, kwargs


def _text(value: object) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)
