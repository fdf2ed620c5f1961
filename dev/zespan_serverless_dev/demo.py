"""python -m zespan_serverless_dev.demo   the example on AWS's emulator: when its events arrive, and what they cost.

Everything runs on this machine. The model and Zespan's backend are stand-ins; everything else is as in Lambda.
"""

from __future__ import annotations

import time
from pathlib import Path
from statistics import median
from typing import Any

from zespan_serverless.testing import Backend
from zespan_serverless_dev.emulator.binary import EmulatorUnavailable, emulator_binary
from zespan_serverless_dev.emulator.lambda_rie import Invoke, Sandbox
from zespan_serverless_dev.emulator.model import ModelEndpoint, ModelRequest

FUNCTION = Path(__file__).parents[2] / "examples" / "aws_lambda" / "chat"
WIDTH = 56  # columns of the chart
PAIRS = 10  # warm calls with and without telemetry; the cost is the median
PATIENCE = 20.0  # seconds that a backend has to receive the missing events after an outage


def main() -> None:
    try:
        emulator_binary()
    except EmulatorUnavailable as error:
        raise SystemExit(str(error)) from None
    with Backend() as backend, ModelEndpoint(latency_ms=120) as model:
        env = {
            "ZESPAN_API_KEY": "zsp_demo",
            "ZESPAN_BASE_URL": backend.url,
            "OPENAI_API_KEY": "none",
            "OPENAI_BASE_URL": model.url,
        }
        with Backend() as other, Sandbox("app.handler", FUNCTION, env={**env, "ZESPAN_BASE_URL": other.url}) as first:
            first.invoke({"prompt": "Hi"})  # Python compiles what it imports, once after an installation
        with (
            Sandbox("app.handler", FUNCTION, env=env) as sandbox,
            Sandbox("app.handler", FUNCTION, env={**env, "ZESPAN_ENABLED": "0"}) as bare,
        ):
            _Demo(backend, model, sandbox, bare).run()


class _Demo:
    def __init__(self, backend: Backend, model: ModelEndpoint, sandbox: Sandbox, bare: Sandbox) -> None:
        self._backend, self._model, self._sandbox, self._bare = backend, model, sandbox, bare
        self._invocations: list[str | None] = []  # request ids

    def run(self) -> None:
        print("examples/aws_lambda/chat on AWS's Lambda emulator, frozen between the calls. Times in ms.")
        self._show("The first call: Lambda starts a sandbox", {"prompt": "Hi"})
        self._show("A warm call", {"prompt": "Hi"})
        self._show("A streamed answer", {"prompt": "Hi", "stream": True})
        self._backend.mode = "hang"
        self._show("The backend hangs: it takes the events and never answers", {"prompt": "Hi"})
        self._backend.mode = "ok"
        self._show("The backend is back", {"prompt": "Hi"})
        end = time.monotonic() + PATIENCE
        while self._missing() and time.monotonic() < end:
            print("\n   Not everything is there: a backend that failed is left alone for some seconds. Waiting.")
            time.sleep(3)
            self._show("Another call", {"prompt": "Hi"})
        self._cost()
        if missing := self._missing():
            log = self._sandbox.stop()
            raise SystemExit(f"{log}\nEvents of {missing} of {len(self._invocations)} invocations are missing.")
        print(f"\nEvents of all {len(self._invocations)} invocations have arrived.")

    def _show(self, title: str, event: dict[str, Any]) -> None:
        """Invoke, then chart where the time went and list what arrived."""
        events, requests, calls = len(self._backend.events), len(self._backend.requests), len(self._model.requests)
        invoke = self._invoke(event)
        without = _answered(self._bare.invoke(event))
        response, init = _some(invoke.response_ms), invoke.init_ms or 0.0
        print(f"\n{title}")
        scale = WIDTH / invoke.wall_ms
        if invoke.init_ms is not None:
            _bar("init", 0, init, scale, f"{init:.0f} (telemetry off: {_some(without.init_ms):.0f})")
        _bar("handler", init, response, scale, f"{response - init:.0f}")
        for call in self._model.requests[calls : calls + 1]:
            _bar("  model", *_span(call, invoke), scale, f"{(_some(call.answered) - call.time) * 1000:.0f}")
        note = f"the caller has it after {response:.0f} (telemetry off: {_some(without.response_ms):.0f})"
        _bar("response", response, response, scale, note)
        for request in self._backend.requests[requests:]:
            start = min((request.time - invoke.sent) * 1000, response)  # includes the way to the backend
            if request.answered is None:
                _bar("flush", start, invoke.wall_ms, scale, f"{invoke.wall_ms - start:.0f}, given up")
            else:
                stop = (request.answered - invoke.sent) * 1000
                _bar("flush", start, stop, scale, f"{stop - start:.0f}, answered {request.status}")
        self._list(self._backend.events[events:], invoke)

    def _invoke(self, event: dict[str, Any]) -> Invoke:
        invoke = _answered(self._sandbox.invoke(event))
        self._sandbox.freeze()
        self._invocations.append(invoke.request_id)
        time.sleep(0.2)  # give a fault of the freeze time to appear
        return invoke

    def _list(self, events: list[dict[str, Any]], invoke: Invoke) -> None:
        if not events:
            print("   arrived   nothing; the events wait in the sandbox")
        for trace in dict.fromkeys(event["trace_id"] for event in events):
            members = [event for event in events if event["trace_id"] == trace]
            late = "" if invoke.request_id in map(_invocation_of, members) else ", of an earlier call"
            print(f"   arrived   {' + '.join(map(_name, members))}, trace {trace}{late}")

    def _cost(self) -> None:
        event = {"prompt": "Hi"}
        pairs = [(self._invoke(event), _answered(self._bare.invoke(event))) for _ in range(PAIRS)]
        on, off = (median(_some(invoke.response_ms) for invoke in side) for side in zip(*pairs, strict=True))
        after = median(invoke.wall_ms - _some(invoke.response_ms) for invoke, _ in pairs)
        print(f"\nWhat it costs, medians of {PAIRS} warm calls")
        print(f"   the caller waits {on:.1f}, with telemetry off {off:.1f}: {on - off:+.1f}")
        print(f"   after the response {after:.1f}, and a round trip to a backend that is further away than this one")

    def _missing(self) -> int:
        """The number of invocations of which the backend lacks the root event or the event of the model call."""
        events = self._backend.events
        called = {event["trace_id"] for event in events if event["span_kind"] == "llm"}
        complete = {_invocation_of(event) for event in events if event["trace_id"] in called}
        return sum(request_id not in complete for request_id in self._invocations)


def _bar(label: str, start: float, stop: float, scale: float, note: str) -> None:
    """One line of the chart: a bar, or a mark if nothing lies between start and stop (ms)."""
    left = min(round(start * scale), WIDTH - 1)
    bar = "█" * max(1, round(stop * scale) - left) if stop > start else "▲"
    print(f"   {label:<9} {' ' * left + bar:<{WIDTH + 1}} {note}")


def _span(call: ModelRequest, invoke: Invoke) -> tuple[float, float]:
    return (call.time - invoke.sent) * 1000, (_some(call.answered) - invoke.sent) * 1000


def _name(event: dict[str, Any]) -> str:
    if event["span_kind"] != "llm":
        return "invocation"
    return f"{event['model']} call ({event['input_tokens']} + {event['output_tokens']} tokens)"


def _invocation_of(event: dict[str, Any]) -> str | None:
    request_id: str | None = (event.get("metadata") or {}).get("faas.invocation_id")
    return request_id


def _answered(invoke: Invoke) -> Invoke:
    if not isinstance(invoke.payload, dict) or invoke.payload.get("statusCode") != 200:
        raise SystemExit(f"{invoke.log}\nThe function failed: {invoke.body}")
    return invoke


def _some(value: float | None) -> float:
    """A time that every answered call has."""
    assert value is not None
    return value


if __name__ == "__main__":
    main()
