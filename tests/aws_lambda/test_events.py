"""Reading an event and a context: right for what Lambda sends, harmless for everything else."""

from __future__ import annotations

import sys
from typing import Any
from unittest.mock import MagicMock, Mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zespan_serverless.aws_lambda import HOST, _events
from zespan_serverless.testing import LambdaContext

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACEPARENT = f"00-{TRACE}-{SPAN}-01"

KNOWN = ["headers", "multiValueHeaders", "requestContext", "http", "elb", "domainName", "method", "httpMethod", "path"]
keys = st.sampled_from([*KNOWN, "rawPath", "routeKey", "resource", "traceparent", "TRACEPARENT"]) | st.text(max_size=5)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.just(TRACEPARENT)
json_values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=5), max_leaves=20
)


@given(json_values)
def test_any_event_can_be_read(event: Any) -> None:
    """Whatever JSON an event is, it makes an invocation: a trigger, flat attributes, and a valid parent or none."""
    invocation = HOST.read((event, LambdaContext()), {})
    assert invocation.trigger in ("http", "other")
    assert invocation.parent in (None, (TRACE, SPAN))
    http = {name: value for name, value in invocation.attributes.items() if name.startswith(("http.", "url."))}
    assert all(isinstance(value, str) and len(value) <= 1024 for value in http.values())


@given(st.text(max_size=600) | st.none())
def test_any_xray_header_can_be_read(header: str | None) -> None:
    """What is not an X-Ray trace makes no link."""
    link = _events.xray_link(header)
    assert link is None or link["type"] == "xray"


def test_deeply_nested_event() -> None:
    """A field as deep as JSON allows does not exhaust the stack."""
    deep: Any = "x"
    for _ in range(sys.getrecursionlimit()):
        deep = [deep]
    event = {"requestContext": {"http": {"method": deep}, "domainName": deep}, "headers": {"traceparent": deep}}
    assert HOST.read((event, None), {}).trigger == "http"


@pytest.mark.parametrize(
    ("event", "parent"),
    [
        ({"headers": {"Traceparent": TRACEPARENT}}, (TRACE, SPAN)),
        ({"headers": None, "multiValueHeaders": {"TRACEPARENT": [TRACEPARENT]}}, (TRACE, SPAN)),
        ({"headers": {"traceparent": TRACEPARENT}, "multiValueHeaders": {"traceparent": [TRACEPARENT] * 2}}, None),
        ({"headers": {"traceparent": f"{TRACEPARENT},{TRACEPARENT}"}}, None),
        ({"headers": {"traceparent": "00-0-0-01"}}, None),
        ({"headers": {"traceparent": TRACEPARENT.upper()}}, None),
        ([TRACEPARENT], None),
    ],
)
def test_parent(event: Any, parent: tuple[str, str] | None) -> None:
    """The parent is the one valid traceparent header; two of them, or a bad one, are none."""
    assert _events.parent(event) == parent


def test_xray_without_a_parent() -> None:
    """A root that X-Ray has no span for yet is linked to as a trace."""
    link = _events.xray_link("Root=1-5759e988-bd862e3fe1be46a994272793")
    assert link == {"type": "xray", "trace_id": "5759e988bd862e3fe1be46a994272793"}


def test_client_context_carries_a_parent() -> None:
    """A direct invoke names its parent in the client context, which newer runtimes hand out."""
    context: Any = LambdaContext()
    context.w3c = lambda: {"traceparent": TRACEPARENT}
    assert HOST.read(({}, context), {}).parent == (TRACE, SPAN)
    context.w3c = lambda: 1 / 0
    assert HOST.read(({}, context), {}).parent is None


@pytest.mark.parametrize("context", [None, Mock(), MagicMock(), object(), "context", {"aws_request_id": "x"}])
def test_context_that_is_none(context: Any) -> None:
    """A stand-in for a context gives no deadline, rather than a wrong one."""
    invocation = HOST.read(({}, context), {})
    assert invocation.id is None
    assert invocation.remaining is None


def test_time_left() -> None:
    """The time left is the context's, in seconds; should its clock fail later, none is left."""
    context = Mock()
    context.get_remaining_time_in_millis.return_value = 1500
    remaining = HOST.read(({}, context), {}).remaining
    assert remaining is not None
    assert remaining() == 1.5
    context.get_remaining_time_in_millis.side_effect = RuntimeError
    assert remaining() == 0.0


def test_where_event_and_context_are_found() -> None:
    """By position, by name, and after the self of a method that was decorated in its class."""
    context = LambdaContext()
    event = {"httpMethod": "GET"}
    for args, kwargs in (
        ((event, context), {}),
        ((event,), {"context": context}),
        ((), {"event": event, "context": context}),
        ((object(), event, context), {}),
    ):
        invocation = HOST.read(args, kwargs)
        assert (invocation.id, invocation.trigger) == (context.aws_request_id, "http")
