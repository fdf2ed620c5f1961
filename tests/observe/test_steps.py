"""Steps of each kind by hand, in the words that Zespan's SDK has for them."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest

from zespan_serverless import (
    ConfigurationError,
    capture,
    current_span,
    flush,
    span,
    testing,
    traceparent,
    types,
    zespan_lambda,
)
from zespan_serverless._observe import steps

AGENT = ("agent_id", "agent_name", "agent_role", "agent_framework", "parent_agent_id")


def agent_of(event: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(event.get(name, "absent") for name in AGENT)


def test_all_events_inside_an_agent_carry_it() -> None:
    """Model calls, steps and captures; an inner agent says whose it is; what is outside has none."""

    @zespan_lambda
    def handler(event: object, context: object) -> None:
        with span("plan", kind="agent", agent_id="1", agent_name="boss", agent_role="planner", agent_framework="own"):
            with span("ask", kind="llm", model="m", provider="p"):
                pass
            with span("writer", kind="agent", tools=[{"name": "look up"}]), span("step"):
                capture({"operation": "mine"})
        capture({"operation": "outside"})

    with testing.recording() as events:
        handler({}, testing.LambdaContext())
    named = {event["operation"]: event for event in events}
    boss = ("1", "boss", "planner", "own", None)
    writer = (named["writer"]["event_id"], "writer", None, None, "1")
    assert {name: agent_of(event) for name, event in named.items()} == {
        "plan": boss,
        "ask": boss,
        "writer": writer,
        "step": writer,
        "mine": writer,
        "outside": ("absent",) * 5,
        "my-function": ("absent",) * 5,
    }
    assert named["writer"]["tool_definitions"] == [{"name": "look up"}]


def test_an_agent_that_is_named_prevails_over_one_that_a_prompt_suggests() -> None:
    """What it does not say of itself may come from the prompt, as in the SDK."""
    said = [{"role": "system", "content": "You are the WeatherAgent. Role: planner"}]
    with testing.recording() as events:
        with span("boss", kind="agent"), span("ask", kind="llm", model="m", provider="p", messages=said):
            pass
        flush()
    assert (events[0]["agent_name"], events[0]["agent_role"]) == ("boss", "planner")


def test_an_agent_is_redacted_by_the_names_of_its_fields() -> None:
    """As all fields are."""
    with testing.recording(redact_keys=["agent_name", "agent id"]) as events:
        with span("boss", kind="agent", agent_role="r"):
            capture({"operation": "x"})
        flush()
    assert [agent_of(event)[:3] for event in events] == [("[REDACTED]", "[REDACTED]", "r")] * 2


def test_a_tool_has_its_arguments_and_its_result() -> None:
    """As JSON, without secrets, cut as the SDK cuts it."""
    with testing.recording() as events:
        with span("look up", kind="tool", arguments={"q": "x", "token": "t"}) as tool:
            tool.result({"rows": [1, 2]})
        with span("long", kind="tool") as tool:
            tool.arguments("as text")
            tool.result("x" * 20_000)
        flush()
    first, second = events
    assert (first["span_kind"], first["tools_used"]) == ("tool", ["look up"])
    assert first["tool_call_args"] == '{"q":"x","token":"[REDACTED]"}'
    assert first["tool_call_result"] == '{"rows":[1,2]}'
    assert (second["tool_call_args"], len(second["tool_call_result"])) == ("as text", 10_240)


FOUND = [
    "a text",
    {"text": "a dict", "id": 7, "url": "https://x", "score": 0.5},
    SimpleNamespace(page_content="LangChain's", id="lc", metadata={"source": "file.pdf"}),
    SimpleNamespace(node=SimpleNamespace(text="LlamaIndex'", node_id="li"), score=0.25),
    {"unknown": 1},
    None,
]
READ = [
    {"content": "a text"},
    {"content": "a dict", "document_id": "7", "source": "https://x", "score": 0.5},
    {"content": "LangChain's", "document_id": "lc", "source": "file.pdf"},
    {"content": "LlamaIndex'", "document_id": "li", "score": 0.25},
    {"content": '{"unknown":1}'},
]


def test_a_search_has_its_query_and_what_it_has_found() -> None:
    """Whatever the documents are; or only how many."""
    with testing.recording() as events:
        with span("search", kind="retriever", query="Why?", metadata={"k": 6}) as search:
            search.documents(FOUND)
        with span("count", kind="retriever") as search:
            search.query("What?")
            search.documents(count=3)
        flush()
    assert events[0]["metadata"] == {
        "k": 6,
        "retrieval_query": "Why?",
        "rag_contexts": READ,
        "lumiq.rag.context_count": 5,
    }
    assert events[1]["metadata"] == {"retrieval_query": "What?", "lumiq.rag.context_count": 3}
    assert [event["rag_context_count"] for event in events] == [5, 3]


def test_a_search_leaves_an_iterator_to_its_reader() -> None:
    """What can be read only once is not read here."""
    documents = iter(["a"])
    with testing.recording(), span("search", kind="retriever") as search:
        search.documents(documents)
    assert list(documents) == ["a"]


def test_plans_and_handoffs() -> None:
    """Steps and reasons; who hands over is the agent at work, unless another is named."""
    with testing.recording() as events:
        with span("boss", kind="agent", agent_id="1"):
            with span("plan", kind="planning", rationale="r" * 3000) as plan:
                plan.steps(["a", "b"])
            with span("hand over", kind="handoff", to_agent="writer", reason="it writes"):
                pass
            with span("hand back", kind="handoff", from_agent="writer") as handoff:
                handoff.to("boss")
        flush()
    plan_event, over, back, _ = events
    assert (plan_event["planning_steps"], len(plan_event["decision_rationale"])) == (["a", "b"], 2000)
    delegation = ("delegation_from_agent_id", "delegation_from_agent_name", "delegation_reason")
    assert [over.get(name) for name in delegation] == ["1", "boss", "it writes"]
    assert [back.get(name) for name in delegation] == [None, "writer", None]
    assert [event["metadata"] for event in (over, back)] == [{"to_agent": "writer"}, {"to_agent": "boss"}]


def everything() -> None:
    with span("t", kind="tool", arguments=["secret words"], result="secret words"):
        pass
    with span("r", kind="retriever", query="secret words") as search:
        search.documents([{"text": "secret words", "id": 1, "score": 1}, "secret words"])
    with span("p", kind="planning", steps=["secret words"], rationale="secret words"):
        pass
    with span("h", kind="handoff", to_agent="x", reason="secret words"):
        pass
    capture(
        {"planning_steps": ["secret words"], "tool_call_result": "secret words", "delegation_reason": "secret words"}
    )


def test_without_prompts_no_content_is_sent() -> None:
    """But which tool was called, how many documents were found, and where they are from."""
    with testing.recording(store_prompts=False) as events:
        everything()
        flush()
    assert "secret words" not in str(events)
    tool, search, *_ = events
    assert tool["tools_used"] == ["t"]
    assert search["metadata"] == {"rag_contexts": [{"document_id": "1", "score": 1}], "lumiq.rag.context_count": 2}


def test_content_is_redacted_by_the_names_of_its_fields() -> None:
    """By the same names in steps and in captured events; `metadata` has the documents and the query."""
    keys = [
        "tool_call_args",
        "tool_call_result",
        "planning_steps",
        "decision_rationale",
        "delegation_reason",
        "metadata",
    ]
    with testing.recording(redact_keys=keys) as events:
        everything()
        flush()
    assert "secret words" not in str(events)
    assert events[0]["tool_call_args"] == "[REDACTED]"


def test_a_step_that_is_too_large_is_shortened() -> None:
    """It is sent, and says what is left out."""
    with testing.recording(batch_bytes=20_000) as events:
        with span("search", kind="retriever", query="q" * 50_000) as search:
            search.documents([{"text": "x" * 1000, "id": n} for n in range(500)])
        with span("tool", kind="tool", arguments=["y" * 100] * 5000):
            pass
        flush()
    assert [event["operation"] for event in events] == ["search", "tool"]
    assert "left out]" in str(events[0]) or "characters cut]" in str(events[0])
    assert "characters cut]" in events[1]["tool_call_args"] or "left out]" in events[1]["tool_call_args"]


# ---------------------------------------------------------------------- kinds and decorators


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"kind": "retreiver"}, "'retreiver' is not a kind of span, did you mean 'retriever'?"),
        ({"kind": ["x"]}, r"\['x'\] is not a kind of span; there are general, chain, agent, tool"),
        ({"kind": "tool", "argments": 1}, "a span of kind 'tool' has no 'argments', did you mean 'arguments'?"),
        ({"metdata": {}}, "a span of kind 'general' has no 'metdata', did you mean 'metadata'?"),
    ],
)
def test_a_mistake_raises_while_decorating_and_is_logged_while_serving(
    given: dict[str, Any], text: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The error says what was meant. A block is a step all the same, and the mistake is logged once."""
    anything: Any = span
    with pytest.raises(ConfigurationError, match=text):
        anything("x", **given)(lambda: None)
    with testing.recording() as events:
        for _ in range(2):
            with anything("x", **given) as details:
                details["a"] = 1
        flush()
    assert [event["metadata"] for event in events] == [{"a": 1}] * 2
    assert {event["span_kind"] for event in events} == {given.get("kind") if given.get("kind") == "tool" else "general"}
    assert len(caplog.records) == 1


def test_a_method_of_another_kind_does_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """The function goes on where a kind is misspelt, and it is logged; what is no method of any kind is an error."""
    anything: Any = span
    with testing.recording() as events:
        for _ in range(2):
            with anything("x", kind="lm", model="m", provider="p") as call:
                call.usage(input_tokens=1)
                call.output("x", tools={})
        with anything("x", kind="tool") as tool, pytest.raises(AttributeError, match="no attribute 'usages'"):
            tool.usages()
        flush()
    assert [event["status"] for event in events] == ["success"] * 3
    assert caplog.text.count("a span of kind 'general' has no usage()") == 1
    methods = {name for kind in dir(types) if kind.endswith("Span") for name in vars(getattr(types, kind))}
    assert {name for name in methods if not name.startswith("_")} == steps._METHODS


@span("sync", kind="tool")
def sync() -> None:
    current_span("tool").result("sync")


@span("generator", kind="tool")
def generator() -> Iterator[int]:
    yield 1
    with span("inner"):
        current_span("tool").result("generator")
        current_span()["of"] = "inner"
    yield 2


@span("coroutine", kind="tool")
async def coroutine() -> None:
    await asyncio.sleep(0)
    current_span("tool").result("coroutine")


def test_a_decorated_function_fills_in_its_own_step() -> None:
    """Of any kind of function; the nearest step of that kind around counts."""
    with testing.recording() as events:
        sync()
        assert list(generator()) == [1, 2]
        asyncio.run(coroutine())
        flush()
    assert {event["operation"]: event.get("tool_call_result") for event in events} == {
        "sync": "sync",
        "inner": None,
        "generator": "generator",
        "coroutine": "coroutine",
    }
    assert events[1]["metadata"] == {"of": "inner"}


def test_a_step_outside_telemetry_accepts_everything(caplog: pytest.LogCaptureFixture) -> None:
    """Outside of a step of the kind nothing is sent, nothing raises, and a warning is logged once."""
    with testing.recording() as events:
        with span("step", kind="tool"):
            for _ in range(2):
                current_span("llm").usage(input_tokens=1)
            assert isinstance(current_span("planning"), types.PlanningSpan)
        flush()
    assert [event["span_kind"] for event in events] == ["tool"]
    assert caplog.text.count("current_span() is called outside a span of kind 'llm'") == 1


def test_wrong_arguments_of_a_method_are_harmless(caplog: pytest.LogCaptureFixture) -> None:
    """A call of a method with a wrong argument, too many or too few is ignored and logged."""
    with testing.recording() as events:
        with span("call", kind="llm", model="m", provider="p") as call:
            call.usage(prompt_tokens=1)  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]
            call.usage(1, 2)  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]
            call.usage(input_tokens=3, output_tokens=4)
        with span("hand over", kind="handoff") as handoff:
            handoff.to()  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]
        flush()
    assert [(event["status"], event["input_tokens"]) for event in events] == [("success", 3), ("success", 0)]
    assert "usage() of a span of kind 'llm' is ignored: TypeError" in caplog.text
    assert "'prompt_tokens'" in caplog.text
    assert "its arguments are: input_tokens, output_tokens, cached_tokens" in caplog.text
    assert "to() of a span of kind 'handoff' is ignored" in caplog.text


def test_methods_keep_their_signatures() -> None:
    """An editor's completion at run time, and `help()`, show the arguments."""
    assert list(inspect.signature(types.HandoffSpan.to).parameters) == ["self", "agent", "reason"]


def test_a_signal_handlers_type_error_passes() -> None:
    """A TypeError that a signal handler raises in a method is not taken for a wrong argument."""

    class Striking(types.ToolSpan):
        def result(self, value: object) -> None:
            signal.raise_signal(signal.SIGUSR1)

    def strike(number: int, frame: object) -> None:
        raise TypeError("mine")

    before = signal.signal(signal.SIGUSR1, strike)
    try:
        with pytest.raises(TypeError, match="mine"):
            Striking("tool").result(1)
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_steps_at_once_do_not_meet() -> None:
    """Each task and each thread has its own."""

    def work(name: str) -> str | None:
        with span(name, kind="agent"), span("ask", kind="tool"):
            current_span("tool").result(name)
            return traceparent()

    async def task(name: str) -> None:
        with span(name, kind="agent"), span("ask", kind="tool"):
            await asyncio.sleep(0.01)
            current_span("tool").result(name)

    async def main() -> None:
        await asyncio.gather(*(task(f"task {n}") for n in range(5)))

    with testing.recording() as events, ThreadPoolExecutor(4) as pool:
        list(pool.map(work, [f"thread {n}" for n in range(5)]))
        asyncio.run(main())
        flush()
    tools = [event for event in events if event["span_kind"] == "tool"]
    assert len(tools) == 10
    assert all(event["agent_name"] == event["tool_call_result"] for event in tools)


def test_a_chain_of_tasks_does_not_keep_its_steps() -> None:
    """A task that starts the next one from inside its step, for ever: each step forgets those before it."""
    seen: list[int] = []

    async def link(left: int) -> None:
        with span("link", kind="chain") as here:
            task = asyncio.create_task(link(left - 1)) if left else None
        around, length = here._around, 0
        while around is not None:
            around, length = around._around, length + 1
        seen.append(length)
        if task is not None:
            await task

    with testing.recording():
        asyncio.run(link(50))
    assert max(seen) <= 1


def test_a_step_works_while_telemetry_is_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """All methods are there, and nothing is kept."""
    monkeypatch.setenv("ZESPAN_ENABLED", "0")
    with contextlib.ExitStack() as stack:
        stack.enter_context(span("a", kind="agent"))
        call = stack.enter_context(span("b", kind="llm", model="m", provider="p", messages=["x"]))
        call.output("y")
        call.usage(input_tokens=1)
        stack.enter_context(span("c", kind="tool")).result(1)
        stack.enter_context(span("d", kind="retriever")).documents(["x"])
        everything()


def test_all_of_a_step_is_redacted_by_the_names_that_it_is_sent_under() -> None:
    """Those in the metadata, too: what a user reads in an event can be one of `redact_keys`."""
    keys = ["retrieval_query", "rag_contexts", "to_agent", "delegation_from_agent_id", "delegation_from_agent_name"]
    with testing.recording(redact_keys=[*keys, "rag_context_count"]) as events:
        with span("s", kind="retriever", query="private") as search:
            search.documents(["private"])
        with span("boss", kind="agent", agent_id="private"), span("h", kind="handoff", to_agent="private"):
            pass
        flush()
    search_event, handoff, _ = events
    assert search_event["metadata"] == {"retrieval_query": "[REDACTED]", "rag_contexts": "[REDACTED]"}
    assert "rag_context_count" not in search_event
    assert handoff["metadata"] == {"to_agent": "[REDACTED]"}
    assert [handoff[name] for name in keys[3:]] == ["[REDACTED]"] * 2


class Unshowable:
    def __repr__(self) -> str:
        raise ValueError("hostile")


def test_a_kind_that_cannot_be_shown_is_harmless() -> None:
    """`current_span` is called in the user's function."""
    anything: Any = current_span
    with testing.recording():
        assert anything(Unshowable()) == {}
