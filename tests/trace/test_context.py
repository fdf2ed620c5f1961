"""Trace context: the headers of strangers, our ids, and what is current where."""

from __future__ import annotations

import contextvars
import os
import random
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zespan_serverless._trace import context
from zespan_serverless._trace.context import Caller, Span, caller_of, parse_traceparent

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
HEX = st.sampled_from("0123456789abcdef")
ALMOST = st.text(st.sampled_from("0123456789abcdefABCDEF-g "), min_size=50, max_size=60)


@given(st.one_of(st.text(), ALMOST, st.binary(), st.integers(), st.none(), st.lists(st.text()), st.builds(object)))
def test_anything_can_be_parsed(value: object) -> None:
    """A header is what a stranger sends: None or two ids, never an exception."""
    found = parse_traceparent(value)
    assert found is None or (len(found.trace_id), len(found.span_id or "")) == (32, 16)


@given(st.text(HEX, min_size=32, max_size=32), st.text(HEX, min_size=16, max_size=16), st.integers(0, 255))
def test_a_formatted_traceparent_is_parsed_to_the_same_ids(trace_id: str, span_id: str, flags: int) -> None:
    """What is written is what is read, unless an id is all zeros."""
    found = parse_traceparent(f"00-{trace_id}-{span_id}-{flags:02x}")
    assert found == (None if not trace_id.strip("0") or not span_id.strip("0") else Caller(trace_id, span_id, flags))


@pytest.mark.parametrize(
    "value",
    [
        f"00-{TRACE}-{PARENT}-01",
        f"00-{TRACE}-{PARENT}-00",  # not sampled upstream: no reason to lose the trace here
        f"00-{TRACE}-{PARENT}-ff",
        f"01-{TRACE}-{PARENT}-01",  # versions to come
        f"cc-{TRACE}-{PARENT}-01",
        f"cc-{TRACE}-{PARENT}-01-what-the-future-will-bring",
        f"cc-{TRACE}-{PARENT}-01-",
    ],
)
def test_a_valid_traceparent_is_parsed(value: str) -> None:
    """Version 00, and later ones as far as they begin like it."""
    assert parse_traceparent(value) == Caller(TRACE, PARENT, int(value[53:55], 16))


@pytest.mark.parametrize(
    "value",
    [
        "",
        "00",
        f"00-{TRACE}-{PARENT}",
        f"00-{TRACE}-{PARENT}-1",
        f"00-{TRACE}-{PARENT}-01-x",  # version 00 has nothing more
        f"00-{TRACE}-{PARENT}-011",
        f"cc-{TRACE}-{PARENT}-01.x",
        f"cc-{TRACE}-{PARENT}-01-{'x' * 500}",
        f"ff-{TRACE}-{PARENT}-01",
        f"0g-{TRACE}-{PARENT}-01",
        f"00-{TRACE.upper()}-{PARENT}-01",
        f"00-{TRACE}-{PARENT.upper()}-01",
        f"00-{'0' * 32}-{PARENT}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE}-{PARENT}-0x",
        f"00_{TRACE}_{PARENT}_01",
        f" 00-{TRACE}-{PARENT}-01",
        f"00-{TRACE[:-1]}-{PARENT}-01",
        f"00-{TRACE[:-1]}é-{PARENT}-01",
        f"00-{TRACE}-{PARENT}-01".encode(),
        None,
        7,
        [f"00-{TRACE}-{PARENT}-01"],
    ],
)
def test_an_invalid_traceparent_is_refused(value: object) -> None:
    """What the specification calls invalid starts a new trace."""
    assert parse_traceparent(value) is None


def test_ids_have_the_length_and_form_of_w3c_and_uuid() -> None:
    """As long as W3C wants them, and a UUID that says what it is."""
    root = context.new_span()
    for span in (root, root.child(), context.continued(Caller(TRACE, PARENT))):
        assert len(bytes.fromhex(span.trace_id)) == 16
        assert len(bytes.fromhex(span.span_id)) == 8
        event_id = uuid.UUID(span.event_id)
        assert (event_id.version, event_id.variant) == (4, uuid.RFC_4122)
        assert str(event_id) == span.event_id
    assert len(bytes.fromhex(context.new_trace_id())) == 16
    assert uuid.UUID(context.new_event_id()).version == 4


def test_ids_do_not_come_from_random(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user's seed, or a snapshot restored twice, does not repeat our ids; and drawing them leaves `random` alone."""
    root = context.new_span()
    makers = (context.new_trace_id, context.new_event_id, context.new_span, root.child)

    def seeded() -> set[str]:
        random.seed(1)
        made = [make() for make in makers]
        return {made if isinstance(made, str) else made.span_id + made.event_id for made in made}

    assert not seeded() & seeded()
    random.seed(1)
    expected = random.random()
    random.seed(1)
    for make in makers:
        make()
    assert random.random() == expected


@pytest.mark.parametrize("error", [NotImplementedError("no randomness"), OSError(24, "Too many open files")])
def test_ids_without_randomness(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """They differ all the same: a backend takes two events with one id for the same."""

    def urandom(count: int) -> bytes:
        raise type(error)(*error.args)  # a new one each time: the traceback of one that is raised again grows

    monkeypatch.setattr(os, "urandom", urandom)
    spans = [context.new_span() for _ in range(200)]
    spans += [span.child() for span in spans]
    for ids in ([span.event_id for span in spans], [span.span_id for span in spans]):
        assert len({*ids}) == len(ids)
        assert len({id_[:4] for id_ in ids}) > 100
    assert len({span.trace_id for span in spans}) == 200


def test_ids_are_spread_over_all_bits() -> None:
    """Every digit of an id varies."""
    spans = [context.new_span() for _ in range(300)]
    ids = [span.event_id + span.span_id + span.trace_id for span in spans] + [span.child().event_id for span in spans]
    for part in (ids[:300], ids[300:]):
        constant = [i for i in range(len(part[0])) if len({id_[i] for id_ in part}) == 1]
        assert constant == [8, 13, 14, 18, 23]  # four dashes and the version


def test_the_callers_trace_goes_on() -> None:
    """Under the caller's span, if it has one."""
    caller = Caller(TRACE, PARENT, 0, "a=1", "b=2")
    span = context.continued(caller)
    assert (span.trace_id, span.parent_span_id) == (TRACE, PARENT)
    assert span.caller is span.child().caller is caller
    assert context.continued(Caller(TRACE)).parent_span_id is None


def test_baggage_alone_begins_a_trace() -> None:
    """It belongs to no trace: the invocation has one of its own, and hands the baggage on."""
    span = context.continued(Caller("", baggage="a=1"))
    assert (len(span.trace_id), span.parent_span_id) == (32, None)
    assert span.caller is not None


@given(st.dictionaries(st.sampled_from(["traceparent", "tracestate", "baggage"]), st.text() | st.binary() | st.none()))
def test_any_carrier_can_be_read(carried: dict[str, object]) -> None:
    """Whatever a request carries, there is a caller with a trace or baggage, or none."""
    found = caller_of(carried.get)
    assert found is None or found.trace_id or found.baggage


def test_a_state_without_a_trace_is_dropped() -> None:
    """It says something about a position in a trace. Baggage does not."""
    assert caller_of({"tracestate": "a=1"}.get) is None
    assert caller_of({"traceparent": "00-0-0-01", "tracestate": "a=1", "baggage": "b=2"}.get) == Caller(
        "", baggage="b=2"
    )
    carried = {"traceparent": f"00-{TRACE}-{PARENT}-03", "tracestate": "a=1", "baggage": "b=2"}
    assert caller_of(carried.get) == Caller(TRACE, PARENT, 3, "a=1", "b=2")
    assert caller_of({**carried, "tracestate": "A=1"}.get) == Caller(TRACE, PARENT, 3, "", "b=2")


def test_a_child_belongs_to_its_parent() -> None:
    """Same trace, user, session, tags and open streams; its own id."""
    root = Span(TRACE, PARENT, None, "u", "s", {"a": "b"})
    child = context.new_span(root)
    assert (child.trace_id, child.parent_span_id) == (TRACE, PARENT)
    assert child.span_id not in ("", PARENT)
    assert (child.user_id, child.session_id, child.tags) == ("u", "s", {"a": "b"})
    assert child.root is root.root


def test_without_a_parent_a_trace_begins() -> None:
    """A root has no parent, nor has the first span of a trace that has none yet."""
    assert context.new_span().parent_span_id is None
    assert context.new_span(Span(TRACE, "")).parent_span_id is None


def test_enter_and_leave() -> None:
    """Spans nest, and leaving restores what was current."""
    outer, inner = context.new_span(), context.new_span()
    assert context.current() is None
    first = context.enter(outer)
    second = context.enter(inner)
    assert context.current() is inner
    second.leave()
    assert context.current() is outer
    first.leave()
    assert context.current() is None


def in_new_thread() -> Span | None:
    """Return what is current in a thread of a pool, which has an empty context."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(context.current).result()


def test_a_shared_span_is_current_in_other_threads_too() -> None:
    """Where a process serves one invocation at a time, a ThreadPoolExecutor's calls belong to it, until it ends."""
    span = context.new_span()
    token = context.enter(span, shared=True)
    assert in_new_thread() is span
    token.leave()
    assert in_new_thread() is None


def test_a_span_that_is_not_shared_is_current_in_its_own_context_only() -> None:
    """Where invocations overlap, a thread without context belongs to none."""
    token = context.enter(context.new_span())
    assert in_new_thread() is None
    token.leave()


def test_a_threads_own_span_goes_before_the_shared_one() -> None:
    """The fallback is a fallback."""
    shared, own = context.new_span(), context.new_span()
    token = context.enter(shared, shared=True)
    seen: list[Any] = []

    def work() -> None:
        inner = context.enter(own)
        seen.append(context.current())
        inner.leave()
        seen.append(context.current())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [own, shared]
    token.leave()


def test_leaving_in_another_context_leaves_that_one_alone() -> None:
    """A generator finalised in another task does not end that task's span, and does not raise."""
    token = contextvars.copy_context().run(context.enter, context.new_span())
    here = context.new_span()
    mine = context.enter(here)
    token.leave()
    assert context.current() is here
    mine.leave()


def test_forget_leaves_no_current_span_in_any_thread() -> None:
    """Nothing is current after it, in this context or any thread."""
    context.enter(context.new_span(), shared=True)
    context.forget()
    assert context.current() is None
    assert in_new_thread() is None
