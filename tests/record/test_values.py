"""Any value can be encoded as JSON, and plain values survive."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import json
import threading
import uuid
from pathlib import PurePosixPath
from typing import Any
from unittest import mock

import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zespan_serverless._record.policy import Policy
from zespan_serverless._record.values import encode, plain, to_json
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
    """Return what a reader of our JSON gets; a strict one, which knows no NaN."""

    def refuse(text: str) -> None:
        raise AssertionError(text)

    return json.loads(encode({"v": value}).decode("utf-8", "strict"), parse_constant=refuse)["v"]


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


@pytest.mark.slow
@pytest.mark.parametrize("wrap", [lambda v: [v], lambda v: {"k": v}, lambda v: Record("r", v)])
def test_depth_has_an_end(wrap: Any) -> None:
    """However deep, and however little stack is left."""
    deep: Any = "bottom"
    for _ in range(200_000):  # deeper than any Python's encoder goes
        deep = wrap(deep)
    assert "[DEPTH_LIMIT]" in json.dumps(parsed(deep))


def test_a_dict_that_another_thread_changes() -> None:
    """It is copied as it was at some moment, or as text, without an exception."""
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
    """They are read, not serialised, so a model's failing serialiser has no effect."""

    class Odd(pydantic.BaseModel):
        value: bytes = b"\xff"

    assert parsed(Odd(value=b"\xff")) == {"value": "\ufffd"}
    assert parsed(pydantic.RootModel[list[int]]([1, 2])) == [1, 2]
