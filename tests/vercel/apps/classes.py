import json
import time
from http.server import BaseHTTPRequestHandler

from zespan_serverless import span, zespan_vercel


@zespan_vercel
class handler(BaseHTTPRequestHandler):  # noqa: N801 (Vercel's name for it)
    def do_GET(self) -> None:
        with span("work"):
            if self.path.startswith("/slow"):
                time.sleep(1)
        if self.path.startswith("/later"):
            import asyncio

            from vercel.functions import wait_until  # pyright: ignore[reportMissingImports]

            wait_until(asyncio.to_thread(later))
        if self.path.startswith("/boom"):
            raise ValueError("boom")
        self.send_response(503 if self.path.startswith("/503") else 200)
        body = json.dumps({"path": self.path}).encode()
        if "open" not in self.path:
            self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_HEAD(self) -> None:
        self.do_GET()


def later() -> None:
    time.sleep(0.3)
    with span("later"):
        pass
