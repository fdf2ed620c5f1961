"""Runs a function as the Python runtime of OpenWhisk does, with DigitalOcean's context: `launcher.py FILE FUNCTION`.

https://github.com/apache/openwhisk/blob/master/docs/actions-actionloop.md: each activation is a line on standard input,
each result a line on file descriptor 3. What DigitalOcean passes depends on the number of the function's parameters.
"""

from __future__ import annotations

import json
import os
import runpy
import sys
import time
import traceback


class Context:
    """https://docs.digitalocean.com/products/functions/reference/parameters-responses/."""

    def __init__(self) -> None:
        self.activation_id, self.deadline = os.environ["__OW_ACTIVATION_ID"], int(os.environ["__OW_DEADLINE"])
        self.function_name = os.environ["__OW_ACTION_NAME"]

    def get_remaining_time_in_millis(self) -> int:
        return max(0, self.deadline - int(time.time() * 1000))


def main(file: str, name: str) -> None:
    """Serve until standard input ends."""
    function = runpy.run_path(file)[name]
    out = os.fdopen(3, "wb", buffering=0)
    out.write(b'{"ok": true}\n')
    for line in sys.stdin:
        activation = json.loads(line)
        event = activation.pop("value")
        os.environ.update({f"__OW_{key.upper()}": value for key, value in activation.items()})
        try:
            result = function(*(event, Context())[: function.__code__.co_argcount]) or {}
        except Exception as error:
            traceback.print_exc()
            result = {"error": str(error)}
        out.write(json.dumps(result).encode() + b"\n")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
