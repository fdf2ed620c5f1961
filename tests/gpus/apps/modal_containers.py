"""Runs Modal's own container entrypoint against a service that hands out inputs, and prints what became of them.

python -m tests.gpus.apps.modal_containers '{"coroutine": {"inputs": [{}, {"seconds": 9}], "concurrent": 4}}'

Each container is named by its function, and what follows a colon. When all inputs but those with `seconds` are done,
`end` says what happens to those: `cancel`, or the number of a signal for the container, which ends when there are no
more inputs.
"""

# ruff: noqa: N802  (the names are those of Modal's service)

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from google.protobuf import empty_pb2
from grpclib.server import Server
from modal._serialization import serialize
from modal_proto import api_pb2
from modal_proto.api_grpc import ModalClientBase

from tests.support import until

OK = api_pb2.GenericResult.GENERIC_STATUS_SUCCESS


class Control(ModalClientBase):
    """What a container asks of Modal, for one container."""

    def __init__(self, name: str, inputs: list[Any]) -> None:
        self.name, self.inputs = name, inputs
        self.outputs: dict[str, bool] = {}
        self.given = self.pieces = 0
        self.cancelled: list[str] = []
        self.is_idle, self.is_over = asyncio.Event(), asyncio.Event()

    async def ClientHello(self, stream: Any) -> None:
        await self._answer(stream, api_pb2.ClientHelloResponse())

    async def ContainerHello(self, stream: Any) -> None:
        await self._answer(stream, empty_pb2.Empty())

    async def AuthTokenGet(self, stream: Any) -> None:
        await self._answer(stream, api_pb2.AuthTokenGetResponse(token="e30.e30.e30"))

    async def ContainerHeartbeat(self, stream: Any) -> None:
        cancelled, self.cancelled = self.cancelled, []
        event = api_pb2.CancelInputEvent(input_ids=cancelled) if cancelled else None
        await self._answer(stream, api_pb2.ContainerHeartbeatResponse(cancel_input_event=event))

    async def FunctionGetInputs(self, stream: Any) -> None:
        if self.given == len(self.inputs):
            await self.is_over.wait()
            item = api_pb2.FunctionGetInputsItem(kill_switch=True)
        else:
            number, self.given = self.given, self.given + 1
            given = api_pb2.FunctionInput(
                args=serialize(((self.inputs[number],), {})),
                data_format=api_pb2.DATA_FORMAT_PICKLE,
                method_name="method" if self.name == "Model.*" else None,
            )
            item = api_pb2.FunctionGetInputsItem(input_id=f"in-{number}", function_call_id=f"fc-{number}", input=given)
        await self._answer(stream, api_pb2.FunctionGetInputsResponse(inputs=[item]))

    async def FunctionPutOutputs(self, stream: Any) -> None:
        request = await self._answer(stream, empty_pb2.Empty())
        self.outputs.update({item.input_id: item.result.status == OK for item in request.outputs})
        if len(self.outputs) >= sum(not given.get("seconds") for given in self.inputs):
            self.is_idle.set()

    async def FunctionCallPutDataOut(self, stream: Any) -> None:
        self.pieces += len((await self._answer(stream, empty_pb2.Empty())).data_chunks)

    async def TaskResult(self, stream: Any) -> None:
        sys.stderr.write((await self._answer(stream, empty_pb2.Empty())).result.traceback)

    async def _answer(self, stream: Any, answer: Any) -> Any:
        request = await stream.recv_message()
        await stream.send_message(answer)
        return request


Control.__abstractmethods__ = frozenset()


def arguments(name: str, concurrent: int) -> bytes:
    """What Modal starts a container with."""
    is_generator = name in ("generator", "async_generator")
    function = api_pb2.Function(
        module_name="tests.gpus.apps.modal_app",
        function_name=name,
        function_type=getattr(api_pb2.Function, f"FUNCTION_TYPE_{'GENERATOR' if is_generator else 'FUNCTION'}"),
        definition_type=api_pb2.Function.DEFINITION_TYPE_FILE,
        max_concurrent_inputs=concurrent,
        app_name="demo",
        object_dependencies=[api_pb2.ObjectDependency(object_id="im-1")],
    )
    metadata = api_pb2.FunctionHandleMetadata(function_name=name)
    layout = api_pb2.AppLayout(
        function_ids={name: "fu-1"},
        objects=[
            api_pb2.Object(object_id="fu-1", function_handle_metadata=metadata),
            api_pb2.Object(object_id="im-1"),
        ],
    )
    if name.endswith(".*"):
        function.is_class = True
        function.method_definitions["method"].CopyFrom(api_pb2.MethodDefinition(function_name="Model.method"))
        layout.class_ids["Model"] = "cs-1"
        layout.objects.append(api_pb2.Object(object_id="cs-1", class_handle_metadata=api_pb2.ClassHandleMetadata()))
    return api_pb2.ContainerArguments(
        task_id="ta-1", function_id="fu-1", app_id="ap-1", function_def=function, app_layout=layout
    ).SerializeToString()


async def serve(key: str, plan: Any, folder: Path) -> Any:
    """Run one container to its end."""
    name = key.partition(":")[0]
    control = Control(name, plan["inputs"])
    server = Server([control])
    await server.start("127.0.0.1", 0)
    path, mark = folder / f"{hash(key)}.arguments", folder / f"{hash(key)}.mark"
    path.write_bytes(arguments(name, plan.get("concurrent", 1)))
    env = {
        **os.environ,
        "MARK": str(mark),
        "MODAL_CONTAINER_ARGUMENTS_PATH": str(path),
        "MODAL_SERVER_URL": f"http://127.0.0.1:{server._server.sockets[0].getsockname()[1]}",
        "MODAL_CONFIG_PATH": str(folder / "none"),
        "MODAL_HEARTBEAT_INTERVAL": "0.1",
        "MODAL_IS_REMOTE": "1",
        "MODAL_REGION": "eu-west-1",
        "MODAL_TASK_ID": "ta-1",
        "MODAL_TOKEN_ID": "ak-1",
        "MODAL_TOKEN_SECRET": "as-1",
        **plan.get("env", {}),
    }
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "modal._container_entrypoint", env=env)
    await asyncio.wait_for(control.is_idle.wait(), 60)
    if "end" in plan:
        if plan["inputs"][-1].get("seconds"):
            await asyncio.to_thread(until, mark.exists)  # the last function has begun
        if plan["end"] == "cancel":
            control.cancelled = [f"in-{len(plan['inputs']) - 1}"]
        else:
            process.send_signal(plan["end"])
    control.is_over.set()
    code = await asyncio.wait_for(process.wait(), 60)
    server.close()
    return {"code": code, "outputs": control.outputs, "pieces": control.pieces}


async def main(plans: dict[str, Any]) -> dict[str, Any]:
    """Run all containers at once."""
    with tempfile.TemporaryDirectory() as folder:
        done = await asyncio.gather(*(serve(name, plan, Path(folder)) for name, plan in plans.items()))
    return dict(zip(plans, done, strict=True))


if __name__ == "__main__":
    json.dump(asyncio.run(main(json.loads(sys.argv[1]))), sys.stdout)
