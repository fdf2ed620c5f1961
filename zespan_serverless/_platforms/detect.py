"""Detects the platform of this process."""

from __future__ import annotations

import os
import sys

from .platform import Platform


def detect() -> Platform:
    """Return the platform, by its environment. Any other process is assumed to keep its CPU.

    Vercel may run on Lambda, so it is checked first.
    """
    environ = os.environ
    if "VERCEL" in environ or "VERCEL_IPC_PATH" in environ:
        from . import vercel

        return vercel.platform()
    if "K_SERVICE" in environ and "KUBERNETES_SERVICE_HOST" in environ:
        from . import knative

        return knative.platform()
    if "K_SERVICE" in environ:
        from . import google

        return google.platform()
    if "AWS_LAMBDA_FUNCTION_NAME" in environ or "AWS_LAMBDA_MICROVM_IMAGE_ARN" in environ:
        from . import aws

        return aws.platform() if "AWS_LAMBDA_FUNCTION_NAME" in environ else aws.micro_vm()
    if "FUNCTIONS_WORKER_RUNTIME" in environ:
        from . import azure

        return azure.platform()
    if "FOUNDRY_HOSTING_ENVIRONMENT" in environ or "FOUNDRY_AGENT_NAME" in environ:
        from . import foundry

        return foundry.platform()
    if "FC_FUNCTION_NAME" in environ:
        from . import function_compute

        return function_compute.platform()
    if "FN_FN_ID" in environ:
        from . import oracle

        return oracle.platform()
    if "__OW_API_HOST" in environ:
        from . import openwhisk

        return openwhisk.platform()
    if sys.platform == "emscripten":
        from . import cloudflare

        return cloudflare.platform()
    if "bedrock-agentcore" in environ.get("OTEL_RESOURCE_ATTRIBUTES", ""):
        from . import agentcore

        return agentcore.platform()
    return Platform()
