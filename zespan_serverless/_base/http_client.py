"""The interface of an HTTP client that can send events: the `Client` of httpx and httpx2 has it."""

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
