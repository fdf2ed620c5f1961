"""What Knative on Kubernetes says about a web application. Cloud Run has the same variables, and no Kubernetes."""

from __future__ import annotations

import os

from .platform import Platform


def platform() -> Platform:
    """https://knative.dev/docs/serving/services/creating-services/; a pod keeps its CPU between two requests."""
    environ = os.environ
    attributes: dict[str, object] = {
        "faas.version": environ.get("K_REVISION"),
        "knative.configuration": environ.get("K_CONFIGURATION"),
    }
    return Platform(environ["K_SERVICE"], attributes)
