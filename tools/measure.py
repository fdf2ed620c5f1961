"""python -m tools.measure: cold starts with and without the layer, how long a flush keeps a sandbox busy, what a key
in Parameter Store costs, and the journal.

Runs a function that sleeps 50 ms on AWS's emulator, with a backend 30 ms away, and prints medians in milliseconds. The
journal is measured in this process, in microseconds.
"""

from __future__ import annotations

import argparse
import compileall
import json
import os
import shutil
import statistics
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from py_compile import PycInvalidationMode

from zespan_serverless_dev.emulator.lambda_rie import HOOKS, Sandbox

import zespan_serverless
from zespan_serverless import _layer
from zespan_serverless._delivery.journal import Journal
from zespan_serverless.testing import Backend

FUNCTION = """\
import time

def handler(event, context):
    time.sleep(0.05)
    return {"ok": True}
"""
DECORATED = "from zespan_serverless import zespan_lambda\nfrom plain import handler\nhandler = zespan_lambda(handler)\n"


class Function:
    """The folders that are measured: the bare function; the decorated one with the package; the unpacked layer.

    Only `compiled`, a copy of `task`, and the layer hold bytecode: what `sam build` deploys has none.
    """

    def __init__(self, folder: Path) -> None:
        self.bare, self.task, self.compiled, self.opt = (folder / name for name in ("bare", "task", "compiled", "opt"))
        for task in (self.bare, self.task):
            task.mkdir()
            (task / "plain.py").write_text(FUNCTION)
        (self.task / "decorated.py").write_text(DECORATED)
        _layer.build(folder / "layer.zip", [sys.executable])
        with zipfile.ZipFile(folder / "layer.zip") as layer:
            layer.extractall(self.opt)
        self.wrapper = self.opt / "zespan" / "wrapper"
        self.wrapper.chmod(0o755)
        package = Path(zespan_serverless.__file__).parent
        shutil.copytree(package, self.task / package.name, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copytree(self.task, self.compiled)
        compileall.compile_dir(self.compiled, quiet=1, invalidation_mode=PycInvalidationMode.UNCHECKED_HASH)

    def start(
        self,
        handler: str,
        backend: Backend,
        env: Mapping[str, str] | None = None,
        *,
        layer: bool = False,
        compiled: bool = False,
    ) -> Sandbox:
        task = self.bare if layer else self.compiled if compiled else self.task
        path = (HOOKS, self.opt / "python", task) if layer else (HOOKS, task)
        environment = {"PYTHONPATH": os.pathsep.join(map(str, path)), "ZESPAN_BASE_URL": backend.url, **(env or {})}
        return Sandbox(handler, task, env=environment, wrapper=self.wrapper if layer else None)


def cold(function: Function, backend: Backend, rounds: int) -> None:
    """Return the time of the init, until the runtime asks for its first event. The layer holds bytecode."""
    ways: dict[str, Callable[[], Sandbox]] = {
        "without": lambda: function.start("plain.handler", backend),
        "decorator": lambda: function.start("decorated.handler", backend),
        "its bytecode deployed": lambda: function.start("decorated.handler", backend, compiled=True),
        "layer and wrapper": lambda: function.start("plain.handler", backend, layer=True),
    }
    init: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(rounds):
        for way, start in ways.items():
            with start() as sandbox:
                init[way].append(sandbox.invoke().init_ms or 0.0)
    for way, took in init.items():
        print(f"{way:24}{statistics.median(took):8.1f}  (over without: {_over(took, init['without']):+.1f})")


def busy(function: Function, backend: Backend, rounds: int) -> None:
    """Return the time until the caller has the response, and from then until the sandbox takes the next event."""
    print(f"{'':20}{'response':>12}{'busy after it':>18}{'at most':>12}")
    for mode in ("without", "before_return", "after_response"):
        handler = "plain.handler" if mode == "without" else "decorated.handler"
        with function.start(handler, backend, {"ZESPAN_FLUSH_MODE": mode} if mode != "without" else None) as sandbox:
            sandbox.invoke()
            response, after = [], []
            for _ in range(rounds):
                invoke = sandbox.invoke()
                response.append(invoke.response_ms or 0.0)
                after.append(invoke.wall_ms - response[-1])
        shown = (statistics.median(response), statistics.median(after), max(after))
        print("{:20}{:12.1f}{:18.1f}{:12.1f}".format(mode, *shown))


def key(function: Function, backend: Backend, rounds: int) -> None:
    """Response and billed time of the first invocation and of later ones, with the key in Parameter Store."""
    print(f"{'':24}{'first: response':>18}{'billed':>10}{'later: response':>18}{'billed':>10}{'delivered':>12}")
    for way, latency in (("in the environment", -1.0), ("service 5 ms away", 0.005), ("slow, 2 s", 2), ("dead", 3600)):
        first, later, delivered = [], [], 0
        for _ in range(max(1, rounds // 8)):
            with _parameter_store(latency) as env, function.start("decorated.handler", backend, env) as sandbox:
                before = len(backend.events)
                first.append(sandbox.invoke())
                later += [sandbox.invoke() for _ in range(8)]
                delivered += len(backend.events) - before
        figures = [
            statistics.median((invoke.response_ms or 0) - (invoke.init_ms or 0) for invoke in first),
            statistics.median(invoke.wall_ms - (invoke.init_ms or 0) for invoke in first),
            statistics.median(invoke.response_ms or 0 for invoke in later),
            statistics.median(invoke.wall_ms for invoke in later),
        ]
        print("{:24}{:18.1f}{:10.1f}{:18.1f}{:10.1f}".format(way, *figures), f"{delivered:>7} of {9 * len(first)}")


def journal(function: Function, backend: Backend, rounds: int) -> None:
    """Return the time to journal a call, to write its event (1,000 bytes), and to empty the file afterwards."""
    steps: dict[str, list[float]] = {"on record": [], "event": [], "emptied": []}
    with tempfile.TemporaryDirectory() as folder:
        kept = Journal(f"{folder}/journal", "there", "key", 1_000_000)
        record: dict[str, Callable[[], object]] = {
            "on record": lambda: kept.append_open(b"x" * 400, "a" * 16),
            "event": lambda: kept.append_event(b"x" * 1000, "a" * 16),
            "emptied": kept.rewrite,
        }
        for _ in range(rounds * 100):
            for step, do in record.items():
                began = time.perf_counter()
                do()
                steps[step].append((time.perf_counter() - began) * 1e6)
        kept.remove()
    for step, took in steps.items():
        print(f"{step:20}{statistics.median(took):8.1f} us")


@contextmanager
def _parameter_store(latency: float) -> Iterator[Mapping[str, str]]:
    """Return the environment of a function with its key in a Parameter Store that answers after `latency` seconds."""
    if latency < 0:
        yield {"ZESPAN_API_KEY": "zsp_measured"}
        return
    closed = threading.Event()

    class Answer(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            if closed.wait(latency):
                return
            body = json.dumps({"Parameter": {"Name": "/k", "Type": "String", "Value": "zsp_measured"}}).encode()
            self.send_response(200)
            self.send_header("content-type", "application/x-amz-json-1.1")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield {
            "ZESPAN_API_KEY_SECRET": "ssm:/k",
            "AWS_ENDPOINT_URL_SSM": f"http://127.0.0.1:{server.server_address[1]}",
            "AWS_ACCESS_KEY_ID": "none",
            "AWS_SECRET_ACCESS_KEY": "none",
        }
        closed.set()
        server.shutdown()


def _over(took: list[float], base: list[float]) -> float:
    """Return the median of the differences in each round, because the speed of the machine varies between rounds."""
    return statistics.median(ours - without for ours, without in zip(took, base, strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["cold", "busy", "key", "journal"])
    parser.add_argument("--rounds", type=int, default=40)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, Backend() as backend:
        backend.latency = 0.03
        began = time.time()
        measures = {"cold": cold, "busy": busy, "key": key, "journal": journal}
        measures[chosen.what](Function(Path(folder)), backend, chosen.rounds)
        print(f"{chosen.rounds} rounds, Python {sys.version.split()[0]}, {time.time() - began:.0f} s")


if __name__ == "__main__":
    main()
