"""Plays the Functions host for Microsoft's own worker library, in a process of its own.

    python worker.py FOLDER [v1]

The real worker process adds only gRPC: it decodes a message of the host, and calls the library's coroutine for it on
the event loop of its main thread (`workers/proxy_worker` in
https://github.com/Azure/azure-functions-python-worker). Here a message is a line of JSON over TCP. As in the real
worker, the caller injects the classes of messages.

The library has one registry of functions per process, so every app has a process.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import importlib
import json
import os
import sys
import time
import uuid
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit


class Message:
    """A message. Fields that were not given are None."""

    def __init__(self, **fields: Any) -> None:
        self.__dict__.update(fields)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return None


class Data:
    """One value and its kind (TypedData)."""

    def __init__(self, **field: Any) -> None:
        self._kind: str | None = None
        self._value: Any = None
        if field:
            ((self._kind, self._value),) = field.items()

    def WhichOneof(self, _: str) -> str | None:  # noqa: N802  # protobuf's
        return self._kind

    def __getattr__(self, name: str) -> Any:
        if name != self.__dict__.get("_kind"):
            raise AttributeError(name)
        return self._value


class Parameter(Message):
    def WhichOneof(self, _: str) -> str:  # noqa: N802
        return "data"


class Protos:
    TypedData, ParameterBinding = Data, Parameter

    def __init__(self) -> None:
        self.BindingInfo = type("BindingInfo", (Message,), {"undefined": 0, "in": 0, "out": 1, "inout": 2})
        self.StatusResult = type("StatusResult", (Message,), {"Failure": 0, "Success": 1, "Cancelled": 2})

    def __getattr__(self, name: str) -> type:
        if name.startswith("__"):
            raise AttributeError(name)
        made = type(name, (Message,), {})
        setattr(self, name, made)
        return made


def encoded(value: dict[str, Any]) -> Data:
    """Decode a value like {"string": "..."} into the host's form. Bytes are in base64."""
    (kind, held), *_ = value.items()
    if kind == "http":
        body = Data(bytes=base64.b64decode(held["body"])) if held.get("body") else Data()
        parts = {name: held.get(name) or {} for name in ("headers", "params", "query")}
        return Data(http=Message(method=held.get("method", "GET"), url=held["url"], body=body, **parts))
    if kind == "bytes":
        return Data(bytes=base64.b64decode(held))
    if kind == "collection_bytes":
        return Data(collection_bytes=Message(bytes=[base64.b64decode(one) for one in held]))
    if kind.startswith("collection_"):
        return Data(**{kind: Message(**{kind.removeprefix("collection_"): held})})
    return Data(**{kind: held})


def plain(data: Any) -> Any:
    """Encode a value that the function has returned or set."""
    kind = data.WhichOneof("data") if data is not None else None
    value = getattr(data, kind) if kind else None
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


class Worker:
    def __init__(self, folder: Path, model: str) -> None:
        self.folder, self.model = folder, model
        self.capabilities: dict[str, str] = {}
        self.library: Any = importlib.import_module(f"azure_functions_runtime{'_v1' if model == 'v1' else ''}")
        self.protos: Any = Protos()
        self.functions: dict[str, Any] = {}

    async def start(self) -> None:
        """Send the first messages of the host. A function that cannot be loaded ends this process."""
        self.library.start_threadpool_executor()
        request = Message(worker_init_request=Message(capabilities={}, function_app_directory=str(self.folder)))
        answer = await self.library.worker_init_request(self._request(request))
        self._check(answer)
        self.capabilities = answer.capabilities
        answer = await self.library.functions_metadata_request(self._request(Message()))
        self._check(answer)
        found = self._function_json() if self.model == "v1" else answer.function_metadata_results or []
        for one in found:
            load = Message(function_load_request=Message(function_id=one.function_id, metadata=one))
            self._check(await self.library.function_load_request(self._request(load)))
            self.functions[one.name] = one
        while self.capabilities.get("HttpUri"):  # the web server is started in a task
            with contextlib.suppress(ConnectionError):
                url = urlsplit(self.capabilities["HttpUri"])
                (await asyncio.open_connection(url.hostname, url.port))[1].close()
                break
            await asyncio.sleep(0.01)

    def _function_json(self) -> list[Any]:
        found = []
        for file in sorted(self.folder.glob("*/function.json")):
            said = json.loads(file.read_text())
            directions = {"in": 0, "out": 1, "inout": 2}
            bindings = {
                one["name"]: self.protos.BindingInfo(
                    type=one["type"], data_type=0, direction=directions[one["direction"]]
                )
                for one in said["bindings"]
            }
            metadata = self.protos.RpcFunctionMetadata(
                name=file.parent.name,
                function_id=str(uuid.uuid4()),
                directory=str(file.parent),
                script_file=str(file.parent / said["scriptFile"]),
                entry_point=said.get("entryPoint", ""),
                bindings=bindings,
            )
            found.append(metadata)
        return found

    def _request(self, request: Message) -> Message:
        return Message(request=request, properties={"protos": self.protos, "host": "127.0.0.1"})

    def _check(self, answer: Any) -> None:
        if answer.result.status != self.protos.StatusResult.Success:
            sys.exit(f"{answer.result.exception.message}\n{answer.result.exception.stack_trace}")

    async def invoke(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Run one invocation. `ms` is the time in the library, including the function."""
        count, most = asked.get("retry") or (0, 0)
        invocation = Message(
            invocation_id=asked["invocation_id"],
            function_id=self.functions[asked["function"]].function_id,
            input_data=[Parameter(name=name, data=encoded(value)) for name, value in asked["inputs"].items()],
            trigger_metadata={name: encoded(value) for name, value in (asked.get("metadata") or {}).items()},
            trace_context=Message(trace_parent=asked.get("traceparent", ""), trace_state="", attributes={}),
            retry_context=Message(retry_count=count, max_retry_count=most, exception=None),
        )
        request = self._request(Message(invocation_request=invocation))
        began = time.perf_counter()
        answer = await self.library.invocation_request(request)
        took = (time.perf_counter() - began) * 1000
        failed, returned = answer.result.exception, answer.return_value
        http = returned.http if returned is not None and returned.WhichOneof("data") == "http" else None
        return {
            "ok": answer.result.status == self.protos.StatusResult.Success,
            "status": int(http.status_code) if http else None,
            "body": plain(http.body if http else returned),
            "exception": failed.message if failed else None,
            "stack": failed.stack_trace if failed else None,
            "outputs": {one.name: plain(one.data) for one in answer.output_data or []},
            "ms": took,
        }

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async for line in reader:
            writer.write(json.dumps(await self.invoke(json.loads(line))).encode() + b"\n")
            await writer.drain()
        writer.close()


async def main(folder: Path, model: str) -> None:
    sys.path.insert(0, str(folder))
    os.chdir(folder)
    worker = Worker(folder, model)
    await worker.start()
    server = await asyncio.start_server(worker.serve, "127.0.0.1", 0, limit=2**26)
    port = server.sockets[0].getsockname()[1]
    print(json.dumps({"port": port, "http": worker.capabilities.get("HttpUri")}), flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]).resolve(), sys.argv[2] if len(sys.argv) > 2 else "v2"))
