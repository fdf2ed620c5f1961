"""Facts about a call on Google Cloud: from a container's environment, a request's headers, or an event.

Accepts any environment, headers and event. Attributes have OpenTelemetry's names where they exist
(https://opentelemetry.io/docs/specs/semconv/registry/attributes), and never contain users' content.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .._trace.context import SAMPLED, Caller, caller_of, parse_traceparent
from .platform import TEXT_MAX, Platform, RequestFacts, countdown, positive

if TYPE_CHECKING:
    from .platform import Header


class CloudRun(Platform):
    """Cloud Run gives CPU to requests only, unless it is billed by instance, which a container cannot detect.

    The process survives a request that exceeds its timeout. https://cloud.google.com/run/docs/container-contract,
    https://cloud.google.com/run/docs/configuring/billing-settings
    https://cloud.google.com/run/docs/configuring/request-timeout
    """

    def facts(self, header: Header) -> RequestFacts:
        parent, links = parents(header)
        return RequestFacts(
            id=(header("function-execution-id") or "")[:TEXT_MAX] or None,
            parent=parent,
            remaining=countdown(self.timeout),
            attributes=lambda: {**describe_headers(header), **links},
        )


def platform() -> CloudRun:
    """https://cloud.google.com/run/docs/container-contract#env-vars."""
    timeout = positive(os.environ.get("CLOUD_RUN_TIMEOUT_SECONDS"))
    return CloudRun(os.environ["K_SERVICE"], attributes(), keeps_cpu=False, timeout=timeout, kills=False)


def attributes() -> dict[str, object]:
    """Return the attributes of the service, function or job that this container belongs to.

    https://cloud.google.com/run/docs/container-contract#env-vars; the functions framework defines FUNCTION_TARGET.
    """
    environ = os.environ
    target, job = environ.get("FUNCTION_TARGET"), environ.get("CLOUD_RUN_JOB")
    return texts(
        {
            "cloud.provider": "gcp",
            "cloud.platform": "gcp_cloud_functions" if target and not job else "gcp_cloud_run",
            "cloud.account.id": environ.get("GOOGLE_CLOUD_PROJECT") or environ.get("GCP_PROJECT"),
            "cloud.region": environ.get("GOOGLE_CLOUD_REGION") or environ.get("FUNCTION_REGION"),
            "faas.version": environ.get("K_REVISION"),
            "gcp.cloud_run.configuration": environ.get("K_CONFIGURATION"),
            "gcp.function.target": target,
            "gcp.cloud_run.job.execution": environ.get("CLOUD_RUN_EXECUTION"),
            "gcp.cloud_run.job.task_index": _number(environ.get("CLOUD_RUN_TASK_INDEX")),
            "gcp.cloud_run.job.task_attempt": _number(environ.get("CLOUD_RUN_TASK_ATTEMPT")),
            "gcp.cloud_run.job.task_count": _number(environ.get("CLOUD_RUN_TASK_COUNT")),
        }
    )


def parents(header: Header, producer: Caller | None = None) -> tuple[Caller | None, dict[str, object]]:
    """Return the caller, and as an attribute the link to another trace that the call belongs to.

    For a request: W3C's `traceparent`, otherwise Google's `X-Cloud-Trace-Context`. For an event: the trace that its
    `producer` has set. The delivery of the event may have another trace, in the headers.
    """
    hop = caller_of(header)
    if hop is None or not hop.trace_id:
        by_google = parse_cloud_trace(header("x-cloud-trace-context"))
        hop = by_google.replaced(baggage=hop.baggage) if by_google and hop else by_google or hop
    producer = producer or caller_of(lambda name: header(f"ce-{name}"))
    if producer is None or not producer.trace_id:
        return hop, {}
    if hop is None or hop.trace_id in ("", producer.trace_id):
        return producer, {}
    link = {"type": "delivery", "trace_id": hop.trace_id, **({"span_id": hop.span_id} if hop.span_id else {})}
    return producer, {"links": [link]}


def parse_cloud_trace(value: object) -> Caller | None:
    """Parse `TRACE/SPAN;o=1`: 32 hex digits, a decimal number, which may be missing or 0, and the sampled flag.

    https://cloud.google.com/trace/docs/trace-context#legacy-http-header. The flag is kept but does not decide: Google
    samples about one request in ten seconds, which must not switch the user's traces off.
    """
    if not isinstance(value, str) or len(value) > 128:
        return None
    ids, _, options = value.partition(";")
    trace_id, _, span = ids.partition("/")
    trace_id = trace_id.lower()
    number = int(span) if span.isascii() and span.isdecimal() and len(span) <= 20 else 0
    found = parse_traceparent(f"00-{trace_id}-{number or 1:016x}-01")
    if found is None:
        return None
    flags = {"o=1": SAMPLED, "o=0": 0}.get(options.strip())
    return Caller(trace_id, found.span_id if number else None, flags)


def describe_headers(header: Header) -> dict[str, object]:
    """Return what a request's headers say of who sent it, `faas.trigger` among it; nothing for an ordinary client's.

    CloudEvents in binary mode, from Eventarc: https://cloud.google.com/eventarc/docs/cloudevents
    """
    if header("ce-id") and header("ce-type"):
        return describe_event({name: header(f"ce-{name}") for name in _CONTEXT}, None)
    if header("x-cloudscheduler") or header("x-cloudscheduler-jobname"):
        return _of_scheduler(header)
    if header("x-cloudtasks-queuename"):
        return _of_tasks(header)
    return _of_unwrapped_message(header) if header("x-goog-pubsub-message-id") else {}


def _of_scheduler(header: Header) -> dict[str, object]:
    """https://cloud.google.com/scheduler/docs/reference/rest/v1/projects.locations.jobs#HttpTarget."""
    return texts(
        {
            "faas.trigger": "timer",
            "faas.time": header("x-cloudscheduler-scheduletime"),
            "gcp.cloud_scheduler.job": header("x-cloudscheduler-jobname"),
        }
    )


def _of_tasks(header: Header) -> dict[str, object]:
    """https://cloud.google.com/tasks/docs/creating-http-target-tasks#handler."""
    return texts(
        {
            "faas.trigger": "pubsub",
            "messaging.system": "gcp_cloud_tasks",  # OpenTelemetry has no term for it
            "messaging.operation.type": "process",
            "messaging.destination.name": header("x-cloudtasks-queuename"),
            "messaging.message.id": header("x-cloudtasks-taskname"),
            "gcp.cloud_tasks.retry_count": _number(header("x-cloudtasks-taskretrycount")),
            "gcp.cloud_tasks.execution_count": _number(header("x-cloudtasks-taskexecutioncount")),
            "gcp.cloud_tasks.previous_response": _number(header("x-cloudtasks-taskpreviousresponse")) or None,
        }
    )


def _of_unwrapped_message(header: Header) -> dict[str, object]:
    """https://cloud.google.com/pubsub/docs/payload-unwrapping."""
    return _pubsub(
        None,
        {
            "messageId": header("x-goog-pubsub-message-id"),
            "orderingKey": header("x-goog-pubsub-ordering-key"),
        },
        header("x-goog-pubsub-subscription-name"),
        _number(header("x-goog-pubsub-delivery-attempt")),
    )


def describe_push(body: object) -> dict[str, object]:
    """Return the attributes of a Pub/Sub message that is pushed to a service; empty for anything else.

    https://cloud.google.com/pubsub/docs/push#receive_push
    """
    message = body.get("message") if isinstance(body, Mapping) else None
    if not isinstance(body, Mapping) or not isinstance(message, Mapping) or "subscription" not in body:
        return {}
    return _pubsub(None, message, body.get("subscription"), body.get("deliveryAttempt"))


# A CloudEvent's attributes, and those that Eventarc adds for audit logs and Firestore.
_CONTEXT = ("id", "source", "type", "specversion", "subject", "methodname", "servicename", "resourcename", "document")
# What happened to a document or object, by the last word of the event's type.
_OPERATIONS = {
    **dict.fromkeys(("created", "create", "finalized", "finalize"), "insert"),
    **dict.fromkeys(("updated", "update", "written", "write", "metadataupdated", "metadataupdate"), "edit"),
    **dict.fromkeys(("archived", "archive"), "edit"),  # the live version of the object is kept as an older one
    **dict.fromkeys(("deleted", "delete"), "delete"),
}


def describe_event(context: Mapping[str, Any], data: object) -> dict[str, object]:
    """Return the attributes of a CloudEvent, and of its data if that is a mapping.

    https://cloud.google.com/eventarc/docs/event-types, https://github.com/googleapis/google-cloudevents
    """
    kind, source, subject = (_text(context.get(name)) for name in ("type", "source", "subject"))
    details: dict[str, object] = {
        "faas.trigger": "other",
        "cloudevents.event_id": context.get("id"),
        "cloudevents.event_source": source,
        "cloudevents.event_spec_version": context.get("specversion"),
        "cloudevents.event_subject": subject,
        "cloudevents.event_type": kind,
    }
    if kind.startswith("google.cloud.pubsub."):
        inner = data if isinstance(data, Mapping) else {}
        message = inner.get("message")
        topic = source.partition("/topics/")[2] or None
        details |= _pubsub(topic, message if isinstance(message, Mapping) else {}, inner.get("subscription"), None)
        details.setdefault("messaging.message.id", context.get("id"))  # the id of the message
    elif kind.startswith("google.cloud.storage.object."):
        details |= _document(kind, source.partition("/buckets/")[2], subject.removeprefix("objects/"))
    elif kind.startswith(("google.cloud.firestore.", "google.cloud.datastore.")):
        details |= _firestore(kind, _text(context.get("document")) or subject.removeprefix("documents/"))
    elif kind.startswith("google.firebase.database."):
        details |= _document(kind, source.partition("/instances/")[2], subject.removeprefix("refs/"))
    elif kind.startswith("google.cloud.audit.log."):
        details |= {
            "gcp.audit_log.method": context.get("methodname"),
            "gcp.audit_log.service": context.get("servicename"),
            "gcp.audit_log.resource": context.get("resourcename"),
        }
    elif kind.startswith("google.cloud.scheduler."):
        details["faas.trigger"] = "timer"
    return texts(details)


def describe_background(context: object, data: object) -> dict[str, object]:
    """Return the attributes of a background function's arguments, `(data, context)`, which predate CloudEvents.

    https://cloud.google.com/functions/1stgendocs/writing/write-event-driven-functions#background-functions
    """
    kind = _text(getattr(context, "event_type", None))
    resource = getattr(context, "resource", None)
    name = resource.get("name") if isinstance(resource, Mapping) else resource
    path, inner = _text(name), data if isinstance(data, Mapping) else {}
    details: dict[str, object] = {
        "faas.trigger": "other",
        "cloudevents.event_id": getattr(context, "event_id", None),
        "cloudevents.event_source": path,
        "cloudevents.event_type": kind,
    }
    if "pubsub" in kind:
        message = {"messageId": getattr(context, "event_id", None)}
        details |= _pubsub(path.partition("/topics/")[2] or None, message, None, None)
    elif "storage" in kind:
        details |= _document(kind, _text(inner.get("bucket")), _text(inner.get("name")))
    elif "firestore" in kind:
        details |= _firestore(kind, path.partition("/documents/")[2])
    elif "firebase.database" in kind:
        instance, _, ref = path.partition("/instances/")[2].partition("/refs/")
        details |= _document(kind, instance, ref)
    return texts(details)


def producer(context: Mapping[str, Any], data: object) -> Caller | None:
    """Return the trace that an event comes from: CloudEvents' extension, otherwise the attribute of a Pub/Sub message.

    If an event is forwarded, the extension names the trace in which it began, and the headers that of the last hop
    (https://github.com/cloudevents/spec/blob/main/cloudevents/extensions/distributed-tracing.md). Google's Pub/Sub
    clients use the prefix `googclient_` (https://cloud.google.com/pubsub/docs/open-telemetry-tracing); hand-written
    senders use `traceparent`.
    """
    found = _caller(context)
    if found or not isinstance(data, Mapping):
        return found
    message = data.get("message")
    carried = (message if isinstance(message, Mapping) else data).get("attributes")
    if not isinstance(carried, Mapping):
        return None
    return _caller(carried, "googclient_") or _caller(carried)


def _caller(fields: Mapping[Any, Any], prefix: str = "") -> Caller | None:
    found = caller_of(lambda name: fields.get(prefix + name))
    return found if found is not None and found.trace_id else None


def _pubsub(topic: object, message: Mapping[Any, Any], subscription: object, attempt: object) -> dict[str, object]:
    path = _text(subscription)
    name = path.partition("/subscriptions/")[2] or path
    return texts(
        {
            "faas.trigger": "pubsub",
            "messaging.system": "gcp_pubsub",
            "messaging.operation.type": "process",
            "messaging.destination.name": topic,
            "messaging.destination.subscription.name": name,
            "messaging.message.id": message.get("messageId") or message.get("message_id"),
            "messaging.gcp_pubsub.message.ordering_key": message.get("orderingKey"),
            "messaging.gcp_pubsub.message.delivery_attempt": attempt,
        }
    )


def _firestore(kind: str, document: str) -> dict[str, object]:
    """Split a document's path, which is collection/document and so on, into the collection and the document."""
    collection, _, name = document.rpartition("/")
    return _document(kind, collection, name)


def _document(kind: str, collection: str, name: str) -> dict[str, object]:
    words = kind.removesuffix(".withAuthContext").lower()  # `...document.v1.created`, `.../eventTypes/document.create`
    return {
        "faas.trigger": "datasource",
        "faas.document.collection": collection,
        "faas.document.name": name,
        "faas.document.operation": _OPERATIONS.get(words.rpartition(".")[2]),
    }


def texts(found: Mapping[str, object]) -> dict[str, object]:
    """Return the attributes that are texts, shortened if they are long, or whole numbers."""
    kept: dict[str, object] = {}
    for name, value in found.items():
        if isinstance(value, str) and value:
            kept[name] = value[:TEXT_MAX]
        elif type(value) is int:
            kept[name] = value
    return kept


def _text(value: object) -> str:
    return value[:TEXT_MAX] if isinstance(value, str) else ""


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdecimal() and len(text) < 19 else None
