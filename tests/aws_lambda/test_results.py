"""What a handler's result says of how its invocation went."""

from __future__ import annotations

import datetime
import decimal
import functools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.aws_lambda.support import StartFunction
from zespan_serverless import testing, zespan_lambda
from zespan_serverless.aws_lambda import _results
from zespan_serverless.testing import Backend, LambdaContext


@pytest.mark.parametrize(
    ("result", "said"),
    [
        (
            {"batchItemFailures": [{"itemIdentifier": "1"}, {"itemIdentifier": "2"}]},
            {"aws.lambda.batch_item_failures": 2},
        ),
        ({"batchItemFailures": []}, {"aws.lambda.batch_item_failures": 0}),
        ({"batchItemFailures": None}, {}),
        ({"statusCode": 404}, {"http.response.status_code": 404}),
        ({"statusCode": "404"}, {}),
        (None, {}),
        ("done", {}),
    ],
)
def test_status_and_failed_messages_are_on_the_event(result: Any, said: dict[str, Any]) -> None:
    """How many messages of a batch failed, and an HTTP status, are on the invocation's event."""

    @zespan_lambda
    def handler(event: object, context: object) -> Any:
        return result

    with testing.recording() as events:
        assert handler({}, LambdaContext()) is result
    names = ("aws.lambda.batch_item_failures", "http.response.status_code")
    assert {name: events[0]["metadata"][name] for name in names if name in events[0]["metadata"]} == said


def test_an_answer_of_500_is_a_failure() -> None:
    """A function that answers 503 has failed, though it has returned; one that answers 404 has not."""

    @zespan_lambda
    def handler(event: Any, context: object) -> Any:
        return {"statusCode": event}

    with testing.recording() as events:
        for status in (404, 503):
            handler(status, LambdaContext())
    found, failed = events
    assert found["status"] == "success"
    assert (failed["status"], failed["error_message"]) == ("error", "HTTP 503")
    assert failed["metadata"]["error.type"] == "503"


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.binary() | st.decimals(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["statusCode", "batchItemFailures", "a"]) | st.integers(), inner, max_size=5)
    ),
    max_leaves=20,
)


@given(anything)
def test_any_result_can_be_read(result: Any) -> None:
    """Whatever a handler returns, it says something about itself, or nothing."""
    read = _results.read(result)
    assert set(read.attributes) <= {"aws.lambda.batch_item_failures"}
    assert read.status is None or 100 <= read.status <= 599
    assert (read.error_type is not None) == (read.status is not None and read.status >= 500)


LOOP: list[object] = []
LOOP.append(LOOP)
SHARED = [1, {"a": 2}]
DEEP: list[object] = functools.reduce(lambda inner, _: [inner], range(5000), [])


@pytest.mark.parametrize(
    ("result", "odd"),
    [
        ({"a": [1, 2.5, "x", None, True, {"b": ()}]}, False),
        ({"a": SHARED, "b": [SHARED]}, False),
        ({"a": [{"when": datetime.UTC}]}, True),
        ({(1, 2): "a"}, True),
        ([{1}], True),
        ({"\ud83d": 1}, True),
        ({10**5000: 1}, True),
        ({"price": decimal.Decimal("1.5")}, False),  # Lambda takes it
        ({"a": 10**5000}, True),
        ({"a": "\ud83d"}, True),
        (LOOP, True),
        (DEEP, True),
        ([0] * 100_000 + [{1}], False),  # not looked at to the end
    ],
)
def test_only_results_that_json_may_refuse_are_tried_out(result: object, odd: bool) -> None:
    """Only a result with something in it that JSON may not take is tried out, and a large one never is."""
    assert _results._looks_odd(result) is odd


@pytest.mark.parametrize("mode", ["after_response", "before_return"])
@pytest.mark.parametrize("handler", ["results.handler", "zespan_serverless.aws_lambda.auto.handler"])
def test_a_result_that_lambda_cannot_send(start: StartFunction, backend: Backend, handler: str, mode: str) -> None:
    """The invocation is reported as what it is, in Lambda's own words, and Lambda's answer is what it would be."""
    bare = start("results.bare").invoke({"kind": "set"}).payload
    variables = {"ZESPAN_LAMBDA_HANDLER": "results.bare", "ZESPAN_FLUSH_MODE": mode}
    sandbox = start(handler, env=variables)
    assert {**sandbox.invoke({"kind": "set"}).payload, "requestId": ""} == {**bare, "requestId": ""}
    assert sandbox.invoke({"kind": "decimal"}).payload == {"amount": 1.5}
    refused, sent = backend.wait_for(2)
    assert (refused["status"], refused["metadata"]["error.type"]) == ("error", bare["errorType"])
    assert refused["error_message"] == bare["errorMessage"]
    assert "error.message" not in refused["metadata"]
    assert sent["status"] == "success"


def test_a_refusal_comes_before_a_status(start: StartFunction, backend: Backend) -> None:
    """What Lambda cannot send is that error, whatever status is in it."""
    answer = start("results.handler").invoke({"kind": "bytes"}).payload
    assert answer["errorType"] == "Runtime.MarshalError"
    (event,) = backend.wait_for(1)
    assert event["metadata"]["error.type"] == answer["errorType"]
    assert event["metadata"]["http.response.status_code"] == 500


def test_a_result_that_another_decorator_turns_into_json(start: StartFunction, backend: Backend) -> None:
    """What our wrapper returns is not checked if a decorator above it changes it."""
    assert start("results.serialized").invoke({"kind": "set"}).payload == "{1}"
    assert backend.wait_for(1)[0]["status"] == "success"
