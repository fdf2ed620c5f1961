"""Posts by the `fetch` of JavaScript, instead of `Transport`: Python in WebAssembly has no sockets.

https://developers.cloudflare.com/workers/runtime-apis/fetch/
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from .._base import javascript
from .answer import BODY_MAX, Answer, content_length

if TYPE_CHECKING:
    from collections.abc import Mapping


class FetchTransport:
    """Has the methods of `Transport`, and `post_async`. Several requests may be under way at once."""

    def __init__(self, base_url: str, *, reads: tuple[str, ...] = ("html",)) -> None:
        """`reads`: words in the content types of bodies that are wanted."""
        url = urlsplit(base_url)
        self._origin = f"{url.scheme}://{url.netloc.rpartition('@')[2]}"  # fetch refuses an address with a password
        self._path, self._reads = url.path.rstrip("/"), reads

    @property
    def destination(self) -> str:
        """Where requests go, for log messages."""
        return self._origin

    def connect(self, timeout: float) -> None:
        """Do nothing: the runtime keeps connections."""

    def post(self, path: str, body: bytes, headers: Mapping[str, str], timeout: float) -> Answer:
        """Do the same as `post_async`, where the stack can be suspended. Raises RuntimeError elsewhere."""
        answer: Answer = javascript.wait(self.post_async(path, body, headers, timeout))
        return answer

    async def post_async(self, path: str, body: bytes, headers: Mapping[str, str], timeout: float) -> Answer:  # noqa: ASYNC109
        """Post a request, and return the answer within `timeout` seconds. Raises whatever fetch raises.

        A body is left out, unless it is that of a success and its content type has one of the words `reads`.
        """
        js, ffi = import_module("js"), import_module("pyodide.ffi")
        controller = js.AbortController.new()
        options = {
            "method": "POST",
            "headers": dict(headers),
            "body": body,
            "redirect": "manual",  # elsewhere the key must not go
            "signal": controller.signal,
        }
        timer = js.setTimeout(ffi.create_once_callable(controller.abort), max(timeout, 0.0) * 1000)
        try:
            response: Any = await js.fetch(
                self._origin + self._path + path, ffi.to_js(options, dict_converter=js.Object.fromEntries)
            )
            found = {str(name).lower(): str(value) for name, value in response.headers}
            return Answer(int(response.status), found, await self._body(response, found))
        finally:
            js.clearTimeout(timer)
            controller.abort()  # also of a body that nobody reads, which would hold the connection

    async def _body(self, response: Any, headers: Mapping[str, str]) -> bytes:
        kind = headers.get("content-type", "").lower()
        is_short = "content-length" not in headers or content_length(headers) <= BODY_MAX
        if not (200 <= response.status < 300 and is_short and any(word in kind for word in self._reads)):
            return b""
        return bytes((await response.arrayBuffer()).to_bytes())[:BODY_MAX]

    def cancel(self) -> None:
        """Do nothing: each request ends at its own deadline."""

    def close(self) -> None:
        """Do nothing: the runtime keeps connections."""
