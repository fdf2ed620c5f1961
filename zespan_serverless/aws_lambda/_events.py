"""What a Lambda event says about where it comes from: trigger, attributes, the caller's trace. Total: any JSON will do.

Shapes: https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html (v1, v2),
https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html (function URL),
https://docs.aws.amazon.com/elasticloadbalancing/latest/application/lambda-functions.html (ALB).
"""

from __future__ import annotations

from itertools import islice
from typing import Any

from .._trace import parse_traceparent

_HEADERS_READ = 512  # API Gateway and ALB let far fewer through


def describe(event: object) -> tuple[str, dict[str, object]]:
    """(faas.trigger, attributes) of an event."""
    if not isinstance(event, dict):
        return "other", {}
    context = _dict(event.get("requestContext"))
    http, domain = _dict(context.get("http")), context.get("domainName")
    if http:
        source = "function-url" if isinstance(domain, str) and ".lambda-url." in domain else "apigateway-v2"
        return "http", _http(source, http.get("method"), event.get("rawPath"), event.get("routeKey"))
    if isinstance(event.get("httpMethod"), str):
        source = "alb" if "elb" in context else "apigateway"
        return "http", _http(source, event["httpMethod"], event.get("path"), event.get("resource"))
    return "other", {}


def parent(event: object) -> tuple[str, str] | None:
    """(trace id, span id) from the `traceparent` header of an HTTP event, in any case, single or multi-value."""
    if not isinstance(event, dict):
        return None
    several = _header(_dict(event.get("multiValueHeaders")), "traceparent")
    if isinstance(several, list) and len(several) > 1:  # they contradict each other; `headers` has but the last
        return None
    value = several[0] if isinstance(several, list) and several else _header(_dict(event.get("headers")), "traceparent")
    return parse_traceparent(value)


def xray_link(header: str | None) -> dict[str, object] | None:
    """An X-Ray trace header as a link: `Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=0`.

    A link, not the parent: most upstream X-Ray spans are never exported anywhere near ours.
    https://docs.aws.amazon.com/xray/latest/devguide/xray-concepts.html#xray-concepts-tracingheader
    """
    pairs = (pair.strip().partition("=") for pair in (header or "")[:512].split(";"))
    parts = {name: value for name, _, value in pairs}
    root = parts.get("Root", "").split("-")
    trace_id = "".join(root[1:]) if len(root) == 3 else ""
    found = parse_traceparent(f"00-{trace_id}-{parts.get('Parent') or '0' * 15 + '1'}-01")
    if not found:
        return None
    return {"type": "xray", "trace_id": found[0], **({"span_id": found[1]} if parts.get("Parent") else {})}


def _http(source: str, method: object, path: object, route: object) -> dict[str, object]:
    attributes = {
        "aws.lambda.event_source": source,
        "http.request.method": method,
        "url.path": path,
        "http.route": route if isinstance(route, str) and "/" in route else None,
    }
    return {name: value[:1024] for name, value in attributes.items() if isinstance(value, str)}


def _header(headers: dict[Any, Any], name: str) -> object:
    if name in headers:
        return headers[name]
    read = islice(headers.items(), _HEADERS_READ)
    return next((value for key, value in read if isinstance(key, str) and key.lower() == name), None)


def _dict(value: object) -> dict[Any, Any]:
    return value if isinstance(value, dict) else {}
