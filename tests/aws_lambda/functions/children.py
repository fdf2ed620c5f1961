"""A function that starts processes, which import its module too."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from typing import Any

from zespan_serverless import capture, zespan_lambda
from zespan_serverless.aws_lambda import HOST, _extension


def registered() -> bool:
    return HOST._extension is not None or _extension.in_runtime_process()


def job(queue: Any) -> None:
    capture({"span_kind": "llm", "operation": "chat"})
    queue.put((os.getpid(), registered()))


def at_import(method: str) -> None:
    """Start a child before the decorator below has claimed the environment for this process."""
    if method == "subprocess":
        imported = "import children; print(children.registered(), 'in the child', flush=True)"
        subprocess.run([sys.executable, "-c", imported], check=True, timeout=10)
    elif method:
        multi: Any = multiprocessing.get_context(method)
        queue = multi.SimpleQueue()
        multi.Process(target=job, args=(queue,)).start()
        os.write(1, f"{queue.get()[1]} in the child\n".encode())


at_import(os.environ.pop("CHILD_AT_IMPORT", ""))


@zespan_lambda
def handler(event: dict[str, Any], context: Any) -> Any:
    capture({"span_kind": "llm", "operation": "chat"})
    match event:
        case {"start": method}:
            multi = multiprocessing.get_context(method)
            queue = multi.SimpleQueue()
            process = multi.Process(target=job, args=(queue,))
            process.start()
            pid, child_registered = queue.get()
            process.join(5)
            return {"pid": pid, "registered": child_registered, "exit": process.exitcode}
        case {"fork": "multiprocessing"}:
            sleeper = multiprocessing.get_context("fork").Process(target=time.sleep, args=(30,))
            sleeper.start()
            time.sleep(0.1)
            sleeper.terminate()
            sleeper.join(5)
            return {"exit": sleeper.exitcode}
        case {"fork": "os"}:
            pid = os.fork()
            if pid == 0:
                time.sleep(30)
                os._exit(0)
            time.sleep(0.1)
            os.kill(pid, signal.SIGTERM)
            return {"exit": os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])}
    return {"registered": registered()}
