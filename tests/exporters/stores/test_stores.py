"""What is parked: the format of a batch, and how a store is named."""

from __future__ import annotations

import base64
import contextlib
import gzip
import json
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zespan_serverless.errors import ConfigurationError
from zespan_serverless.exporters import Outcome
from zespan_serverless.exporters.stores import (
    Store,
    StoreExporter,
    batch_of,
    batches_of,
    events_of,
    exporter_to,
    from_text,
    open_store,
)
from zespan_serverless.settings import _stores

OF = {"exporter": "zespan", "content_type": "application/json"}


class Shelf(Store):
    """In memory; write-only."""

    url = "shelf://here"

    def __init__(self) -> None:
        self.batches: dict[str, bytes] = {}
        self.timeouts: list[float] = []

    def put(self, batch: bytes, name: str, timeout: float) -> Outcome:
        self.batches[name] = batch
        self.timeouts.append(timeout)
        return Outcome("delivered")


@given(st.lists(st.binary(max_size=200), max_size=20))
def test_events_come_back_as_they_were(events: list[bytes]) -> None:
    """Byte for byte, whatever their encoding: they may hold newlines, or be protobuf."""
    header, back = events_of(batch_of(events, OF))
    assert back == events
    assert header == {"version": 1, **OF, "events": len(events)}


def test_a_batch_can_be_read_without_this_package() -> None:
    """It is gzip, and each line of a batch of JSON events is a JSON document."""
    lines = gzip.decompress(batch_of([b'{"a":1}', b'{"b":2}'], OF)).splitlines()
    assert [json.loads(line) for line in lines] == [{"version": 1, **OF, "events": 2}, 7, {"a": 1}, 7, {"b": 2}]


@given(st.data())
def test_a_damaged_batch_is_refused(data: st.DataObject) -> None:
    """It raises ValueError, and never gives other events than were put in."""
    events = [b"x" * 50, b"y\n9\n"]
    batch = batch_of(events, OF)
    start = data.draw(st.integers(0, len(batch) - 1))
    spoiled = batch[:start] + data.draw(st.binary(max_size=3))
    with contextlib.suppress(ValueError):
        assert events_of(spoiled)[1] == events  # by chance, the bytes that were there


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no header",
        b"[]\n",
        b"{}\n",
        b'{"version":1,"events":1}\n',
        b'{"version":1,"events":1}\n5\nab\n',
        b'{"version":1,"events":1}\n-1\n\n',
        b'{"version":1,"events":9}\n0\n\n',
        b'{"version":1,"events":0}\n1\na\n',
        b'{"version":1,"events":-1}\n1\na\n',
        b'{"version":1,"events":"1"}\n1\na\n',
        b'{"version":1,"exporter":"\xff"}\n',
        b"[" * 100_000 + b"\n",
        b'{"version":1,"events":1}\n16777216\n' + bytes(16_777_216) + b"\n",
    ],
)
def test_what_is_no_batch_is_refused(content: bytes) -> None:
    """Valid gzip of something else, and a header that counts other events than follow, raise ValueError, too."""
    with pytest.raises(ValueError, match=r"no batch of events: .+"):
        events_of(zlib.compress(content, wbits=31))


def test_a_batch_of_a_later_release_says_so() -> None:
    """Its reader learns that it needs a newer version."""
    with pytest.raises(ValueError, match="later release"):
        events_of(zlib.compress(b'{"version":2,"events":0}\n', wbits=31))


@pytest.mark.parametrize("between", [b"", b"\n"])
def test_several_batches_in_one_object(between: bytes) -> None:
    """Firehose puts one after the other, with or without a line break between them."""
    blobs = [batch_of([b"a", b"b"], OF), batch_of([], OF), batch_of([b"c"], OF)]
    data = b"".join(blob + between for blob in blobs)
    assert [events for _, events in batches_of(data)] == [[b"a", b"b"], [], [b"c"]]
    for wrong in (data + b"x", data[:-5], b""):
        with pytest.raises(ValueError, match=r"."):
            batches_of(wrong)


def test_text_of_a_queue() -> None:
    """A message has the batch in base64; another one is returned as it is."""
    assert from_text(base64.b64encode(b"\x1f\x8b").decode()) == b"\x1f\x8b"
    assert from_text('{"a":1}') == b'{"a":1}'
    assert from_text("nö") == "nö".encode()


def test_each_batch_has_a_name_of_its_own() -> None:
    """No name is used twice, and they sort by time."""
    shelf = Shelf()
    exporter = StoreExporter(shelf, OF)
    for number in range(20):
        assert exporter.send([b"%d" % number], 1.0) == Outcome("delivered")
    assert [events_of(shelf.batches[name])[1] for name in sorted(shelf.batches)] == [[b"%d" % n] for n in range(20)]
    assert all(0 < timeout <= 1.0 for timeout in shelf.timeouts)


def test_a_batch_that_is_too_large_for_the_store_is_refused_before_it_is_put() -> None:
    """As a backend refuses it, so that it is divided."""
    shelf = Shelf()
    shelf.limit = 100
    outcome = StoreExporter(shelf, OF).send([bytes(range(256))], 1.0)
    assert (outcome.verdict, shelf.batches) == ("refused", {})
    assert "shelf://here accepts 100" in outcome.detail


@pytest.mark.parametrize("url", ["s4://bucket", "mailto://x", "://x", ""])
def test_an_unknown_store_is_a_mistake_in_the_configuration(url: str) -> None:
    """The error lists what can be typed instead."""
    with pytest.raises(ConfigurationError, match="file://"):
        open_store(url)


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("s4://bucket", "url must be a directory's path, or like one of"),
        ("sqs://", "url must be like sqs://queue"),
        ("azurequeue://queue", "needs a package that is missing: azure-nothing"),
    ],
)
def test_what_no_exporter_can_be_made_for(url: str, told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says so where the function is configured, and not with the first event."""
    monkeypatch.setitem(_stores.KNOWN, "azurequeue", ("azurequeue://queue", "azure.nothing"))
    with pytest.raises(ConfigurationError, match=told):
        exporter_to(url)


def test_a_store_that_is_only_written_to_says_so() -> None:
    """Reading from a store that is only written to raises an error."""
    shelf = Shelf()
    for read in (shelf.list, lambda: shelf.get("x"), lambda: shelf.delete("x")):
        with pytest.raises(ConfigurationError, match="cannot be read back"):
            read()
