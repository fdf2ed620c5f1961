"""Measures what a flush of another SDK takes when its backend accepts everything and never answers.

`python -m tests.peers.flushes` measures each SDK, alone and by the setting `flush`, and writes the table of
docs/other-sdks.md. With the name of an SDK, in its environment, it prints what has been measured as JSON.
"""

from __future__ import annotations

import http.server
import json
import logging
import os
import re
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from zespan_serverless_dev.emulator.lambda_rie import HOOKS, Sandbox

from tests import environments
from tests.peers.flushed import FLUSHED, Sdk, function
from tests.support import until
from zespan_serverless import testing, zespan_lambda
from zespan_serverless.testing import Backend

PAGE = environments.ROOT / "docs" / "other-sdks.md"
LEFT = 0.9  # seconds that the function has when its work is done
TIMEOUT = 20  # of the function; the first import of an SDK counts
PATIENCE = 60.0  # seconds: one that takes longer is not waited for
HEAD = "| SDK | its own flush | takes | a function with 0.9 s left | by `flush=[...]` | the next call |\n"


class Theirs:
    """A backend for every SDK. It answers nothing while it `hangs`."""

    def __init__(self) -> None:
        theirs = self
        self.requests = 0
        self.answers = threading.Event()
        self.answers.set()

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                self.rfile.read(int(self.headers.get("content-length") or 0))
                theirs.requests += 1
                theirs.answers.wait(PATIENCE * 3)
                org = {"id": "o", "name": "o", "api_url": theirs.url, "proxy_url": theirs.url}
                project = {"id": "p", "name": "test", "project_name": "test", "project_url": theirs.url}
                body = json.dumps({**project, "org_info": [org]}).encode()
                self.send_response(200)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = do_PUT = do_PATCH = answer

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @contextmanager
    def hangs(self) -> Iterator[None]:
        self.answers.clear()
        try:
            yield
        finally:
            self.answers.set()


def in_process(name: str) -> dict[str, Any]:
    """Two calls of a function with a backend that answers, and two with one that does not, by the setting `flush`."""
    logging.disable(logging.ERROR)
    sdk, theirs = FLUSHED[name](), Theirs()
    sdk.start(theirs.url)
    found: dict[str, Any] = {}
    reports: list[Any] = []
    with Backend() as backend:
        settings: Any = {
            "flush": [sdk.entry],
            "on_flush": reports.append,
            "base_url": backend.url,
            "flush_timeout": 30.0,
        }
        handler = zespan_lambda(**settings, flush_mode="before_return")(function(sdk, flushes=False))

        def calls(seconds: float) -> list[Any]:
            seen = []
            for _ in range(2):
                before = theirs.requests
                result = handler({}, testing.LambdaContext(timeout=seconds))
                until(lambda: reports)
                (other,) = reports.pop().others
                seen.append([result, other.outcome, other.detail, theirs.requests - before])
            return seen

        found["answers"] = calls(60.0)
        before = theirs.requests
        with theirs.hangs():
            found["hangs"] = calls(LEFT)
            until(lambda: theirs.requests > before)  # it has been reached
        found["events"] = len(backend.events)
    return found


def alone(sdk: Sdk, url: str) -> float | None:
    """Return seconds that the SDK's own flush takes; None if that is more than `PATIENCE`."""
    sdk.start(url)
    sdk.work()
    began, took = time.monotonic(), list[float]()

    def flush() -> None:
        sdk.flush()
        took.append(time.monotonic() - began)

    thread = threading.Thread(target=flush, daemon=True)
    thread.start()
    thread.join(PATIENCE)
    return round(took[0], 2) if took else None


def on_lambda(name: str, by: str, url: str) -> dict[str, Any]:
    """Invocations of a function in the emulator: a cold one, one with 0.9 seconds left, and the next one."""
    with Backend() as backend:
        environment = {
            "PYTHONPATH": os.pathsep.join(map(str, (HOOKS, environments.ROOT))),
            "ZESPAN_API_KEY": "zsp_test",
            "ZESPAN_BASE_URL": backend.url,
            "FLUSHED_SDK": name,
            "FLUSHED_URL": url,
            "FLUSHED_BY": by,
        }
        folder = Path(__file__).parent
        with Sandbox("tests.peers.flushed.handler", folder, env=environment, timeout=TIMEOUT) as sandbox:
            sandbox.invoke({"idle": True})
            first = sandbox.invoke({"left": LEFT})
            second = sandbox.invoke({}) if by == "us" else None
            told = [json.loads(line) for line in re.findall(r"OTHERS (\[.*\])", first.log)]
            found = {"survived": first.payload == {"ok": True}, "told": told, "events": len(backend.events)}
            if second is not None:
                found["again"] = [second.payload == {"ok": True}, second.response_ms]
            return found


def measured(name: str) -> dict[str, Any]:
    """Return all of one SDK, in its environment."""
    theirs = Theirs()
    with theirs.hangs():
        itself, us = on_lambda(name, "itself", theirs.url), on_lambda(name, "us", theirs.url)
        logging.disable(logging.ERROR)
        return {"alone": alone(FLUSHED[name](), theirs.url), "itself": itself, "us": us}


def label(name: str) -> str:
    """The SDK and its version in the environment; that of the tests' OpenTelemetry, where another package needs it."""
    group, environment = FLUSHED[name].environment
    package = {"Datadog": "ddtrace", "OpenAI Agents": "openai-agents"}.get(name, name.split()[0].lower())
    packages = dict(one.split("==") for one in environments.ENVIRONMENTS[group][environment])
    listed = [version for one, version in packages.items() if one.startswith(package)]
    return f"{name.rstrip(' 235')} {listed[0] if listed else environments.OTEL.split('==')[1]}"


def row(name: str, found: dict[str, Any]) -> str:
    """Return the row of one SDK."""
    takes = "longer than 60 s" if found["alone"] is None else f"{found['alone']:.2f} s"
    itself = "answers" if found["itself"]["survived"] else "is killed: the caller gets an error"
    outcome, seconds = found["us"]["told"][0][0][1:]
    us = f"answers; nobody waits after {seconds:.2f} s" if outcome == "timeout" else f"answers; {outcome}"
    us = us if found["us"]["survived"] else "is killed"
    again, after = found["us"]["again"]
    again = f"answers after {after:.0f} ms" if again else "fails"
    return f"| {label(name)} | `{FLUSHED[name].call}` | {takes} | {itself} | {us} | {again} |\n"


def table(rows: str) -> None:
    """Put the rows into the page."""
    text = PAGE.read_text()
    before, _, rest = text.partition(HEAD)
    after = rest[rest.index("\n\n") :]
    PAGE.write_text(f"{before}{HEAD}| --- | --- | --- | --- | --- | --- |\n{rows.rstrip()}{after}")


def main() -> None:
    rows = ""
    for name in FLUSHED:
        python = environments.python_of(*FLUSHED[name].environment)
        if python is None:
            sys.exit(f"{name} is not installed: python -m tests.environments peers frameworks")
        printed = environments.run(python, "tests.peers.flushes", name, seconds=300).splitlines()[-1]
        rows += row(name, json.loads(printed))
        print(rows.splitlines()[-1], flush=True)
    table(rows)


if __name__ == "__main__":
    if len(sys.argv) == 1:
        main()
    else:
        print("\n" + json.dumps((in_process if "--here" in sys.argv else measured)(sys.argv[1])))
        sys.stdout.flush()
        os._exit(0)  # their own exits take as long as their flushes
