"""What an event is: its shape, what is left out of it, and that anything can be said in JSON."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import json
import threading
import time
import uuid
from pathlib import PurePosixPath
from typing import Any
from unittest import mock

import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st
from zespan.sampling import hash_trace_id_to_unit, should_sample_trace  # type: ignore[import-untyped]

from zespan_serverless._record import event as _event
from zespan_serverless._record.event import encode, failed, new_event, plain, sampled, to_json
from zespan_serverless._record.redaction import Policy
from zespan_serverless._trace import context
from zespan_serverless.settings import Settings

POLICY = Policy(Settings())
PLAIN = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text()),
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.text(), inner)),
    max_leaves=20,
)


class Broken:
    """Has no words for itself, of any kind."""

    def __repr__(self) -> str:
        raise RuntimeError("no repr")

    __str__ = __repr__

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError("no attributes")


class Hostile:
    """Cannot even be asked what it is, like a proxy for something that is not there."""

    @property  # type: ignore[misc]
    def __class__(self) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        raise RuntimeError("no class")

    def __str__(self) -> str:
        raise RuntimeError("no text")


class Colour(enum.Enum):
    RED = 1


class Model(pydantic.BaseModel):
    name: str = "m"
    password: str | None = None
    inner: Model | None = None


@dataclasses.dataclass
class Record:
    name: str
    token: Any = None


ANYTHING = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.integers(4000, 6000).map(lambda digits: 10**digits),
        st.floats(),
        st.text(st.characters()),  # with halves of surrogate pairs
        st.binary(),
        st.complex_numbers(),
        st.decimals(),
        st.datetimes(),
        st.uuids(),
        st.builds(Broken),
        st.builds(Hostile),
        st.builds(object),
        st.builds(Model, password=st.text()),
        st.just(Model),
        st.just(Colour.RED),
        st.just(print),
    ),
    lambda inner: st.one_of(
        st.lists(inner),
        st.tuples(inner, inner),
        st.builds(Record, st.text(), inner),
        st.sets(st.one_of(st.integers(), st.text(), st.binary())),
        st.dictionaries(
            st.one_of(st.text(), st.integers(), st.floats(), st.binary(), st.none(), st.tuples(st.text())), inner
        ),
    ),
    max_leaves=20,
)


def parsed(value: Any) -> Any:
    """What a reader of our JSON gets; a strict one, which knows no NaN."""

    def refuse(text: str) -> None:
        raise AssertionError(text)

    return json.loads(encode({"v": value}).decode("utf-8", "strict"), parse_constant=refuse)["v"]


# ---------------------------------------------------------------------- shape


def test_every_event_has_the_sdks_fields() -> None:
    """Names and types as the backend knows them."""
    span = context.Span("a" * 32, "b" * 16, "c" * 16, "user", "session", {"tier": "gold"})
    settings = Settings(environment="staging", tags={"team": "search", "tier": "lead"})
    before = time.time()
    event = new_event(span, settings, 12.6, kind="tool", operation="look up")
    assert uuid.UUID(event.pop("event_id")).version == 4
    at = datetime.datetime.fromisoformat(event.pop("timestamp"))
    assert at.tzinfo == datetime.UTC
    assert before - 0.001 <= at.timestamp() <= time.time() + 0.001
    assert "." in event.pop("sdk_version")
    assert event == {
        "project_id": "",
        "trace_id": "a" * 32,
        "span_id": "b" * 16,
        "parent_span_id": "c" * 16,
        "provider": "",
        "model": "",
        "operation": "look up",
        "latency_ms": 13,
        "stream": False,
        "input_tokens": 0,
        "output_tokens": 0,
        "cost_usd": None,
        "status": "success",
        "error_message": None,
        "environment": "staging",
        "user_id": "user",
        "session_id": "session",
        "tags": {"team": "search", "tier": "gold"},
        "span_kind": "tool",
        "sdk_name": "zespan-serverless-python",
    }


def test_event_ids_differ() -> None:
    """Each event has an id of its own: the backend tells a repeated delivery by it."""
    spans = [context.new_span() for _ in range(100)]
    ids = {new_event(span, Settings(), 0, kind="general", operation="x")["event_id"] for span in spans}
    assert len(ids) == 100


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (1700000000.0004, "2023-11-14T22:13:20.000Z"),
        (1700000000.9994, "2023-11-14T22:13:20.999Z"),
        (1700000039.9996, "2023-11-14T22:14:00.000Z"),  # 22:13:59.9996: over to the next minute
        (1704067199.9997, "2024-01-01T00:00:00.000Z"),  # and year
        (1709164800.5, "2024-02-29T00:00:00.500Z"),
    ],
)
def test_a_timestamp_is_rfc_3339_in_utc(seconds: float, text: str) -> None:
    """RFC 3339 in UTC, rounded to the millisecond, and no minute of 60 seconds."""
    assert _event.timestamp(seconds) == text


@given(st.floats(0, 4e9))
def test_timestamp_to_the_millisecond(seconds: float) -> None:
    """Never off by more than half of one, at any time."""
    read = datetime.datetime.fromisoformat(_event.timestamp(seconds)).timestamp()
    assert abs(read - seconds) <= 0.000502


def test_a_failed_event_keeps_the_exception_itself() -> None:
    """The exception itself: what may be said of it is for the policy to decide."""
    event: dict[str, Any] = {}
    error = ValueError("x")
    failed(event, error)
    assert event == {"status": "error", "error_message": error}


# ---------------------------------------------------------------------- sampling


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), st.floats(0, 1))
def test_sampled_as_the_sdk_does(trace_id: str, rate: float) -> None:
    """FNV-1a of the trace id: services with either SDK keep the same traces."""
    assert sampled(trace_id, rate) is should_sample_trace(trace_id, rate)


@given(st.text(st.sampled_from("0123456789abcdef"), min_size=32, max_size=32))
def test_sampling_is_exact_to_the_last_bit(trace_id: str) -> None:
    """The rate at which a trace is lost is its hash, not one step beside it."""
    unit = hash_trace_id_to_unit(trace_id)
    assert not sampled(trace_id, unit)
    assert sampled(trace_id, unit + 2**-32)


def test_sampling_keeps_the_share_that_it_is_told() -> None:
    """A quarter is a quarter, roughly."""
    kept = sum(sampled(context.new_trace_id(), 0.25) for _ in range(4000))
    assert 800 < kept < 1200


@pytest.mark.parametrize(("rate", "kept"), [(0.0, False), (0.0001, True), (1.0, True)])
def test_without_a_trace_nothing_is_lost(rate: float, kept: bool) -> None:
    """There is nothing to hash; as in the SDK, one event too many is better than a silent loss."""
    assert sampled("", rate) is kept is should_sample_trace(None, rate)


def test_sampling_of_an_odd_id() -> None:
    """An id of the user's own need not even be Unicode."""
    assert sampled("\ud800", 0.999999999) in (True, False)


# ---------------------------------------------------------------------- JSON


@given(ANYTHING)
def test_anything_can_be_encoded(value: Any) -> None:
    """Strict JSON in strict UTF-8 on one line, redacted or not."""
    parsed(value)
    parsed(plain(value))
    parsed(POLICY.plain(value))
    assert b"\n" not in encode({"v": value})


@given(PLAIN)
def test_plain_values_survive(value: Any) -> None:
    """What JSON can say arrives as it was, but for halves of surrogate pairs."""
    assert parsed(value) == json.loads(json.dumps(value).encode("utf-8", "replace"))


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ("Grüße, 世界 🙂", "Grüße, 世界 🙂"),
        ("half \ud83d of a pair", "half ? of a pair"),
        (float("nan"), "nan"),
        ([float("inf"), -float("inf"), 1.5], ["inf", "-inf", 1.5]),
        (b"\xffbytes", "\ufffdbytes"),
        (bytearray(b"bytes"), "bytes"),
        ({1}, [1]),
        (frozenset("a"), ["a"]),
        ((1, (2,)), [1, [2]]),
        ({1: "a", None: "b"}, {"1": "a", "null": "b"}),
        ({(1, 2): "a", b"k": "b"}, {"(1, 2)": "a", "k": "b"}),
        (10**30, 10**30),
        (2**20000, hex(2**20000)),
        (decimal.Decimal("1.10"), "1.10"),
        (datetime.date(2024, 2, 29), "2024-02-29"),
        (uuid.UUID(int=5), "00000000-0000-0000-0000-000000000005"),
        (PurePosixPath("/a"), "/a"),
        (Colour.RED, "Colour.RED"),
        (Broken(), "<Broken>"),
        (Model(name="x", inner=Model(name="y")), {"name": "x", "inner": {"name": "y"}}),
        (Record("r", {b"k"}), {"name": "r", "token": ["k"]}),
        (mock.Mock(name="m"), None),
    ],
    ids=lambda v: type(v).__name__,
)
def test_what_becomes_of_a_value(value: Any, read: Any) -> None:
    """The nearest thing that JSON has a word for."""
    if isinstance(value, mock.Mock):
        read = str(value)
    assert parsed(value) == read


def test_an_object_that_cannot_be_looked_at() -> None:
    """Is its type's name, as a value and as a key; and passes through redaction."""
    value = POLICY.plain({"token": Hostile(), "values": [Hostile(), {Hostile(): 1}]})
    assert parsed(value) == {"token": "[REDACTED]", "values": ["<Hostile>", {"<Hostile>": 1}]}


def test_an_object_whose_text_has_no_end() -> None:
    """Costs itself only, not the event."""

    class Endless:
        def __str__(self) -> str:
            return str(self)

    assert parsed({"a": 1, "b": Endless()}) == {"a": 1, "b": "<Endless>"}


def test_cycles_have_an_end() -> None:
    """Also through dataclasses, sets of objects and models."""
    loop: list[Any] = [1]
    loop.append(loop)
    assert parsed(loop) == [1, "[DEPTH_LIMIT]"]
    record = Record("r")
    record.token = [record]
    assert parsed(record) == {"name": "r", "token": ["[DEPTH_LIMIT]"]}


@pytest.mark.parametrize("wrap", [lambda v: [v], lambda v: {"k": v}, lambda v: Record("r", v)])
def test_depth_has_an_end(wrap: Any) -> None:
    """However deep, and however little stack is left."""
    deep: Any = "bottom"
    for _ in range(200_000):  # deeper than any Python's encoder goes
        deep = wrap(deep)
    assert "[DEPTH_LIMIT]" in json.dumps(parsed(deep))


def test_a_dict_that_another_thread_changes() -> None:
    """It is said as it was at some moment, or as text: no exception."""
    shared: dict[Any, Any] = {b"odd": 0}
    stop = threading.Event()

    def change() -> None:
        n = 0
        while not stop.is_set():
            n += 1
            shared[n % 500] = n
            shared.pop((n + 250) % 500, None)

    thread = threading.Thread(target=change)
    thread.start()
    try:
        for _ in range(300):
            to_json(shared)
    finally:
        stop.set()
        thread.join()


def test_a_dataclass_of_any_kind_is_its_fields() -> None:
    """With slots, frozen, and one whose field is missing is those that are there."""

    @dataclasses.dataclass(frozen=True, slots=True)
    class Slots:
        a: int = 1

    assert parsed(Slots()) == {"a": 1}
    lost = Record("r")
    del lost.__dict__["name"]
    assert parsed(lost) == {"token": None}


def test_a_model_that_cannot_be_dumped_is_its_fields() -> None:
    """They are read, not serialised: a model's own failure at that is none of ours."""

    class Odd(pydantic.BaseModel):
        value: bytes = b"\xff"

    assert parsed(Odd(value=b"\xff")) == {"value": "\ufffd"}
    assert parsed(pydantic.RootModel[list[int]]([1, 2])) == [1, 2]
