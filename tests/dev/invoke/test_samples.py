"""Generated events are what AWS sends: in their shape, and for those who read them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from zespan_serverless_dev.invoke.samples import MESSAGES, REQUESTS, UnknownSample, sample

from zespan_serverless import testing, zespan_lambda

AWS = Path(__file__).parents[2] / "events" / "aws_lambda"

OF_A_URL = {"cookies", "pathParameters", "stageVariables", "queryStringParameters"}

# By sample: AWS's own example of it, and what is in that one and not always sent.
SHAPES = {
    "apigw-v2": ("apigateway-v2", OF_A_URL),
    "apigw-v1": ("apigateway-v1", {"authorizer"}),
    "function-url": ("function-url", {*OF_A_URL, "authentication", "authorizer"}),
    "alb": ("alb", set[str]()),
    "sqs": ("sqs", set[str]()),
    "sns": ("sns", set[str]()),
    "s3": ("s3", set[str]()),
    "schedule": ("scheduled-rule", set[str]()),
    "eventbridge": ("eventbridge", set[str]()),
    "dynamodb": ("dynamodb-one", {"OldImage"}),
    "kinesis": ("kinesis-one", set[str]()),
}
FREE = {
    *("headers", "multiValueHeaders", "queryStringParameters", "multiValueQueryStringParameters", "detail", "Keys"),
    *("messageAttributes", "MessageAttributes", "NewImage"),
}
"""Fields whose names are the sender's."""


def shape(value: Any, without: set[str]) -> Any:
    """Return the names in a value, and the types of what they name; of a list, those of its first item."""
    if isinstance(value, dict):
        return {key: None if key in FREE else shape(item, without) for key, item in value.items() if key not in without}
    if isinstance(value, list):
        return [shape(item, without) for item in value[:1]]
    return "text" if value is None else type(value).__name__.replace("str", "text").replace("float", "int")


@pytest.mark.parametrize("name", [*REQUESTS, *MESSAGES])
def test_shape_is_that_of_aws(name: str) -> None:
    """A generated event has each field of AWS's own example, and no other."""
    example, without = SHAPES[name]
    wanted = shape(json.loads((AWS / f"{example}.json").read_text()), without)
    assert shape(sample(f"{name} POST /my/path?a=1" if name in REQUESTS else name), without) == wanted


@pytest.mark.parametrize("name", [*REQUESTS, *MESSAGES])
def test_new_each_time(name: str) -> None:
    """Two events are not the same: a queue's second message is not its first one again."""
    assert sample(name) != sample(name) or name == "alb"


@pytest.mark.parametrize("name", [*REQUESTS, *MESSAGES])
def test_package_knows_its_source(name: str) -> None:
    """The package reads a generated event as it reads AWS's: the root event names the same source."""
    sources = [read_source(sample(name)), read_source(json.loads((AWS / f"{SHAPES[name][0]}.json").read_text()))]
    assert sources[0] == sources[1]
    assert sources[0]


def read_source(event: dict[str, Any]) -> Any:
    with testing.recording() as events:
        zespan_lambda(lambda event, context: None)(event, testing.LambdaContext())
    (root,) = events
    return root["metadata"]["aws.lambda.event_source"]


def test_payload_is_where_the_function_looks_for_it() -> None:
    """The payload is the body of a request or a message, as text, and the detail of an event, as it is."""
    payload = {"prompt": "Hi"}
    assert json.loads(sample("apigw-v2 POST /ask?page=2", payload)["body"]) == payload
    assert json.loads(sample("sqs", payload)["Records"][0]["body"]) == payload
    assert json.loads(sample("sns", payload)["Records"][0]["Sns"]["Message"]) == payload
    assert sample("eventbridge", payload)["detail"] == payload
    assert sample("sqs", "as it is")["Records"][0]["body"] == "as it is"
    assert sample("s3", {"key": "a.txt"})["Records"][0]["s3"]["object"]["key"] == "a.txt"


def test_request_has_its_method_path_and_query() -> None:
    """A request goes to the path that is asked for."""
    asked = sample("apigw-v2 put /ask?page=2")
    assert asked["requestContext"]["http"]["method"] == "PUT"
    assert (asked["rawPath"], asked["queryStringParameters"]) == ("/ask", {"page": "2"})
    assert sample("apigw-v1")["httpMethod"] == "POST"
    assert sample("apigw-v2 GET")["rawPath"] == "/"


@pytest.mark.parametrize("wanted", ["", "queue", "sqs /ask", "apigw-v2 POST ask", "alb GET /a b"])
def test_unknown_names_say_what_there_is(wanted: str) -> None:
    """An unknown name is an error that lists the names."""
    with pytest.raises(UnknownSample, match=r"type one of apigw-v2, .*sqs"):
        sample(wanted)
