"""Rules on Google Cloud, Vercel, Azure, Cloudflare and containers, except those on their timeouts."""

from __future__ import annotations

from collections.abc import Iterator

from ..concerned import calls_with, concerned
from ..findings import Finding, rule
from ..lookup import PACKAGE, modules_of, value_of
from ..model import Host, Project

_OUTSIDE: tuple[Host, ...] = (
    *("google_cloud", "azure_functions", "vercel", "cloudflare"),
    *("alibaba", "oracle", "digitalocean"),
)
"""Hosts that run nothing on AWS, as Kubernetes may."""


@rule(
    "ZS301",
    "no-cpu-after-response",
    "error",
    "Cloud Run gives a service that is billed by request no CPU after the response: events wait, or are lost.",
    "Remove ZESPAN_FLUSH_MODE, or have the service billed by instance (--no-cpu-throttling).",
)
def no_cpu_after_response(project: Project) -> Iterator[Finding]:
    """Find services of Cloud Run that are to send when they have no CPU."""
    for function in concerned(project, "google_cloud"):
        in_environment = value_of(function, "ZESPAN_FLUSH_MODE") == "after_response"
        in_code = calls_with(project, function, "flush_mode", "after_response")
        if function.has_cpu_after_response is False and (in_environment or in_code):
            variable = function.environment.get("ZESPAN_FLUSH_MODE")
            text = f"{function.name} is to flush after the response, and is billed by request"
            yield Finding(text, variable.place if variable else function.place, function=function.name)


@rule(
    "ZS305",
    "secret-of-aws",
    "warning",
    "ZESPAN_API_KEY_SECRET is read from AWS, with boto3 and credentials that other hosts do not have.",
    "Have the platform put the key into ZESPAN_API_KEY from its own store of secrets.",
)
def secret_of_aws(project: Project) -> Iterator[Finding]:
    """Find functions on other clouds that are to read their key from AWS."""
    for function in concerned(project, *_OUTSIDE):
        variable = function.environment.get("ZESPAN_API_KEY_SECRET")
        if variable and not {"ZESPAN_API_KEY", "AWS_ACCESS_KEY_ID", "AWS_ROLE_ARN"} & function.environment.keys():
            text = f"{function.name} is not on AWS, and is to read its key there"
            yield Finding(text, variable.place, function=function.name)


@rule(
    "ZS308",
    "no-wait-until",
    "warning",
    "What a Worker does after its response may be cut off, unless it is passed to waitUntil.",
    "Decorate its class with zespan_cloudflare, or use ZespanMiddleware: both send events in that time.",
)
def no_wait_until(project: Project) -> Iterator[Finding]:
    """Find Workers that use the package without anything that sends their events after the response."""
    for function in concerned(project, "cloudflare"):
        modules = [module for module in modules_of(project, function) if module.uses(PACKAGE)]
        used = {module.name(node).rpartition(".")[2] for module in modules for node in module.nodes}
        if modules and not {"zespan_cloudflare", "ZespanMiddleware", "task_scope", "waitUntil", "wait_until"} & used:
            yield Finding(f"{function.name} leaves its events in memory", function.place, function=function.name)


@rule(
    "ZS307",
    "shell-takes-the-signal",
    "warning",
    "A shell as the first process does not forward SIGTERM: the server is killed, with its events in memory.",
    'Write the command as a list, as in CMD ["python", "job.py"], or begin it with exec.',
)
def shell_takes_the_signal(project: Project) -> Iterator[Finding]:
    """Find containers with our package whose command is run by a shell."""
    for function in concerned(project, "container"):
        if function.starts_in_shell:
            yield Finding("the container starts in a shell", function.place, function=function.name)
