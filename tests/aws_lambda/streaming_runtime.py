"""A stand-in for the runtime client with response streaming that AWS has announced for Python
(https://github.com/aws/aws-lambda-roadmap/issues/39): AWS's client of today, which posts what a generator yields as
Lambda's documentation asks custom runtimes to.

https://docs.aws.amazon.com/lambda/latest/dg/runtimes-custom.html#runtimes-custom-response-streaming. A caller that has
left makes the post fail; then the generator is closed.
"""

from __future__ import annotations

import asyncio
import base64
import http.client
import inspect
import json
import sys
from collections.abc import AsyncIterator, Iterator
from typing import Any

from awslambdaric import __main__ as client
from awslambdaric.lambda_runtime_client import LambdaRuntimeClient
from awslambdaric.lambda_runtime_marshaller import LambdaMarshaller


def synchronous(pieces: Any) -> Iterator[bytes]:
    """The pieces of a generator of either kind."""
    if not inspect.isasyncgen(pieces):
        yield from pieces
        return
    with asyncio.Runner() as runner:
        try:
            while True:
                piece: Any = runner.run(pieces.__anext__())
                yield piece
        except StopAsyncIteration:
            pass
        finally:
            runner.run(pieces.aclose())


class Marshaller(LambdaMarshaller):  # type: ignore[misc]
    def marshal_response(self, response: Any) -> Any:
        if isinstance(response, (Iterator, AsyncIterator)):
            return response, "application/octet-stream"
        return super().marshal_response(response)


class StreamingClient(LambdaRuntimeClient):  # type: ignore[misc]
    marshaller = Marshaller()

    def post_invocation_result(
        self, invoke_id: Any, result_data: Any, content_type: Any = "application/json", invocation_id: Any = None
    ) -> None:
        if not isinstance(result_data, (Iterator, AsyncIterator)):
            super().post_invocation_result(invoke_id, result_data, content_type, invocation_id)
            return
        connection = http.client.HTTPConnection(self.lambda_runtime_address)
        connection.putrequest("POST", f"/2018-06-01/runtime/invocation/{invoke_id}/response")
        for name, value in {
            "Content-Type": content_type,
            "Lambda-Runtime-Function-Response-Mode": "streaming",
            "Transfer-Encoding": "chunked",
            "Trailer": "Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body",
        }.items():
            connection.putheader(name, value)
        connection.endheaders()
        pieces, trailer = synchronous(result_data), ""
        try:
            for piece in pieces:
                connection.send(b"%x\r\n%b\r\n" % (len(piece), piece))
        except OSError:
            pieces.close()  # type: ignore[attr-defined]
            return
        except Exception as error:
            body = base64.b64encode(json.dumps({"errorMessage": str(error)}).encode()).decode()
            trailer = f"Lambda-Runtime-Function-Error-Type: {type(error).__name__}\r\n"
            trailer += f"Lambda-Runtime-Function-Error-Body: {body}\r\n"
        connection.send(f"0\r\n{trailer}\r\n".encode())
        connection.getresponse().read()
        connection.close()


if __name__ == "__main__":
    client.LambdaRuntimeClient = StreamingClient
    client.main(sys.argv)
