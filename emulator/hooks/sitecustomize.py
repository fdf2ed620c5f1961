"""On the sandbox's PYTHONPATH: what the emulator keeps from the runtime client, and a time that it keeps from us.

In: the trace header. The emulator passes x-amzn-trace-id to extensions but, unlike Lambda, not to the runtime.
Out: the moment when the runtime has posted its answer, as a line in the log. That is when Lambda's caller gets it; the
emulator hands it over only when every extension is done.

Imports nothing that the runtime client does not: a module loaded here would be missing from the handler's cold start.
"""

from __future__ import annotations

import os
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

if "awslambdaric" in sys.orig_argv:  # the runtime itself, not a process that the handler starts
    from awslambdaric.lambda_runtime_client import LambdaRuntimeClient

    _trace_header = os.environ.pop("EMULATOR_TRACE_HEADER")

    def _traced(wait: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def waited(self: Any) -> Any:
            invocation = wait(self)
            with open(_trace_header) as file:  # noqa: PTH123 (see above)
                invocation.x_amzn_trace_id = file.read()
            return invocation

        return waited

    def _stamped(post: Callable[..., None]) -> Callable[..., None]:
        def posted(self: Any, invoke_id: str, *args: Any, **kwargs: Any) -> None:
            post(self, invoke_id, *args, **kwargs)
            os.write(1, b"EMULATOR POSTED %s %.6f\n" % (invoke_id.encode(), time.time()))

        return posted

    for wrap, name in (
        (_traced, "wait_next_invocation"),
        (_stamped, "post_invocation_result"),
        (_stamped, "post_invocation_error"),
    ):
        setattr(LambdaRuntimeClient, name, wrap(getattr(LambdaRuntimeClient, name)))
