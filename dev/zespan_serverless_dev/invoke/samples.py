"""Events as AWS sends them, around a payload: complete, with new ids and the present time."""

from __future__ import annotations

import hashlib
import json
import secrets
import time
import uuid
from base64 import b64encode
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl

Json = dict[str, Any]

ACCOUNT, REGION = "123456789012", "us-east-1"
PAYLOAD: Json = {"prompt": "Say hello."}


class UnknownSample(ValueError):
    """There is no event of this name. The message lists those that there are."""


def sample(wanted: str, payload: object = None) -> Json:
    """Return a new event: `wanted` is "sqs", or for requests "apigw-v2", "apigw-v2 POST /ask?page=2".

    The payload becomes the body of a request, the text of a message, the detail of an event. It is a JSON value, or a
    text as it is. Raises UnknownSample.
    """
    name, *request = wanted.split() or [""]
    content = PAYLOAD if payload is None else payload
    text = content if isinstance(content, str) else json.dumps(content)
    method, place = [*request, *("POST", "/")[len(request) :]][:2]
    if name in REQUESTS and place.startswith("/") and len(request) <= 2:
        path, _, query = place.partition("?")
        return REQUESTS[name](method.upper(), path, query, text)
    if name in MESSAGES and not request:
        return MESSAGES[name](text)
    names = ", ".join([*REQUESTS, *MESSAGES])
    raise UnknownSample(f"there is no event {wanted!r}: type one of {names}; a request's may be 'apigw-v2 POST /ask'")


# Requests


def _apigw_v2(method: str, path: str, query: str, text: str) -> Json:
    return _http_api(method, path, query, text, "a1b2c3d4e5.execute-api.us-east-1.amazonaws.com")


def _function_url(method: str, path: str, query: str, text: str) -> Json:
    return _http_api(method, path, query, text, f"{secrets.token_hex(16)}.lambda-url.us-east-1.on.aws")


def _http_api(method: str, path: str, query: str, text: str, host: str) -> Json:
    """Return the payload format 2.0, which HTTP APIs and function URLs send."""
    context = {
        "accountId": ACCOUNT,
        "apiId": host.partition(".")[0],
        "domainName": host,
        "domainPrefix": host.partition(".")[0],
        "http": {
            "method": method,
            "path": path,
            "protocol": "HTTP/1.1",
            "sourceIp": "192.0.2.1",
            "userAgent": "zespan-serverless",
        },
        "requestId": secrets.token_urlsafe(11) + "=",
        "routeKey": "$default",
        "stage": "$default",
        "time": time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime()),
        "timeEpoch": _now_ms(),
    }
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": query,
        "headers": _headers(host, text),
        **({"queryStringParameters": dict(parse_qsl(query))} if query else {}),
        "requestContext": context,
        "body": text,
        "isBase64Encoded": False,
    }


def _apigw_v1(method: str, path: str, query: str, text: str) -> Json:
    host = "a1b2c3d4e5.execute-api.us-east-1.amazonaws.com"
    headers = _headers(host, text)
    asked = dict(parse_qsl(query))
    context = {
        "accountId": ACCOUNT,
        "apiId": host.partition(".")[0],
        "domainName": host,
        "domainPrefix": host.partition(".")[0],
        "extendedRequestId": secrets.token_urlsafe(11) + "=",
        "httpMethod": method,
        "identity": {"sourceIp": "192.0.2.1", "userAgent": "zespan-serverless"},
        "path": f"/prod{path}",
        "protocol": "HTTP/1.1",
        "requestId": str(uuid.uuid4()),
        "requestTime": time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime()),
        "requestTimeEpoch": _now_ms(),
        "resourceId": "123456",
        "resourcePath": "/{proxy+}",
        "stage": "prod",
    }
    return {
        "resource": "/{proxy+}",
        "path": path,
        "httpMethod": method,
        "headers": headers,
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
        "queryStringParameters": asked or None,
        "multiValueQueryStringParameters": {name: [value] for name, value in asked.items()} or None,
        "requestContext": context,
        "pathParameters": {"proxy": path.lstrip("/")},
        "stageVariables": None,
        "body": text,
        "isBase64Encoded": False,
    }


def _alb(method: str, path: str, query: str, text: str) -> Json:
    group = f"arn:aws:elasticloadbalancing:{REGION}:{ACCOUNT}:targetgroup/functions/49e9d65c45c6791a"
    return {
        "requestContext": {"elb": {"targetGroupArn": group}},
        "httpMethod": method,
        "path": path,
        "queryStringParameters": dict(parse_qsl(query)),
        "headers": _headers("lambda-alb-123578498.us-east-1.elb.amazonaws.com", text),
        "body": text,
        "isBase64Encoded": False,
    }


def _headers(host: str, text: str) -> dict[str, str]:
    return {
        "accept": "*/*",
        "content-length": str(len(text.encode())),
        "content-type": "application/json",
        "host": host,
        "user-agent": "zespan-serverless",
        "x-amzn-trace-id": f"Root=1-{int(time.time()):08x}-{secrets.token_hex(12)}",
        "x-forwarded-for": "192.0.2.1",
        "x-forwarded-port": "443",
        "x-forwarded-proto": "https",
    }


# Messages and events


def _sqs(text: str) -> Json:
    sent = _now_ms()
    record = {
        "messageId": str(uuid.uuid4()),
        "receiptHandle": b64encode(secrets.token_bytes(96)).decode(),
        "body": text,
        "attributes": {
            "ApproximateReceiveCount": "1",
            "SentTimestamp": str(sent),
            "SenderId": "AIDAIENQZJOLO23YVJ4VO",
            "ApproximateFirstReceiveTimestamp": str(sent + 2),
        },
        "messageAttributes": {},
        "md5OfBody": hashlib.md5(text.encode(), usedforsecurity=False).hexdigest(),
        "eventSource": "aws:sqs",
        "eventSourceARN": f"arn:aws:sqs:{REGION}:{ACCOUNT}:my-queue",
        "awsRegion": REGION,
    }
    return {"Records": [record]}


def _sns(text: str) -> Json:
    topic = f"arn:aws:sns:{REGION}:{ACCOUNT}:my-topic"
    url = f"https://sns.{REGION}.amazonaws.com/"
    message: Json = {
        "SignatureVersion": "1",
        "Timestamp": _iso(ms=True),
        "Signature": b64encode(secrets.token_bytes(256)).decode(),
        "SigningCertURL": f"{url}SimpleNotificationService-ac565b8b1a6c5d002d285f9598aa1d9b.pem",
        "MessageId": str(uuid.uuid4()),
        "Message": text,
        "MessageAttributes": {},
        "Type": "Notification",
        "UnsubscribeURL": f"{url}?Action=Unsubscribe&SubscriptionArn={topic}:21be56ed-a058-49f5-8c98-aedd2564c486",
        "TopicArn": topic,
        "Subject": None,
    }
    subscription = f"{topic}:21be56ed-a058-49f5-8c98-aedd2564c486"
    record = {"EventVersion": "1.0", "EventSubscriptionArn": subscription, "EventSource": "aws:sns", "Sns": message}
    return {"Records": [record]}


def _s3(text: str) -> Json:
    """Return an object whose key the payload may give: {"key": "inbox/letter.txt"}."""
    given = json.loads(text) if text.startswith("{") else {}
    key = str(given.get("key", "inbox/letter.txt")) if isinstance(given, dict) else "inbox/letter.txt"
    record = {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": REGION,
        "eventTime": _iso(ms=True),
        "eventName": "ObjectCreated:Put",
        "userIdentity": {"principalId": "AWS:AIDAINPONIXQXHT3IKHL2"},
        "requestParameters": {"sourceIPAddress": "192.0.2.1"},
        "responseElements": {
            "x-amz-request-id": secrets.token_hex(8).upper(),
            "x-amz-id-2": b64encode(secrets.token_bytes(57)).decode(),
        },
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": str(uuid.uuid4()),
            "bucket": {
                "name": "my-bucket",
                "ownerIdentity": {"principalId": "A3I5XTEXAMAI3E"},
                "arn": "arn:aws:s3:::my-bucket",
            },
            "object": {
                "key": key,
                "size": 1024,
                "eTag": secrets.token_hex(16),
                "sequencer": secrets.token_hex(9).upper(),
            },
        },
    }
    return {"Records": [record]}


def _schedule(_: str) -> Json:
    rule = f"arn:aws:events:{REGION}:{ACCOUNT}:rule/my-schedule"
    return _event("Scheduled Event", "aws.events", [rule], {})


def _eventbridge(text: str) -> Json:
    detail = json.loads(text) if text.startswith("{") else {"text": text}
    return _event("OrderPlaced", "com.example.orders", [], detail)


def _event(kind: str, source: str, resources: list[str], detail: object) -> Json:
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": kind,
        "source": source,
        "account": ACCOUNT,
        "time": _iso(),
        "region": REGION,
        "resources": resources,
        "detail": detail,
    }


def _dynamodb(text: str) -> Json:
    keys = {"Id": {"S": str(uuid.uuid4())}}
    change = {
        "ApproximateCreationDateTime": int(time.time()),
        "Keys": keys,
        "NewImage": {**keys, "Message": {"S": text}},
        "SequenceNumber": str(secrets.randbelow(10**20)),
        "SizeBytes": len(text.encode()) + 50,
        "StreamViewType": "NEW_AND_OLD_IMAGES",
    }
    record = {
        "eventID": secrets.token_hex(16),
        "eventName": "INSERT",
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": REGION,
        "dynamodb": change,
        "eventSourceARN": f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/my-table/stream/2026-01-01T00:00:00.000",
    }
    return {"Records": [record]}


def _kinesis(text: str) -> Json:
    number = str(10**55 + secrets.randbelow(10**40))
    data = {
        "kinesisSchemaVersion": "1.0",
        "partitionKey": "1",
        "sequenceNumber": number,
        "data": b64encode(text.encode()).decode(),
        "approximateArrivalTimestamp": round(time.time(), 3),
    }
    record = {
        "kinesis": data,
        "eventSource": "aws:kinesis",
        "eventVersion": "1.0",
        "eventID": f"shardId-000000000000:{number}",
        "eventName": "aws:kinesis:record",
        "invokeIdentityArn": f"arn:aws:iam::{ACCOUNT}:role/lambda-role",
        "awsRegion": REGION,
        "eventSourceARN": f"arn:aws:kinesis:{REGION}:{ACCOUNT}:stream/my-stream",
    }
    return {"Records": [record]}


def _now_ms() -> int:
    return int(time.time() * 1000)


def _iso(*, ms: bool = False) -> str:
    now = time.time()
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + (f".{int(now * 1000) % 1000:03d}Z" if ms else "Z")


REQUESTS: Mapping[str, Callable[[str, str, str, str], Json]] = {
    "apigw-v2": _apigw_v2,
    "apigw-v1": _apigw_v1,
    "function-url": _function_url,
    "alb": _alb,
}
MESSAGES: Mapping[str, Callable[[str], Json]] = {
    "sqs": _sqs,
    "sns": _sns,
    "s3": _s3,
    "schedule": _schedule,
    "eventbridge": _eventbridge,
    "dynamodb": _dynamodb,
    "kinesis": _kinesis,
}
