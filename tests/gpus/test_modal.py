"""Modal's own container entrypoint with inputs of a service that plays Modal: one event for each input."""

from __future__ import annotations

import json
import signal
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests import environments, hosts
from tests.support import TRACE, TRACEPARENT, below, roots, until
from zespan_serverless.testing import Backend

pytestmark = pytest.mark.host(seconds=8)

CALLER = {"traceparent": TRACEPARENT}
ENDLESS = {**CALLER, "seconds": 1000}


def containers(backend: Backend, **plans: Any) -> dict[str, Any]:
    """Run containers, each with its inputs, and return what Modal has got of them."""
    keys = {name.replace("__", ":").replace("Model", "Model.*"): plan for name, plan in plans.items()}
    env: Any = {"ZESPAN_API_KEY": "zsp_test", "ZESPAN_BASE_URL": backend.url}
    python = environments.installed("gpus", "modal")
    done: dict[str, Any] = json.loads(
        environments.run(python, "tests.gpus.apps.modal_containers", json.dumps(keys), **env)
    )
    return done


def test_every_input_has_its_event_at_the_end_of_a_container(backend: Backend) -> None:
    """Functions of every kind, and methods: all events arrive, in the caller's trace, with the error, also of an input
    that Modal cancels, and of one that SIGINT interrupts, which is how Modal ends a container."""
    ended = {"inputs": [CALLER, {**CALLER, "raises": True}]}
    done = containers(
        backend,
        sync={"inputs": [CALLER, ENDLESS], "end": "cancel"},
        coroutine={"inputs": [CALLER, CALLER, ENDLESS], "concurrent": 4, "end": int(signal.SIGINT)},
        generator=ended,
        async_generator=ended,
        Model=ended,
    )
    assert {one["code"] for one in done.values()} == {0}
    assert [done[name]["pieces"] for name in ("generator", "async_generator")] == [3, 3]
    assert all(one["outputs"]["in-0"] and not one["outputs"].get("in-2") for one in done.values())
    found = {(e["operation"], e["metadata"]["faas.invocation_id"]): e for e in roots(backend.events)}
    assert {key: event["metadata"].get("error.type") for key, event in found.items()} == {
        ("sync", "in-0"): None,
        ("sync", "in-1"): "InputCancellation",
        ("coroutine", "in-0"): None,
        ("coroutine", "in-1"): None,
        ("coroutine", "in-2"): "CancelledError",
        **{(name, "in-0"): None for name in ("generator", "async_generator", "method")},
        **{(name, "in-1"): "LookupError" for name in ("generator", "async_generator", "method")},
    }
    assert {event["trace_id"] for event in backend.events} == {TRACE}
    assert all(len(below(root, backend.events)) == 1 for root in found.values())
    said = found["sync", "in-0"]["metadata"]
    assert (said["cloud.provider"], said["cloud.region"], said["faas.instance"]) == ("modal", "eu-west-1", "ta-1")
    assert said["modal.function_call.id"] == "fc-0"
    seen = "Everything arrives after the result, by a thread."
    hosts.write("Modal", "sync", seen, sent="after the response", later="less than 1 ms")
    hosts.write("Modal", "async", seen)
    hosts.write("Modal", "stream", "Everything arrives after the last piece.")
    hosts.write("Modal", "exception", "Everything arrives, with the error.")
    hosts.write("Modal", "concurrent", "Everything arrives, an event for each input.")
    seen = "Everything arrives: Modal sends SIGINT, and the running input has the error `CancelledError`."
    hosts.write("Modal", "SIGTERM", seen, stopped="everything is sent")
    hosts.write("Modal", "deadline", "Modal does not tell the time limit of an input; its end is a cancellation.")


def test_a_container_that_is_killed_with_a_result(backend: Backend) -> None:
    """With `before_return` every event has arrived before the result; by default the last may be lost."""
    killed = {"inputs": [{}] * 3, "end": int(signal.SIGKILL), "env": {"ZESPAN_FLUSH_MODE": "before_return"}}
    done = containers(backend, sync__killed=killed, coroutine__killed=killed, generator__killed=killed)
    assert {one["code"] for one in done.values()} == {-signal.SIGKILL}
    assert len(roots(backend.events)) == 9
    assert len(backend.events) == 18


def test_an_outage_of_the_backend(backend: Backend) -> None:
    """Results do not wait while the backend is unavailable. The events are sent later, or when the container ends."""
    environments.installed("gpus", "modal")  # skips here: in the thread it would only end the thread
    backend.mode = 503
    with ThreadPoolExecutor() as pool:
        running = pool.submit(containers, backend, sync={"inputs": [{}, {"seconds": 2}]})
        until(lambda: backend.requests, 60)
        backend.mode = "ok"
        assert running.result()["sync"] == {"code": 0, "outputs": {"in-0": True, "in-1": True}, "pieces": 0}
    assert len(roots(backend.events)) == 2
    assert len(backend.events) == 4
    seen = "Results do not wait; the events are sent when it is back, or at the end of the container."
    hosts.write("Modal", "dead backend", seen, outage="kept, then sent")


def test_a_function_that_is_a_web_endpoint_has_its_events(backend: Backend) -> None:
    """FastAPI reads its parameters as without the decorator, and each request that reaches it has an event."""
    env: Any = {"ZESPAN_API_KEY": "zsp_test", "ZESPAN_BASE_URL": backend.url}
    python = environments.installed("gpus", "modal")
    assert environments.run(python, "tests.gpus.apps.modal_web", **env) == '[500, 422] {"answer":"Hi"}'
    assert [root["metadata"].get("error.type") for root in roots(backend.events)] == ["LookupError", None]
    assert all(len(below(root, backend.events)) == 1 for root in roots(backend.events))
