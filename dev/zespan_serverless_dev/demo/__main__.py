"""python -m zespan_serverless_dev.demo   one function on AWS's emulator: with the official SDK, and with this package.

Everything runs on this machine. The model and Zespan's backend are stand-ins; everything else is as in Lambda.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any

from zespan_serverless.exporters._trees.nodes import node_of
from zespan_serverless.exporters._trees.style import style_of
from zespan_serverless.exporters._trees.tree import draw
from zespan_serverless.testing import Backend
from zespan_serverless_dev.demo import chart
from zespan_serverless_dev.emulator.binary import EmulatorUnavailable, emulator_binary
from zespan_serverless_dev.emulator.lambda_rie import Invoke, Sandbox
from zespan_serverless_dev.emulator.model import ModelEndpoint

EVENT = {"question": "What is the weather in Paris?"}
CALLS = 2  # of the model, in each invocation
LOST = 3  # invocations with the SDK that does not flush
PAIRS = 9  # warm invocations of each function, of whose differences the median is printed
BACKEND = 30.0  # ms until the backend responds
TIMEOUT = 8  # seconds of the function; the SDK waits for up to 27 if the backend hangs
PATIENCE = 20.0  # seconds that a backend has to receive the missing events after an outage

INTRODUCTION = """\
One function on AWS's Lambda emulator, frozen after each response as in Lambda. It asks a model, which calls a tool, and
asks again. The model (60 ms) and Zespan's backend (30 ms away) are stand-ins on this machine. All times are in ms."""

NEXT = """\
What to type next
  {command} dev
      opens a page that shows what your functions send, while they run
  {command} run -- python app.py
      runs anything you have, and prints what it sends
README.md shows the decorator for your handler: one line, and a key."""


def main() -> None:
    try:
        emulator_binary()
    except EmulatorUnavailable as error:
        raise SystemExit(str(error)) from None
    print(INTRODUCTION)
    with Backend() as backend, ModelEndpoint(latency_ms=60) as model:
        backend.latency = BACKEND / 1000
        _Demo(backend, model).run()


class _Demo:
    def __init__(self, backend: Backend, model: ModelEndpoint) -> None:
        self._backend, self._model = backend, model
        self._style = style_of(sys.stdout)
        self._invocations: list[str | None] = []  # request ids of those with this package

    def run(self) -> None:
        has_sdk = find_spec("zespan") is not None
        with ExitStack() as stack:
            plain, ours = stack.enter_context(self._sandbox("plain")), stack.enter_context(self._sandbox("ours"))
            if has_sdk:
                sdk = f"The official SDK, zespan {version('zespan')}"
                self._title(f"1. {sdk}. It sends on a timer, as on a server")
                self._without_flush()
                self._title(f"2. {sdk}, with flush() before the answer")
                self._with_flush(plain)
            else:
                print("\nWith `pip install zespan==1.6.1` this begins with what happens to the official SDK.")
            self._title("3. This package: @zespan_lambda")
            self._with_us(plain, ours)
            self._title("One of these traces. Its events have prompts and answers as well, unless you switch that off")
            self._tree()
        print(f"\n{NEXT.format(command=_command())}")

    def _without_flush(self) -> None:
        with self._sandbox("sdk") as sandbox:
            for _ in range(LOST):
                _answered(sandbox.invoke(EVENT))
                sandbox.freeze()
        time.sleep(0.3)  # sent events may be in transit
        arrived, made = len(_spans(self._backend.events)), LOST * CALLS
        self._say(arrived == made, f"of {made} model calls {arrived} have arrived when the sandbox is gone")
        print("     A frozen process has no timer. With more traffic some are sent late, during the next invocation.")

    def _with_flush(self, plain: Sandbox) -> None:
        with self._sandbox("sdk_flush") as sandbox:
            self._compare(plain, sandbox, _answered)
            failed = self._hanging(sandbox)
        if not failed.timed_out:  # the timer had taken the events at that moment, and the handler's flush found none
            with self._sandbox("sdk_flush") as sandbox:
                failed = self._hanging(sandbox)
        how = "and gets an error: the function has timed out" if failed.timed_out else "for the answer"
        self._say(not failed.timed_out, f"when the backend hangs, the caller waits for {failed.wall_ms:,.0f} {how}")

    def _hanging(self, sandbox: Sandbox) -> Invoke:
        self._backend.mode = "hang"
        invoke = sandbox.invoke(EVENT)
        self._backend.mode = "ok"
        return invoke

    def _with_us(self, plain: Sandbox, ours: Sandbox) -> None:
        self._compare(plain, ours, self._noted)
        print("   The backend hangs:")
        self._backend.mode = "hang"
        self._chart(ours)
        print("   It is back:")
        self._backend.mode = "ok"
        self._chart(ours)
        end = time.monotonic() + PATIENCE
        while self._missing() and time.monotonic() < end:
            print("     Not everything is there: a backend that failed is left alone for some seconds. Waiting.")
            time.sleep(2)
            self._noted(ours.invoke(EVENT))
        if missing := self._missing():
            raise SystemExit(f"{ours.stop()}\nEvents of {missing} of {len(self._invocations)} invocations are missing.")
        self._say(True, f"events of all {len(self._invocations)} invocations have arrived")

    def _compare(self, plain: Sandbox, sandbox: Sandbox, check: Callable[[Invoke], Invoke]) -> None:
        """Print how many model calls arrive, and how much longer the caller waits. The first call is cold."""
        before, times = len(_spans(self._backend.events)), []
        for _ in range(PAIRS + 1):
            invokes = _answered(plain.invoke(EVENT)), check(sandbox.invoke(EVENT))
            plain.freeze()
            sandbox.freeze()
            times.append([chart.some(invoke.response_ms) for invoke in invokes])
        arrived, made = len(_spans(self._backend.events)) - before, (PAIRS + 1) * CALLS
        self._say(arrived == made, f"of {made} model calls {arrived} have arrived")
        own, more = median(pair[0] for pair in times[1:]), median(pair[1] - pair[0] for pair in times[1:])
        self._say(more < BACKEND / 2, f"the caller waits {more:.1f} longer than the {own:.0f} without telemetry")

    def _chart(self, sandbox: Sandbox) -> None:
        requests, calls = len(self._backend.requests), len(self._model.requests)
        invoke = self._noted(sandbox.invoke(EVENT))
        sandbox.freeze()
        chart.show(invoke, self._model.requests[calls:], self._backend.requests[requests:])

    def _noted(self, invoke: Invoke) -> Invoke:
        self._invocations.append(_answered(invoke).request_id)
        return invoke

    def _tree(self) -> None:
        last = self._backend.events[-1]["trace_id"]
        print(
            draw([node_of(event) for event in self._backend.events if event["trace_id"] == last], self._style), end=""
        )

    def _sandbox(self, name: str) -> Sandbox:
        env = {
            "ZESPAN_API_KEY": "zsp_demo",
            "ZESPAN_BASE_URL": self._backend.url,
            "BACKEND_URL": self._backend.url,
            "OPENAI_API_KEY": "none",
            "OPENAI_BASE_URL": self._model.url,
        }
        handler = f"zespan_serverless_dev.demo.functions.{name}.handler"
        return Sandbox(handler, Path(__file__).parent, env=env, timeout=TIMEOUT)

    def _missing(self) -> int:
        """Return the number of invocations of which the backend lacks the root event or an event of a model call."""
        events = self._backend.events
        calls = [event["trace_id"] for event in events if event["span_kind"] == "llm"]
        complete = {_invocation_of(event) for event in events if calls.count(event["trace_id"]) == CALLS}
        return sum(request_id not in complete for request_id in self._invocations)

    def _title(self, text: str) -> None:
        print(f"\n{self._style.paint(text, 'bold')}")

    def _say(self, is_good: bool, text: str) -> None:
        mark = self._style.paint("✓", "green") if is_good else self._style.paint("✗", "red")
        print(f"   {mark} {text}")


def _command() -> str:
    """Return the command as it can be typed here: the environment need not be active."""
    script = Path(sys.executable).with_name("zespan-serverless")
    is_found = shutil.which(script.name) == str(script) or not script.exists()
    return script.name if is_found else os.path.relpath(script)


def _spans(events: Iterable[dict[str, Any]]) -> set[str]:
    """Return the model calls in events."""
    return {event["span_id"] for event in events if event.get("model")}


def _invocation_of(event: dict[str, Any]) -> str | None:
    request_id: str | None = (event.get("metadata") or {}).get("faas.invocation_id")
    return request_id


def _answered(invoke: Invoke) -> Invoke:
    if not isinstance(invoke.payload, dict) or invoke.payload.get("statusCode") != 200:
        raise SystemExit(f"{invoke.log}\nThe function failed: {invoke.body}")
    return invoke


if __name__ == "__main__":
    main()
