"""Durable functions: AWS's SDK for them in Lambda's emulator, against the service that AWS's testing SDK brings."""

from __future__ import annotations

import http.client
import json
import os
import re
import subprocess
import sys
import tomllib
import urllib.parse
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import pytest
from zespan_serverless_dev.emulator.lambda_rie import _free_port

from tests.aws_lambda.conftest import FUNCTIONS, ROOT
from tests.aws_lambda.support import Event, StartFunction, calls, until
from zespan_serverless import _layer, run, testing
from zespan_serverless._record.invocation import Result
from zespan_serverless.aws_lambda import _results
from zespan_serverless.testing import Backend

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="AWS builds its emulator for Linux only")

CREDENTIALS = {"AWS_ACCESS_KEY_ID": "none", "AWS_SECRET_ACCESS_KEY": "none"}
GROUP = "aws_durable_execution.plugins"
SERVICE = "aws_durable_execution_sdk_python_testing.cli"


class Service(NamedTuple):
    """AWS's local durable execution service, in a process of its own."""

    port: int

    def call(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request(method, path, json.dumps(body), {"content-type": "application/json"})
            answer: dict[str, Any] = json.load(connection.getresponse())
            return answer
        finally:
            connection.close()

    def is_up(self) -> bool:
        try:
            return bool(self.call("GET", "/health"))
        except OSError:
            return False


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    service = Service(_free_port())
    command = [sys.executable, "-m", SERVICE, "start-server", "--host", "127.0.0.1", "--port", str(service.port)]
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen([*command, "--skip-time"], env=CREDENTIALS, **quiet) as process:  # type: ignore[call-overload]
        until(service.is_up, 20)
        yield service
        process.kill()


class Execution(NamedTuple):
    arn: str
    said: dict[str, Any]


@pytest.fixture
def execute(start: StartFunction, service: Service) -> Callable[..., Execution]:
    """Runs a handler to the end of an execution, over as many invocations as that takes."""

    def execute(handler: str, event: object = None) -> Execution:
        env = {
            **CREDENTIALS,
            "AWS_ENDPOINT_URL_LAMBDA": f"http://127.0.0.1:{service.port}",
            "PYTHONPATH": f"{ROOT}:{FUNCTIONS}",
        }
        sandbox = start(f"durable.{handler}", env=env, timeout=20)
        order = {
            "AccountId": "123456789012",
            "FunctionName": "function",
            "FunctionQualifier": "$LATEST",
            "ExecutionName": handler,
            "ExecutionTimeoutSeconds": 60,
            "ExecutionRetentionPeriodDays": 1,
            "Input": json.dumps(event or {}),
            "LambdaEndpoint": f"http://127.0.0.1:{sandbox._port}",
        }
        arn = service.call("POST", "/start-durable-execution", order)["ExecutionArn"]
        path = f"/2025-12-01/durable-executions/{urllib.parse.quote(arn, safe='')}"
        until(lambda: service.call("GET", path)["Status"] != "RUNNING", 20)
        return Execution(arn, service.call("GET", path))

    return execute


def split(events: list[Event]) -> tuple[list[Event], list[Event]]:
    """Return the events of invocations, and those of steps."""
    general = [event for event in events if event["span_kind"] == "general"]
    invocations = [event for event in general if "faas.name" in event.get("metadata", {})]
    return invocations, [event for event in general if event not in invocations]


def test_an_execution_is_one_trace(execute: Callable[..., Execution], backend: Backend) -> None:
    """Each invocation has a root event that says how it left the execution. A model call is told of once, and so is a
    step, unless the function was suspended in it: what is only replayed is not."""
    execution = execute("handler")
    assert execution.said["Status"] == "SUCCEEDED"
    events = backend.wait_for(7)
    invocations, steps = split(events)
    said = [event["metadata"] for event in invocations]
    assert [one["aws.lambda.durable_execution.status"] for one in said] == ["PENDING", "SUCCEEDED"]
    assert {one["aws.lambda.durable_execution.arn"] for one in said} == {execution.arn}
    assert {event["trace_id"] for event in events} == {sha256(execution.arn.encode()).hexdigest()[:32]}
    assert [event["parent_span_id"] for event in invocations] == [None, None]
    assert [(step["operation"], step.get("metadata")) for step in steps] == [
        ("draft", None),
        ("review", {"suspended": True}),
        ("review", None),
    ]
    assert Counter(event["operation"] for event in calls(events)) == {"draft": 1, "review": 1}
    assert {event["status"] for event in events} == {"success"}
    assert {event["parent_span_id"] for event in events} <= {event["span_id"] for event in events} | {None}
    assert len(events) == 7


def test_failed_execution_is_an_error_of_the_invocation_that_raised(
    execute: Callable[..., Execution], backend: Backend
) -> None:
    """An error that the SDK turns into a result is one of the invocation in which it was raised."""
    execution = execute("handler", {"fail": True})
    assert execution.said["Status"] == "FAILED"
    pending, failed = split(backend.wait_for(7))[0]
    assert (pending["status"], pending["metadata"]["aws.lambda.durable_execution.status"]) == ("success", "PENDING")
    assert (failed["status"], failed["error_message"]) == ("error", "no luck")
    assert failed["metadata"]["error.type"] == "ValueError"
    assert failed["metadata"]["aws.lambda.durable_execution.status"] == "FAILED"


def test_all_invocations_of_an_execution_continue_the_callers_trace(
    execute: Callable[..., Execution], backend: Backend
) -> None:
    """A traceparent in what the execution was started with makes all its invocations part of the caller's trace."""
    trace, parent = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
    execute("handler", {"headers": {"traceparent": f"00-{trace}-{parent}-01"}})
    events = backend.wait_for(7)
    assert {event["trace_id"] for event in events} == {trace}
    assert [event["parent_span_id"] for event in split(events)[0]] == [parent, parent]


def test_decorator_below_that_of_the_sdk_works(execute: Callable[..., Execution], backend: Backend) -> None:
    """Decorated inside the SDK's decorator a function works as ever, in one trace too, and being suspended is not an
    error of it."""
    execution = execute("inside")
    assert execution.said["Status"] == "SUCCEEDED"
    events = backend.wait_for(7)
    assert {event["trace_id"] for event in events} == {sha256(execution.arn.encode()).hexdigest()[:32]}
    suspended, finished = split(events)[0]
    assert suspended["metadata"]["suspended"]
    assert "suspended" not in finished["metadata"]
    assert all(event["metadata"]["faas.invocation_id"] for event in (suspended, finished))
    assert suspended["metadata"]["aws.lambda.durable_execution.arn"] == execution.arn
    assert {event["status"] for event in events} == {"success"}
    assert Counter(event["operation"] for event in calls(events)) == {"draft": 1, "review": 1}


def test_every_operation_has_its_event(execute: Callable[..., Execution], backend: Backend) -> None:
    """With the plugin each attempt of a step, each branch and each wait has one event, below the operation that it is
    part of, and a replay sends none of them again."""
    execute("steps", {"fail": True})
    events = backend.wait_for(13)
    names = {event["span_id"]: event["operation"] for event in events}
    prefix = "aws.lambda.durable_execution.operation."
    seen = {
        (event["operation"], names.get(event["parent_span_id"]), event["status"], said.get(f"{prefix}attempt"))
        for event in events
        if f"{prefix}type" in (said := event.get("metadata") or {})
    }
    assert seen == {
        ("drafts", "emulated", "success", 1),
        ("map-item-0", "drafts", "success", 1),
        ("map-item-1", "drafts", "success", 1),
        ("a", "map-item-0", "success", 1),
        ("b", "map-item-1", "success", 1),
        ("pause", "emulated", "success", None),
        ("review", "emulated", "error", 1),
        ("review", "emulated", "error", 2),
    }
    assert [event["operation"] for event in calls(events)] in (["a", "b"], ["b", "a"])
    assert len(events) == 13


def test_an_operation_that_makes_up_for_another_has_not_failed() -> None:
    """An error that is being handled while a function runs is not that function's own."""
    from aws_durable_execution_sdk_python.lambda_service import OperationStatus
    from aws_durable_execution_sdk_python.plugin import OperationType, UserFunctionEndInfo, UserFunctionStartInfo

    from zespan_serverless.durable import ZespanOperations

    plugin = ZespanOperations().create_plugin(None)
    info = UserFunctionStartInfo("1", OperationType.STEP, "Step", "refund", None, None, False, OperationStatus.STARTED)
    with testing.recording() as events, run("order"):
        try:
            raise LookupError("mine")
        except LookupError:
            plugin.on_user_function_start(info)
            plugin.on_user_function_end(UserFunctionEndInfo.from_start_info(info, None))
    assert [(event["operation"], event["status"]) for event in events] == [("refund", "success"), ("order", "success")]


def test_status_in_another_result_is_not_that_of_an_execution(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without AWS's SDK, and in another form than its, `Status` is a word of the function's own."""
    sdk = "aws_durable_execution_sdk_python"
    monkeypatch.delitem(sys.modules, sdk, raising=False)
    assert _results.read({"Status": "FAILED"}) == Result()
    monkeypatch.setitem(sys.modules, sdk, ModuleType(sdk))
    assert _results.read({"Status": "FAILED", "Reason": "none"}) == Result()
    assert _results.read({"Status": "DONE"}) == Result()
    assert _results.read({"Status": "FAILED"}).error_type == "FAILED"


@pytest.mark.parametrize(("number", "names"), [(0, ["write"]), (1, ["draft", "cool off"])])
def test_the_documented_durable_functions_are_traced(number: int, names: list[str]) -> None:
    """The functions in the documentation succeed in AWS's own test runner, and are traced, with and without plugin."""
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs/hosts/lambda-durable.md").read_text(), re.DOTALL)
    test = f"""
from aws_durable_execution_sdk_python_testing.runner import DurableFunctionTestRunner
from zespan_serverless import testing

with DurableFunctionTestRunner(handler) as runner, testing.recording() as events:
    assert runner.run('{{"topic": "none"}}').status.value == "SUCCEEDED"
roots = {{event["span_id"]: event for event in events if "faas.name" in (event.get("metadata") or {{}})}}
steps = [event for event in events if event["span_id"] not in roots]
assert [step["operation"] for step in steps] == {names}
assert {{step["parent_span_id"] for step in steps}} <= set(roots)
assert events[-1]["metadata"]["aws.lambda.durable_execution.status"] == "SUCCEEDED"
"""
    env = {**CREDENTIALS, "AWS_DEFAULT_REGION": "us-east-1", "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", blocks[number] + test], check=True, env=env, timeout=60)


@pytest.mark.slow
def test_a_variable_turns_the_plugin_on(tmp_path: Path, backend: Backend) -> None:
    """AWS's SDK finds it by the layer's list of entry points, which is that of the wheel; a function that passes it as
    well has each event once."""
    entry = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"][GROUP]["zespan"]
    _layer.build(tmp_path / "layer.zip")
    with zipfile.ZipFile(tmp_path / "layer.zip") as archive:
        archive.extractall(tmp_path)
    (listed,) = (tmp_path / "python").glob("*.dist-info/entry_points.txt")
    assert listed.read_text() == f"[{GROUP}]\nzespan = {entry}\n"
    program = """
import zespan_serverless
from aws_durable_execution_sdk_python import durable_execution
from aws_durable_execution_sdk_python_testing.runner import DurableFunctionTestRunner
from zespan_serverless import zespan_lambda
from zespan_serverless.durable import ZespanOperations

def run(**settings):
    @zespan_lambda
    @durable_execution(**settings)
    def handler(event, context):
        return context.step(lambda step: "x", name="draft")

    with DurableFunctionTestRunner(handler) as runner:
        assert runner.run("{}").status.value == "SUCCEEDED"

run()
run(plugins=[ZespanOperations()])
zespan_serverless.flush()
print(zespan_serverless.__file__)
"""
    env = {**os.environ, **CREDENTIALS, "PYTHONPATH": str(tmp_path / "python"), "DURABLE_EXECUTION_PLUGINS": "zespan"}
    env |= {"ZESPAN_BASE_URL": backend.url, "ZESPAN_API_KEY": "zsp_test", "AWS_DEFAULT_REGION": "us-east-1"}
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=100, check=False)
    assert done.stdout.strip() == str(tmp_path / "python/zespan_serverless/__init__.py"), done.stderr
    assert [event["operation"] for event in backend.events].count("draft") == 2
