"""Counts the calls of functions in warm invocations of a module's handler, and prints the medians as JSON.

The calls are those of all threads, of Python's functions and of C's, while the handler runs. They depend on the
versions of Python and of the packages, but not on the machine.
"""

from __future__ import annotations

import importlib
import json
import statistics
import sys
import threading
import time
from types import FrameType
from typing import Any

from awslambdaric.lambda_context import LambdaContext

WARM, COUNTED = 5, 7  # invocations


class Counter:
    """Counts in this thread, and in each thread that starts after it."""

    def __init__(self) -> None:
        self.is_counting = False
        self.python = self.c = 0
        threading.setprofile(self._event)
        sys.setprofile(self._event)

    def _event(self, frame: FrameType, event: str, argument: Any) -> None:
        if self.is_counting:
            self.python += event == "call"
            self.c += event == "c_call"


def main(module: str) -> None:
    """Count, and print."""
    counter = Counter()
    handler = importlib.import_module(module).handler
    counted: list[tuple[int, int]] = []
    for number in range(WARM + COUNTED):
        deadline = int(time.time() * 1000) + 60_000
        context = LambdaContext(f"00000000-0000-0000-0000-{number:012}", None, None, deadline, _ARN)
        counter.python = counter.c = 0
        counter.is_counting = True
        handler({"call": f"{number:08x}"}, context)
        counter.is_counting = False
        counted.append((counter.python, counter.c))
    sys.setprofile(None)
    python, c = (statistics.median_low(one[kind] for one in counted[WARM:]) for kind in range(2))
    print(json.dumps({"python": python, "c": c}), flush=True)


_ARN = "arn:aws:lambda:us-east-1:123456789012:function:f"

if __name__ == "__main__":
    main(sys.argv[1])
