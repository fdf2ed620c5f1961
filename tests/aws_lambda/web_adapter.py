"""A stand-in for the Lambda Web Adapter, which no package registry has. It turns Lambda's events into HTTP requests,
and the responses into answers for Lambda.

    web_adapter.py COMMAND...    COMMAND starts the server; {port} in it becomes the port to listen on

Like the Adapter (https://github.com/awslabs/aws-lambda-web-adapter) it asks for events as soon as the server answers,
and passes Lambda's context in the header x-amzn-lambda-context. Responses are buffered, the Adapter's default, or
streamed with AWS_LWA_INVOKE_MODE=response_stream.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
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


@contextlib.contextmanager
def forwarded(port: int, event: dict[str, Any], context: dict[str, Any]) -> Iterator[http.client.HTTPResponse]:
    """Send an event of a function URL or an HTTP API as a request; give the response, whose body has not been read."""
    request = event["requestContext"]["http"]
    body = event.get("body") or ""
    data = base64.b64decode(body) if event.get("isBase64Encoded") else body.encode()
    headers = {name: value for name, value in event["headers"].items() if name.lower() != "content-length"}
    headers["x-amzn-lambda-context"] = json.dumps(context)
    headers["x-amzn-request-context"] = json.dumps(event["requestContext"])
    query = f"?{event['rawQueryString']}" if event.get("rawQueryString") else ""
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request(request["method"], event["rawPath"] + query, data or None, headers)
    try:
        yield connection.getresponse()
    finally:
        connection.close()


def stream(request_id: str, response: http.client.HTTPResponse) -> None:
    """Post a response piece by piece, as Lambda expects it of custom runtimes."""
    connection = http.client.HTTPConnection(API)
    connection.putrequest("POST", f"{RUNTIME}{request_id}/response")
    for name, value in {
        "Content-Type": "application/vnd.awslambda.http-integration-response",
        "Lambda-Runtime-Function-Response-Mode": "streaming",
        "Transfer-Encoding": "chunked",
    }.items():
        connection.putheader(name, value)
    connection.endheaders()
    prelude = json.dumps({"statusCode": response.status, "headers": dict(response.headers)}).encode()
    piece = prelude + b"\0" * 8
    while piece:
        connection.send(b"%x\r\n%b\r\n" % (len(piece), piece))
        os.write(1, b"ADAPTER POSTED %.6f %r\n" % (time.time(), piece[-20:]))
        piece = response.read1()
    connection.send(b"0\r\n\r\n")
    connection.getresponse().read()
    connection.close()


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
        given, event = call("GET", "next")
        request_id = given["Lambda-Runtime-Aws-Request-Id"]
        context = {
            "request_id": request_id,
            "deadline": int(given["Lambda-Runtime-Deadline-Ms"]),
            "invoked_function_arn": given["Lambda-Runtime-Invoked-Function-Arn"],
        }
        try:
            with forwarded(port, json.loads(event), context) as response:
                if os.environ.get("AWS_LWA_INVOKE_MODE") == "response_stream":
                    stream(request_id, response)
                    continue
                status, headers, body = response.status, dict(response.headers), response.read().decode()
            outcome, answer = "response", {"statusCode": status, "headers": headers, "body": body}
        except (OSError, http.client.HTTPException) as error:
            outcome, answer = "error", {"errorType": type(error).__name__, "errorMessage": str(error)}
        call("POST", f"{request_id}/{outcome}", json.dumps(answer).encode())
        os.write(1, b"EMULATOR POSTED %s %.6f\n" % (request_id.encode(), time.time()))


if __name__ == "__main__":
    main()
