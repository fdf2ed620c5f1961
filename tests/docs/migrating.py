"""Runs one function of a page of docs/migrate/ in the environment of the tool that the page is about.

`python -m tests.docs.migrating PAGE BLOCK` prints what came of it as JSON. The model and both backends are local.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from zespan_serverless_dev.emulator.model import MODEL_VARIABLES, ModelEndpoint

from tests.documentation import PAGES, blocks, run
from zespan_serverless import flush, testing

EVENT = {"city": "Bern", "user": "ada", "session": "s1"}

# What leads a tool to its backend, as its documentation says; {url} is the stand-in.
VARIABLES = {
    "langfuse": {"LANGFUSE_PUBLIC_KEY": "pk", "LANGFUSE_SECRET_KEY": "sk", "LANGFUSE_BASE_URL": "{url}"},
    "opentelemetry": {"OTEL_EXPORTER_OTLP_ENDPOINT": "{url}", "OTEL_SERVICE_NAME": "answer"},
    "logfire": {
        "LOGFIRE_TOKEN": "pylf_v1_local_token",
        "LOGFIRE_BASE_URL": "{url}",
        "LOGFIRE_CONSOLE": "false",
        "LOGFIRE_SEND_TO_LOGFIRE": "true",  # also under pytest
    },
    "sentry": {"SENTRY_DSN": "{key}/1"},
    "datadog": {
        "DD_TRACE_AGENT_URL": "{url}",
        "DD_LLMOBS_AGENTLESS_ENABLED": "true",
        "DD_API_KEY": "k",
        "DD_LLMOBS_OVERRIDE_ORIGIN": "{url}",
        "DD_INSTRUMENTATION_TELEMETRY_ENABLED": "false",
        "DD_REMOTE_CONFIGURATION_ENABLED": "false",
    },
    "braintrust": {"BRAINTRUST_API_KEY": "k", "BRAINTRUST_API_URL": "{url}", "BRAINTRUST_APP_URL": "{url}"},
    "posthog": {"POSTHOG_API_KEY": "phc_k", "POSTHOG_HOST": "{url}"},
    "langsmith": {"LANGSMITH_TRACING": "true", "LANGSMITH_API_KEY": "k", "LANGSMITH_ENDPOINT": "{url}"},
}


class Tool(BaseHTTPRequestHandler):
    """A backend that accepts everything."""

    protocol_version = "HTTP/1.1"
    received: list[str] = []  # noqa: RUF012  # for this process

    def do_POST(self) -> None:
        self._read()
        url = f"http://127.0.0.1:{self.server.server_address[1]}"  # type: ignore[index]
        if not self.path.startswith(("/api/apikey/", "/v1/project")):  # at which Braintrust begins
            self.received.append(self.path)
        organization = {"id": "o", "name": "local", "api_url": url}
        self._answer(json.dumps({"org_info": [organization], "id": "p", "name": "answer"}).encode())

    do_PUT = do_PATCH = do_POST

    def do_GET(self) -> None:
        endpoints = ["/v0.4/traces", "/v0.5/traces", "/evp_proxy/v2/"]
        self._answer(
            json.dumps(
                {"version": "7.60.0", "endpoints": endpoints, "project_name": "local", "project_url": "local"}
            ).encode()
        )

    def _read(self) -> None:
        if self.headers.get("transfer-encoding") == "chunked":
            while size := int(self.rfile.readline(), 16):
                self.rfile.read(size + 2)
            self.rfile.readline()
        else:
            self.rfile.read(int(self.headers.get("content-length") or 0))

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None: ...


@contextmanager
def tool() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Tool)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()


def main(page: str, number: int) -> None:
    """Call the block's handler once, and print the sums."""
    with tool() as url, ModelEndpoint(latency_ms=0) as model, testing.Backend() as backend:
        key = url.replace("://", "://key@")
        os.environ.update({name: value.format(url=url, key=key) for name, value in VARIABLES[page].items()})
        os.environ.update(zip(MODEL_VARIABLES, (model.url, "k"), strict=True))
        os.environ.update(ZESPAN_BASE_URL=backend.url, ZESPAN_API_KEY="zsp_k", ZESPAN_ENABLED="1")
        handler = run(blocks(PAGES[f"migrate/{page}"])[number]).handler
        answer = handler(EVENT, testing.LambdaContext(function_name="answer"))
        flush(5)
        events = [[event["span_kind"], event["operation"], event["user_id"]] for event in backend.events]
        sessions = [event["session_id"] for event in backend.events]
        done = {"answer": answer, "calls": len(model.requests), "tool": Tool.received, "events": events}
        sys.stdout.write(json.dumps({**done, "sessions": sessions}) + "\n")
        sys.stdout.flush()
        os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
