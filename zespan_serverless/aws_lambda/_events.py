"""Reads the origin of a Lambda event: the trigger, attributes, and the traces of its senders.

Every function accepts any JSON. An event is recognized by fields that only its source sends; most events are an HTTP
request, a batch of records or one message. tests/events/aws_lambda/index.json has an example of each form, with its
documentation.

Attributes have OpenTelemetry's names where it defines one
(https://opentelemetry.io/docs/specs/semconv/registry/attributes), and never contain users' content: no bodies, no
queries, no headers.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

from .._base.guard import pass_on
from .._trace.context import Caller, are_ids, caller_of, parse_traceparent
from ._reading import dig, embedded, json_or_none, nothing, only_texts, text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .._trace.context import Carrier
    from ._batches import Batch
    from ._carried import ContextFinder

    Link = dict[str, object]

_SIGNS = frozenset(("Records", "eventSource", "EventSource"))  # one of these is in every batch that is no list
LINKS_MAX = 128  # the default limit of OpenTelemetry's SDKs per span
RECORDS_READ = 1_000  # records that are searched for links; a batch has 10,000 at most
_CARRIED = frozenset(("traceparent", "tracestate", "baggage"))  # headers
_HEADERS_READ = 512  # API Gateway and ALB accept far fewer
_UNWRAPPED_MAX = 65_536  # characters of the longest message that is parsed to find its origin


def describe(event: object) -> tuple[str, dict[str, object]]:
    """Return the trigger (faas.trigger) and the attributes of an event."""
    records = _batch(event)
    if records is not None:
        return records.kind.trigger, _of_batch(records)
    if isinstance(event, list):  # AppSync's BatchInvoke: the same field of several objects
        event = dig(event, "0")
    if not isinstance(event, dict):
        return "other", {}
    http = _of_http(event)
    if http is not None:
        return "http", http
    from ._shapes import FIRSTS, SHAPES  # not above: most events are requests or batches

    for source, trigger, first, fields, paths in () if FIRSTS.isdisjoint(event) else SHAPES:
        if first in event and all(name in event and value in ("", event[name]) for name, value in fields):
            found = {name: dig(event, path) for name, path in paths.items()}
            return trigger, only_texts({"aws.lambda.event_source": source} | found)
    return "other", {}


def _batch(event: object) -> Batch | None:
    """Return the records of an event, if it has any. What reads them is imported with the first one that may have."""
    if isinstance(event, list) or (isinstance(event, dict) and not event.keys().isdisjoint(_SIGNS)):
        from ._batches import batch

        return batch(event)
    return None


def _of_http(event: dict[Any, Any]) -> dict[str, object] | None:
    """Return the attributes of an HTTP request from any front end; None for any other event."""
    if event.keys().isdisjoint(_OF_HTTP):
        return None
    arn = text(event.get("methodArn")) or text(event.get("routeArn"))
    context = event.get("requestContext")
    if not isinstance(context, dict):
        context = {}
    domain, http, method = context.get("domainName"), context.get("http"), event.get("httpMethod")
    if arn is not None and event.get("type") in ("TOKEN", "REQUEST"):
        method_and_path = arn.split("/", 3)[2:]  # arn:aws:execute-api:region:account:api/stage/GET/path
        method, path = method_and_path if len(method_and_path) == 2 else ("", "")
        return _http("apigateway-authorizer", method, f"/{path}" if method else None, None, domain)
    if isinstance(http, dict) and http:
        source = "function-url" if isinstance(domain, str) and ".lambda-url." in domain else "apigateway-v2"
        return _http(source, http.get("method"), event.get("rawPath"), event.get("routeKey"), domain)
    if "connectionId" in context:
        message = {
            "aws.apigateway.event_type": context.get("eventType"),
            "aws.apigateway.route": context.get("routeKey"),
        }
        return _http("apigateway-websocket", None, None, None, domain) | only_texts(message)
    if isinstance(method, str) and "actionGroup" not in event:  # a Bedrock agent's event also has an httpMethod
        source = "alb" if context.get("elb") is not None else "apigateway"
        return _http(source, method, event.get("path"), event.get("resource"), domain)
    if context.get("serviceNetworkArn") or isinstance(event.get("raw_path"), str):
        return _http("vpc-lattice", event.get("method"), event.get("raw_path") or event.get("path"), None, None)
    if "Records" in event and dig(event, "Records/0/cf"):
        request = dig(event, _EDGE)
        return _http("cloudfront", dig(request, "method"), dig(request, "uri"), None, None)
    return None


# One of these is in every such event.
_OF_HTTP = frozenset(("httpMethod", "requestContext", "methodArn", "routeArn", "raw_path", "Records"))
_EDGE = "Records/0/cf/request"  # the request in an event of Lambda@Edge


def _http(source: str, method: object, path: object, route: object, domain: object) -> dict[str, object]:
    return only_texts(
        {
            "aws.lambda.event_source": source,
            "http.request.method": method,
            "url.path": path.partition("?")[0] if isinstance(path, str) else None,
            # `GET /a/{b}` or `/a/{b}`, but not `$default`
            "http.route": route[route.find("/") :] if isinstance(route, str) and "/" in route else None,
            "server.address": domain,
        }
    )


def _of_batch(records: Batch) -> dict[str, object]:
    count = len(records)
    # The attributes of one record are those of the invocation only if it is the only record.
    attributes = record_attributes(records, next(iter(records))) if count == 1 else records.attributes()
    attributes["aws.lambda.batch_size"] = count
    if records.kind.system:
        attributes["messaging.batch.message_count"] = count
    return attributes


def record_attributes(records: Batch, record: object) -> dict[str, object]:
    """Return the attributes of one of these records: its origin's, its batch's and its own."""
    return _origin(records.message(record)) | records.attributes() | records.one(record)


# Found at the beginning of a message that SNS, EventBridge or S3 wrote.
_HINTS = ('"Notification"', '"detail-type"', '"aws:s3"')
_OUTER = ("messaging.", "aws.lambda.event_source", "aws.lambda.batch")  # attributes that only the outer event sets


def _origin(message: object) -> dict[str, object]:
    """Return the attributes of an event from SNS, EventBridge or S3 that a queue or a topic has delivered as a message.

    Such an event may contain another one. The innermost is the origin.
    """
    if not isinstance(message, str) or len(message) > _UNWRAPPED_MAX or not any(h in message[:512] for h in _HINTS):
        return {}
    event = json_or_none(message)
    if dig(event, "Type") == "Notification":
        topic = {"aws.lambda.event_origin": "sns", "aws.sns.topic.arn": dig(event, "TopicArn")}
        return only_texts(topic) | _origin(dig(event, "Message"))
    inner = describe(event)[1]  # the recursion ends: each level of quoting doubles backslashes, up to _UNWRAPPED_MAX
    if "aws.lambda.event_source" in inner:
        inner.setdefault("aws.lambda.event_origin", inner["aws.lambda.event_source"])
    return {name: value for name, value in inner.items() if not name.startswith(_OUTER)}


def parent(event: object) -> Caller | None:
    """Return the caller, if the event is one request or one message.

    None for a batch, even of one record: the size of a batch is arbitrary, and must not decide whether an invocation
    begins a trace or continues another. Batches have `links`.
    """
    if _batch(event) is not None:
        return None
    if isinstance(event, list):
        event = dig(event, "0")
    if not isinstance(event, dict):
        return None
    execution = event.get("DurableExecutionArn")
    if isinstance(execution, str):
        return of_execution(execution, dig(event, "InitialExecutionState/Operations/0/ExecutionDetails/InputPayload"))
    request = _request(event)
    headers = nothing if request is None else _carrier_of(request)
    if headers("traceparent") is None:
        inside = embedded(event)
        if inside is not nothing and (caller := caller_of(inside)) is not None:
            return caller
    return None if headers is nothing else caller_of(headers)


def _request(event: dict[Any, Any]) -> object:
    """Return the part of an event that has an HTTP request's headers."""
    if "headers" in event or "multiValueHeaders" in event:
        return event
    if isinstance(event.get("request"), dict):  # AppSync
        return event["request"]
    return dig(event, _EDGE) if "Records" in event else None


def _carrier_of(request: object) -> Carrier:
    """Return what the headers have. Several lines, of which `headers` has only the last, are joined as in HTTP."""
    several, headers = _carried(dig(request, "multiValueHeaders")), _carried(dig(request, "headers"))
    if not (several or headers):
        return nothing

    def header(name: str) -> object:
        lines = several.get(name)
        value = lines if isinstance(lines, list) and lines else headers.get(name)
        lines = value[:_HEADERS_READ] if isinstance(value, list) else [value]
        lines = [line.get("value") if isinstance(line, dict) else line for line in lines]  # CloudFront's {"value": ...}
        return ",".join(lines) or None if all(isinstance(line, str) for line in lines) else None

    return header


def _carried(headers: object) -> dict[str, Any]:
    """Return the headers that carry a trace, by their names in lower case."""
    if not isinstance(headers, dict):
        return {}
    try:
        names = sorted(islice(headers, _HEADERS_READ))  # of several spellings, the one in lower case is the last
        spelled = dict(zip(map(str.lower, names), names, strict=True))
    except TypeError as error:  # not JSON: some names are no texts
        pass_on(error)
        return {}
    return {name: headers[spelled[name]] for name in _CARRIED if name in spelled}


def of_execution(arn: str, payload: object = None) -> Caller:
    """Return the trace of a durable execution: its caller's, or a derived one.

    It is the same for all invocations of the execution, so its id is derived from the ARN.
    """
    if isinstance(payload, str) and len(payload) <= _UNWRAPPED_MAX and "traceparent" in payload.lower():
        caller = parent(json_or_none(payload))
        if caller:
            return caller
    from hashlib import sha256

    return Caller(sha256(arn.encode("utf-8", "replace")).hexdigest()[:32])


def links(event: object, xray: str | None = None) -> tuple[list[Link], int]:
    """Return links from an invocation to other traces, and the number of records that were not searched for links.

    There is a link to the X-Ray trace of the invocation (`xray` is its header). For each record there is a link to the
    trace of its producer (type `producer`), and to the X-Ray trace (type `xray`) that SQS passes on as a system
    attribute: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-message-metadata.html
    """
    own = xray_link(xray)
    found: dict[object, Link] = {_key(own): own} if own else {}
    of_invocation = len(found)
    records = _batch(event)
    if records is None:
        return list(found.values()), 0
    from ._carried import ContextFinder

    finder, searched = ContextFinder(), 0
    for record in islice(records, RECORDS_READ):
        if len(found) >= LINKS_MAX:
            break
        searched += 1
        for link in _links_of(records, record, finder):
            found.setdefault(_key(link), link)
    omitted = len(records) - searched if len(found) > of_invocation else 0
    return list(found.values())[:LINKS_MAX], omitted


def _key(link: Link) -> object:
    return link["trace_id"], link.get("span_id")


def _links_of(records: Batch, record: object, finder: ContextFinder) -> Iterator[Link]:
    producer = parse_traceparent(finder.of(records, record)("traceparent"))
    if producer:
        yield {"type": "producer", "trace_id": producer.trace_id, "span_id": producer.span_id}
    xray = xray_link(dig(record, "attributes/AWSTraceHeader"))
    if xray:
        yield xray


def xray_link(header: object) -> Link | None:
    """Convert an X-Ray trace header to a link: `Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;...`.

    It is a link and not the parent, because most X-Ray spans are exported to X-Ray alone. `Sampled` is ignored: it
    decides what X-Ray keeps, not what is sent here.
    https://docs.aws.amazon.com/xray/latest/devguide/xray-concepts.html#xray-concepts-tracingheader
    """
    if not isinstance(header, str):
        return None
    parts: dict[str, str] = {}
    for pair in header[:512].split(";"):
        name, _, value = pair.strip().partition("=")
        parts[name] = value
    root, parent_id = parts.get("Root", "").split("-"), parts.get("Parent")
    trace_id = "".join(root[1:]) if len(root) == 3 else ""
    if not are_ids(trace_id, parent_id or "0000000000000001"):
        return None
    return {"type": "xray", "trace_id": trace_id, **({"span_id": parent_id} if parent_id else {})}
