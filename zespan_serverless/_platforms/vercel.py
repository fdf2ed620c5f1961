"""Facts that Vercel provides about a deployment and a request."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING

from .._base.guard import pass_on
from .._trace.context import caller_of
from .platform import TEXT_MAX, Platform, RequestFacts, until

if TYPE_CHECKING:
    from .platform import Header


class Vercel(Platform):
    """Vercel gives CPU while requests are active; `zespan_vercel` extends that."""

    def facts(self, header: Header) -> RequestFacts:
        # https://vercel.com/docs/cron-jobs
        is_cron = (header("user-agent") or "").startswith("vercel-cron/")
        return RequestFacts(
            id=(header("x-vercel-id") or "")[:TEXT_MAX] or None,
            parent=caller_of(header),
            remaining=until(deadline()),
            attributes=lambda: {"faas.trigger": "timer"} if is_cron else {},
        )


def platform() -> Vercel:
    """https://vercel.com/docs/environment-variables/system-environment-variables."""
    environ = os.environ
    attributes: dict[str, object] = {
        "cloud.provider": "vercel",
        "cloud.region": environ.get("VERCEL_REGION"),
        "faas.version": environ.get("VERCEL_DEPLOYMENT_ID"),
        "vercel.env": environ.get("VERCEL_ENV"),
        "vercel.url": environ.get("VERCEL_URL"),
    }
    return Vercel(environ.get("__VC_HANDLER_ENTRYPOINT", ""), attributes, keeps_cpu=False)


def deadline() -> float | None:
    """Return when Vercel ends the current request (seconds since the epoch), as in `vercel.functions.get_deadline`."""
    ask = getattr(sys.modules.get("vercel_runtime"), "get_deadline", None)
    if ask is None:
        return None
    try:
        found: float = ask().timestamp()
    except Exception as error:
        pass_on(error)
        return None  # Vercel's runtime is missing, or sets no deadline
    return found


def time_left() -> float | None:
    """Return the seconds until Vercel ends the current request; None if it has no deadline."""
    end = deadline()
    return None if end is None else end - time.time()
