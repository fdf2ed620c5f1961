"""Serves a function as the Python templates of Knative's func do: `knative_main.py func.py`.

`INVOKE=cloudevent` takes the template for CloudEvents.
"""

from __future__ import annotations

import importlib
import os
import runpy
import sys

if __name__ == "__main__":
    os.environ["LISTEN_ADDRESS"] = f"127.0.0.1:{os.environ['PORT']}"
    template = importlib.import_module(f"func_python.{os.environ.get('INVOKE', 'http')}")
    template.serve(runpy.run_path(sys.argv[1])["new"])
