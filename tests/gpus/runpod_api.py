"""RunPod's job API as a worker sees it: it gives jobs, and takes their pieces and results."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

from tests import environments
from tests.support import ROOT

WORKER = Path(__file__).parent / "apps" / "runpod_worker.py"


class RunPod:
    """The API, and one worker of it. `on_done` is called with each job's result before the worker has an answer."""

    def __init__(self, backend: str, kind: str, how: str = "room", **env: str) -> None:
        self.pieces: list[Any] = []
        self.done: dict[str, Any] = {}
        self.on_done: Callable[[], object] = bool
        self._jobs: list[Mapping[str, Any]] = []
        self._stops: list[str] = []
        self._changed = threading.Condition()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._server.handle_error = lambda *_: None  # type: ignore[method-assign]  # of a worker that was killed
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        self._log = tempfile.TemporaryFile()  # noqa: SIM115
        url = f"http://127.0.0.1:{self._server.server_address[1]}"
        variables = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "ZESPAN_API_KEY": "zsp_test",
            "ZESPAN_BASE_URL": backend,
            "RUNPOD_WEBHOOK_GET_JOB": f"{url}/job-take/$ID?gpu=x",
            "RUNPOD_WEBHOOK_POST_OUTPUT": f"{url}/job-done/$RUNPOD_POD_ID/$ID?gpu=x",
            "RUNPOD_WEBHOOK_POST_STREAM": f"{url}/job-stream/$RUNPOD_POD_ID/$ID?gpu=x",
            "RUNPOD_WEBHOOK_PING": f"{url}/ping",
            "RUNPOD_POD_ID": "pod1",
            "RUNPOD_ENDPOINT_ID": "endpoint1",
            "RUNPOD_DC_ID": "EU-RO-1",
            "RUNPOD_AI_API_KEY": "key",
            "RUNPOD_SKIP_AUTO_SYSTEM_CHECKS": "true",
            "RUNPOD_SKIP_GPU_CHECK": "true",
            "KIND": kind,
            "HOW": how,
            **env,
        }
        command = [str(environments.installed("gpus", "runpod")), "-W", "ignore", str(WORKER)]
        self._process = subprocess.Popen(
            command, env=variables, stdout=self._log, stderr=self._log, start_new_session=True
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._server.shutdown()
        self._server.server_close()
        self._log.close()

    @property
    def log(self) -> str:
        self._log.seek(0)
        return self._log.read().decode()

    def send(self, *names: str, **given: Any) -> None:
        """Queue jobs with an input."""
        with self._changed:
            self._jobs += [{"id": name, "input": given, "webhook": None, "s3Config": {}} for name in names]
            self._changed.notify_all()

    def wait(self, *names: str) -> list[Any]:
        """Wait for the results of jobs."""
        with self._changed:
            arrived = self._changed.wait_for(lambda: all(name in self.done for name in names), 40)
        assert arrived, (names, list(self.done), self.log[-3000:])
        return [self.done[name] for name in names]

    def run(self, name: str, **given: Any) -> Any:
        self.send(name, **given)
        return self.wait(name)[0]

    def cancel(self, name: str) -> None:
        with self._changed:
            self._stops.append(name)
            self._changed.notify_all()

    def freeze(self) -> None:
        os.killpg(self._process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        os.killpg(self._process.pid, signal.SIGCONT)

    def kill(self) -> None:
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def stop(self) -> int:
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(60)

    def _taken(self, path: str) -> Any:
        """What a poll gets; it is answered when there is something, or soon."""
        with self._changed:
            queue: list[Any] = self._stops if path.startswith("/job-stop") else self._jobs
            self._changed.wait_for(lambda: queue, 0.2)
            if path.startswith("/job-stop"):
                return {"jobsToStop": [queue.pop(0)]} if queue else None
            if path.startswith("/job-take-batch"):
                taken, queue[:] = queue[:], []
                return taken or None
            return queue.pop(0) if queue else None

    def _posted(self, path: str, body: Any) -> None:
        with self._changed:
            if path.startswith("/job-done"):
                self.on_done()
                self.done[path.partition("?")[0].rpartition("/")[2]] = body
            else:
                self.pieces.append(body)
            self._changed.notify_all()

    def _handler(api) -> type[BaseHTTPRequestHandler]:  # noqa: N805
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, format: str, *args: Any) -> None: ...

            def do_GET(self) -> None:
                self._answer({} if self.path.startswith("/ping") else api._taken(self.path))

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                api._posted(self.path, json.loads(body))
                self._answer({})

            def _answer(self, value: Any) -> None:
                body = b"" if value is None else json.dumps(value).encode()
                self.send_response(204 if value is None else 200)
                self.send_header("content-type", "application/json")
                if value is not None:
                    self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        return Handler
