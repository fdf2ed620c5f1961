"""A stand-in for the Lambda Web Adapter, which no package registry has. It turns Lambda's events into HTTP requests,
and the responses into answers for Lambda.

    web_adapter.py COMMAND...    COMMAND starts the server; {port} in it becomes the port to listen on

Like the Adapter (https://github.com/awslabs/aws-lambda-web-adapter) it asks for events as soon as the server answers,
and passes Lambda's context in the header x-amzn-lambda-context. Responses are buffered, the Adapter's default.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from typing import Any

API = os.environ["AWS_LAMBDA_RUNTIME_API"]
RUNTIME = "/2018-06-01/runtime/invocation/"


def call(method: str, path: str, body: bytes | None = None) -> tuple[http.client.HTTPMessage, bytes]:
    connection = http.client.HTTPConnection(API)
    connection.request(method, RUNTIME + path, body)
    response = connection.getresponse()
    found = response.headers, response.read()
    connection.close()
    return found


def forwarded(port: int, event: dict[str, Any], context: dict[str, Any]) -> dict[str, Any]:
    """Send an event of a function URL or an HTTP API as a request; return the response in Lambda's format."""
    request = event["requestContext"]["http"]
    body = event.get("body") or ""
    data = base64.b64decode(body) if event.get("isBase64Encoded") else body.encode()
    headers = {name: value for name, value in event["headers"].items() if name.lower() != "content-length"}
    headers["x-amzn-lambda-context"] = json.dumps(context)
    headers["x-amzn-request-context"] = json.dumps(event["requestContext"])
    query = f"?{event['rawQueryString']}" if event.get("rawQueryString") else ""
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request(request["method"], event["rawPath"] + query, data or None, headers)
    response = connection.getresponse()
    answer = {"statusCode": response.status, "headers": dict(response.headers), "body": response.read().decode()}
    connection.close()
    return answer


def main() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen([part.replace("{port}", str(port)) for part in sys.argv[1:]])

    def terminate(*_: object) -> None:  # in Lambda the server is the process of the runtime, and gets SIGTERM directly
        server.terminate()
        server.wait()
        os._exit(0)

    signal.signal(signal.SIGTERM, terminate)
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            break
        except OSError:
            time.sleep(0.01)
        if server.poll() is not None:
            sys.exit(f"the server has exited with {server.returncode}")
    while True:
        headers, event = call("GET", "next")
        request_id = headers["Lambda-Runtime-Aws-Request-Id"]
        context = {
            "request_id": request_id,
            "deadline": int(headers["Lambda-Runtime-Deadline-Ms"]),
            "invoked_function_arn": headers["Lambda-Runtime-Invoked-Function-Arn"],
        }
        try:
            outcome, answer = "response", forwarded(port, json.loads(event), context)
        except (OSError, http.client.HTTPException) as error:
            outcome, answer = "error", {"errorType": type(error).__name__, "errorMessage": str(error)}
        call("POST", f"{request_id}/{outcome}", json.dumps(answer).encode())
        os.write(1, b"EMULATOR POSTED %s %.6f\n" % (request_id.encode(), time.time()))


if __name__ == "__main__":
    main()
