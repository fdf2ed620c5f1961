"""The forms of events that are neither HTTP requests nor batches: how they are recognized, and what they contain."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    Shape = tuple[str, str, str, tuple[tuple[str, str], ...], dict[str, str]]


def _shape(source: str, trigger: str, fields: str, paths: dict[str, str]) -> Shape:
    """Describe the events of one source, which have all of these `fields`, each `name` or `name=value`.

    `paths` maps attributes to their places in the event.
    """
    split = (field.partition("=") for field in fields.split(", "))
    required = tuple((name, value) for name, _, value in split)
    return source, trigger, required[0][0], required, paths


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
    "aws.lambda.event_source_arn": "tasks/0/s3BucketArn",  # in invocation schema 1.0, which has no s3Bucket
    "aws.s3.key": "tasks/0/s3Key",
    "aws.s3.job.id": "job/id",
}

# The first match wins.
SHAPES = (
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
    # The context object of a state machine, passed as {"$$": ...} or as {"Context.$": "$$", "Input.$": "$"}.
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

FIRSTS = frozenset(first for _, _, first, _, _ in SHAPES)
"""Fields of which an event with one of these shapes has at least one."""
