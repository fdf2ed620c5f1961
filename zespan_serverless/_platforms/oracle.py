"""What Oracle Functions, and the Fn project's server that it is made of, say about a function and a call."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from .._trace.context import Caller, caller_of
from .platform import Platform

if TYPE_CHECKING:
    from .platform import Header

_HEX = frozenset("0123456789abcdef")


def platform() -> Platform:
    """https://docs.oracle.com/iaas/Content/Functions/Tasks/functionspassingconfigparams.htm (FN_ variables)."""
    environ = os.environ
    id, memory = environ.get("FN_FN_ID", ""), environ.get("FN_MEMORY", "")
    attributes: dict[str, object] = {
        "cloud.provider": "oracle_cloud" if id.startswith("ocid1.") else None,  # not on an Fn server of one's own
        "cloud.platform": "oracle_cloud_functions" if id.startswith("ocid1.") else "fn",
        "cloud.region": environ.get("OCI_RESOURCE_PRINCIPAL_REGION"),
        "cloud.resource_id": id or None,
        "faas.max_memory": int(memory) * 1_048_576 if memory.isdecimal() else None,
        "oci.functions.app": environ.get("FN_APP_NAME"),
    }
    return Platform(environ.get("FN_FN_NAME", ""), attributes, keeps_cpu=False)


def parent(header: Header) -> Caller | None:
    """Return the caller of a function: from `traceparent`, otherwise from the Zipkin headers of Oracle's tracing.

    https://docs.oracle.com/iaas/Content/Functions/Tasks/functionstracing.htm
    """
    found = caller_of(header)
    trace, span = (header("x-b3-traceid") or "").lower(), (header("x-b3-spanid") or "").lower()
    is_valid = len(trace) in (16, 32) and len(span) == 16 and _HEX.issuperset(trace + span)
    if (found is not None and found.trace_id) or not (is_valid and trace.strip("0") and span.strip("0")):
        return found
    sampled = {"1": 1, "0": 0}.get(header("x-b3-sampled") or "")
    return Caller(trace.rjust(32, "0"), span, sampled, baggage=found.baggage if found is not None else "")
