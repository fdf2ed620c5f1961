"""Serves the agent of a page or an example. SOURCE names it: `hosts/agentcore`, `examples/agentcore/agent.py`."""

from __future__ import annotations

import os
import runpy
from types import SimpleNamespace

from tests.documentation import PAGES, ROOT, blocks, run

source = os.environ["SOURCE"]
module = SimpleNamespace(**runpy.run_path(str(ROOT / source))) if "." in source else run(blocks(PAGES[source])[0])
module.app.run(host="127.0.0.1", port=int(os.environ["PORT"]))
