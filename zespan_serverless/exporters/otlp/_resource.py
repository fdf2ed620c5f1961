"""The process that spans come from, as OpenTelemetry's resource."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from ._attributes import flattened

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..._record.record import Resource

_DEFAULT_ENVIRONMENT = "production"
_NAMES = ("AWS_LAMBDA_FUNCTION_NAME", "K_SERVICE", "CLOUD_RUN_JOB", "WEBSITE_SITE_NAME", "VERCEL_PROJECT_ID")
"""Variables in which platforms name the function, service or app."""


def attributes_of(resource: Resource, given: Mapping[str, str]) -> dict[str, Any]:
    """Return a resource's attributes. `given`: those in the user's variables, which take precedence.

    `service.name` is the setting, OpenTelemetry's variable, or the platform's name of the function.
    """
    found: dict[str, Any] = {
        "service.name": next(filter(None, map(os.environ.get, _NAMES)), "unknown_service:python"),
        "telemetry.sdk.name": resource.sdk_name,
        "telemetry.sdk.language": "python",
        "telemetry.sdk.version": resource.sdk_version,
        **resource.attributes,
        "deployment.environment.name": resource.environment,
        **given,
    }
    if resource.environment != _DEFAULT_ENVIRONMENT:
        found["deployment.environment.name"] = resource.environment
    return flattened(found)
