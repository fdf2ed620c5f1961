"""Serves a function as the Python template of Knative's func does: `knative_main.py func.py`."""

from __future__ import annotations

import os
import runpy
import sys

from func_python.http import serve

if __name__ == "__main__":
    os.environ["LISTEN_ADDRESS"] = f"127.0.0.1:{os.environ['PORT']}"
    serve(runpy.run_path(sys.argv[1])["new"])
