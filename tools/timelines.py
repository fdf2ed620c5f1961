"""Draws docs/images/timelines/: one invocation on each host, and when its events are sent.

python -m tools.timelines

The pictures show the order of things and no durations: docs/hosts.md has what the tests have measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tools.drawing import bar, beginning, text

FOLDER = Path(__file__).parents[1] / "docs" / "images" / "timelines"
WIDTH, HEIGHT, LEFT, RIGHT = 680, 104, 166, 668  # pixels; a row is HEIGHT high, its parts are between LEFT and RIGHT
NOTE = "The order of things; not to scale."

Kind = Literal["init", "handler", "model", "flush", "frozen", "runs", "mark", "signal"]


@dataclass(frozen=True)
class Part:
    """Something that happens. `begin` and `end` are per cent of the row; a mark or a signal has no length."""

    kind: Kind
    begin: float
    end: float
    label: str = ""


@dataclass(frozen=True)
class Row:
    """One way in which an invocation goes."""

    name: str
    note: str
    parts: Sequence[Part]


@dataclass(frozen=True)
class Picture:
    """One file. The description is for those who do not see it."""

    title: str
    description: str
    rows: Sequence[Row]


def _handler(begin: float, end: float, label: str = "handler") -> list[Part]:
    """Return the function, with its model call."""
    return [Part("handler", begin, end, label), Part("model", begin + 4, end - 4, "model call")]


def _after(begin: float, end: float, sent: float, response: str = "response", label: str = "handler") -> list[Part]:
    """Return a function whose events are sent when the response has left."""
    return [*_handler(begin, end, label), Part("mark", end, end, response), Part("flush", end, sent, "events sent")]


def _before(begin: float, end: float, sent: float, response: str = "response", label: str = "handler") -> list[Part]:
    """Return a function whose response leaves when the events are sent."""
    return [*_handler(begin, end, label), Part("flush", end, sent, "events sent"), Part("mark", sent, sent, response)]


def _init(end: float = 13) -> Part:
    return Part("init", 0, end, "init")


def _frozen(begin: float, label: str = "frozen") -> Part:
    return Part("frozen", begin, 100, label)


def _runs(label: str = "keeps running") -> Part:
    return Part("runs", 0, 100, label)


PICTURES = {
    "lambda": Picture(
        "One invocation on AWS Lambda",
        "By default the response leaves first, then the events are sent, then the sandbox is frozen. "
        "With before_return the events are sent first.",
        [
            Row("after_response", "the default", [_init(), *_after(13, 48, 66), _frozen(67)]),
            Row("before_return", "the response waits", [_init(), *_before(13, 48, 66), _frozen(67)]),
        ],
    ),
    "lambda-snapstart": Picture(
        "AWS Lambda with SnapStart",
        "When a version is published, events of the import are sent before the snapshot. A restored sandbox sends the "
        "events before it returns the response, and is then frozen.",
        [
            Row(
                "version published",
                "once",
                [
                    _init(30),
                    Part("flush", 30, 44, "events sent, connection closed"),
                    Part("frozen", 45, 100, "snapshot"),
                ],
            ),
            Row(
                "sandbox restored",
                "each one",
                [Part("init", 0, 13, "restore"), *_before(13, 48, 66), _frozen(67)],
            ),
        ],
    ),
    "lambda-managed-instances": Picture(
        "AWS Lambda Managed Instances",
        "Each process handles one invocation after the other and is never frozen. It sends events in the background "
        "after each response.",
        [
            Row("process 1", "of several", [_runs(label=""), _init(), *_after(13, 42, 56), *_after(60, 84, 96)]),
            Row("process 2", "at the same time", [_runs(), _init(), *_after(24, 58, 72)]),
        ],
    ),
    "lambda-durable": Picture(
        "A durable function on AWS Lambda",
        "The first invocation runs a step and is suspended; its events are sent. The second one replays that step "
        "without sending it again, runs the next step, and sends its events. Both belong to one trace.",
        [
            Row("first invocation", "PENDING", [*_after(0, 34, 50, "suspended", "step 1"), _frozen(51, "waits")]),
            Row(
                "second invocation",
                "SUCCEEDED",
                [Part("init", 0, 12, "replay"), *_after(12, 48, 66, label="step 2"), _frozen(67)],
            ),
        ],
    ),
    "lambda-web-adapter": Picture(
        "A web server behind the Lambda Web Adapter",
        "The last piece of the response is held until the events are sent. Lambda freezes the sandbox when the Adapter "
        "has passed the response on.",
        [Row("web server", "behind the Adapter", [_init(), *_before(13, 48, 66, "end of response"), _frozen(67)])],
    ),
    "lambda-microvm": Picture(
        "One request in a Lambda MicroVM",
        "The response leaves, then a thread sends the events. When the MicroVM has been idle, the hook suspend is "
        "answered when everything has been sent, and it is suspended.",
        [Row("request", "in the background", [_init(), *_after(13, 48, 66), _frozen(67, "idle, suspended")])],
    ),
    "azure-functions": Picture(
        "One invocation on Azure Functions",
        "The worker keeps running. By default a background thread sends the events, and nobody waits. "
        "With before_return the host gets the result when the events are sent.",
        [
            Row("default", "in the background", [_runs(), _init(), *_after(13, 48, 66)]),
            Row("before_return", "the caller waits", [_runs(), _init(), *_before(13, 48, 66)]),
        ],
    ),
    "google-cloud": Picture(
        "One request on Google Cloud",
        "Billed by request, a container has no CPU between requests, so that the events are sent before the response "
        "ends. Billed by instance, with after_response, they are sent afterwards.",
        [
            Row(
                "billed by request",
                "the default",
                [_init(), *_before(13, 48, 66, "end of response"), _frozen(67, "no CPU")],
            ),
            Row("billed by instance", "after_response", [_runs(), _init(), *_after(13, 48, 66)]),
        ],
    ),
    "job": Picture(
        "A script or a container job",
        "The events are sent when the work is done, before the process ends. After SIGTERM they are sent, and then the "
        "signal ends the process.",
        [
            Row(
                "ends by itself", "", [_init(), *_after(13, 60, 78, "work done", "run()"), Part("mark", 80, 80, "end")]
            ),
            Row(
                "ended by SIGTERM",
                "",
                [
                    _init(),
                    *_handler(13, 60, "run()"),
                    Part("signal", 60, 60, "SIGTERM"),
                    Part("flush", 60, 78, "events sent"),
                    Part("mark", 80, 80, "end"),
                ],
            ),
        ],
    ),
    "agentcore": Picture(
        "One invocation on Bedrock AgentCore",
        "By default the response leaves first, then the events are sent while the session is busy, then it is idle. "
        "With before_return the events are sent first.",
        [
            Row("default", "ping: HealthyBusy", [_init(), *_after(13, 48, 66), _frozen(67, "idle, may be stopped")]),
            Row("before_return", "the response waits", [_init(), *_before(13, 48, 66), _frozen(67, "idle")]),
        ],
    ),
    "agent-engine": Picture(
        "One run on Google Agent Engine",
        "The pieces of the response leave as they come. Its end is held until the events are sent. "
        "Then the process may get no CPU.",
        [Row("run", "", [_init(), *_before(13, 48, 66, "response ends", "agent"), _frozen(67, "may get no CPU")])],
    ),
    "foundry": Picture(
        "One request of a hosted agent",
        "The events are sent before the response ends. Then the sandbox may be suspended.",
        [Row("request", "", [_init(), *_before(13, 48, 66, "response ends"), _frozen(67, "may be suspended")])],
    ),
    "oracle": Picture(
        "One call on Oracle Functions",
        "The events are sent before the response leaves. Then the container is paused.",
        [Row("call", "", [_init(), *_before(13, 48, 66), _frozen(67, "paused")])],
    ),
    "runpod": Picture(
        "One job of a RunPod worker",
        "The events are sent before the result of the job is posted. Then the worker may be stopped.",
        [Row("job", "", [_init(), *_before(13, 48, 66, "result posted"), _frozen(67, "may be stopped")])],
    ),
    "cog": Picture(
        "One prediction of a Cog model",
        "The events are sent before the last output leaves. Then the container may be stopped.",
        [Row("prediction", "", [_init(), *_before(13, 48, 66, "last output", "run"), _frozen(67, "may be stopped")])],
    ),
    "modal": Picture(
        "Two inputs of a Modal container",
        "The result leaves first, then a thread sends the events. At the end of the container the rest is sent.",
        [
            Row("one input", "", [_runs(), _init(), *_after(13, 42, 56, "result", "function")]),
            Row(
                "the last input",
                "before the end",
                [
                    _runs(""),
                    *_handler(4, 48, "function"),
                    Part("mark", 48, 48, "result"),
                    Part("flush", 52, 70, "events sent"),
                    Part("mark", 72, 72, "end of the container"),
                ],
            ),
        ],
    ),
    "alibaba": Picture(
        "One call on Alibaba Cloud's Function Compute",
        "The events are sent before the response leaves. Then the instance is frozen.",
        [Row("call", "", [_init(), *_before(13, 48, 66), _frozen(67)])],
    ),
    "kubernetes": Picture(
        "Two requests of a function on Kubernetes",
        "The process serves several requests at once. The events of each are sent after its response, by a thread.",
        [
            Row("request 1", "", [_runs(label=""), _init(), *_after(13, 42, 56)]),
            Row("request 2", "at the same time", [_runs(), _init(), *_after(24, 58, 72)]),
        ],
    ),
    "openwhisk": Picture(
        "One activation on DigitalOcean Functions",
        "The events are sent before the result leaves. Then the container is paused.",
        [Row("activation", "", [_init(), *_before(13, 48, 66, "result"), _frozen(67, "paused")])],
    ),
    "vercel": Picture(
        "One request on Vercel",
        "The client has its response, then the events are sent, then Vercel is told that the request is over, and may "
        "suspend the function.",
        [
            Row(
                "request",
                "",
                [
                    _init(),
                    *_after(13, 48, 66),
                    Part("mark", 67, 67, "request over"),
                    Part("frozen", 68, 100, "may be suspended"),
                ],
            )
        ],
    ),
    "cloudflare": Picture(
        "One request of a Worker",
        "The client has its response, then the events are sent in the time that waitUntil gives. After that Cloudflare "
        "may stop the isolate.",
        [Row("request", "", [_init(), *_after(13, 48, 66), _frozen(67, "may be stopped")])],
    ),
    "web": Picture(
        "Requests of a web server",
        "No request waits. A background thread collects the events of several requests and sends them together.",
        [
            Row("request A", "", [_runs(label=""), *_handler(4, 34, "request A"), Part("mark", 34, 34, "response")]),
            Row(
                "request B",
                "at the same time",
                [_runs(label=""), *_handler(12, 46, "request B"), Part("mark", 46, 46, "response")],
            ),
            Row("background thread", "one send for both", [_runs(), Part("flush", 50, 68, "events of A and B sent")]),
        ],
    ),
}


def svg(picture: Picture) -> str:
    """Return the file's text."""
    height = HEIGHT * len(picture.rows) + 32
    lines = beginning(WIDTH, height, picture.title, picture.description)
    for number, row in enumerate(picture.rows):
        top = HEIGHT * number + 8
        if number:
            lines.append(f'<path class="line" d="M12 {top}H{WIDTH - 12}"/>')
        lines += [text(12, top + 36, row.name, "strong"), text(12, top + 54, row.note, "dim")]
        for part in row.parts:
            lines += _part(part, top)
    return "\n".join([*lines, text(12, height - 12, NOTE, "dim"), "</svg>"]) + "\n"


def _part(part: Part, top: int) -> list[str]:
    """Draw one part of a row."""
    left, right = (LEFT + (RIGHT - LEFT) * at / 100 for at in (part.begin, part.end))
    below = top + 88
    match part.kind:
        case "init" | "handler":
            return [
                bar(part.kind, left, right - 1, top + 22, 18),
                text(left + 6, top + 35, part.label, "strong inverse"),
            ]
        case "model":
            return [bar("model", left, right, top + 44, 8), text(left, top + 67, part.label, "dim halo")]
        case "flush":
            return [bar("flush", left + 2, right, top + 54, 12), text(left + 6, below, part.label, "dim halo")]
        case "frozen":
            width = right - left
            area = f'<rect x="{left:.1f}" y="{top + 20}" width="{width:.1f}" height="48" rx="3" fill="url(#hatch)"/>'
            return [area, text((left + right) / 2, top + 48, part.label, "dim halo", "middle")]
        case "runs":
            line = f'<path class="line" d="M{left:.1f} {top + 31}H{right:.1f}" stroke-width="3"/>'
            return [line, text(right, top + 20, part.label, "dim", "end")]
        case "mark" | "signal":
            style = "due" if part.kind == "signal" else "mark"
            line = f'<path class="{style}" d="M{left:.1f} {top + 16}V{top + 72}" stroke-width="2"/>'
            return [line, text(left, top + 12, part.label, "dim halo", "middle")]


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, picture in PICTURES.items():
        (FOLDER / f"{name}.svg").write_text(svg(picture))


if __name__ == "__main__":
    main()
