"""Draws docs/images/freeze.svg from a real run: what a freeze does to the official SDK's timer, and to this package.

python -m tools.picture

The functions are those of `make demo`, under AWS's Lambda emulator. The model and the backend are stand-ins on this
machine.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import zespan_serverless_dev.demo
from zespan_serverless_dev.emulator.lambda_rie import Invoke, Sandbox
from zespan_serverless_dev.emulator.model import ModelEndpoint

from tools.drawing import bar, beginning, text
from zespan_serverless.testing import Backend

TARGET = Path(__file__).parents[1] / "docs" / "images" / "freeze.svg"
DEMO = Path(zespan_serverless_dev.demo.__file__).parent
EVENT = {"question": "What is the weather in Paris?"}
MODEL, BACKEND = 60, 30  # ms that an answer takes
TIMER = 2.0  # seconds between two sends of the SDK
NOISE = 3  # ms between the two responses, at most: the picture is not about that
MADE = 2  # model calls in an invocation


@dataclass(frozen=True)
class Run:
    """One warm invocation. Times are in ms after it was sent."""

    calls: Sequence[tuple[float, float]]  # begin and end of each model call
    response: float
    flush: tuple[float, float] | None  # the request to the backend, if there was one
    frozen: float
    due: float | None  # when the timer would have sent, if there is one
    arrived: int  # model calls that the backend knew of when the sandbox was gone


def measure() -> tuple[Run, Run]:
    """Return the invocation with the official SDK, and the one with this package."""
    with Backend() as backend, ModelEndpoint(latency_ms=MODEL) as model:
        backend.latency = BACKEND / 1000
        return _sdk(backend, model), _package(backend, model)


def _sdk(backend: Backend, model: ModelEndpoint) -> Run:
    with _sandbox("sdk", backend, model) as sandbox:
        _answered(sandbox.invoke(EVENT))
        _wait(lambda: backend.events)  # nothing is frozen yet, so that the timer sends, and its rhythm is known
        due = backend.requests[-1].time + TIMER
        before = len(backend.requests), len(model.requests)
        invoke = _answered(sandbox.invoke(EVENT))
        sandbox.freeze()
        frozen = time.time()
        time.sleep(max(0.0, due - frozen) + 0.5)
        sandbox.send_signal(signal.SIGKILL)  # as Lambda ends a function that has no extension
        time.sleep(0.3)  # what has been sent may be on its way
        return _run(invoke, backend, model, before, frozen, due)


def _package(backend: Backend, model: ModelEndpoint) -> Run:
    with _sandbox("ours", backend, model) as sandbox:
        _answered(sandbox.invoke(EVENT))
        before = len(backend.requests), len(model.requests)
        invoke = _answered(sandbox.invoke(EVENT))
        sandbox.freeze()
        frozen = time.time()
        sandbox.send_signal(signal.SIGKILL)
        time.sleep(0.3)
        return _run(invoke, backend, model, before, frozen, None)


def _sandbox(name: str, backend: Backend, model: ModelEndpoint) -> Sandbox:
    env = {
        "ZESPAN_API_KEY": "zsp_demo",
        "ZESPAN_BASE_URL": backend.url,
        "BACKEND_URL": backend.url,
        "OPENAI_API_KEY": "none",
        "OPENAI_BASE_URL": model.url,
    }
    return Sandbox(f"zespan_serverless_dev.demo.functions.{name}.handler", DEMO, env=env, timeout=8)


def _run(
    invoke: Invoke, backend: Backend, model: ModelEndpoint, before: tuple[int, int], frozen: float, due: float | None
) -> Run:
    def after(moment: float | None) -> float:
        return ((moment or 0.0) - invoke.sent) * 1000

    requests = backend.requests[before[0] :]
    calls = [(after(call.time), after(call.answered)) for call in model.requests[before[1] :]]
    arrived = sum(bool(event.get("model")) for request in requests for event in request.events)
    response = invoke.response_ms or 0.0
    flush = (response, after(requests[0].answered)) if requests else None
    return Run(calls, response, flush, after(frozen), due and after(due), arrived)


def _answered(invoke: Invoke) -> Invoke:
    if invoke.status != 200 or invoke.response_ms is None:
        raise SystemExit(f"{invoke.log}\nThe function failed: {invoke.body}")
    return invoke


def _wait(condition: Callable[[], Any]) -> None:
    end = time.monotonic() + 10
    while not condition():
        if time.monotonic() > end:
            raise SystemExit("The SDK has sent nothing in 10 s.")
        time.sleep(0.01)


# ---------------------------------------------------------------------- the picture

WIDTH, LANE, LEFT, RIGHT = 840, 112, 168, 596  # pixels; the ms of the invocation are between LEFT and RIGHT
DESCRIPTION = (
    "Two invocations of one function. With the official SDK the sandbox is frozen after the response, the timer never "
    "fires, and no model call arrives. With zespan_serverless the events are sent between the response and the freeze."
)


def svg(sdk: Run, package: Run) -> str:
    """Return the picture of both runs, for a light and a dark page."""
    scale = (RIGHT - LEFT) / max(run.frozen for run in (sdk, package)) * 0.86
    height = 2 * LANE + 36
    foot = f"AWS's Lambda emulator, zespan {version('zespan')}, a model of {MODEL} ms, a backend {BACKEND} ms away."
    parts = [
        *beginning(WIDTH, height, "What a freeze does to telemetry", DESCRIPTION),
        *_lane(12, ("zespan SDK", "sends on a timer"), sdk, scale),
        f'<path class="line" d="M16 {LANE + 8}H{WIDTH - 16}"/>',
        *_lane(LANE + 16, ("zespan_serverless", "sends after the response"), package, scale),
        text(16, height - 12, f"{foot} The frozen time is not to scale.", "dim"),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _lane(top: float, names: tuple[str, str], run: Run, scale: float) -> list[str]:
    """Return one invocation: handler, model calls, response, flush, freeze, and what has arrived."""
    frozen, response = LEFT + run.frozen * scale, LEFT + run.response * scale
    width = WIDTH - 16 - frozen
    parts = [
        text(16, top + 34, names[0], "strong"),
        text(16, top + 52, names[1], "dim"),
        f'<rect x="{frozen:.1f}" y="{top + 18}" width="{width:.1f}" height="46" rx="3" fill="url(#hatch)"/>',
        bar("handler", LEFT, response, top + 20, 16),
        *(bar("model", LEFT + begin * scale, LEFT + end * scale, top + 40, 8) for begin, end in run.calls),
        f'<path class="mark" d="M{response:.1f} {top + 14}V{top + 68}" stroke-width="2"/>',
        text(LEFT + 6, top + 32, "handler", "strong inverse"),
        text(LEFT, top + 66, "model calls", "dim"),
        text(response, top + 84, f"response, {run.response:.0f} ms", "dim", "end"),
        text(frozen + 12, top + 45, "frozen", "dim halo"),
    ]
    if run.flush is not None:
        end = LEFT + run.flush[1] * scale
        parts += [
            bar("flush", LEFT + run.flush[0] * scale, end, top + 52, 10),
            text(end, top + 84, f"events sent, {run.flush[1] - run.flush[0]:.0f} ms", "dim"),
        ]
    if run.due is not None:
        x = WIDTH - 70
        parts += [
            f'<circle class="due" cx="{x}" cy="{top + 40}" r="7"/>',
            f'<path class="due" d="M{x} {top + 36}V{top + 40}H{x + 4}"/>',
            text(WIDTH - 16, top + 84, f"timer due after {run.due / 1000:.1f} s: never fires", "dim", "end"),
        ]
    mark, style = ("✓", "good") if run.arrived == MADE else ("✗", "bad")
    result = f"{mark} {run.arrived} of {MADE} model calls arrived"
    return [*parts, text(WIDTH - 16, top + 10, result, f"strong {style}", "end")]


def main() -> None:
    sdk, package = measure()
    while abs(sdk.response - package.response) > NOISE:
        print(f"The responses took {sdk.response:.0f} and {package.response:.0f} ms: the machine is busy. Once more.")
        sdk, package = measure()
    if (sdk.arrived, package.arrived) != (0, MADE):
        raise SystemExit(f"This run shows something else, so nothing is drawn: {sdk}, {package}")
    TARGET.write_text(svg(sdk, package))
    print(f"{TARGET}: {sdk}, {package}")


if __name__ == "__main__":
    main()
