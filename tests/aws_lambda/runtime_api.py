"""Lambda's Runtime API with what the emulator lacks: restores from snapshots, and several runtime processes.

https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html. AWS's own runtime client runs against it.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import SimpleQueue
from typing import Any, NamedTuple

from tests.aws_lambda.support import until

FUNCTIONS = Path(__file__).parent / "functions"
ROOT = Path(__file__).parents[2]


class _Invocation(NamedTuple):
    id: str
    body: bytes
    seconds: float
    headers: Mapping[str, str]


class RuntimeApi:
    """Starts AWS's runtime client with `handler` of the folder `functions`, and serves it until the `with` block ends.

    `calls` has the path of every request except `next` and responses. `answers` has the function's answer by request
    id, and `pieces` what has arrived of a streamed one, which is refused after `leaves` pieces. A restore is answered
    when `restored` is set. `runtime` is what Python starts.
    """

    leaves = -1

    def __init__(self, handler: str, env: Mapping[str, str], runtime: Sequence[str] = ("-m", "awslambdaric")) -> None:
        self.calls: list[str] = []
        self.answers: dict[str, Any] = {}
        self.pieces: list[bytes] = []
        self.restored = threading.Event()
        self._invocations: SimpleQueue[_Invocation] = SimpleQueue()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._serving = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._serving.start()
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.pathsep.join(map(str, (ROOT, FUNCTIONS))),
            "PYTHONDONTWRITEBYTECODE": "1",
            "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{self._server.server_address[1]}",
            "AWS_EXECUTION_ENV": f"AWS_Lambda_python3.{sys.version_info.minor}",
            "AWS_LAMBDA_FUNCTION_NAME": "served",
            "ZESPAN_API_KEY": "zsp_test",
        }
        self._output = tempfile.TemporaryFile()  # noqa: SIM115 (closed with the rest)
        self.process = subprocess.Popen(
            [sys.executable, *runtime, handler],
            env=environment | dict(env),
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=self._output,
            start_new_session=True,
        )

    def __enter__(self) -> RuntimeApi:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)  # with its children, even if it has ended itself
        self.process.wait()
        self._server.shutdown()
        self._serving.join()
        self._server.server_close()
        self._output.close()

    def invoke(self, event: object = None, *, seconds: float = 30, headers: Mapping[str, str] | None = None) -> str:
        """Give an invocation with `seconds` left to the next process that asks. Returns the request id."""
        request_id = str(uuid.uuid4())
        self._invocations.put(_Invocation(request_id, json.dumps(event or {}).encode(), seconds, headers or {}))
        return request_id

    def answer(self, request_id: str) -> Any:
        """Wait for the answer of the function."""
        until(lambda: request_id in self.answers, 10)
        return self.answers[request_id]

    def called(self, path: str) -> None:
        """Wait until the runtime client has requested this path."""
        until(lambda: path in self.calls, 10)

    def log(self) -> str:
        """Return the output so far."""
        return os.pread(self._output.fileno(), 1_000_000, 0).decode()

    def children(self) -> list[int]:
        """Return the processes that the runtime client has forked and that still run."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return [int(pid) for pid in children if " Z " not in Path(f"/proc/{pid}/stat").read_text()]

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                path = self.path.partition("/runtime/")[2]
                if path == "invocation/next":
                    invocation = api._invocations.get()
                    deadline = (time.time() + invocation.seconds) * 1000
                    self.respond(
                        200,
                        invocation.body,
                        {
                            "Content-Type": "application/json",
                            "Lambda-Runtime-Aws-Request-Id": invocation.id,
                            "Lambda-Runtime-Deadline-Ms": str(int(deadline)),
                            "Lambda-Runtime-Invoked-Function-Arn": "arn:aws:lambda:us-east-1:1:function:served",
                            **invocation.headers,
                        },
                    )
                    return
                api.calls.append(path)
                if path == "restore/next":
                    api.restored.wait()
                self.respond(200 if path == "restore/next" else 404)

            def do_POST(self) -> None:
                path = self.path.partition("/runtime/")[2]
                if "content-length" not in self.headers:
                    self.stream(path.split("/")[1])
                    return
                body = self.rfile.read(int(self.headers["content-length"]))
                if path.startswith("invocation/"):
                    api.answers[path.split("/")[1]] = json.loads(body)
                else:
                    api.calls.append(path or self.path)
                self.respond(202)

            def stream(self, request_id: str) -> None:
                """Receive a streamed answer, which is its trailer: an error, or nothing."""
                for number, piece in enumerate(self.chunks()):
                    api.pieces.append(piece)
                    if number + 1 == api.leaves:
                        self.connection.shutdown(socket.SHUT_RDWR)
                        self.close_connection = True
                        return
                trailer = {}
                while line := self.rfile.readline().strip().decode():
                    name, _, value = line.partition(": ")
                    trailer[name] = value
                api.answers[request_id] = trailer
                self.respond(202)

            def chunks(self) -> Iterator[bytes]:
                while size := int(self.rfile.readline(), 16):
                    yield self.rfile.read(size)
                    self.rfile.readline()

            def respond(self, status: int, body: bytes = b"", headers: Mapping[str, str] | None = None) -> None:
                with suppress(OSError):  # the process that asked is gone
                    self.send_response(status)
                    for name, value in {"content-length": str(len(body)), **(headers or {})}.items():
                        self.send_header(name, value)
                    self.end_headers()
                    self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None: ...

        return Handler
