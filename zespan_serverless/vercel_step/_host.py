"""How a step of a workflow is traced. Imported where steps are run, not in the sandbox of the workflow."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from .._trace.context import Caller
from ..vercel_queue import QueueHost

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .._record.invocation import Invocation
    from .._trace.context import Carrier


class StepHost(QueueHost):
    """A step of a workflow: a message of Vercel's queues as well. Its request is the step's first argument."""

    def details(self, request: Any) -> tuple[str | None, Carrier | None, Mapping[str, object]]:
        carrier = request.get if isinstance(request, dict) else None
        step = _step()
        if step is None:  # a direct call
            return None, carrier, {}
        attributes = {
            "vercel.workflow.run_id": step.run_id,
            "vercel.workflow.step.id": step.step_id,
            "vercel.workflow.step.attempt": step.attempt,
        }
        return f"{step.step_id}/{step.attempt}", carrier, attributes

    def read(self, request: Any) -> Invocation:
        invocation = super().read(request)
        step = _step()
        if invocation.parent is not None or step is None:
            return invocation
        from hashlib import sha256

        return invocation.replaced(parent=Caller(sha256(step.run_id.encode()).hexdigest()[:32]))


def _step() -> Any:
    """Return what the SDK says of the current step; None outside of steps."""
    try:
        return sys.modules["vercel.workflow"].get_step_metadata()
    except (KeyError, RuntimeError):
        return None
