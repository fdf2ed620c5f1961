"""Requests that platforms send to check a process, or to announce what they are about to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .platform import Header

# Kubernetes, load balancers of Google, AWS and Azure, Route 53, Azure's App Service.
_AGENTS = (
    *("kube-probe/", "GoogleHC/", "ELB-HealthChecker/", "Amazon-Route53-Health-Check-Service", "Edge Health Probe"),
    *("Load Balancer Agent", "HealthCheck/1.0", "ReadyForRequest/1.0", "AlwaysOn"),
)
# Health checks; warm-ups, snapshots, shutdowns.
_PATHS = frozenset(
    (
        *("/health", "/healthz", "/healthcheck", "/health-check", "/health/live", "/health/ready", "/_health"),
        *("/live", "/livez", "/liveness", "/ready", "/readyz", "/readiness", "/ping", "/_ah/health", "/_ah/warmup"),
        *("/admin/warmup", "/robots933456.txt", "/_agent/before-snapshot", "/_agent/after-restore"),
        *("/_before_snapshot", "/pre-freeze", "/pre-stop"),
    )
)
_HOOKS = "/aws/lambda-microvms/runtime/v1/"


def is_probe(path: str, header: Header) -> bool:
    """Whether a request comes from the platform itself, according to its path or user agent."""
    path = path.rstrip("/").lower()
    return path in _PATHS or path.startswith(_HOOKS) or (header("user-agent") or "").startswith(_AGENTS)
