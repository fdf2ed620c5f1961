"""`@zespan_alibaba` with the events and the context that Function Compute documents; its runtime is not published."""

from __future__ import annotations

import base64
import json
import time
from types import SimpleNamespace
from typing import Any

import pytest
from zespan_serverless_dev.emulator.model import ModelEndpoint

import zespan_serverless
from tests.documentation import PAGES, blocks, run
from tests.faas.support import trace, traceparent
from tests.support import TRACE, TRACEPARENT, below, calls, roots
from zespan_serverless import zespan_alibaba
from zespan_serverless.testing import Backend


def context(timeout: object = 60) -> Any:
    """https://www.alibabacloud.com/help/en/functioncompute/fc-3-0/user-guide/context-1 ."""
    function = SimpleNamespace(
        name="chat", handler="index.handler", memory=512, timeout=timeout, version_id="", qualifier="LATEST"
    )
    return SimpleNamespace(request_id="request-1", function=function, region="cn-hangzhou", account_id="1")


def request(body: str = "", header: str = TRACEPARENT, *, is_base64: bool = False) -> bytes:
    """https://www.alibabacloud.com/help/en/functioncompute/fc/http-trigger-invoking-function ."""
    event = {
        "version": "v1",
        "rawPath": "/chat",
        "body": base64.b64encode(body.encode()).decode() if is_base64 else body,
        "isBase64Encoded": is_base64,
        "headers": {"Traceparent": header, "Accept": "*/*"},
        "queryParameters": {},
        "requestContext": {
            "accountId": "1",
            "domainName": "chat-1.cn-hangzhou.fcapp.run",
            "http": {"method": "POST", "path": "/chat", "protocol": "HTTP/1.1", "sourceIp": "1.2.3.4"},
            "requestId": "request-1",
        },
    }
    return json.dumps(event).encode()


@pytest.fixture(autouse=True)
def instance(monkeypatch: pytest.MonkeyPatch, backend: Backend) -> None:
    variables = {"FC_FUNCTION_NAME": "chat", "FC_REGION": "cn-hangzhou", "FC_QUALIFIER": "LATEST", "FC_ACCOUNT_ID": "1"}
    for name, value in {**variables, "ZESPAN_BASE_URL": backend.url, "ZESPAN_API_KEY": "zsp_key"}.items():
        monkeypatch.setenv(name, value)


@zespan_alibaba
def handler(event: bytes, context: Any) -> Any:
    zespan_serverless.capture({"operation": "work"})
    kind = json.loads(event).get("body")
    if kind == "raises":
        raise LookupError("mine")
    return {"statusCode": int(kind)} if kind else "done"


def test_everything_has_been_sent_when_a_call_returns(backend: Backend) -> None:
    """An instance may be frozen then: events have the caller's trace, the outcome, and what the context says."""
    kinds = ["200", "503", "raises"]
    for number, kind in enumerate(kinds):
        if kind == "raises":
            with pytest.raises(LookupError, match="mine"):
                handler(request(kind, traceparent(number)), context())
        else:
            assert handler(request(kind, traceparent(number)), context()) == {"statusCode": int(kind)}
        assert len(backend.events) == 2 * (number + 1)
    events = backend.events
    seen = roots(events)
    assert [root["trace_id"] for root in seen] == [trace(number) for number in range(3)]
    assert [len(below(root, events)) for root in seen] == [1, 1, 1]
    assert [root["status"] for root in seen] == ["success", "error", "error"]
    assert [root["metadata"].get("error.type") for root in seen] == [None, "503", "LookupError"]
    first = seen[0]["metadata"]
    assert (first["faas.name"], first["faas.invocation_id"], first["faas.trigger"]) == ("chat", "request-1", "http")
    assert (first["http.request.method"], first["url.path"]) == ("POST", "/chat")
    assert first["server.address"] == "chat-1.cn-hangzhou.fcapp.run"
    assert (first["cloud.provider"], first["cloud.region"]) == ("alibaba_cloud", "cn-hangzhou")
    assert 59_000 < first["time_left_at_start_ms"] <= 60_000


@pytest.mark.parametrize(
    "event",
    [
        b'{"events": [{"eventName": "ObjectCreated:PutObject", "oss": {}}]}',
        b'{"requestContext": []}',
        b'{"requestContext": {"http": 1}, "headers": [1], "rawPath": 2}',
        b'\xff not JSON "requestContext"',
        b'["requestContext"]',
        request("x" * 300_000),
    ],
)
def test_other_events_have_no_caller(event: bytes, backend: Backend) -> None:
    """Events of other triggers, odd ones, and large ones begin a trace."""
    work: Any = zespan_alibaba(lambda event, context: "done")
    work(event, context(timeout="soon"))
    (root,) = backend.events
    assert (root["trace_id"] != TRACE, root["parent_span_id"], root["status"]) == (True, None, "success")
    assert "time_left_at_start_ms" not in root["metadata"]


def test_a_call_keeps_its_timeout(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the backend hangs, the call returns before the function's timeout, although a flush may take far longer."""
    monkeypatch.setenv("ZESPAN_FLUSH_TIMEOUT", "25")
    monkeypatch.setenv("ZESPAN_FLUSH_RESERVE", "1.5")
    backend.mode = "hang"
    began = time.monotonic()
    assert handler(b"{}", context(timeout=3)) == "done"
    assert time.monotonic() - began < 3
    backend.mode = "ok"
    handler(b"{}", context())
    assert len(roots(backend.wait_for(4))) == 2


def test_after_response_no_call_waits_and_a_hook_sends_the_rest(backend: Backend) -> None:
    """With `after_response` a call does not wait for the backend; what is pending is sent by a hook that flushes."""
    backend.mode = "hang"
    late: Any = zespan_alibaba(flush_mode="after_response", flush_timeout=25)(lambda event, context: "done")
    began = time.monotonic()
    assert late(b"{}", context()) == "done"
    assert time.monotonic() - began < 10
    backend.mode = "ok"
    assert zespan_serverless.flush(20).pending == 0
    assert len(backend.events) == 1


@pytest.mark.parametrize("is_base64", [False, True])
def test_the_code_of_the_page(is_base64: bool, backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    """The handler answers in the caller's trace, and so does the web application, whose events are there as well. A
    trigger may encode the body."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-local")
    first, second = blocks(PAGES["hosts/alibaba"])
    with ModelEndpoint(latency_ms=0) as model:
        monkeypatch.setenv("OPENAI_BASE_URL", model.url)
        module = run(first)
        answer = module.handler(request(json.dumps({"prompt": "Hi"}), is_base64=is_base64), context())
        module.client.close()
    assert json.loads(answer["body"]) == {"answer": "Hello, serverless world!"}
    assert {event["trace_id"] for event in backend.events} == {TRACE}
    assert (len(roots(backend.events)), len(calls(backend.events))) == (1, 1)
    web = run(second).app.test_client().post("/chat", headers={"traceparent": TRACEPARENT, "x-fc-request-id": "r-2"})
    assert web.json == {"answer": "Hello"}
    web.close()
    assert roots(backend.wait_for(3))[1]["metadata"]["faas.invocation_id"] == "r-2"
