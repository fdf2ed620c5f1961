"""`DevServer`: takes telemetry as a backend does, and shows it on a page of this machine."""

from __future__ import annotations

import contextlib
import json
import secrets
import socket
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from socketserver import ThreadingTCPServer
from typing import Any, Self

from ..store.bounds import Bounds
from ..store.runs import Runs
from ..store.search import Searches
from . import running
from .connection import connection_of
from .controls import Controls
from .faults import Faults
from .guard import Guard
from .running import Running
from .stream import Stream

HOST = "127.0.0.1"
CONNECTIONS_MAX = 256


class DevServer:
    """Listens on the loopback interface from its creation until `close`.

        with DevServer() as dev:
            ...  # ZESPAN_BASE_URL=dev.url, ZESPAN_API_KEY=zsp_local
            assert dev.get("summary")["events"] == 2

    Args:
        folder: Where runs are kept; None keeps this one in memory.
        port: Port to listen on; 0 takes a free one. OSError is raised if it is in use.
        name: Name of the run.
        keep: Number of runs in the folder that are kept, this one among them.
        bounds: What a run may hold.
    """

    def __init__(
        self,
        folder: str | Path | None = None,
        port: int = 0,
        *,
        name: str | None = None,
        keep: int = 10,
        bounds: Bounds | None = None,
    ) -> None:
        self.token = secrets.token_urlsafe(24)
        self.is_closed = False
        self.faults, self.controls = Faults(), Controls()
        self._listener = _Listener((HOST, port), connection_of(self))
        try:
            self.guard = Guard(self.port, self.token)
            self.runs = Runs(None if folder is None else Path(folder), keep, name, self._changed, bounds)
        except BaseException:
            self._listener.server_close()
            raise
        self.stream, self.still = Stream(self.runs.current.id), Stream("")  # of the current run, and of all others
        self.searches = Searches()
        self._thread = threading.Thread(target=self._listener.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        self._folder = None if folder is None else Path(folder)
        self._running = Running(self.url, self.token)
        if self._folder is not None:
            running.write(self._folder, self._running)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def port(self) -> int:
        return int(self._listener.server_address[1])

    @property
    def url(self) -> str:
        """Its URL without a trailing slash, for ZESPAN_BASE_URL."""
        return f"http://{HOST}:{self.port}"

    @property
    def page_url(self) -> str:
        """The page's URL, with the token."""
        return f"{self.url}/?token={self.token}"

    @property
    def fault(self) -> str:
        """How telemetry is answered: ok, hang, 429, 500, refuse, or drip."""
        return self.faults.mode

    @fault.setter
    def fault(self, mode: str) -> None:
        self.faults.mode = mode

    def post_lifecycle(self, *records: Mapping[str, Any]) -> None:
        """Send lifecycle records, as the tools do. A record without `at` gets the time that it is now."""
        now = round(time.time() * 1000, 3)
        body = "\n".join(json.dumps({"at": now, **record}) for record in records).encode()
        request = urllib.request.Request(f"{self.url}/v1/lifecycle", body, {"content-type": "application/x-ndjson"})
        with _direct.open(request, timeout=30):
            pass

    def get(self, path: str) -> Any:
        """Return what the page's API answers, such as `get("summary")`. HTTPError is raised if it refuses."""
        return self._ask(urllib.request.Request(f"{self.url}/api/{path}"))

    def post(self, path: str, document: Mapping[str, Any]) -> Any:
        """Post a document to the page's API."""
        body = json.dumps(document).encode()
        return self._ask(urllib.request.Request(f"{self.url}/api/{path}", body, {"content-type": "application/json"}))

    def close(self) -> None:
        """Stop listening, end all connections, and write what has arrived."""
        if self.is_closed:
            return
        self.is_closed = True
        if self._folder is not None:
            running.remove(self._folder, self._running)
        self.stream.close()
        self.still.close()
        self.controls.close()
        self._listener.stop()
        self._thread.join()
        self.runs.close()

    def _ask(self, request: urllib.request.Request) -> Any:
        request.add_header("authorization", f"Bearer {self.token}")
        try:
            with _direct.open(request, timeout=60) as answer:
                return json.loads(answer.read())
        except urllib.error.HTTPError as error:
            error.close()  # it holds the connection
            raise

    def _changed(self, change: Any) -> None:
        stream = getattr(self, "stream", None)
        if stream is not None:
            stream.publish(change)


class _Listener(ThreadingTCPServer):
    """The listening socket. Not an HTTPServer, which resolves the machine's name when it binds."""

    allow_reuse_address = sys.platform != "win32"  # there it would share the port with another process
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], handler: Any) -> None:
        self._open: set[socket.socket] = set()
        self._changed = threading.Condition()
        super().__init__(address, handler)

    def verify_request(self, request: Any, client_address: Any) -> bool:
        with self._changed:
            if len(self._open) >= CONNECTIONS_MAX:
                return False
            self._open.add(request)
            return True

    def shutdown_request(self, request: Any) -> None:
        super().shutdown_request(request)
        with self._changed:
            self._open.discard(request)
            self._changed.notify_all()

    def stop(self) -> None:
        """Stop listening; give requests under way a moment, and end their connections."""
        self.shutdown()
        self.server_close()
        with self._changed:
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RD)
            self._changed.wait_for(lambda: not self._open, 2.0)

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), OSError):  # clients disconnect
            super().handle_error(request, client_address)


_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # no proxy leads to this machine
