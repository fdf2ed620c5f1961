"""The bytes of OTLP, against OpenTelemetry's own exporters and protobuf's own library."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import environments
from tests.exporters.otlp import support
from zespan_serverless._record.record import Record
from zespan_serverless.exporters.otlp import _json, _protobuf
from zespan_serverless.exporters.otlp._records import span_of
from zespan_serverless.exporters.otlp._resource import attributes_of
from zespan_serverless.exporters.otlp._span import Span

RECORDS: dict[str, Callable[[], Record]] = {
    "invocation": support.root,
    "call": support.call,
    "tool": lambda: support.step("tool", "weather", tool="weather", arguments={"city": "Paris"}, result=["21°"]),
}


def _official(*args: str) -> dict[str, Any]:
    python = environments.installed("otlp", "opentelemetry")
    told: dict[str, Any] = json.loads(environments.run(python, "tests.exporters.otlp.official", *args))
    return told


def test_the_same_spans_become_the_same_bytes_as_by_opentelemetrys_exporters() -> None:
    """In protobuf byte for byte, in JSON the same document: kinds, types, events, links, status, flags, tracestate."""
    told = _official("equal")
    assert (told["protobuf"], told["json"]) == (True, True)
    assert told["spans"] == 15


def test_protobufs_own_library_reads_what_is_sent(tmp_path: Path) -> None:
    """It writes the same bytes again, and finds in them what the JSON has."""
    spans = [span_of(make()) for make in RECORDS.values()]
    resource = attributes_of(support.resource(), {})
    scope = ("zespan_serverless", "1")
    file = tmp_path / "request"
    file.write_bytes(_protobuf.wrap([_protobuf.encode(span) for span in spans], resource, scope))
    told = _official("parse", str(file))
    assert told["same"]
    found = support.spans_in(told["request"])
    expected = support.spans_in(json.loads(_json.wrap([_json.encode(span) for span in spans], resource, scope)))
    assert [span["name"] for span in found] == [span["name"] for span in expected]
    for ours, theirs in zip(expected, found, strict=True):
        assert support.plain(ours["attributes"]) == support.plain(theirs["attributes"])
        assert (ours["startTimeUnixNano"], ours["flags"]) == (theirs["startTimeUnixNano"], theirs["flags"])
    (of_resource,) = told["request"]["resourceSpans"]
    assert support.plain(of_resource["resource"]["attributes"])["cloud.provider"] == "aws"


def test_a_batch_is_its_spans_one_after_another() -> None:
    """What is kept and retried is one span each: no span is parsed again to be sent with others."""
    one, two = (_protobuf.encode(span_of(make())) for make in (support.root, support.call))
    both = _protobuf.wrap([one, two], {}, ("s", "1"))
    assert both.endswith(one + two)
    (document,) = [json.loads(_json.wrap([_json.encode(span_of(support.root()))] * 2, {}, ("s", "1")))]
    assert len(support.spans_in(document)) == 2


@pytest.mark.parametrize("encoding", [_protobuf, _json])
@given(name=st.text(), value=st.one_of(st.text(), st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False)))
def test_any_text_and_number_can_be_encoded(encoding: Any, name: str, value: object) -> None:
    """Half a surrogate pair as well, which is no Unicode: parsers would refuse the whole request for it."""
    span = Span("1" * 32, "2" * 16, name + "\ud800", 1, 0, 0)
    span.attributes = {name: value}
    encoded = encoding.encode(span)
    assert encoded
    assert "\ud800".encode("utf-8", "surrogatepass") not in encoded
