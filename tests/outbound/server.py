"""A web server of the user's own: it notes the headers of each request, and redirects where the path says so."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

CONTEXT = ("traceparent", "tracestate", "baggage")


class Server:
    """`/redirect?to=URL` redirects; anything else is answered. `with` starts and stops it."""

    def __init__(self) -> None:
        self.requests: list[dict[str, str]] = []
        """The headers of each request, names in lower case, with `:path`."""
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self.rfile.read(int(self.headers.get("content-length") or 0))
                headers = {name.lower(): text for name, text in self.headers.items()}
                server.requests.append({**headers, ":path": self.path})
                url = urlsplit(self.path)
                to = parse_qs(url.query).get("to")
                self.send_response(307 if to else 200)
                if to:
                    self.send_header("location", to[0])
                self.send_header("content-length", "2")
                self.end_headers()
                self.wfile.write(b"OK")

            do_POST = do_GET

            def log_message(self, format: str, *args: Any) -> None: ...

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self.port = self._http.server_address[1]

    def url(self, path: str = "/", host: str = "127.0.0.1") -> str:
        """Of a path. `localhost` is another host, on the same machine."""
        return f"http://{host}:{self.port}{path}"

    @property
    def contexts(self) -> list[dict[str, str]]:
        """What each request carried of W3C's headers."""
        return [{name: text for name, text in request.items() if name in CONTEXT} for request in self.requests]

    def __enter__(self) -> Server:
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()
