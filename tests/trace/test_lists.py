"""`tracestate` and `baggage`: what is handed on of what strangers send."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zespan_serverless._trace.lists import parse_baggage, parse_tracestate

KEYS = st.from_regex(r"[a-z0-9][a-z0-9_*/@-]{0,20}", fullmatch=True)
VALUES = st.from_regex(r"[ -+\--<>-~]{0,20}[!-+\--<>-~]", fullmatch=True)
STATES = st.dictionaries(KEYS, VALUES, max_size=10)
TOKENS = st.from_regex(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,10}", fullmatch=True)
OCTETS = st.from_regex(r"[!#-+\--:<-\[\]-~]{0,20}", fullmatch=True)


@given(STATES)
def test_a_valid_state_is_handed_on_unchanged(members: dict[str, str]) -> None:
    """As long as everybody has to hand it on: 512 characters."""
    text = ",".join(f"{key}={value}" for key, value in members.items())
    handed_on = parse_tracestate(text)
    assert handed_on == text if len(text) <= 512 else len(handed_on) <= 512


@pytest.mark.slow
@given(st.lists(st.tuples(TOKENS, OCTETS, st.lists(st.tuples(TOKENS, OCTETS), max_size=2)), max_size=64))
def test_valid_baggage_is_handed_on_unchanged(members: list[tuple[str, str, list[tuple[str, str]]]]) -> None:
    """With its properties, and with keys that are there twice, which are allowed."""
    text = ",".join(
        f"{key}={value}" + "".join(f";{name}={said}" if said else f";{name}" for name, said in properties)
        for key, value, properties in members
    )
    assert parse_baggage(text) == text


LISTLIKE = st.text(st.sampled_from("a=1,;@ \t\r\n\x00é-"), max_size=60)


@given(st.text() | LISTLIKE | st.binary() | st.none() | st.integers())
def test_whatever_comes_what_goes_on_is_safe(value: object) -> None:
    """Printable ASCII within the limits, and the same when it is read again: nothing that ends a header."""
    for parse, most in ((parse_tracestate, 512), (parse_baggage, 8192)):
        handed_on = parse(value)
        assert len(handed_on) <= most
        assert all(" " <= character <= "~" or character == "\t" for character in handed_on)
        assert parse(handed_on) == handed_on


@pytest.mark.parametrize(
    ("value", "handed_on"),
    [
        (" a=1 ,\tb=2,, ", "a=1,b=2"),
        ("fw529a3039@dt=FfwXqr;1,0rojo=00f067", "fw529a3039@dt=FfwXqr;1,0rojo=00f067"),
        ("a=1,a=2", ""),
        ("a=1,b", ""),
        ("a=", ""),
        ("A=1", ""),
        ("a=1=2", ""),
        ("é=1", ""),
        ("a=1\r\nx: y", ""),
        (f"{'k' * 257}=1", ""),
        (f"a={'v' * 257}", ""),
        (",".join(f"k{number}=1" for number in range(32)), ",".join(f"k{number}=1" for number in range(32))),
        (",".join(f"k{number}=1" for number in range(33)), ""),
        (f"a={'v' * 200},b={'w' * 200},c={'x' * 126},d={'y' * 126}", f"c={'x' * 126}"),  # 128 may stay, 2 * 128 fit
        ("", ""),
    ],
)
def test_a_state_that_is_not_valid_is_dropped(value: str, handed_on: str) -> None:
    """As a whole. One that is too long loses its longest members, and then its last."""
    if "d=" in value:
        handed_on += f",d={'y' * 126}"
    assert parse_tracestate(value) == handed_on


@pytest.mark.parametrize(
    ("value", "handed_on"),
    [
        ("userId=alice;isProduction;p = 2 , other =%20x", "userId=alice;isProduction;p = 2,other =%20x"),
        ("a=1,b,c=3", "a=1,c=3"),
        ("a=", "a="),
        ("a=1 2,b=2", "b=2"),
        ('a="1",b=2', "b=2"),
        ("a=1\r\nx: y", ""),
        ("é=1,b=2", "b=2"),
        (",".join(f"k{number}=1" for number in range(70)), ",".join(f"k{number}=1" for number in range(64))),
        (f"a={'v' * 8000},b={'w' * 200},c=3", f"a={'v' * 8000}"),
        (f"a={'v' * 9000}", ""),
        ("a=1," * 100_000, ""),
        ("", ""),
    ],
)
def test_members_of_baggage_that_are_not_valid_are_dropped(value: str, handed_on: str) -> None:
    """Each by itself, and those beyond the limits."""
    assert parse_baggage(value) == handed_on


@pytest.mark.parametrize("repeated", [";a=  ", ";a=", ";a  ", ";  a", "  ", ";", "=", "a", ";a=  b"])
@pytest.mark.parametrize("end", ['"', "", " ", ";", "=", "a "])
def test_hostile_lists_are_read_in_no_time(repeated: str, end: str) -> None:
    """A header of 64 KiB, with blanks that could stand in several places of a member, takes milliseconds: not hours."""
    text = ("a=1" + repeated * 65_536)[: 65_536 - len(end)] + end
    began = time.process_time()
    for parse in (parse_baggage, parse_tracestate):
        parse(text)
        parse(text.replace(";", ","))
    assert time.process_time() - began < 5
