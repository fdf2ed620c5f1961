"""One Lambda function instance on this machine: AWS's emulator runs AWS's runtime client, which runs a handler.

The emulator is Lambda's own init process: deadlines, resets, the Extensions API and the shutdown by SIGTERM are real.
It does not freeze the sandbox between invocations (``freeze`` does), and limits no CPU (``join`` may).
"""

from __future__ import annotations

import http.client
import itertools
import json
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from zespan_serverless_dev.emulator.binary import emulator_binary
from zespan_serverless_dev.probe import Facts

HOOKS = Path(__file__).parent / "hooks"
PROBE = Path(__file__).parents[1] / "probe"
INVOKE_PATH = "/2015-03-31/functions/function/invocations"


@dataclass(frozen=True)
class Invoke:
    """One invocation as seen from outside. Durations are in milliseconds, None if the moment never came."""

    status: int | None  # None: the client gave up or lost the connection; ``body`` has the error
    body: str
    payload: Any  # ``body`` as JSON, None if it is not JSON
    sent: float  # seconds since the epoch
    wall_ms: float  # until the emulator answered, including the work of extensions after the response
    response_ms: float | None  # until the runtime had posted its answer, when Lambda's caller gets it; includes init
    handler_ms: float | None  # from when the runtime got the event until it asked for the next one
    init_ms: float | None  # from the process start until the runtime asked for its first event; None when warm
    timed_out: bool  # the function exceeded its timeout
    reset: bool  # the sandbox was reset, by a timeout or because the runtime died
    request_id: str | None
    log: str  # output of the emulator, the runtime and the handler during the invocation


_ports = itertools.count()


class Sandbox:
    """A function instance, from its (lazy) init to its scale-down.

        with Sandbox("app.handler", folder, env={"ZESPAN_API_KEY": "zsp_test"}) as sandbox:
            cold = sandbox.invoke({"name": "Ada"})
            sandbox.freeze()
            warm = sandbox.invoke({"name": "Ada"})

    The handler gets a minimal environment like Lambda's plus ``env``, and runs on the interpreter of this process.
    ``timeout`` (whole seconds) is enforced; ``memory`` (MB) is only a value in the context. ``execution_env`` decides
    whether awslambdaric asks for events in a thread ("AWS_Lambda_python3.12" and later) or in the main thread.
    ``extension`` adds another extension; without any, Lambda kills the runtime without a SIGTERM. ``tmp_dir`` is the
    sandbox's TMPDIR, which survives resets; by default it is a new folder, deleted when the sandbox stops. ``wrapper``
    is the file that AWS_LAMBDA_EXEC_WRAPPER names: it starts the runtime, with the handler that it leaves in
    ``_HANDLER``. ``probe`` observes what happens in the runtime. ``layers`` are folders that Python searches after the
    function's. ``join`` is a file that the runtime's process writes its id to before it starts: that of a cgroup.
    """

    def __init__(
        self,
        handler: str,
        folder: Path,
        *,
        env: Mapping[str, str] | None = None,
        timeout: int = 30,
        memory: int = 512,
        execution_env: str = f"AWS_Lambda_python3.{sys.version_info.minor}",
        init_type: str = "on-demand",
        extension: bool = False,
        tmp_dir: Path | None = None,
        wrapper: Path | None = None,
        probe: Facts | None = None,
        layers: Sequence[Path] = (),
        join: Path | None = None,
    ) -> None:
        self._timeout = timeout
        self._own = tempfile.TemporaryDirectory(prefix="sandbox-")
        own = Path(self._own.name)
        self.tmp_dir = tmp_dir or own / "tmp"
        self.tmp_dir.mkdir(exist_ok=True)
        self._trace_path = own / "trace"
        self._log_path = own / "log"
        self._log_read = 0  # bytes of the log that belong to earlier invocations
        self._final_log: str | None = None
        self._port, self._api_port = _free_port(), _free_port()
        environment = {
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "LANG": "en_US.UTF-8",
            "TZ": ":UTC",
            "HOME": "/tmp",
            "TMPDIR": str(self.tmp_dir),
            "PYTHONPATH": os.pathsep.join(map(str, [folder, *layers])),
            "EMULATOR_TRACE_HEADER": str(self._trace_path),
            "PYTHONDONTWRITEBYTECODE": "1",
            "LAMBDA_TASK_ROOT": str(folder),
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EXECUTION_ENV": execution_env,
            "AWS_LAMBDA_FUNCTION_NAME": "emulated",
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_FUNCTION_TIMEOUT": str(timeout),
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(memory),
            "AWS_LAMBDA_INITIALIZATION_TYPE": init_type,
            "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/emulated",
            "AWS_LAMBDA_LOG_STREAM_NAME": "2026/01/01/[$LATEST]emulated",
        }
        command = ["--log-level", "info", "--runtime-interface-emulator-address", f"{self._listens}:{self._port}"]
        command += ["--runtime-api-address", f"127.0.0.1:{self._api_port}"]
        environment.update(env or {})
        if probe is not None:
            environment.update(probe.environment(environment["PYTHONPATH"]))
        environment["PYTHONPATH"] = f"{HOOKS}{os.pathsep}{environment['PYTHONPATH']}"
        runtime = [self._python, "-m", "awslambdaric", handler]
        if wrapper is not None:
            environment["_HANDLER"] = handler
            runtime = [str(wrapper), "/bin/sh", "-c", 'exec "$0" -m awslambdaric "$_HANDLER"', self._python]
        if join is not None:
            runtime = ["/bin/sh", "-c", 'echo $$ > "$0" && exec "$@"', str(join), *runtime]
        places = [folder, own, self.tmp_dir, HOOKS, *layers, *((probe.path.parent, PROBE) if probe is not None else ())]
        emulator, variables = self._emulator(environment, places)
        with self._log_path.open("wb") as log:
            self._process = subprocess.Popen(
                [*emulator, *command, *runtime],
                cwd=folder,
                env=variables,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                process_group=0,  # Ctrl-C in a terminal is for the tool alone, which stops this
            )
        self._kill = self._killer()
        self._extension: _Extension | None = None
        self._await_listening()
        if extension:
            self._start_extension()

    _python = sys.executable  # the runtime's
    _listens = "127.0.0.1"  # the emulator

    def _emulator(self, environment: dict[str, str], places: Sequence[Path]) -> tuple[list[str], dict[str, str]]:
        """Return the command that starts the emulator, and its variables. `places` are the folders that it needs."""
        return [str(emulator_binary())], environment

    def _killer(self) -> Callable[[], object]:
        """Return what kills the emulator, also of a sandbox that is never stopped."""
        return weakref.finalize(self, _kill, self._process)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def invoke(
        self,
        event: object = None,
        *,
        raw: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        client_timeout: float | None = None,
    ) -> Invoke:
        """Invoke the function with ``event`` as JSON ({} if None), or with the bytes ``raw``. Thaws a frozen sandbox.

        ``headers`` are for the emulator, such as x-amz-client-context; x-amzn-trace-id is generated unless given. The
        client waits ``client_timeout`` seconds, by default until well after the function timeout.
        """
        self.thaw()
        trace = f"Root=1-{int(time.time()):08x}-{secrets.token_hex(12)};Parent={secrets.token_hex(8)};Sampled=1"
        body = raw if raw is not None else json.dumps({} if event is None else event).encode()
        patience = self._timeout + 20 if client_timeout is None else client_timeout
        sent_headers = {"content-type": "application/json", "x-amzn-trace-id": trace, **(headers or {})}
        self._trace_path.write_text(sent_headers["x-amzn-trace-id"])
        answer = self._post(body, sent_headers, patience)
        if "ErrGateCanceled" in answer.body:  # a reset under way has ended the init of this invocation
            answer = self._post(body, sent_headers, patience)
        return answer

    def _post(self, body: bytes, headers: Mapping[str, str], patience: float) -> Invoke:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=patience)
        status: int | None = None
        sent, start = time.time(), time.perf_counter()
        try:
            connection.request("POST", INVOKE_PATH, body, headers)
            response = connection.getresponse()
            text = response.read().decode(errors="replace")
            status = response.status
        except (OSError, http.client.HTTPException) as error:
            text = repr(error)
        finally:
            connection.close()
        return self._seen(status, text, sent, (time.perf_counter() - start) * 1000)

    def freeze(self) -> None:
        """Stop the runtime and its children, as Lambda does when an invocation is over."""
        self.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let the runtime and its children run again. Does nothing if they are not frozen."""
        self.send_signal(signal.SIGCONT)

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal to the runtime and its children, if there are any. The emulator goes on."""
        if (pid := self.runtime_pid) is not None:
            with suppress(ProcessLookupError):
                os.killpg(pid, number)  # the emulator makes the runtime the leader of a group of its own

    @property
    def runtime_pid(self) -> int | None:
        """The process that runs the handler; None before the first invocation and after its death."""
        return next(iter(_children(self._process.pid)), None)

    def log(self) -> str:
        """Everything printed so far by the emulator, the runtime and the handler."""
        return self._log_path.read_text(errors="replace") if self._final_log is None else self._final_log

    def stop(self, wait: float = 6.0) -> str:
        """Scale the instance down as Lambda does, within ``wait`` seconds, and return the whole log."""
        if self._final_log is None:
            self.thaw()
            runtimes = _children(self._process.pid)
            self._process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(wait)
            self._kill()
            if self._extension is not None:
                self._extension.end()
            _kill_groups(runtimes)  # processes that the handler has started may outlive it
            self._final_log = self.log()
            self._own.cleanup()
        return self._final_log

    def _await_listening(self) -> None:
        end = time.monotonic() + 10
        while self._process.poll() is None and time.monotonic() < end:
            with suppress(OSError):
                for port in (self._port, self._api_port):
                    socket.create_connection(("127.0.0.1", port), 0.2).close()
                return
            time.sleep(0.01)
        raise RuntimeError(f"the emulator did not start:\n{self.stop()}")

    def _start_extension(self) -> None:
        """Register an extension for the next init. A reset makes the emulator forget extensions; their calls hang."""
        if self._extension is not None:
            self._extension.end()
        self._extension = _Extension(self._api_port)
        if not self._extension.registered.wait(5):
            raise RuntimeError(f"the emulator took no extension:\n{self.stop()}")

    def _seen(self, status: int | None, body: str, sent: float, wall_ms: float) -> Invoke:
        log = self._log_since()
        for _ in range(20):  # the emulator's last lines may appear a moment after its answer
            if status is None or b"\nREPORT RequestId" in log or b"Reset initiated" in log:
                break
            time.sleep(0.005)
            log = self._log_since()
        self._log_read += len(log)
        text = log.decode(errors="replace")
        request_id = _last(r"START RequestId: (\S+)", text)
        posted = _last(rf"EMULATOR POSTED {request_id} ([\d.]+)", text)
        payload = None
        with suppress(ValueError):
            payload = json.loads(body)
        reset = "Reset initiated" in text
        if reset and self._extension is not None:
            self._start_extension()
        return Invoke(
            status=status,
            body=body,
            payload=payload,
            sent=sent,
            wall_ms=wall_ms,
            response_ms=(float(posted) - sent) * 1000 if posted else None,
            handler_ms=_number(r"INVOKE RTDONE\(.*?duration: ([\d.]+)ms", text),
            init_ms=_number(r"INIT REPORT\(durationMs: ([\d.]+)", text),
            timed_out="Reset initiated: Timeout" in text,
            reset=reset,
            request_id=request_id,
            log=text,
        )

    def _log_since(self) -> bytes:
        with self._log_path.open("rb") as log:
            log.seek(self._log_read)
            return log.read()


class _Extension(threading.Thread):
    """Another extension. It subscribes to invocations, and is done with each at once."""

    def __init__(self, api_port: int) -> None:
        super().__init__(daemon=True)
        self.registered = threading.Event()
        self._connection = http.client.HTTPConnection("127.0.0.1", api_port)
        self.start()

    def run(self) -> None:
        with suppress(OSError, http.client.HTTPException):  # it ends with its sandbox
            response = self._call("POST", "register", {"Lambda-Extension-Name": "other"}, '{"events": ["INVOKE"]}')
            me = {"Lambda-Extension-Identifier": response.headers["Lambda-Extension-Identifier"]}
            self.registered.set()
            while response.status == 200:
                response = self._call("GET", "event/next", me)

    def _call(
        self, method: str, path: str, headers: Mapping[str, str], body: str | None = None
    ) -> http.client.HTTPResponse:
        self._connection.request(method, f"/2020-01-01/extension/{path}", body, headers)
        response = self._connection.getresponse()
        response.read()
        return response

    def end(self) -> None:
        if (waiting := self._connection.sock) is not None:
            with suppress(OSError):
                waiting.shutdown(socket.SHUT_RDWR)
        self.join()
        self._connection.close()


def _children(pid: int) -> list[int]:
    found: list[int] = []
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            found += map(int, children.read_text().split())
    return found


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kill the emulator, and the runtime that would outlive it."""
    runtimes = _children(process.pid)
    process.kill()
    process.wait()
    _kill_groups(runtimes)


def _kill_groups(leaders: list[int]) -> None:
    for leader in leaders:
        with suppress(ProcessLookupError):
            os.killpg(leader, signal.SIGKILL)


def _free_port() -> int:
    """Return a port that stays free until the emulator binds it. The kernel assigns no ports below 32768 by itself, and
    each process that runs this counts from another number."""
    while True:
        port = 10_000 + (os.getpid() * 101 + next(_ports)) % 10_000
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def _last(pattern: str, text: str) -> str | None:
    found: list[str] = re.findall(pattern, text)
    return found[-1] if found else None


def _number(pattern: str, text: str) -> float | None:
    found = _last(pattern, text)
    return float(found) if found else None
