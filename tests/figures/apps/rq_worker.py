"""RQ's worker, of the class CLASS. It has prepared what its jobs use, so that their processes need not."""

from __future__ import annotations

import importlib
import os

import zespan  # noqa: F401
from redis import Redis
from rq import Queue, Worker

from tests.figures import subject

if __name__ == "__main__":
    subject.prepare()
    module, _, name = os.environ["CLASS"].rpartition(".")
    kind: type[Worker] = getattr(importlib.import_module(module), name)
    connection = Redis.from_url(os.environ["BROKER"])
    kind([Queue(connection=connection)], connection=connection).work()
