"""AWS Lambda Powertools above and below `@zespan_lambda`: what it does it still does, and so do we."""

from __future__ import annotations

import asyncio
import copy
import json
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from typing import Any
from urllib.parse import urlsplit

import pytest
from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.event_handler import (
    ALBResolver,
    APIGatewayHttpResolver,
    APIGatewayRestResolver,
    AppSyncResolver,
    BedrockAgentResolver,
    LambdaFunctionUrlResolver,
    Response,
)
from aws_lambda_powertools.event_handler.exceptions import InternalServerError, NotFoundError
from aws_lambda_powertools.middleware_factory import lambda_handler_decorator
from aws_lambda_powertools.utilities import data_classes
from aws_lambda_powertools.utilities.batch import (
    AsyncBatchProcessor,
    BatchProcessor,
    EventType,
    async_process_partial_response,
    process_partial_response,
)
from aws_lambda_powertools.utilities.batch.exceptions import BatchProcessingError
from aws_lambda_powertools.utilities.data_classes import SQSEvent, event_source
from aws_lambda_powertools.utilities.data_classes.active_mq_event import ActiveMQEvent
from aws_lambda_powertools.utilities.data_classes.rabbit_mq_event import RabbitMQEvent
from aws_lambda_powertools.utilities.idempotency import BasePersistenceLayer, IdempotencyConfig, idempotent
from aws_lambda_powertools.utilities.idempotency.exceptions import (
    IdempotencyItemAlreadyExistsError,
    IdempotencyItemNotFoundError,
)
from aws_lambda_powertools.utilities.idempotency.persistence.datarecord import DataRecord
from aws_lambda_powertools.utilities.parser import event_parser, models
from openai import OpenAI
from pydantic import BaseModel
from zespan_serverless_dev.emulator.lambda_rie import Invoke
from zespan_serverless_dev.emulator.model import ModelEndpoint

from tests.aws_lambda.support import StartFunction, calls, roots
from tests.aws_lambda.test_events import EVENTS, INDEX
from zespan_serverless import capture, testing, traced_record, traced_records, zespan_lambda
from zespan_serverless.testing import Backend, LambdaContext

Handler = Callable[[Any, Any], Any]
Decorator = Callable[[Handler], Handler]

SQS = EVENTS["sqs"]

# Their types do not go with tables of decorators.
source: Any = event_source
parser: Any = event_parser
once: Any = idempotent


class Order(BaseModel):
    prompt: str


class InMemory(BasePersistenceLayer):
    """Idempotency's store, without AWS."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.items: dict[str, DataRecord] = {}

    def _get_record(self, idempotency_key: str) -> DataRecord:
        if idempotency_key not in self.items:
            raise IdempotencyItemNotFoundError
        return self.items[idempotency_key]

    def _put_record(self, data_record: DataRecord) -> None:
        if data_record.idempotency_key in self.items:
            raise IdempotencyItemAlreadyExistsError(old_data_record=self.items[data_record.idempotency_key])
        self.items[data_record.idempotency_key] = data_record

    def _update_record(self, data_record: DataRecord) -> None:
        self.items[data_record.idempotency_key] = data_record

    def _delete_record(self, data_record: DataRecord) -> None:
        del self.items[data_record.idempotency_key]


@lambda_handler_decorator
def middleware(handler: Handler, event: Any, context: Any, **arguments: Any) -> Any:
    return handler(event, context)


def logger(**arguments: Any) -> Decorator:
    decorate: Decorator = Logger(service="orders").inject_lambda_context(**arguments)
    return decorate


def log_metrics(handler: Handler) -> Handler:
    decorated: Handler = Metrics(namespace="Orders").log_metrics(handler, capture_cold_start_metric=True)
    return decorated


def all_of_them(handler: Handler) -> Handler:
    for decorate in reversed(list(DECORATORS.values())[:-1]):
        handler = decorate(handler)
    return handler


# The last to be named in a stack is the innermost: the parser leaves only what its model has.
DECORATORS: dict[str, Decorator] = {
    "logger": logger(),
    "logger_clearing": logger(clear_state=True, log_event=True, correlation_id_path="headers.id"),
    "tracer": Tracer(service="orders", disabled=True).capture_lambda_handler,
    "metrics": log_metrics,
    "middleware": middleware,
    "idempotent": lambda handler: once(handler, persistence_store=InMemory(), config=IdempotencyConfig()),
    "event_source": lambda handler: source(data_class=data_classes.APIGatewayProxyEventV2)(handler),
    "event_parser": lambda handler: parser(model=Order)(handler),
    "all": all_of_them,
}


@pytest.fixture(scope="module")
def ask() -> Iterator[Callable[[str], str | None]]:
    """Asks a model, over HTTP."""
    with ModelEndpoint(latency_ms=0) as model, OpenAI(base_url=model.url, api_key="none") as client:

        def ask(prompt: str) -> str | None:
            messages: Any = [{"role": "user", "content": prompt}]
            return client.chat.completions.create(model="gpt-4o-mini", messages=messages).choices[0].message.content

        yield ask


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    """Powertools' metrics are the process's: none is left for another test to print."""
    yield
    Metrics(namespace="Orders").clear_metrics()


@pytest.fixture(params=["above", "below"])
def order(request: pytest.FixtureRequest) -> str:
    """Where ours is."""
    return str(request.param)


def stack(decorate: Decorator, handler: Handler, order: str) -> Handler:
    ours: Handler = zespan_lambda(decorate(handler)) if order == "above" else decorate(zespan_lambda(handler))
    return ours


def without_chance(root: dict[str, Any]) -> dict[str, Any]:
    """Return what an invocation's event says that is the same each time."""
    varying = ("time_left", "handler_duration", "memory_max", "faas.invocation_id", "faas.coldstart", "start_", "init_")
    return {name: value for name, value in root["metadata"].items() if not name.startswith(varying)}


# ---------------------------------------------------------------------- decorators


@pytest.mark.parametrize("name", DECORATORS)
def test_powertools_decorators_keep_the_result_above_and_below(
    name: str, order: str, ask: Callable[[str], str | None]
) -> None:
    """The result is the one that it is without us; one root event, with the model call in its trace."""
    event = {**EVENTS["apigateway-v2"], "prompt": "Hi"}

    def handler(event: Any, context: Any) -> Any:
        Metrics(namespace="Orders").add_metric("Answers", "Count", 1)
        prompt = event.prompt if isinstance(event, Order) else event["prompt"]
        return {"statusCode": 200, "body": ask(prompt), "event": type(event).__name__, "request": context.function_name}

    alone = DECORATORS[name](handler)(copy.deepcopy(event), LambdaContext())
    with testing.recording() as events:
        assert stack(DECORATORS[name], handler, order)(copy.deepcopy(event), LambdaContext()) == alone
    assert alone["body"] == "Hello, serverless world!"
    (root,), (call,) = roots(events), calls(events)
    assert (call["trace_id"], call["parent_span_id"]) == (root["trace_id"], root["span_id"])
    assert root["metadata"]["http.response.status_code"] == 200
    if order == "above" or name not in ("event_parser", "all"):
        assert (root["trace_id"], root["parent_span_id"]) == tuple(INDEX["apigateway-v2"]["parent"])
        assert root["metadata"]["faas.trigger"] == "http"


@pytest.mark.parametrize("name", DECORATORS)
def test_exceptions_pass_decorators(name: str, order: str) -> None:
    """The very exception comes out, and is on the one root event."""
    error = ValueError("no luck")

    def handler(event: Any, context: Any) -> Any:
        Metrics(namespace="Orders").add_metric("Answers", "Count", 1)
        raise error

    with testing.recording() as events, pytest.raises(ValueError, match="no luck") as raised:
        stack(DECORATORS[name], handler, order)({**EVENTS["apigateway-v2"], "prompt": "Hi"}, LambdaContext())
    assert raised.value is error
    assert [(root["status"], root["error_message"]) for root in roots(events)] == [("error", "no luck")]


def test_an_event_that_the_parser_refuses(order: str) -> None:
    """The parser's exception is the invocation's, if ours is above; below, there is no call to tell of."""
    with testing.recording() as events, pytest.raises(ValueError, match="prompt"):
        stack(DECORATORS["event_parser"], lambda event, context: None, order)({"other": 1}, LambdaContext())
    assert [root["status"] for root in roots(events)] == (["error"] if order == "above" else [])


def test_idempotency_answers_a_second_call_from_its_store(order: str) -> None:
    """The function runs once. Each call has its root event if ours is above, and only the first one below."""
    answers = iter([{"number": 1}, {"number": 2}])
    handler = stack(DECORATORS["idempotent"], lambda event, context: next(answers), order)
    with testing.recording() as events:
        assert [handler({"order": 7}, LambdaContext()) for _ in range(2)] == [{"number": 1}] * 2
        assert handler({"order": 8}, LambdaContext()) == {"number": 2}
    assert len(roots(events)) == (3 if order == "above" else 2)


# ---------------------------------------------------------------------- what becomes of the event

DATA_CLASSES = {
    "alb": data_classes.ALBEvent,
    "apigateway-v1": data_classes.APIGatewayProxyEvent,
    "apigateway-v2": data_classes.APIGatewayProxyEventV2,
    "appsync-resolver": data_classes.AppSyncResolverEvent,
    "bedrock-agent-api": data_classes.BedrockAgentEvent,
    "dynamodb": data_classes.DynamoDBStreamEvent,
    "eventbridge": data_classes.EventBridgeEvent,
    "function-url": data_classes.LambdaFunctionUrlEvent,
    "kinesis": data_classes.KinesisStreamEvent,
    "msk": data_classes.KafkaEvent,
    "s3": data_classes.S3Event,
    "sns": data_classes.SNSEvent,
    "sqs-xray": data_classes.SQSEvent,
}
MODELS = {
    "alb": models.AlbModel,
    "apigateway-v1": models.APIGatewayProxyEventModel,
    "apigateway-v2": models.APIGatewayProxyEventV2Model,
    "bedrock-agent-api": models.BedrockAgentEventModel,
    "eventbridge": models.EventBridgeModel,
    "function-url": models.LambdaFunctionUrlModel,
    "msk": models.KafkaMskEventModel,
    "scheduled-rule": models.EventBridgeModel,
    "sns": models.SnsModel,
    "sqs-xray": models.SqsModel,
}


def same_above_and_below(decorate: Decorator, event: Any, kind: type) -> None:
    seen: list[object] = []
    described: list[object] = []
    for order in ("above", "below"):
        with testing.recording() as events:
            stack(decorate, lambda event, context: seen.append(event), order)(copy.deepcopy(event), LambdaContext())
        (root,) = roots(events)
        parent = root["parent_span_id"] and (root["trace_id"], root["parent_span_id"])
        described.append((parent, without_chance(root)))
        assert "aws.lambda.event_source" in root["metadata"]
    assert [type(event) for event in seen] == [kind, kind]
    assert described[0] == described[1]


@pytest.mark.parametrize("name", DATA_CLASSES)
def test_data_classes_are_described_like_the_event(name: str) -> None:
    """Below `event_source` the root event says all that it says above it: trigger, attributes, parent and links."""
    kind = DATA_CLASSES[name]
    same_above_and_below(lambda handler: source(data_class=kind)(handler), EVENTS[name], kind)


@pytest.mark.parametrize("name", MODELS)
def test_parsed_models_are_described_like_the_event(name: str) -> None:
    """The same below `event_parser`, for Powertools' models of AWS's events."""
    kind = MODELS[name]
    same_above_and_below(lambda handler: parser(model=kind)(handler), EVENTS[name], kind)


def test_a_model_with_a_broken_serializer() -> None:
    """What cannot be read is not described, and is no trouble."""

    class Broken(BaseModel):
        prompt: str

        def model_dump(self, **arguments: Any) -> dict[str, Any]:
            raise RuntimeError("no")

    with testing.recording() as events:
        handler = parser(model=Broken)(zespan_lambda(lambda event, context: event.prompt))
        assert handler({"prompt": "Hi"}, LambdaContext()) == "Hi"
    assert [root["metadata"]["faas.trigger"] for root in roots(events)] == ["other"]


# ---------------------------------------------------------------------- batches


def fails_second(record: Any) -> str:
    capture({"span_kind": "llm"})
    if record.message_id == SQS["Records"][1]["messageId"]:
        raise ValueError("not this one")
    return str(record.body)


def partially(event: Any, context: Any) -> Any:
    processor = BatchProcessor(event_type=EventType.SQS)
    return process_partial_response(event=event, record_handler=fails_second, processor=processor, context=context)


def partially_async(event: Any, context: Any) -> Any:
    async def record_handler(record: Any) -> str:
        await asyncio.sleep(0)
        return fails_second(record)

    processor = AsyncBatchProcessor(event_type=EventType.SQS)
    return async_process_partial_response(event, record_handler, processor, context)


@pytest.mark.parametrize("work", [partially, partially_async])
def test_partial_failures_are_counted(work: Handler, order: str) -> None:
    """The response is the processor's; the root event has the number of failed records, and all calls in its trace."""
    with ExitStack() as stacked:
        loop = asyncio.new_event_loop()
        stacked.callback(loop.close)
        asyncio.set_event_loop(loop)
        stacked.callback(asyncio.set_event_loop, None)
        alone = work(copy.deepcopy(SQS), LambdaContext())
        with testing.recording() as events:
            assert stack(logger(), work, order)(copy.deepcopy(SQS), LambdaContext()) == alone
    assert alone == {"batchItemFailures": [{"itemIdentifier": SQS["Records"][1]["messageId"]}]}
    (root,) = roots(events)
    assert root["metadata"]["aws.lambda.batch_item_failures"] == 1
    assert root["metadata"]["aws.lambda.batch_size"] == len(calls(events)) == 3
    assert {call["trace_id"] for call in calls(events)} == {root["trace_id"]}


def test_a_batch_that_fails_as_a_whole(order: str) -> None:
    """The processor's exception comes out, and is on the root event."""

    def fails(record: Any) -> None:
        raise ValueError("none of them")

    def handler(event: Any, context: Any) -> Any:
        processor = BatchProcessor(event_type=EventType.SQS)
        return process_partial_response(event=event, record_handler=fails, processor=processor, context=context)

    with testing.recording() as events, pytest.raises(BatchProcessingError):
        stack(logger(), handler, order)(copy.deepcopy(SQS), LambdaContext())
    assert [root["metadata"]["error.type"] for root in roots(events)] == ["BatchProcessingError"]


def test_traced_record_in_a_record_handler() -> None:
    """The processor's own record class will do: each record's event is in its producer's trace, with its error."""

    def record_handler(record: Any) -> None:
        with traced_record(record):
            fails_second(record)

    @zespan_lambda
    def handler(event: Any, context: Any) -> Any:
        processor = BatchProcessor(event_type=EventType.SQS)
        return process_partial_response(event=event, record_handler=record_handler, processor=processor)

    with testing.recording() as events:
        handler(copy.deepcopy(SQS), LambdaContext())
    *records, root = roots(events)
    ids = [record["messageId"] for record in SQS["Records"]]
    assert [record["metadata"]["messaging.message.id"] for record in records] == ids
    assert [record["status"] for record in records] == ["success", "error", "success"]
    assert INDEX["sqs"]["links"][0]["trace_id"] in {record["trace_id"] for record in records}
    assert root["metadata"]["aws.lambda.batch_item_failures"] == 1


@pytest.mark.parametrize(
    ("name", "decorate"),
    [
        ("sqs", lambda handler: source(data_class=SQSEvent)(handler)),
        ("sqs", lambda handler: parser(model=models.SqsModel)(handler)),
        ("msk", lambda handler: source(data_class=data_classes.KafkaEvent)(handler)),
        ("msk", lambda handler: parser(model=models.KafkaMskEventModel)(handler)),
        ("activemq", lambda handler: source(data_class=ActiveMQEvent)(handler)),
        ("rabbitmq", lambda handler: source(data_class=RabbitMQEvent)(handler)),
    ],
)
def test_traced_records_of_what_powertools_makes_of_an_event(name: str, decorate: Decorator, order: str) -> None:
    """Every record comes, as the data class or the model hands it out, and has an event as it has of a plain event."""
    plain: list[Any] = []
    with testing.recording() as expected:
        zespan_lambda(lambda event, context: plain.extend(traced_records(event)))(EVENTS[name], LambdaContext())
    seen: list[Any] = []
    with testing.recording() as events:
        stack(decorate, lambda event, context: seen.extend(traced_records(event)), order)(EVENTS[name], LambdaContext())
    assert len(seen) == len(plain) > 0
    assert all(type(record) is not dict for record in seen)
    told = [[step["metadata"] for step in roots(each)[:-1]] for each in (events, expected)]
    for step in (*told[0], *told[1]):
        step.pop("links", None)  # the invocation's ids
    assert told[0] == told[1]


# ---------------------------------------------------------------------- event handlers


def http_event(name: str, path: str) -> Any:
    event = copy.deepcopy(EVENTS[name])
    if "rawPath" in event:
        event["rawPath"] = event["requestContext"]["http"]["path"] = path
        event["requestContext"]["http"]["method"] = "GET"
        event["requestContext"]["stage"] = "$default"
    else:
        event.update(path=path, httpMethod="GET", resource="/{any}")
    return event


RESOLVERS = {
    "apigateway-v1": APIGatewayRestResolver,
    "apigateway-v2": APIGatewayHttpResolver,
    "function-url": LambdaFunctionUrlResolver,
    "alb": ALBResolver,
}


@pytest.mark.parametrize("name", RESOLVERS)
@pytest.mark.parametrize(
    ("path", "status"), [("/fine", 200), ("/missing", 404), ("/broken", 500), ("/handled", 503), ("/nowhere", 404)]
)
def test_a_resolver_s_status_is_on_the_root_event(name: str, path: str, status: int, order: str) -> None:
    """The response is the resolver's own, and its status is on the root event: of what a route raises, too."""
    app: Any = RESOLVERS[name]()

    @app.get("/fine")  # type: ignore[untyped-decorator]
    def fine() -> dict[str, str]:
        capture({"span_kind": "llm"})
        return {"answer": "yes"}

    @app.get("/missing")  # type: ignore[untyped-decorator]
    def missing() -> None:
        raise NotFoundError("not here")

    @app.get("/broken")  # type: ignore[untyped-decorator]
    def broken() -> None:
        raise InternalServerError("no luck")

    @app.get("/handled")  # type: ignore[untyped-decorator]
    def handled() -> None:
        raise ValueError("somebody catches it")

    @app.exception_handler(ValueError)  # type: ignore[untyped-decorator]
    def catch(error: ValueError) -> Response[str]:
        return Response(503, "text/plain", str(error))

    alone = app.resolve(http_event(name, path), LambdaContext())
    with testing.recording() as events:
        assert stack(logger(), app.resolve, order)(http_event(name, path), LambdaContext()) == alone
    assert alone["statusCode"] == status
    (root,) = roots(events)
    assert root["metadata"]["http.response.status_code"] == status
    assert root["metadata"]["aws.lambda.event_source"] == name.removesuffix("-v1")
    assert [call["trace_id"] for call in calls(events)] == [root["trace_id"]] * (path == "/fine")


def test_an_exception_that_no_resolver_handles() -> None:
    """It is the function's, and passes; the resolver itself may be what is decorated."""
    app, error = APIGatewayHttpResolver(), ValueError("no luck")

    @app.get("/broken")
    def broken() -> None:
        raise error

    with testing.recording() as events, pytest.raises(ValueError, match="no luck") as raised:
        zespan_lambda(app)(http_event("apigateway-v2", "/broken"), LambdaContext())
    assert raised.value is error
    assert [root["status"] for root in roots(events)] == ["error"]


def test_appsync_and_bedrock_agents(order: str) -> None:
    """What they answer is untouched, whatever its form."""
    appsync: Any = AppSyncResolver()  # type: ignore[no-untyped-call]
    agent: Any = BedrockAgentResolver()
    event = copy.deepcopy(EVENTS["bedrock-agent-api"])
    info = EVENTS["appsync-resolver"]["info"]

    @appsync.resolver(type_name=info["parentTypeName"], field_name=info["fieldName"])  # type: ignore[untyped-decorator]
    def field(**arguments: Any) -> list[int]:
        return [1, 2, 3]

    @agent.route(event["apiPath"], method=[event["httpMethod"]], description="What it is asked")  # type: ignore[untyped-decorator]
    def action() -> dict[str, str]:
        return {"answer": "yes"}

    for app, given in ((appsync, EVENTS["appsync-resolver"]), (agent, event)):
        alone = app.resolve(copy.deepcopy(given), LambdaContext())
        with testing.recording() as events:
            assert stack(logger(), app.resolve, order)(copy.deepcopy(given), LambdaContext()) == alone
        assert len(roots(events)) == 1
        assert alone == [1, 2, 3] or alone["response"]["httpStatusCode"] == 200


# ---------------------------------------------------------------------- on Lambda


class Daemon:
    """X-Ray's daemon, as far as the SDK knows it: a UDP port that takes segments."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.setblocking(False)
        self.address = f"127.0.0.1:{self._socket.getsockname()[1]}"

    def __enter__(self) -> Daemon:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def segments(self) -> list[dict[str, Any]]:
        """Since the last look, with those inside them."""
        found: list[dict[str, Any]] = []
        with suppress(BlockingIOError):
            while True:
                left = [json.loads(self._socket.recv(65_536).split(b"\n", 1)[1])]
                while left:
                    found.append(left.pop())
                    left += found[-1].get("subsegments", ())
        return found

    def urls(self) -> set[str]:
        """Of the requests among them."""
        return {segment["http"]["request"]["url"] for segment in self.segments() if "http" in segment}


@pytest.mark.slow
def test_xray_does_not_see_what_we_send(start: StartFunction, backend: Backend, model: ModelEndpoint) -> None:
    """With every HTTP request traced the user's are in X-Ray, and neither those to the backend nor those to Lambda."""
    with Daemon() as daemon, Backend() as other:
        env = {"OPENAI_BASE_URL": model.url, "OPENAI_API_KEY": "none", "AWS_XRAY_DAEMON_ADDRESS": daemon.address}
        sandbox = start("powertools_stack.above", env={**env, "MODULES": "httplib"}, timeout=20)
        for number in (1, 2):
            sandbox.invoke({"get": f"{other.url}/theirs"})
            assert len(backend.requests) == number
        assert {urlsplit(url).path for url in daemon.urls()} == {"/theirs"}
        assert not any("x-amzn-trace-id" in request.headers for request in backend.requests)
        assert all("x-amzn-trace-id" in request.headers for request in other.requests)


def json_lines(log: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.splitlines() if line.startswith("{")]


def emf(answer: Invoke, namespace: str) -> list[dict[str, Any]]:
    """Return the metrics that an invocation's log has, of one namespace."""
    lines = [line for line in json_lines(answer.log) if "_aws" in line]
    return [line for line in lines if line["_aws"]["CloudWatchMetrics"][0]["Namespace"] == namespace]


@pytest.mark.slow
def test_the_full_stack(start: StartFunction, backend: Backend, model: ModelEndpoint, order: str) -> None:
    """Logger, Tracer and Metrics work as ever; log lines have the ids of the trace, and each flush has its metrics."""
    with Daemon() as daemon:
        env = {"OPENAI_BASE_URL": model.url, "OPENAI_API_KEY": "none", "AWS_XRAY_DAEMON_ADDRESS": daemon.address}
        sandbox = start(f"powertools_stack.{order}", env=env, timeout=20)
        for number in (1, 2):
            answer = sandbox.invoke({"fail": number == 2})
            assert answer.payload == (
                {"answer": "Hello, serverless world!"} if number == 1 else answer.payload | {"errorMessage": "as asked"}
            )
            (root,), (call,) = roots(backend.requests[-1].events), calls(backend.requests[-1].events)
            assert len(backend.requests) == number
            assert (call["trace_id"], call["parent_span_id"]) == (root["trace_id"], root["span_id"])

            (line,) = [line for line in json_lines(answer.log) if line.get("message") == "answered"]
            assert (line["trace_id"], line["span_id"]) == (root["trace_id"], root["span_id"])
            assert line["function_request_id"] == answer.request_id

            mine, (ours,) = emf(answer, "Mine"), emf(answer, "Telemetry")
            assert [set(line) & {"Answers", "ColdStart"} for line in mine] == (
                [{"ColdStart"}, {"Answers"}] if number == 1 else [{"Answers"}]
            )
            assert {"EventsDelivered": [2.0], "EventsPending": [0.0], "EventsDropped": [0.0]}.items() <= ours.items()
            assert ours["ColdStart"] == [float(number == 1)]
            assert ours["FlushDuration"][0] > 0
            assert (ours["service"], ours["stage"]) == ("stack", "test")
        assert "## work" in {segment["name"] for segment in daemon.segments()}
