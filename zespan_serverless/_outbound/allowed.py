"""Where the trace context may be sent: the hosts and services of `propagate_to`."""

from __future__ import annotations

from .. import _process
from .headers import trace_headers

_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}


class Allowed:
    """The entries of one `propagate_to`, as `settings._hosts` has normalized them."""

    def __init__(self, entries: tuple[str, ...]) -> None:
        self.entries = entries
        suffixes = (entry[1:].partition(":") for entry in entries if entry.startswith("*."))
        self._suffixes = [(suffix, port) for suffix, _, port in suffixes]

    def host(self, scheme: str, host: str, port: int | None) -> bool:
        """Whether requests to this host and port get the context. Without a port it is the scheme's default."""
        host = host.lower().strip("[]").removesuffix(".")
        name, number = f"[{host}]" if ":" in host else host, str(port or _PORTS.get(scheme, 0))
        if name in self.entries or f"{name}:{number}" in self.entries:
            return True
        return any(
            name.endswith(suffix) and len(name) > len(suffix) and only in ("", number)
            for suffix, only in self._suffixes
        )

    def service(self, name: str) -> bool:
        """Whether messages to this AWS service get the context."""
        return f"aws:{name}" in self.entries


_latest = Allowed(())


def allowed() -> Allowed | None:
    """Return the entries of the current settings; None if nothing may be sent anywhere."""
    global _latest
    container = _process.current()
    entries: tuple[str, ...] = () if container is None else container.settings.propagate_to
    if not entries:
        return None
    latest = _latest
    if latest.entries is not entries:
        latest = _latest = Allowed(entries)
    return latest


def headers_beside(present: set[str]) -> dict[str, str]:
    """Return the headers to add to existing ones, by their lower-case names. Headers that the user has set stay.

    A `tracestate` belongs to its `traceparent`, and is not added to another one.
    """
    added = trace_headers()
    if "traceparent" in present:
        added.pop("tracestate", None)
    return {name: text for name, text in added.items() if name not in present}
