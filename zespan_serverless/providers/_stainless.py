"""Common parts of SDKs that Stainless generates (openai, anthropic, groq): the choke point, and the streams.

The client's `request` has the request as it will be sent, and covers retries, helpers, raw and streamed responses, and
clients of other clouds. New methods of the SDK pass it as well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._fields import as_text, held_by
from ._request import Choke, Endpoint

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ._request import Request


_POST = ("post", "POST")


class Requests(Choke):
    """`endpoints` are found by the path of the URL."""

    classes: tuple[str, ...] = ("SyncAPIClient", "AsyncAPIClient")
    methods: tuple[str, ...] = ("request",)
    is_inner = True

    def __init__(self, endpoints: Mapping[str, StainlessEndpoint] | None = None) -> None:
        self._endpoints = endpoints or {}

    def read(self, owner: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Request | None:
        options = _options(args, kwargs)
        endpoint = self._endpoint(options)
        if endpoint is None:
            return None
        body = options("json_data")
        return endpoint.request_of(owner, body if isinstance(body, dict) else {}, options("headers"))

    def continues(self, outer: Request, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
        return self._endpoint(_options(args, kwargs)) is outer.endpoint

    def _endpoint(self, options: Callable[[str], Any]) -> StainlessEndpoint | None:
        return self.at(as_text(options("url")).partition("?")[0]) if as_text(options("method")) in _POST else None

    def at(self, path: str) -> StainlessEndpoint | None:
        """Return the endpoint with this path."""
        return self._endpoints.get(path)


def _options(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Callable[[str], Any]:
    """Return a function that returns a request's options by name."""
    return held_by(kwargs.get("options", args[1] if len(args) > 1 else None)).get  # type: ignore[no-any-return]


class StainlessEndpoint(Endpoint):
    """An endpoint whose streams are the SDK's `Stream` and `AsyncStream`."""

    def request_of(self, client: Any, body: dict[str, Any], headers: Any) -> Request:
        """Return the request that a client makes with a JSON body and headers."""
        raise NotImplementedError

    def follow(self, call: Any, stream: Any) -> Any:
        from ._stream import follow_stainless  # not above: many functions read no streams

        return follow_stainless(call, stream)
