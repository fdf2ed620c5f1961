"""The fixture `lambda_sandbox`, which the pytest plugin in `zespan_serverless.testing` finds by an entry point."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from zespan_serverless_dev.emulator import lambda_rie
from zespan_serverless_dev.emulator.binary import EmulatorUnavailable, emulator_binary
from zespan_serverless_dev.probe import Fact, Facts

Lost = Callable[[str, Mapping[str, Any], str], object]
"""Called with `dropped` or `waiting`, an event, and the reason."""


@contextmanager
def sandboxes(root: Path, environment: Mapping[str, str], lost: Lost) -> Iterator[Callable[..., lambda_rie.Sandbox]]:
    """Yield a function that starts sandboxes with these variables. At the end they are shut down, and `lost` is called
    with each undelivered event. Skips the test if no sandbox can run.

    `root`: the folder that the folder of the code is relative to, and its default.
    """
    if find_spec("awslambdaric") is None:
        pytest.skip("AWS's runtime client for Lambda is not installed: pip install awslambdaric")
    try:
        emulator_binary()
    except EmulatorUnavailable as error:
        pytest.skip(str(error).partition("\n")[0])
    facts: list[Facts] = []
    with TemporaryDirectory(prefix="facts-") as own:
        with ExitStack() as started:

            def start(handler: str, folder: Path | str = ".", **options: Any) -> lambda_rie.Sandbox:
                facts.append(Facts(Path(own) / str(len(facts))))
                path = f"{lambda_rie.HOOKS}{os.pathsep}{root / folder}"
                given = options.pop("env", None) or {}
                variables = {**environment, **facts[-1].environment(given.get("PYTHONPATH", path))}
                variables |= {name: value for name, value in given.items() if name != "PYTHONPATH"}
                return started.enter_context(lambda_rie.Sandbox(handler, root / folder, env=variables, **options))

            yield start
        for written in facts:
            _report(written.read(), lost)


def _report(facts: Iterable[Fact], lost: Lost) -> None:
    """Report the events of one sandbox that were not delivered."""
    events: dict[str, dict[str, Any]] = {}
    settled: set[str] = set()
    for fact in facts:
        items = [item for item in fact.get("items", ()) if item]
        if fact["type"] == "captured" and fact.get("event_id"):
            events[fact["event_id"]] = {**events.get(fact["event_id"], {}), **_event(fact)}
        elif fact["type"] in ("delivered", "parked", "dropped"):
            settled |= {*items}
        if fact["type"] == "dropped":
            reason = f"{fact['reason']} ({fact['detail']})" if fact.get("detail") else fact["reason"]
            for item in items or [""]:
                lost("dropped", events.get(item, {"event_id": item}), reason)
    for id, event in events.items():
        if id not in settled:
            lost("waiting", event, "the sandbox has ended without having delivered it")


def _event(fact: Fact) -> dict[str, Any]:
    """Return what is known of a captured event, with the field names of Zespan's events."""
    if "span_id" not in fact:  # a process has taken it over from the one before, which has named it
        return {"event_id": fact["event_id"]}
    names = ("event_id", "trace_id", "span_id", "parent_span_id", "model", "status")
    ended = fact.get("end") or 0.0
    return {
        **{name: fact.get(name) for name in names},
        "operation": fact.get("name"),
        "span_kind": "general" if fact.get("kind") == "invocation" else fact.get("kind"),
        "latency_ms": ended - (fact.get("start") or ended),
        "timestamp": datetime.fromtimestamp(ended / 1000, UTC).isoformat(),
    }
