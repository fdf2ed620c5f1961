"""Rules on queues, logs, networks and memory of Lambda functions."""

from __future__ import annotations

from collections.abc import Iterator

from .. import editing
from ..concerned import concerned, place_of
from ..findings import Finding, rule
from ..model import Project

_FACTOR = 6
_LARGEST_VISIBILITY = 43_200  # seconds
_RETENTION = 30  # days that --fix writes
_SMALL, _ONE_VCPU = 256, 1769  # MB
_CPU_MS = 2.0  # milliseconds of one vCPU that an invocation's telemetry takes


@rule(
    "ZS210",
    "short-visibility",
    "warning",
    "While Lambda still retries a throttled invocation, its message becomes visible again: it is processed twice.",
    "Set the queue's visibility timeout to six times the function's timeout.",
)
def short_visibility(project: Project) -> Iterator[Finding]:
    """Find queues whose messages reappear before Lambda has tried them as long as it may."""
    for function in concerned(project, "aws_lambda"):
        for source in function.sources:
            seconds, timeout = source.visibility_timeout_s, function.timeout_s
            if not isinstance(seconds, (int, float)) or not isinstance(timeout, (int, float)) or source.queue is None:
                continue
            wanted = min(int(timeout * _FACTOR), _LARGEST_VISIBILITY)
            if seconds < wanted:
                text = f"the queue of {function.name} hides a message for {seconds:g} s; six timeouts are {wanted} s"
                edit = editing.visibility(source.queue, wanted)
                yield Finding(text, source.queue, f"Set it to {wanted}.", function.name, edit)


@rule(
    "ZS211",
    "whole-batches-fail",
    "warning",
    "If one message of a batch fails, all of them are delivered again; their model calls are made, and paid, twice.",
    "Set FunctionResponseTypes: [ReportBatchItemFailures], and return the ids of the messages that failed.",
)
def whole_batches_fail(project: Project) -> Iterator[Finding]:
    """Find functions that cannot report which messages of a batch have failed."""
    for function in concerned(project, "aws_lambda"):
        for source in function.sources:
            if source.reports_batch_failures is False:
                text = f"{function.name} cannot report single messages of its {source.kind} source as failed"
                edit = editing.reports_failures(source.place)
                yield Finding(text, source.place, function=function.name, edit=edit)


@rule(
    "ZS212",
    "log-never-expires",
    "info",
    "CloudWatch keeps, and bills, a function's log for ever, unless its log group has a retention.",
    "Give the function a log group with a retention, such as RetentionInDays: 30.",
)
def log_never_expires(project: Project) -> Iterator[Finding]:
    """Find functions whose log group is not in the project, or has no retention."""
    for function in concerned(project, "aws_lambda"):
        if function.log_retention_days is None and not function.is_packaged_as_image:
            place = function.log_group
            text = f"the log of {function.name} never expires"
            edit = editing.retention(place, _RETENTION) if place else None
            yield Finding(text, place or function.place, function=function.name, edit=edit)


@rule(
    "ZS213",
    "no-way-out",
    "error",
    "A function in a VPC has no address of its own on the internet, not even in a public subnet: nothing is delivered.",
    "Route the function's subnets through a NAT gateway, or send to an address in the VPC by ZESPAN_BASE_URL.",
)
def no_way_out(project: Project) -> Iterator[Finding]:
    """Find functions in subnets of the project that nothing in it connects to the internet."""
    for function in concerned(project, "aws_lambda"):
        names = {"ZESPAN_BASE_URL", "ZESPAN_EXPORTER", "OTEL_EXPORTER_OTLP_ENDPOINT"}
        if function.in_vpc and function.has_egress is False and not names & function.environment.keys():
            text = f"{function.name} is in subnets without a NAT gateway"
            yield Finding(text, place_of(function, "in_vpc"), function=function.name)


@rule(
    "ZS214",
    "little-memory",
    "info",
    "Lambda allots CPU in proportion to memory: with little memory all work takes many times as long.",
    "Try 256 MB or more: a function that ends sooner may cost less.",
)
def little_memory(project: Project) -> Iterator[Finding]:
    """Find functions with so little memory that the telemetry's share of the CPU can be felt."""
    for function in concerned(project, "aws_lambda"):
        memory = function.memory_mb
        if isinstance(memory, (int, float)) and 0 < memory < _SMALL:
            took = _CPU_MS * _ONE_VCPU / memory
            text = f"{function.name} has {memory:g} MB, where the {_CPU_MS:g} ms of CPU of telemetry take {took:.0f} ms"
            yield Finding(text, place_of(function, "memory_mb"), function=function.name)
