"""What Azure AI Foundry says about a hosted agent and a request."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from .._trace.context import caller_of
from .platform import TEXT_MAX, Platform, RequestFacts

if TYPE_CHECKING:
    from .platform import Header


class Foundry(Platform):
    """The sandbox of a session, which may be suspended as soon as a response is complete.

    https://github.com/Azure/azure-sdk-for-python/pull/46181
    """

    names_audience = True

    def facts(self, header: Header) -> RequestFacts:
        id = header("x-agent-invocation-id") or header("x-agent-foundry-call-id") or header("x-request-id") or ""
        call = (header("x-agent-foundry-call-id") or "")[:TEXT_MAX] or None
        return RequestFacts(id[:TEXT_MAX] or None, caller_of(header), attributes=lambda: {"foundry.call_id": call})

    def audience(self, header: Header) -> tuple[str | None, str | None]:
        """Return the user that Foundry has authenticated, and the session of the sandbox."""
        return header("x-agent-user-id"), header("x-agent-session-id") or os.environ.get("FOUNDRY_AGENT_SESSION_ID")


def platform() -> Foundry:
    """Return the platform, from the variables that azure.ai.agentserver.core's `AgentConfig` reads."""
    environ = os.environ
    attributes: dict[str, object] = {
        "cloud.provider": "azure",
        "cloud.platform": "azure_ai_foundry",
        "cloud.resource_id": environ.get("FOUNDRY_PROJECT_ARM_ID"),
        "faas.version": environ.get("FOUNDRY_AGENT_VERSION"),
        "faas.instance": environ.get("FOUNDRY_AGENT_SESSION_GUID"),
    }
    return Foundry(environ.get("FOUNDRY_AGENT_NAME", ""), attributes, keeps_cpu=False)
