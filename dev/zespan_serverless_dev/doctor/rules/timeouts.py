"""Rules on the time that a platform gives a function."""

from __future__ import annotations

from collections.abc import Iterator

from ..concerned import FORWARDER, calls_with, concerned, flush_needs, may_call_models, place_of
from ..findings import Finding, rule
from ..lookup import value_of
from ..model import Function, Host, Project

_FIRST_CALL = 5.0
"""Seconds for a cold start and one model call; both together often take longer."""


@rule(
    "ZS201",
    "no-time-to-flush",
    "error",
    "No time is left for a flush at the end: events wait for the next invocation, or are lost.",
    "Raise the timeout to the sum of the slowest model call, flush_timeout and flush_reserve.",
)
def no_time_to_flush(project: Project) -> Iterator[Finding]:
    """Find functions on Lambda whose timeout is no longer than what a flush needs."""
    for function, timeout, needs in _timed(project, "aws_lambda"):
        if timeout <= needs:
            text = f"the timeout of {function.name} is {timeout:g} s, and its flush may take {needs:g} s"
            yield Finding(text, place_of(function, "timeout_s"), function=function.name)


@rule(
    "ZS202",
    "short-timeout",
    "warning",
    "A cold start and one model call often take longer than the time that is left beside the flush.",
    "Set the timeout to the sum of the slowest model call, flush_timeout and flush_reserve.",
)
def short_timeout(project: Project) -> Iterator[Finding]:
    """Find functions on Lambda with little time for a model, such as those with Lambda's default of 3 seconds."""
    for function, timeout, needs in _timed(project, "aws_lambda"):
        left = timeout - needs
        if 0 < left < _FIRST_CALL and function.handler != FORWARDER and may_call_models(project, function):
            default = "" if "timeout_s" in function.places else ", which is the default,"
            text = f"the timeout of {function.name} is {timeout:g} s{default} and leaves {left:g} s beside its flush"
            yield Finding(text, place_of(function, "timeout_s"), function=function.name)


@rule(
    "ZS303",
    "short-max-duration",
    "warning",
    "With a short maxDuration a slow call leaves the flush no time, and events wait for the next request.",
    "Set maxDuration to the sum of the slowest model call, flush_timeout and flush_reserve.",
)
def short_max_duration(project: Project) -> Iterator[Finding]:
    """Find Vercel Functions whose maxDuration leaves little time for a model."""
    for function, timeout, needs in _timed(project, "vercel"):
        if timeout - needs < _FIRST_CALL:
            text = f"maxDuration of {function.name} is {timeout:g} s, of which a flush may take {needs:g} s"
            yield Finding(text, place_of(function, "timeout_s"), function=function.name)


@rule(
    "ZS309",
    "short-time-limit",
    "warning",
    "With a short timeout a slow call leaves the flush no time, and events wait for the next call, or are lost.",
    "Set the timeout to the sum of the slowest model call, flush_timeout and flush_reserve.",
)
def short_time_limit(project: Project) -> Iterator[Finding]:
    """Find functions that flush before they return, on clouds other than AWS, with little time for a model."""
    for function, timeout, needs in _timed(project, "alibaba", "oracle", "digitalocean"):
        if timeout <= needs or (timeout - needs < _FIRST_CALL and may_call_models(project, function)):
            default = "" if "timeout_s" in function.places else ", which is the default"
            text = f"the timeout of {function.name} is {timeout:g} s{default}; a flush may take {needs:g} s of it"
            yield Finding(text, place_of(function, "timeout_s"), function=function.name)


@rule(
    "ZS304",
    "timeout-not-told",
    "warning",
    "Without functionTimeout in host.json the worker knows no limit, and a flush before the return may exceed it.",
    'Set functionTimeout in host.json, such as "00:05:00", even if the default suits you.',
)
def timeout_not_told(project: Project) -> Iterator[Finding]:
    """Find apps on Azure that flush before they return, and do not say how long they may run."""
    for function in concerned(project, "azure_functions"):
        in_code = calls_with(project, function, "flush_mode", "before_return")
        if function.timeout_s is None and (in_code or value_of(function, "ZESPAN_FLUSH_MODE") == "before_return"):
            text = f"{function.name} flushes before it returns, and host.json has no functionTimeout"
            yield Finding(text, function.place, function=function.name)


@rule(
    "ZS302",
    "other-timeout-told",
    "warning",
    "A deadline that is later than the real one lets a flush go on until the request has been given up.",
    "Set CLOUD_RUN_TIMEOUT_SECONDS to the service's own timeout.",
)
def other_timeout_told(project: Project) -> Iterator[Finding]:
    """Find services on Cloud Run that are told a longer timeout than they have."""
    for function in concerned(project, "google_cloud"):
        told = value_of(function, "CLOUD_RUN_TIMEOUT_SECONDS")
        timeout = function.timeout_s
        if told.isdecimal() and isinstance(timeout, (int, float)) and int(told) > timeout:
            variable = function.environment["CLOUD_RUN_TIMEOUT_SECONDS"]
            text = f"{function.name} is configured with a timeout of {told} s, and has one of {timeout:g} s"
            yield Finding(text, variable.place, function=function.name)


def _timed(project: Project, *hosts: Host) -> Iterator[tuple[Function, float, float]]:
    """Yield the functions whose timeout is known, with it and with what their flush needs, in seconds."""
    for function in concerned(project, *hosts):
        needs = flush_needs(project, function)
        if isinstance(function.timeout_s, (int, float)) and needs is not None:
            yield function, float(function.timeout_s), needs
