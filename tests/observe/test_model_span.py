"""Model calls by hand: the record that an observed call has."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st
from zespan_serverless_dev.emulator.model import ModelEndpoint

from zespan_serverless import ConfigurationError, current_span, flush, span, testing, zespan_lambda

MESSAGES: list[Any] = [
    {"role": "system", "content": "You are the WeatherAgent. Role: planner"},
    {"role": "user", "content": 'Weather? {"password": "p"}'},
]
TOOL = {"type": "function", "function": {"name": "weather", "description": "Tells it.", "parameters": {}}}
OWN = {"event_id", "span_id", "trace_id", "timestamp", "latency_ms", "ttft_ms"}


@pytest.fixture
def model() -> Iterator[ModelEndpoint]:
    with ModelEndpoint(latency_ms=0) as endpoint:
        yield endpoint


def by_sdk(model: ModelEndpoint, *, with_tool: bool) -> None:
    tools: Any = [TOOL] if with_tool else openai.omit
    with openai.OpenAI(api_key="k", base_url=model.url) as client:
        client.chat.completions.create(model="gpt-4o", messages=MESSAGES, tools=tools)


def by_hand(model: ModelEndpoint, *, with_tool: bool) -> None:
    """The same call by httpx, as the documentation has it."""
    request = {"model": "gpt-4o", "messages": MESSAGES, **({"tools": [TOOL]} if with_tool else {})}
    described: Any = [TOOL["function"]] if with_tool else None
    with span("chat", kind="llm", model="gpt-4o", provider="openai", messages=MESSAGES, tools=described) as call:
        answer = httpx.post(f"{model.url}/chat/completions", json=request, headers={"authorization": "k"}).json()
        choice, used = answer["choices"][0], answer["usage"]
        calls = choice["message"].get("tool_calls") or []
        tools = {one["function"]["name"]: json.loads(one["function"]["arguments"]) for one in calls}
        text = choice["message"]["content"] or ""
        call.output(text, finish_reason=choice["finish_reason"], tools=tools, model=answer["model"])
        call.usage(input_tokens=used["prompt_tokens"], output_tokens=used["completion_tokens"])


@pytest.mark.parametrize("with_tool", [False, True])
@pytest.mark.parametrize("settings", [{}, {"store_prompts": False}, {"redact_keys": ["city", "agent_name"]}])
def test_the_record_is_that_of_an_observed_call(
    model: ModelEndpoint, with_tool: bool, settings: dict[str, Any]
) -> None:
    """Field by field, with the same redaction, prices, tools, hash, and the same of the prompt left out."""
    with testing.recording(**settings) as events:
        by_sdk(model, with_tool=with_tool)
        by_hand(model, with_tool=with_tool)
        flush()
    sdk, hand = ({name: value for name, value in event.items() if name not in OWN} for event in events)
    provider = hand.pop("provider")  # the SDK's address is not OpenAI's
    assert provider == "openai"
    sdk.pop("provider")
    assert hand.pop("cost_usd") > 0
    sdk.pop("cost_usd")
    assert hand == sdk
    assert ("prompt_text" in hand) == (settings.get("store_prompts") is not False)


def test_what_is_not_said_is_unknown() -> None:
    """Tokens and cost are null, and so is what a partial usage leaves out; a cost of one's own is taken."""
    with testing.recording() as events:
        with span("a", kind="llm", model="gpt-4o", provider="openai"):
            pass
        with span("b", kind="llm", model="gpt-4o", provider="openai") as call:
            call.usage(output_tokens=3)
        with span("c", kind="llm", model="mine", provider="me", metadata={"gpu": 1}) as call:
            call.usage(cost=0.25)
            call["batch"] = 2
        with span("d", kind="embedding", model="text-embedding-3-small", provider="openai", messages=["x"]) as call:
            call.usage(input_tokens=1_000_000)
        flush()
    assert [(e["input_tokens"], e["output_tokens"], e["cost_usd"]) for e in events] == [
        (None, None, None),
        (None, 3, None),
        (None, None, 0.25),
        (1_000_000, 0, 0.02),
    ]
    assert (events[2]["metadata"], events[3]["span_kind"]) == ({"gpu": 1, "batch": 2}, "embedding")


def test_all_numbers_are_priced() -> None:
    """Cached input is cheaper; reasoning is part of the output."""
    with testing.recording() as events:
        with span("a", kind="llm", model="gpt-4o", provider="openai") as call:
            call.usage(input_tokens=1000, output_tokens=100, cached_tokens=400, reasoning_tokens=20)
        flush()
    (event,) = events
    assert (event["cached_tokens"], event["reasoning_tokens"]) == (400, 20)
    assert event["cost_usd"] == pytest.approx((600 * 2.5 + 400 * 1.25 + 100 * 10) / 1e6)


def test_a_streamed_answer_has_its_first_token() -> None:
    """The time from the start to the first call of first_token, by which the call is a streamed one."""

    @span("stream", kind="llm", model="m", provider="p")
    async def stream() -> AsyncIterator[str]:
        await asyncio.sleep(0.05)
        for piece in ("a", "b"):
            current_span("llm").first_token()
            yield piece
            await asyncio.sleep(0.05)
        current_span("llm").output("ab", finish_reason="stop")

    async def read() -> list[str]:
        return [piece async for piece in stream()]

    with testing.recording() as events:
        assert asyncio.run(read()) == ["a", "b"]
        flush()
    (event,) = events
    assert (event["stream"], event["completion_text"]) == (True, "ab")
    assert 45 <= event["ttft_ms"] < event["latency_ms"] - 45


def test_a_call_that_an_sdk_makes_inside_is_counted_once(
    model: ModelEndpoint, caplog: pytest.LogCaptureFixture
) -> None:
    """Tokens and cost are on the call of the SDK; the span around it has the rest, and says so once."""
    with testing.recording() as events:
        for _ in range(2):
            with span("ask", kind="llm", model="gpt-4o", provider="openai", messages="Hi") as call, span("between"):
                by_sdk(model, with_tool=False)
                call.output("yo")
                call.usage(input_tokens=12, output_tokens=5, cost=1.0)
        flush()
    llm = [event for event in events if event["span_kind"] == "llm"]
    assert [(e["operation"], e["input_tokens"], e["output_tokens"]) for e in llm] == 2 * [
        ("chat", 12, 5),
        ("ask", None, None),
    ]
    assert (llm[1]["cost_usd"], llm[1]["completion_text"], llm[1]["prompt_text"]) == (
        None,
        "yo",
        '[{"role":"user","content":"Hi"}]',
    )
    assert caplog.text.count("are left out, because a traced call inside it has them") == 1


def test_other_calls_inside_do_not_count() -> None:
    """One of another kind, one without tokens: the span keeps its own. Of two by hand the inner one counts."""
    with testing.recording() as events:
        with span("outer", kind="llm", model="m", provider="p") as outer:
            with span("vector", kind="embedding", model="e", provider="p") as inner:
                inner.usage(input_tokens=7)
            with span("failed", kind="llm", model="m", provider="p"):
                pass
            outer.usage(input_tokens=1, output_tokens=2)
        with span("gateway", kind="llm", model="m", provider="p") as outer:
            with span("call", kind="llm", model="m", provider="p") as inner:
                inner.usage(input_tokens=3, output_tokens=4)
            outer.usage(input_tokens=3, output_tokens=4)
        flush()
    assert {event["operation"]: event["input_tokens"] for event in events} == {
        "vector": 7,
        "failed": None,
        "outer": 1,
        "call": 3,
        "gateway": None,
    }


def test_what_is_passed_may_change_afterwards() -> None:
    """Messages and tools are copied when they are given."""
    messages = [{"role": "user", "content": "before"}]
    arguments = {"city": "Paris"}
    with testing.recording() as events:
        with span("a", kind="llm", model="m", provider="p") as call:
            call.input(messages, system="Be brief.")
            call.output(tools={"weather": arguments})
            messages.append({"role": "assistant", "content": "after"})
            arguments["city"] = "Rome"
        flush()
    (event,) = events
    assert (event["prompt_text"], event["system_prompt"]) == ('[{"role":"user","content":"before"}]', "Be brief.")
    assert event["tool_call_args"] == '{"weather":{"city":"Paris"}}'


class Hostile:
    """What raises wherever it is touched."""

    def __getattribute__(self, name: str) -> Any:
        raise ValueError("hostile")

    def __str__(self) -> str:
        raise ValueError("hostile")

    __repr__ = __str__


ANYTHING: Any = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=5),
    st.binary(max_size=5),
    st.builds(Hostile),
    st.builds(object),
    st.recursive(
        st.integers(), lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
    ),
)


@given(values=st.lists(ANYTHING, min_size=20, max_size=20))
def test_nothing_that_is_given_harms(values: list[Any]) -> None:
    """Whatever a method gets, it raises nothing, and the event is sent."""
    (a, b, c, d, e, f, g, h, i, j, k, m, n, o, p, q, r, s, t, u) = values
    anything: Any = span
    with testing.recording() as events:
        with anything("x", kind="llm", model=a, provider=b, messages=c, system=d, tools=e, stream=bool) as call:
            call.input(f, system=g, tools=h)
            call.output(i, finish_reason=j, tools=k, model=m)
            call.usage(input_tokens=n, output_tokens=o, cached_tokens=p, cost=q)
        with anything("x", kind="agent", agent_id=r, agent_name=s, tools=t):
            with anything("x", kind="tool", arguments=u) as tool:
                tool.result(a)
            with anything("x", kind="retriever", query=b) as search:
                search.documents(c, count=d)
                search.documents([e, f, g, h])
            with anything("x", kind="planning", steps=i, rationale=j) as plan:
                plan.steps(k)
            with anything("x", kind="handoff", to_agent=m, from_agent=n, reason=o):
                pass
            with anything("x", kind=p, metadata=q):
                pass
        flush()
    assert len(events) == 7
    json.dumps(events)


def test_an_error_of_a_call_by_hand_may_quote_the_prompt() -> None:
    """Without store_prompts its text is not sent, in the events of the span and of the invocation, as of a call of an
    SDK; the exception itself stays what it was."""
    error = ValueError("refused: my prompt")

    @zespan_lambda(store_prompts=False)
    def handler(event: object, context: object) -> None:
        try:
            with span("ask", kind="llm", model="m", provider="p"):
                raise error
        except ValueError as caught:
            raise RuntimeError(f"could not: {caught}") from caught

    with testing.recording() as events, pytest.raises(RuntimeError):
        handler({}, testing.LambdaContext())
    assert [(event["status"], event["error_message"]) for event in events] == [
        ("error", "ValueError"),
        ("error", "RuntimeError"),
    ]
    assert (str(error), error.args) == ("refused: my prompt", ("refused: my prompt",))


def test_missing_names_of_a_model(caplog: pytest.LogCaptureFixture) -> None:
    """A decorator says what it needs; a block is sent without, and it is logged once."""
    anything: Any = span
    with pytest.raises(ConfigurationError, match=r"a span of kind 'llm' needs model=\.\.\. and provider=\.\.\."):
        anything("x", kind="llm")(lambda: None)
    with testing.recording() as events:
        for _ in range(2):
            with anything("x", kind="llm", provider="p"):
                pass
        flush()
    assert [event["span_kind"] for event in events] == ["llm", "llm"]
    assert caplog.text.count("needs model=...") == 1


def test_telemetry_that_starts_in_the_midst_of_a_call() -> None:
    """The call is sent, with its names and what is said from then on."""
    with contextlib.ExitStack() as stack, span("x", kind="llm", model="m", provider="p", messages="Hi") as call:
        events = stack.enter_context(testing.recording())
        call.usage(input_tokens=1, output_tokens=2)
    (event,) = events
    assert (event["model"], event["input_tokens"], event["prompt_text"]) == (
        "m",
        1,
        '[{"role":"user","content":"Hi"}]',
    )


KILLED = """
import os, sys
from zespan_serverless import init, span, with_context
init()
with with_context(conversation_id="c"), span("a", kind="agent", agent_id="7"):
    with span("ask", kind="llm", model="m", provider="p", messages="Hi"):
        os._exit(1)
"""
HEIR = """
from zespan_serverless import capture, init, shutdown
init()
capture({"operation": "next"})
shutdown(10)
"""


@pytest.mark.slow
def test_a_call_that_the_process_does_not_survive_is_reported(tmp_path: Path) -> None:
    """From the journal, by the next process, with the agent that made it, as a call of an SDK is."""
    with testing.Backend() as backend:
        environment = {**os.environ, "ZESPAN_JOURNAL": str(tmp_path / "journal"), "ZESPAN_BASE_URL": backend.url}
        for program, status in ((KILLED, 1), (HEIR, 0)):
            run = subprocess.run([sys.executable, "-c", program], env=environment, check=False, timeout=60)
            assert run.returncode == status
        (event,) = (one for one in backend.wait_for(2) if one["operation"] == "ask")
    assert (event["status"], event["span_kind"], event["model"], event["agent_id"]) == ("crashed", "llm", "m", "7")
    assert event["prompt_text"] == '[{"role":"user","content":"Hi"}]'
    assert event["metadata"]["gen_ai.conversation.id"] == "c"


class Tokens(int):
    """What numpy's numbers and enumerations are like."""


def test_numbers_of_other_types_are_counted() -> None:
    """A number of tokens may be of any type that JSON has as a whole number."""
    with testing.recording() as events:
        with span("x", kind="llm", model="m", provider="p") as call:
            call.usage(input_tokens=Tokens(3), output_tokens=Tokens(4))
        flush()
    assert (events[0]["input_tokens"], events[0]["output_tokens"]) == (3, 4)
