"""What a Lambda event says about where it comes from: trigger, attributes, the callers' traces.

Total: any JSON will do. Events are told apart by what only they have; most are an HTTP request, a batch of records or
one message. The source of every form is listed beside an example of it in tests/events/aws_lambda/index.json.

Attributes have OpenTelemetry's names where it has one (https://opentelemetry.io/docs/specs/semconv/registry/attributes),
and never hold what people wrote: no bodies, no queries, no headers.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

from .._trace.context import parse_traceparent
from ._batches import Batch, Parser, at, batch, carried, parsed, text, texts

if TYPE_CHECKING:
    from collections.abc import Iterator

    _Shape = tuple[str, str, str, tuple[tuple[str, str], ...], dict[str, str]]
    Link = dict[str, object]

LINKS_MAX = 128  # as many as OpenTelemetry's SDKs keep on a span
RECORDS_READ = 1_000  # records looked at for a link; a batch has 10,000 at most
_HEADERS_READ = 512  # API Gateway and ALB let far fewer through
_UNWRAPPED_MAX = 65_536  # characters of a message that is parsed to see where it comes from


def describe(event: object) -> tuple[str, dict[str, object]]:
    """(faas.trigger, attributes) of an event."""
    found = batch(event)
    if found is not None:
        return found.kind.trigger, _of_batch(found)
    if isinstance(event, list):  # AppSync's BatchInvoke: one field, several times
        event = at(event, "0")
    if not isinstance(event, dict):
        return "other", {}
    http = _of_http(event)
    if http is not None:
        return "http", http
    for source, trigger, first, fields, paths in _SHAPES:
        if first in event and all(name in event and value in ("", event[name]) for name, value in fields):
            return trigger, texts({"aws.lambda.event_source": source} | {n: at(event, p) for n, p in paths.items()})
    return "other", {}


def _shape(source: str, trigger: str, fields: str, paths: dict[str, str]) -> _Shape:
    """An event that has all of these fields, `name` or `name=value`, and where its attributes are."""
    split = (field.partition("=") for field in fields.split(", "))
    told_by = tuple((name, value) for name, _, value in split)
    return source, trigger, told_by[0][0], told_by, paths


_EVENTBRIDGE = {
    "cloudevents.event_id": "id",
    "cloudevents.event_source": "source",
    "cloudevents.event_type": "detail-type",
    "cloudevents.event_subject": "resources/0",
}
_S3_BY_EVENTBRIDGE = {"aws.s3.bucket": "detail/bucket/name", "aws.s3.key": "detail/object/key"}
_CLOUDEVENTS = {
    "cloudevents.event_id": "id",
    "cloudevents.event_source": "source",
    "cloudevents.event_spec_version": "specversion",
    "cloudevents.event_subject": "subject",
    "cloudevents.event_type": "type",
}
_APPLICATION = {"aws.lambda.event_source_arn": "applicationArn"}
_STATE = {
    "aws.step_functions.state_machine.arn": "StateMachine/Id",
    "aws.step_functions.execution.arn": "Execution/Id",
    "aws.step_functions.state.name": "State/Name",
}
_STACK = {
    "aws.cloudformation.stack.arn": "StackId",
    "aws.cloudformation.request_type": "RequestType",
    "aws.cloudformation.resource_type": "ResourceType",
}
_SECRET = {"aws.secretsmanager.secret.arn": "SecretId", "aws.secretsmanager.rotation_step": "Step"}
_LEX = {"aws.lex.bot": "bot/name", "aws.lex.intent": "sessionState/intent/name", "gen_ai.conversation.id": "sessionId"}
_LEX_V1 = {"aws.lex.bot": "bot/name", "aws.lex.intent": "currentIntent/name"}
_DEPLOYMENT = {"aws.codedeploy.deployment.id": "DeploymentId"}
_AGENT = {
    "gen_ai.agent.id": "agent/id",
    "gen_ai.agent.name": "agent/name",
    "gen_ai.conversation.id": "sessionId",
    "gen_ai.tool.name": "function",
    "aws.bedrock.action_group": "actionGroup",
}
_BATCH_JOB = {
    "aws.s3.bucket": "tasks/0/s3Bucket",
    "aws.lambda.event_source_arn": "tasks/0/s3BucketArn",  # of invocation schema 1.0, instead
    "aws.s3.key": "tasks/0/s3Key",
    "aws.s3.job.id": "job/id",
}

# The first that fits is it.
_SHAPES = (
    _shape("eventbridge", "timer", "detail-type=Scheduled Event, source", {"faas.time": "time", **_EVENTBRIDGE}),
    _shape("eventbridge", "pubsub", "detail-type, source=aws.s3", {**_EVENTBRIDGE, **_S3_BY_EVENTBRIDGE}),
    _shape("eventbridge", "pubsub", "detail-type, source", _EVENTBRIDGE),
    _shape("cloudevents", "pubsub", "specversion, type, source, id", _CLOUDEVENTS),
    _shape("appsync-events", "pubsub", "info, events", {"messaging.destination.name": "info/channel/path"}),
    _shape("appsync", "http", "info, arguments", {"aws.appsync.field": "info/fieldName"}),
    _shape("appsync", "http", "typeName, fieldName, arguments", {"aws.appsync.field": "fieldName"}),
    _shape(
        "appsync-authorizer",
        "http",
        "authorizationToken, requestContext",
        {"graphql.operation.name": "requestContext/operationName"},
    ),
    # The context object, which a state machine passes in as {"$$": ...} or as {"Context.$": "$$", "Input.$": "$"}.
    _shape("stepfunctions", "other", "Execution, StateMachine", _STATE),
    _shape("stepfunctions", "other", "Context, Input", {name: f"Context/{path}" for name, path in _STATE.items()}),
    _shape("durable", "other", "DurableExecutionArn", {"aws.lambda.durable_execution.arn": "DurableExecutionArn"}),
    _shape("cloudwatch-logs", "datasource", "awslogs", {}),
    _shape("cloudwatch-alarm", "other", "alarmArn, alarmData", {"aws.lambda.event_source_arn": "alarmArn"}),
    _shape("firehose", "pubsub", "deliveryStreamArn, records", {"aws.lambda.event_source_arn": "deliveryStreamArn"}),
    _shape("s3-batch", "datasource", "invocationSchemaVersion, job, tasks", _BATCH_JOB),
    _shape(
        "s3-object-lambda",
        "datasource",
        "xAmzRequestId, userRequest, configuration",
        {"aws.lambda.event_source_arn": "configuration/accessPointArn"},
    ),
    _shape("kinesis-analytics", "pubsub", "applicationArn, invocationId, records", _APPLICATION),
    _shape("cognito-sync", "datasource", "eventType=SyncTrigger, identityPoolId, datasetName", {}),
    _shape("cognito", "other", "triggerSource, userPoolId", {"aws.cognito.trigger": "triggerSource"}),
    _shape("secretsmanager", "other", "SecretId, ClientRequestToken, Step", _SECRET),
    _shape("cloudformation", "other", "RequestType, StackId, LogicalResourceId", _STACK),
    _shape("codedeploy", "other", "DeploymentId, LifecycleEventHookExecutionId", _DEPLOYMENT),
    _shape("client-vpn", "other", "connection-id, endpoint-id, common-name", {}),
    _shape("config", "other", "invokingEvent, configRuleArn", {"aws.lambda.event_source_arn": "configRuleArn"}),
    _shape("codepipeline", "other", "CodePipeline.job", {"aws.codepipeline.job.id": "CodePipeline.job/id"}),
    _shape(
        "connect",
        "other",
        "Name=ContactFlowEvent, Details",
        {"aws.lambda.event_source_arn": "Details/ContactData/InstanceARN"},
    ),
    _shape("lex", "other", "bot, sessionState, invocationSource", _LEX),
    _shape("lex", "other", "bot, currentIntent, invocationSource", _LEX_V1),
    _shape("bedrock-agent", "other", "agent, actionGroup", _AGENT),
    _shape("alexa", "other", "version=1.0, context, request", {"alexa.request.type": "request/type"}),
    _shape("iot", "pubsub", "eventType, eventId, operation, accountId", {"aws.iot.event_type": "eventType"}),
    _shape("iot-authorizer", "other", "protocolData, protocols", {}),
    _shape("iot-provisioning", "other", "templateArn, claimCertificateId", {}),
    _shape("iot-button", "pubsub", "serialNumber, clickType, batteryVoltage", {"aws.iot.event_type": "clickType"}),
    _shape("transfer-authorizer", "other", "username, protocol, serverId, sourceIp", {}),
)


def _of_http(event: dict[Any, Any]) -> dict[str, object] | None:
    """The attributes of an HTTP request, whichever front end passes it on; None for anything else."""
    method, context = event.get("httpMethod"), event.get("requestContext")
    domain, arn = at(context, "domainName"), text(event.get("methodArn")) or text(event.get("routeArn"))
    if isinstance(arn, str) and event.get("type") in ("TOKEN", "REQUEST"):
        asked = arn.split("/", 3)[2:]  # arn:aws:execute-api:region:account:api/stage/GET/path
        method, path = asked if len(asked) == 2 else ("", "")
        return _http("apigateway-authorizer", method, f"/{path}" if method else None, None, domain)
    http = at(context, "http")
    if isinstance(http, dict) and http:
        source = "function-url" if isinstance(domain, str) and ".lambda-url." in domain else "apigateway-v2"
        return _http(source, http.get("method"), event.get("rawPath"), event.get("routeKey"), domain)
    if isinstance(context, dict) and "connectionId" in context:
        more = {"aws.apigateway.event_type": context.get("eventType"), "aws.apigateway.route": context.get("routeKey")}
        return _http("apigateway-websocket", None, None, None, domain) | texts(more)
    if isinstance(method, str) and "actionGroup" not in event:  # Bedrock's agents quote the API that they speak
        source = "alb" if at(context, "elb") is not None else "apigateway"
        return _http(source, method, event.get("path"), event.get("resource"), domain)
    if at(context, "serviceNetworkArn") or isinstance(event.get("raw_path"), str):
        return _http("vpc-lattice", event.get("method"), event.get("raw_path") or event.get("path"), None, None)
    if at(event, "Records/0/cf"):
        asked_for = at(event, _EDGE)
        return _http("cloudfront", at(asked_for, "method"), at(asked_for, "uri"), None, None)
    return None


_EDGE = "Records/0/cf/request"


def _http(source: str, method: object, path: object, route: object, domain: object) -> dict[str, object]:
    return texts(
        {
            "aws.lambda.event_source": source,
            "http.request.method": method,
            "url.path": path.partition("?")[0] if isinstance(path, str) else None,
            # `GET /a/{b}` or `/a/{b}`; $default is no path
            "http.route": route[route.find("/") :] if isinstance(route, str) and "/" in route else None,
            "server.address": domain,
        }
    )


def _of_batch(found: Batch) -> dict[str, object]:
    count = len(found)
    # What one of several records says is not said of all.
    attributes = about(found, next(iter(found))) if count == 1 else found.attributes()
    attributes["aws.lambda.batch_size"] = count
    if found.kind.system:
        attributes["messaging.batch.message_count"] = count
    return attributes


def about(found: Batch, record: object) -> dict[str, object]:
    """The attributes of one record."""
    return _unwrapped(found.message(record)) | found.attributes() | found.one(record)


# What stands at the beginning of a message that SNS, EventBridge or S3 wrote.
_HINTS = ('"Notification"', '"detail-type"', '"aws:s3"')
_OUTER = ("messaging.", "aws.lambda.event_source", "aws.lambda.batch")  # what the inner of two does not say


def _unwrapped(message: object) -> dict[str, object]:
    """What a queue or a topic brings from SNS, EventBridge or S3. The innermost is the origin."""
    if not isinstance(message, str) or len(message) > _UNWRAPPED_MAX or not any(h in message[:512] for h in _HINTS):
        return {}
    found = parsed(message)
    if at(found, "Type") == "Notification":
        topic = {"aws.lambda.event_origin": "sns", "aws.sns.topic.arn": at(found, "TopicArn")}
        return texts(topic) | _unwrapped(at(found, "Message"))
    inner = describe(found)[1]  # ends: a text quoted in itself doubles its backslashes, and is soon too long
    if "aws.lambda.event_source" in inner:
        inner.setdefault("aws.lambda.event_origin", inner["aws.lambda.event_source"])
    return {name: value for name, value in inner.items() if not name.startswith(_OUTER)}


def parent(event: object) -> tuple[str, str | None] | None:
    """The caller's (trace id, span id), of an event that is one request or one message.

    Never a batch's, not even of one record: how many come together is chance, and an invocation should not be a trace
    of its own today and part of another's tomorrow for that. Batches have `links`.
    """
    if batch(event) is not None:
        return None
    if isinstance(event, list):
        event = at(event, "0")
    if not isinstance(event, dict):
        return None
    execution = event.get("DurableExecutionArn")
    if isinstance(execution, str):
        return of_execution(execution, at(event, "InitialExecutionState/Operations/0/ExecutionDetails/InputPayload"))
    request: object = event
    if "headers" not in event and "multiValueHeaders" not in event:
        request = event.get("request")  # AppSync
        request = request if isinstance(request, dict) else at(event, _EDGE)  # CloudFront
    several = _header(at(request, "multiValueHeaders"), "traceparent")
    value = several if isinstance(several, list) and several else _header(at(request, "headers"), "traceparent")
    if isinstance(value, list):  # several contradict each other; `headers` has but the last of them
        value = value[0] if len(value) == 1 else None
    if isinstance(value, dict):  # CloudFront's {"key": ..., "value": ...}
        value = value.get("value")
    return parse_traceparent(value if value is not None else carried(event))


def of_execution(arn: str, payload: object = None) -> tuple[str, str | None]:
    """The trace of a durable execution, which is the same in all its invocations: its caller's, or one of its own."""
    if isinstance(payload, str) and len(payload) <= _UNWRAPPED_MAX and "traceparent" in payload.lower():
        found = parent(parsed(payload))
        if found:
            return found
    from hashlib import sha256

    return sha256(arn.encode("utf-8", "replace")).hexdigest()[:32], None


def links(event: object, xray: str | None = None) -> tuple[list[Link], int]:
    """The traces that an invocation has to do with without being part of them; how many records were not looked at.

    X-Ray's of the invocation (`xray` is its header), and of each record its producer's (type `producer`) and X-Ray's
    (type `xray`), which SQS passes on as a system attribute:
    https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-message-metadata.html
    """
    own = xray_link(xray)
    found: dict[object, Link] = {_key(own): own} if own else {}
    records = batch(event)
    if records is None:
        return list(found.values()), 0
    parser, looked_at, before = Parser(), 0, len(found)
    for record in islice(records, RECORDS_READ):
        if len(found) >= LINKS_MAX:
            break
        looked_at += 1
        for link in _links_of(records, record, parser):
            found.setdefault(_key(link), link)
    return list(found.values())[:LINKS_MAX], len(records) - looked_at if len(found) > before else 0


def _key(link: Link) -> object:
    return link["trace_id"], link.get("span_id")


def _links_of(records: Batch, record: object, parser: Parser) -> Iterator[Link]:
    producer = parse_traceparent(records.traceparent(record, parser))
    if producer:
        yield {"type": "producer", "trace_id": producer[0], "span_id": producer[1]}
    xray = xray_link(at(record, "attributes/AWSTraceHeader"))
    if xray:
        yield xray


def xray_link(header: object) -> Link | None:
    """An X-Ray trace header as a link: `Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=0`.

    A link, not the parent: most upstream X-Ray spans are never exported anywhere near ours. Sampled is not looked at:
    what X-Ray does not keep is not for that unwanted here.
    https://docs.aws.amazon.com/xray/latest/devguide/xray-concepts.html#xray-concepts-tracingheader
    """
    if not isinstance(header, str):
        return None
    pairs = (pair.strip().partition("=") for pair in header[:512].split(";"))
    parts = {name: value for name, _, value in pairs}
    root = parts.get("Root", "").split("-")
    trace_id = "".join(root[1:]) if len(root) == 3 else ""
    found = parse_traceparent(f"00-{trace_id}-{parts.get('Parent') or '0' * 15 + '1'}-01")
    if not found:
        return None
    return {"type": "xray", "trace_id": found[0], **({"span_id": found[1]} if parts.get("Parent") else {})}


def _header(headers: object, name: str) -> object:
    if not isinstance(headers, dict):
        return None
    if name in headers:
        return headers[name]
    read = islice(headers.items(), _HEADERS_READ)
    return next((value for key, value in read if isinstance(key, str) and key.lower() == name), None)
