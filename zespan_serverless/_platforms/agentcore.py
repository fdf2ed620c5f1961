"""What Amazon Bedrock AgentCore Runtime says about an agent and a request."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING
from urllib.parse import unquote

from .._trace.context import caller_of
from .platform import TEXT_MAX, Platform, RequestFacts

if TYPE_CHECKING:
    from .platform import Header

_PREFIX = "x-amzn-bedrock-agentcore-runtime-"


class AgentCore(Platform):
    """The microVM of a session. It is idle, and may be stopped, when no request is under way and `/ping` says
    `Healthy`; `zespan_agentcore` makes more of that."""

    names_audience = True

    def facts(self, header: Header) -> RequestFacts:
        return RequestFacts((header(f"{_PREFIX}request-id") or "")[:TEXT_MAX] or None, caller_of(header))

    def audience(self, header: Header) -> tuple[str | None, str | None]:
        """Return the user, from the caller of InvokeAgentRuntime or its baggage, and the session."""
        user = header(f"{_PREFIX}user-id") or _in_baggage(header("baggage") or "", "user.id")
        return user, header(f"{_PREFIX}session-id")


def platform() -> AgentCore:
    """https://docs.aws.amazon.com/bedrock-agentcore/latest/devguide/runtime-service-contract.html.

    The resource is an endpoint, `arn:aws:bedrock-agentcore:REGION:ACCOUNT:runtime/NAME-ID/runtime-endpoint/ENDPOINT`.
    """
    pairs = (pair.strip().partition("=") for pair in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "").split(","))
    told = {name: value for name, _, value in pairs}
    arn = told.get("cloud.resource_id", "")
    _, _, _, region, account, *rest = [*arn.split(":"), "", "", "", "", ""]
    runtime = rest[0].partition("/")[2].partition("/")[0]
    attributes: dict[str, object] = {
        "cloud.provider": "aws",
        "cloud.platform": told.get("cloud.platform") or "aws_bedrock_agentcore",
        "cloud.region": region or os.environ.get("AWS_REGION"),
        "cloud.account.id": account or None,
        "cloud.resource_id": arn or None,
    }
    return AgentCore(runtime.rpartition("-")[0] or runtime, attributes, keeps_cpu=False)


def _in_baggage(baggage: str, key: str) -> str | None:
    """Return the value of one entry: https://www.w3.org/TR/baggage."""
    for entry in baggage.split(","):
        name, _, value = entry.partition(";")[0].partition("=")
        if name.strip() == key:
            return unquote(value.strip()) or None
    return None
