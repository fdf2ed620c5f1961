"""What OpenWhisk, which DigitalOcean Functions are made of, says about a function and an activation.

https://github.com/apache/openwhisk/blob/master/docs/actions.md#accessing-action-metadata-within-the-action-body
"""

from __future__ import annotations

import os

from .platform import Platform

_DIGITALOCEAN = ".doserverless.co"


def platform() -> Platform:
    """Return the platform. The variables are set with each activation, some of them only with the first one."""
    environ = os.environ
    host = environ.get("__OW_API_HOST", "").partition("://")[2].partition("/")[0]
    is_digitalocean = host.endswith(_DIGITALOCEAN)
    attributes: dict[str, object] = {
        "cloud.provider": "digitalocean" if is_digitalocean else None,
        "cloud.platform": "digitalocean_functions" if is_digitalocean else "openwhisk",
        "cloud.region": host.split("-")[1] if is_digitalocean and host.count("-") > 1 else None,  # faas-nyc1-2ef2e6cc
        "faas.version": environ.get("__OW_ACTION_VERSION"),
        "openwhisk.namespace": environ.get("__OW_NAMESPACE"),
    }
    return Platform(name(), attributes, keeps_cpu=False)


def name() -> str:
    """Return the function's name, with its package, and without the namespace: /namespace/package/name."""
    full = os.environ.get("__OW_ACTION_NAME", "")
    return full.split("/", 2)[-1] if full.startswith("/") else full
