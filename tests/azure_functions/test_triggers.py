"""Every kind of trigger, as the host's message about it goes through Microsoft's worker library."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.azure_functions.support import APPS, Worker
from tests.support import SPAN, TRACE, Event, roots, until
from zespan_serverless import testing
from zespan_serverless.azure_functions import _triggers

PAYLOADS = Path(__file__).parents[1] / "events" / "azure_functions"
FILES = sorted(file for file in PAYLOADS.glob("*.json") if file.name != "index.json")
INDEX: dict[str, Any] = json.loads((PAYLOADS / "index.json").read_text())


@pytest.fixture(scope="module")
def events() -> Iterator[dict[str, Event]]:
    """The root event of every payload."""
    with testing.Backend() as backend:
        worker = Worker(APPS / "triggers", env={"ZESPAN_BASE_URL": backend.url, "ZESPAN_API_KEY": "zsp_test"})
        try:
            ids = {}
            for file in FILES:
                said = json.loads(file.read_text())
                ids[f"id of {file.stem}"] = file.stem
                function, inputs, metadata = said["function"], said["inputs"], said.get("metadata")
                answer = worker.invoke(function, inputs, metadata, invocation_id=f"id of {file.stem}")
                assert answer.ok, f"{file.stem}: {answer.stack}"
            until(lambda: len(roots(backend.events)) == len(FILES))
            assert "telemetry" not in worker.log()
            yield {ids[event["metadata"]["faas.invocation_id"]]: event for event in roots(backend.events)}
        finally:
            worker.close()


def test_every_payload_has_its_entry() -> None:
    """A payload without a word on where it is from, or an entry without a payload, is a mistake."""
    assert set(INDEX) == {file.stem for file in FILES}
    assert all(entry["source"].startswith("https://learn.microsoft.com/") for entry in INDEX.values())


@pytest.mark.parametrize("name", [file.stem for file in FILES])
def test_root_event_names_trigger_and_source(events: dict[str, Event], name: str) -> None:
    """The root event says what the entry expects: trigger, source, and a link to each message's producer."""
    event, expected = events[name], INDEX[name]
    metadata = event["metadata"]
    assert metadata["faas.trigger"] == expected["trigger"]
    assert {key: metadata.get(key) for key in expected["attributes"]} == expected["attributes"]
    assert metadata.get("links") == expected.get("links")
    assert (event["trace_id"], event["parent_span_id"]) == (TRACE, SPAN)
    assert "secret" not in json.dumps(event)


def test_a_large_batch_has_as_many_links_as_are_kept() -> None:
    """128 links, and the number of those left out."""
    messages = [
        SimpleNamespace(application_properties={"traceparent": f"00-{n:032x}-{n:016x}-01"}) for n in range(1, 201)
    ]
    said = _triggers.describe({"type": "serviceBusTrigger", "name": "msgs"}, {"msgs": messages}, "api")
    links = said["links"]
    assert isinstance(links, list)
    assert (len(links), said["links_omitted"], said["messaging.batch.message_count"]) == (128, 72, 200)


@pytest.mark.parametrize("properties", [{b"traceparent": b"00-" + b"1" * 32 + b"-" + b"1" * 16 + b"-01"}, "{", None, 7])
def test_properties_of_the_azure_sdks_are_read_too(properties: object) -> None:
    """Messages as SDK types have keys and values of bytes; what is no properties is none."""
    message = type("ServiceBusReceivedMessage", (), {"application_properties": properties})()
    said = _triggers.describe({}, {"msg": message}, "api")
    assert said["messaging.system"] == "servicebus"
    assert bool(said["links"]) == isinstance(properties, dict)


def test_an_attribute_that_cannot_be_read_leaves_the_others() -> None:
    """The library decodes some of a message only when asked, and may fail to."""

    class EventHubEvent:
        message_id = "m"

        @property
        def metadata(self) -> object:
            raise ValueError("no JSON")

    said = _triggers.describe({}, {"event": EventHubEvent()}, "api")
    assert (said["messaging.system"], said["messaging.message.id"], said["links"]) == ("eventhubs", "m", None)
