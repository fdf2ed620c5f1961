"""The proxy from the environment. Imported only if a proxy variable is set."""

from __future__ import annotations

from urllib.parse import urlsplit


class Proxy:
    """A proxy for requests, with the headers that it requires.

    Raises ValueError for an invalid URL. The error does not quote the URL, which may contain a password.
    """

    def __init__(self, url: str) -> None:
        try:
            parts = urlsplit(url if "//" in url else "//" + url)
            self.is_tls = parts.scheme == "https"
            self.host, self.port = parts.hostname or "", parts.port or (443 if self.is_tls else 8080)
        except ValueError:
            raise ValueError("the proxy in the environment has no URL with a valid host and port") from None
        if parts.scheme not in ("", "http", "https"):
            raise ValueError(f"a proxy of the kind {parts.scheme}:// is not supported, only http:// and https://")
        self.headers = dict[str, str]()
        if parts.username:
            from base64 import b64encode
            from urllib.parse import unquote

            credentials = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            self.headers["proxy-authorization"] = "Basic " + b64encode(credentials.encode()).decode()


def from_environment(scheme: str, host: str) -> Proxy | None:
    """Return the proxy for requests to `host` ("name:port"). None if there is none, or if NO_PROXY excludes the host.

    Reads HTTP_PROXY or HTTPS_PROXY, by the scheme of the request, ALL_PROXY and NO_PROXY, in upper or lower case.
    """
    from urllib.request import getproxies, proxy_bypass

    proxies = getproxies()
    url = proxies.get(scheme) or proxies.get("all")
    return None if not url or proxy_bypass(host) else Proxy(url)
