"""Runs in the sandbox before the runtime client, and makes up for two differences between the emulator and Lambda.

The trace header: the emulator passes x-amzn-trace-id to extensions but, unlike Lambda, not to the runtime. This patches
the runtime client to read it from a file.
The time of the response: Lambda's caller gets the answer when the runtime has posted it, the emulator's only when every
extension is done. This writes the time of the post to the log.

The next `sitecustomize` on the path runs first: the probe's, or that of the function.

It imports only what the runtime client imports, too: another module would be missing from the measured cold start.
"""

from __future__ import annotations

import os
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_here = sys.path.index(os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120 (see above)
_finder: Any = next(finder for finder in sys.meta_path if getattr(finder, "__name__", "") == "PathFinder")
_next = _finder.find_spec("sitecustomize", sys.path[_here + 1 :])
if _next is not None and _next.loader is not None:
    _module = type(sys)("sitecustomize")
    _module.__file__, _module.__spec__ = _next.origin, _next
    sys.modules["sitecustomize"] = _module  # which is what the function gets by `import sitecustomize`
    _next.loader.exec_module(_module)

if "awslambdaric" in sys.orig_argv:  # the runtime itself, not a process that the handler starts
    from awslambdaric.lambda_runtime_client import LambdaRuntimeClient

    _trace_header = os.environ.pop("EMULATOR_TRACE_HEADER")

    def _traced(wait: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def waited(self: Any) -> Any:
            invocation = wait(self)
            if os.path.exists(_trace_header):  # noqa: PTH110 (see above); else another client has invoked the function
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
