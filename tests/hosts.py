"""docs/hosts.md: what arrives on each host, when, and by how much a response is later.

Tests write what they have seen with the fixture `cell`. `python -m tests.hosts` makes the page of what the last run has
left in build/hosts.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple, Protocol, TypedDict, Unpack, get_args

FOLDER = Path(__file__).parent.parent / "build" / "hosts"
PAGE = Path(__file__).parent.parent / "docs" / "hosts.md"

Situation = Literal[
    "sync", "async", "stream", "exception", "concurrent", "SIGTERM", "dead backend", "deadline", "snapshot"
]
NAMES: dict[Situation, str] = {
    "sync": "A synchronous function",
    "async": "An `async def`",
    "stream": "A stream",
    "exception": "An exception",
    "concurrent": "Many at once",
    "SIGTERM": "SIGTERM",
    "dead backend": "The backend is unavailable",
    "deadline": "The deadline",
    "snapshot": "A snapshot",
}
assert tuple(NAMES) == get_args(Situation)

OTHERS = 2
"""More hosts than these are not named one by one, if they share what the others do not."""


class Group(NamedTuple):
    """Hosts that have a page in common. `hosts` has the name that tests use, and the one that is shown."""

    page: str
    hosts: dict[str, str]


def _both(platform: str) -> dict[str, str]:
    return {f"{platform}, {server}": server for server in ("gunicorn gthread (Flask)", "uvicorn (FastAPI)")}


GROUPS = {
    "AWS Lambda": Group("lambda", {"AWS Lambda": ""}),
    "Web applications on Lambda": Group(
        "lambda-web",
        {
            "Lambda, Mangum": "Mangum",
            "Lambda, Web Adapter on the emulator": "Web Adapter, on Lambda's emulator",
            **{host: f"Web Adapter, {server}" for host, server in _both("Lambda Web Adapter").items()},
        },
    ),
    "Lambda MicroVMs": Group("lambda-microvm", _both("Lambda MicroVM")),
    "Azure Functions": Group("azure-functions", {"Azure Functions": ""}),
    "Google Cloud functions": Group(
        "google-cloud",
        {
            "Google functions, sync (gthread)": "HTTP, sync",
            "Google functions, async (UvicornWorker)": "HTTP, async",
            "Google event functions": "events",
        },
    ),
    "Cloud Run": Group(
        "cloud-run",
        {
            **{host: f"billed by request, {server}" for host, server in _both("Cloud Run, request-billed").items()},
            **{host: f"billed by instance, {server}" for host, server in _both("Cloud Run, instance-billed").items()},
            "Cloud Run job": "job",
        },
    ),
    "Vercel": Group(
        "vercel", {"Vercel, handler class": "handler class", "Vercel, WSGI": "WSGI", "Vercel, ASGI": "ASGI"}
    ),
    "Cloudflare Workers": Group("cloudflare", {"Cloudflare Workers": ""}),
    "Oracle Functions": Group("oracle", {"Oracle Functions": ""}),
    "Bedrock AgentCore": Group("agentcore", {"Amazon Bedrock AgentCore": ""}),
    "Azure AI Foundry": Group("foundry", {"Azure AI Foundry": ""}),
    "Google Agent Engine": Group("agent-engine", {"Google Agent Engine": ""}),
    "RunPod": Group("runpod", {"RunPod": ""}),
    "Cog": Group("cog", {"Cog": ""}),
    "Modal": Group("modal", {"Modal": ""}),
    "DigitalOcean Functions": Group("digitalocean", {"OpenWhisk": ""}),
    "OpenFaaS and Knative": Group("kubernetes", {"OpenFaaS": "OpenFaaS", "Knative": "Knative"}),
    "Web servers": Group(
        "web",
        {
            name: name
            for name in (
                "gunicorn sync (Flask)",
                "gunicorn gthread (Flask)",
                "gunicorn gevent (Flask)",
                "gunicorn --preload (Django)",
                "gunicorn UvicornWorker (FastAPI)",
                "uvicorn (FastAPI)",
                "uvicorn, 2 workers (FastAPI)",
                "uvicorn, uvloop (FastAPI)",
                "uvicorn (Django)",
                "hypercorn (Starlette)",
                "hypercorn, trio (Starlette)",
                "werkzeug (Flask)",
            )
        },
    ),
    "Scripts": Group("scripts", {"Script (`run`)": ""}),
    "Celery": Group("celery", {"Celery": ""}),
    "RQ": Group("rq", {"RQ": ""}),
    "Dramatiq": Group("dramatiq", {"Dramatiq": ""}),
    "Temporal": Group("temporal", {"Temporal": ""}),
}

RESTORED = (
    "With SnapStart, everything arrives before it. A restored process begins as `snapstart`, with traces of its own and"
    " a new connection; nothing arrives twice."
)
"""What is said of a snapshot on Lambda, of a handler and of a web application alike."""

NO_SNAPSHOT = {
    **dict.fromkeys(("Azure Functions", "Google Cloud functions", "Cloud Run", "Vercel"), "None is known."),
    **dict.fromkeys(("Bedrock AgentCore", "Google Agent Engine", "RunPod", "Cog"), "None is known."),
    **dict.fromkeys(("OpenFaaS and Knative", "Dramatiq", "Temporal"), "There is none."),
    **dict.fromkeys(("Celery", "RQ"), "There is none: a forked process has ids, threads and connections of its own."),
    **dict.fromkeys(("Oracle Functions", "DigitalOcean Functions"), "A container is paused, and goes on as it was."),
    "Web applications on Lambda": "Not tested: see the lines of the Web Adapter, and AWS Lambda.",
    "Modal": "Not tested: Modal's own need `before_snapshot()` and `after_restore()`.",
    "Web servers": "As on gunicorn gthread and uvicorn.",
}
"""What is said of a snapshot in groups of hosts, where no test has seen one."""


class Summary(TypedDict, total=False):
    """A host's cells of the first table, in a few plain words: when events are sent, by how much a response is later,
    what happens to events while the backend is unavailable, and which are sent at SIGTERM."""

    sent: str
    later: str
    outage: str
    stopped: str


class Cell(Protocol):
    """The type of the fixture `cell`."""

    def __call__(self, host: str, situation: Situation, seen: str, **summary: Unpack[Summary]) -> None: ...


def write(host: str, situation: Situation, seen: str, **summary: Unpack[Summary]) -> None:
    """Write what a test has seen of a host in a situation, as one sentence. Each situation has a file, so that
    processes may write at once."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    file = FOLDER / f"{host} {situation}.json".replace("/", "-")
    file.write_text(json.dumps({"host": host, "situation": situation, "seen": seen, "summary": summary}))


def later(milliseconds: float) -> str:
    """By how much a response is later. Single runs scatter by a millisecond, so nothing below that is told apart."""
    return "less than 1 ms" if milliseconds < 1 else f"{milliseconds:.0f} ms"


def after(milliseconds: float) -> str:
    """What has been seen of events that are sent after the response."""
    return f"Everything arrives after the response, which is {later(milliseconds)} later."


class Seen:
    """What the last run has left, by host."""

    def __init__(self) -> None:
        self.texts: dict[str, dict[Situation, str]] = {}
        self.summaries: dict[str, dict[str, str]] = {}
        for file in sorted(FOLDER.glob("*.json")):
            cell = json.loads(file.read_text())
            self.texts.setdefault(cell["host"], {})[cell["situation"]] = cell["seen"]
            summary = self.summaries.setdefault(cell["host"], {})
            # A host that has both kinds of functions is summed up by its synchronous ones.
            for key, value in cell["summary"].items():
                if cell["situation"] != "async" or key not in summary:
                    summary[key] = value
        for name, text in NO_SNAPSHOT.items():
            for host in GROUPS[name].hosts:
                self.texts.setdefault(host, {}).setdefault("snapshot", text)

    def missing(self) -> Iterator[str]:
        """Which cells the page needs, and no test has written."""
        for host in (host for group in GROUPS.values() for host in group.hosts):
            yield from (f"{host}: {situation}" for situation in NAMES if situation not in self.texts.get(host, {}))
            yield from (f"{host}: {key}" for key in Summary.__annotations__ if key not in self.summaries.get(host, {}))


def first_table(seen: Seen) -> Iterator[str]:
    """One line for each group of hosts, or more where its hosts differ."""
    yield "| Host | Events are sent | A response is later by | While the backend is unavailable | At SIGTERM |"
    yield "| --- | --- | --- | --- | --- |"
    for name, group in GROUPS.items():
        rows = {
            host: " | ".join(str(seen.summaries[host].get(key)) for key in Summary.__annotations__)
            for host in group.hosts
        }
        for which, cells in _shared(group, rows):
            yield f"| [{name}](hosts/{group.page}.md){which and f': {which}'} | {cells} |"


def details(seen: Seen, group: Group) -> Iterator[str]:
    """Every situation of a group; hosts of which the same has been seen share a line."""
    alone = len(group.hosts) == 1
    yield f"| Situation |{'' if alone else ' Where |'} What the tests have seen |"
    yield f"| --- |{'' if alone else ' --- |'} --- |"
    for situation, name in NAMES.items():
        texts = {host: seen.texts[host][situation] for host in group.hosts if situation in seen.texts[host]}
        for which, text in _shared(group, texts) if texts else ():
            where = "" if alone else f" {which or 'everywhere'} |"
            yield f"| {name} |{where} {text} |"


def _shared(group: Group, texts: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Each different text, after the names of the hosts that have it; no names if all have the same."""
    hosts: dict[str, list[str]] = {}
    for host, text in texts.items():
        hosts.setdefault(text, []).append(group.hosts[host])
    most = max(hosts, key=lambda text: len(hosts[text]))
    is_everywhere = len(hosts) == 1 and len(texts) == len(group.hosts)
    for text, names in hosts.items():
        if text != most or len(names) <= OTHERS:
            yield "" if is_everywhere else "; ".join(names), text
    if len(hosts[most]) > OTHERS:
        yield "" if is_everywhere else "all others", most


HEAD = """\
# Test results on every host

<!-- `make test && python -m tests.hosts` makes this page of what the tests have seen. -->

The tests run on each host's real runtime, and write these cells; where that is not possible on a developer's machine, a
cell says so. Times are of a machine with two cores. Each host's page says how it works.

"""


def page() -> str:
    """The page, or the end of the program if the last run was not complete."""
    seen = Seen()
    if missing := [*seen.missing()]:
        raise SystemExit("Run `make test` first; there is nothing of " + ", ".join(missing))
    sections = [f"\n## {name}\n\n" + "\n".join(details(seen, group)) for name, group in GROUPS.items()]
    return HEAD + "\n".join([*first_table(seen), *sections]) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page())
    print(PAGE)
