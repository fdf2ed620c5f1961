"""Measures the growth of memory, with a live and a dead backend: `python -m tools.memory [invocations]`.

Runs 100,000 invocations by default in one warm process, each with one span. Prints the growth of resident memory per
1,000 invocations, without the first tenth, in which caches and buffers fill.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time

from zespan_serverless import flush, span, testing, zespan_lambda

BACKENDS, JOURNALS = ("live", "dead"), ("off", "on")


def resident() -> int:
    """Return the resident memory of this process in bytes (Linux)."""
    with open("/proc/self/statm", "rb") as statm:  # noqa: PTH123
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def measure(invocations: int) -> str:
    """Run the invocations in this process. Its environment names the backend."""

    @zespan_lambda(flush_mode="before_return", flush_timeout=0.2)
    def handler(event: object, context: object) -> dict[str, bool]:
        with span("step") as details:
            details["found"] = 3
        return {"ok": True}

    context = testing.LambdaContext(timeout=1e6)
    seen: list[tuple[int, int]] = []
    began = time.monotonic()
    for number in range(1, invocations + 1):
        context.aws_request_id = f"request-{number}"
        handler({"number": number}, context)
        if number % max(1, invocations // 50) == 0 and number * 10 >= invocations:
            seen.append((number, resident()))
    took = time.monotonic() - began
    report = flush(0.2)
    return (
        f"{_slope(seen) * 1000 / 1024:+8.2f} KiB per 1,000 invocations, {seen[-1][1] / 2**20:6.1f} MiB at the end, "
        f"{took:6.1f} s, {report.pending} pending"
    )


def _slope(points: list[tuple[int, int]]) -> float:
    """Return the slope of the least-squares line."""
    x_mean, y_mean = (sum(point[axis] for point in points) / len(points) for axis in (0, 1))
    return sum((x - x_mean) * (y - y_mean) for x, y in points) / sum((x - x_mean) * (x - x_mean) for x, _ in points)


def main() -> None:
    invocations = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    if "ZESPAN_BASE_URL" in os.environ:
        print(measure(invocations), flush=True)
        return
    for kind in BACKENDS:
        for journal in JOURNALS:
            with (
                tempfile.TemporaryDirectory() as folder,
                subprocess.Popen([sys.executable, "-c", _SERVER], stdout=subprocess.PIPE, text=True) as server,
            ):
                assert server.stdout is not None
                url = server.stdout.readline().strip()
                if kind == "dead":
                    server.kill()
                    server.wait()
                where = f"{folder}/journal" if journal == "on" else "off"
                env = {**os.environ, "ZESPAN_BASE_URL": url, "ZESPAN_JOURNAL": where}
                print(f"{kind}, journal {journal:3}: ", end="", flush=True)
                subprocess.run([sys.executable, "-m", "tools.memory", str(invocations)], env=env, check=True)
                server.kill()


# A backend that discards the events, so that it needs no memory for them.
_SERVER = """
import socketserver
from http.server import BaseHTTPRequestHandler

class Connection(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *args):
        pass

class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True

server = Server(("127.0.0.1", 0), Connection)
print(f"http://127.0.0.1:{server.server_address[1]}", flush=True)
server.serve_forever()
"""

if __name__ == "__main__":
    main()
