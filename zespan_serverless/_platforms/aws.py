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
    from typing import Any

    from .platform import Header, Hook


_CONTEXT = "x-amzn-lambda-context"  # the Adapter sets it in each request that it passes on, and in none of its own
_ADAPTER_HOOKS: dict[str, Hook] = {
    "AWS_LWA_SNAPSTART_BEFORE_CHECKPOINT_PATH": "snapshot",
    "AWS_LWA_SNAPSTART_AFTER_RESTORE_PATH": "restored",
}


class WebAdapter(Platform):
    """Lambda freezes the process after the response."""

    has_hooks = True

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        environ = os.environ
        self._hooks: dict[str, Hook] = {
            _path(environ[name]): hook for name, hook in _ADAPTER_HOOKS.items() if name in environ
        }
        self._ready = _path(environ.get("AWS_LWA_READINESS_CHECK_PATH") or environ.get("READINESS_CHECK_PATH") or "")

    def hook(self, path: str, header: Header) -> Hook | None:
        return self._hooks.get(path) if path in self._hooks and header(_CONTEXT) is None else None

    def is_check(self, path: str, header: Header) -> bool:
        return path == self._ready and header(_CONTEXT) is None

    def facts(self, header: Header) -> RequestFacts:
        context = _context(header)
        request_id, deadline_ms = context.get("request_id"), positive(context.get("deadline"))
        return RequestFacts(
            id=request_id[:TEXT_MAX] if isinstance(request_id, str) else None,
            parent=caller_of(header),
            remaining=until(None if deadline_ms is None else deadline_ms / 1000),
        )


def _path(setting: str) -> str:
    return "/" + setting.lstrip("/")


def platform() -> Platform:
    """Return the platform of a process on Lambda: a function behind the Web Adapter, or a MicroVM."""
    return _web_adapter() if "AWS_LAMBDA_FUNCTION_NAME" in os.environ else _micro_vm()


def _web_adapter() -> WebAdapter:
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
    **dict.fromkeys(("ready", "suspend", "terminate"), "snapshot"),  # the image is made of what is `ready`
    "validate": "started",
    "run": "restored",
    "resume": "resumed",
}


class MicroVM(Platform):
    """A MicroVM, which keeps its CPU until it is suspended. Its image can ask to be notified of that."""

    may_suspend = has_hooks = True

    def hook(self, path: str, header: Header) -> Hook | None:
        """Return what Lambda announces. A client's requests need a token, which Lambda's own do not have."""
        if not path.startswith(_HOOK_PATH) or header("x-aws-proxy-auth") is not None:
            return None
        return _HOOKS.get(path.removeprefix(_HOOK_PATH))


def _micro_vm() -> MicroVM:
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
        found = json.loads(header(_CONTEXT) or "{}")
    except (ValueError, RecursionError):  # without an adapter a client may have sent the header
        return {}
    return found if isinstance(found, dict) else {}
