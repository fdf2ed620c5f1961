"""Web applications on Lambda: behind its Web Adapter, or in MicroVMs.

https://github.com/awslabs/aws-lambda-web-adapter
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from .._trace.context import caller_of
from .platform import TEXT_MAX, Platform, RequestFacts, positive, until

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .platform import Header, Hook


class WebAdapter(Platform):
    """Lambda freezes the process after the response."""

    def facts(self, header: Header) -> RequestFacts:
        context = _context(header)
        request_id, deadline_ms = context.get("request_id"), positive(context.get("deadline"))
        return RequestFacts(
            id=request_id[:TEXT_MAX] if isinstance(request_id, str) else None,
            parent=caller_of(header),
            remaining=until(None if deadline_ms is None else deadline_ms / 1000),
        )


def platform() -> WebAdapter:
    """https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html."""
    environ = os.environ
    attributes: dict[str, object] = {
        "cloud.provider": "aws",
        "cloud.platform": "aws_lambda",
        "faas.version": environ.get("AWS_LAMBDA_FUNCTION_VERSION"),
        "faas.instance": environ.get("AWS_LAMBDA_LOG_STREAM_NAME"),
    }
    return WebAdapter(environ["AWS_LAMBDA_FUNCTION_NAME"], attributes, keeps_cpu=False)


_HOOK_PATH = "/aws/lambda-microvms/runtime/v1/"
_HOOKS: dict[str, Hook] = {
    **dict.fromkeys(("ready", "validate", "resume"), "started"),
    **dict.fromkeys(("suspend", "terminate"), "snapshot"),
    "run": "restored",
}


class MicroVM(Platform):
    """A MicroVM, which keeps its CPU until it is suspended. Its image can ask to be notified of that."""

    def hook(self, path: str, header: Header) -> Hook | None:
        return _HOOKS.get(path.removeprefix(_HOOK_PATH)) if path.startswith(_HOOK_PATH) else None


def micro_vm() -> MicroVM:
    """Return the MicroVM that the environment describes.

    https://docs.aws.amazon.com/lambda/latest/dg/microvms-how-it-works.html
    """
    arn = os.environ["AWS_LAMBDA_MICROVM_IMAGE_ARN"]
    _, _, _, region, account, *_ = [*arn.split(":"), "", "", "", "", ""]
    attributes: dict[str, object] = {
        "cloud.provider": "aws",
        "cloud.platform": "aws_lambda",
        "cloud.region": region or os.environ.get("AWS_REGION"),
        "cloud.account.id": account or None,
        "cloud.resource_id": arn,
    }
    return MicroVM(arn.rpartition("/")[2], attributes)


def _context(header: Header) -> Mapping[str, object]:
    """Return Lambda's context, which the Web Adapter passes in a header."""
    try:
        found = json.loads(header("x-amzn-lambda-context") or "{}")
    except (ValueError, RecursionError):  # without an adapter a client may have sent the header
        return {}
    return found if isinstance(found, dict) else {}
