"""What a client for HTTP has to have for events to be sent through it: httpx's and httpx2's `Client` do."""

from __future__ import annotations

from typing import Any, Protocol


class HttpClient(Protocol):
    """A synchronous client with the methods of `httpx.Client`."""

    def build_request(self, *args: Any, **kwargs: Any) -> Any:
        """Make a request with the client's defaults."""
        ...

    def send(self, *args: Any, **kwargs: Any) -> Any:
        """Send a request, and return the response."""
        ...
