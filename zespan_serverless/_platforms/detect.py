"""Detects the platform of this process."""

from __future__ import annotations

import os
import sys
from importlib import import_module

from .platform import Platform

# Modules by the variables that their platforms set. The first one counts: Vercel may run on Lambda.
_BY_VARIABLE = {
    "VERCEL": "vercel",
    "VERCEL_IPC_PATH": "vercel",
    "K_SERVICE": "google",
    "AWS_LAMBDA_FUNCTION_NAME": "aws",
    "AWS_LAMBDA_MICROVM_IMAGE_ARN": "aws",
    "FUNCTIONS_WORKER_RUNTIME": "azure",
    "FOUNDRY_HOSTING_ENVIRONMENT": "foundry",
    "FOUNDRY_AGENT_NAME": "foundry",
    "FC_FUNCTION_NAME": "function_compute",
    "FN_FN_ID": "oracle",
    "__OW_API_HOST": "openwhisk",
}


def detect() -> Platform:
    """Return the platform, by its environment. Any other process is assumed to keep its CPU."""
    name = _name()
    if name is None:
        return Platform()
    found: Platform = import_module(f"{__package__}.{name}").platform()
    return found


def _name() -> str | None:
    """Return the name of the platform's module; None if the platform is not known."""
    for variable, name in _BY_VARIABLE.items():
        if variable in os.environ:
            return "knative" if name == "google" and "KUBERNETES_SERVICE_HOST" in os.environ else name
    if sys.platform == "emscripten":
        return "cloudflare"
    return "agentcore" if "bedrock-agentcore" in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "") else None
