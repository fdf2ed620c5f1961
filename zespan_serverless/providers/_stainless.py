"""What SDKs that Stainless generates (openai, anthropic, groq) have in common: the choke point, and the streams.

The client's `request` has the request as it will be sent, and covers retries, helpers, raw and streamed responses, and
clients of other clouds. A new method of the SDK passes it, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._fields import field, text_of
from ._request import Choke, Endpoint
from ._stream import follow_stainless

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ._request import Request

    Asks = Callable[[Any, dict[str, Any], Any], Request]


class Requests(Choke):
    """`asks` makes a request of a client, a JSON body and headers; it is found by the end of the URL's path."""

    classes = ("SyncAPIClient", "AsyncAPIClient")
    methods = ("request",)
    is_inner = True

    def __init__(self, asks: Mapping[str, Asks]) -> None:
        self._asks = asks

    def read(self, owner: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Request | None:
        options = kwargs.get("options", args[1] if len(args) > 1 else None)
        asks = self._asks.get(text_of(options, "url").partition("?")[0])
        if asks is None or text_of(options, "method").lower() != "post":
            return None
        body = field(options, "json_data")
        return asks(owner, body if isinstance(body, dict) else {}, field(options, "headers"))


class StainlessEndpoint(Endpoint):
    """An endpoint whose streams are the SDK's `Stream` and `AsyncStream`."""

    def follow(self, call: Any, stream: Any) -> Any:
        return follow_stainless(call, stream)
