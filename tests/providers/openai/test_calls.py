"""One model call, one event: what is in it, and that the user's call is as it would be without us."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import openai
import pytest
from openai.types.chat import ChatCompletion
from zespan_serverless_dev.emulator.model import USAGE, WORDS, ModelEndpoint

import zespan_serverless
from zespan_serverless import span, testing, with_context
from zespan_serverless.providers._pricing import cost as cost_of
from zespan_serverless.providers.openai._addresses import provider_at, provider_of
from zespan_serverless.providers.openai._chat import CHAT

if TYPE_CHECKING:
    from .conftest import Recorded, Scripted, Side

Invoke = Callable[[Callable[[], Any]], Any]

MESSAGES = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]
TOOLS = [{"type": "function", "function": {"name": "weather", "description": "Today's", "parameters": {}}}]


def test_a_call_is_one_event(side: Side, recorded: Recorded) -> None:
    """Model, usage, cost, and who asked what come with it."""
    side.ask(messages=MESSAGES)
    event = recorded.one()
    assert (event["provider"], event["model"], event["operation"]) == ("openai", "gpt-4o-mini", "chat")
    assert (event["input_tokens"], event["output_tokens"], event["reasoning_tokens"]) == (12, len(WORDS), 0)
    assert event["cost_usd"] == pytest.approx((12 * 0.15 + len(WORDS) * 0.60) / 1e6)
    assert (event["status"], event["error_message"], event["finish_reason"]) == ("success", None, "stop")
    assert (event["stream"], event["conversation_turn"], event["message_role"]) == (False, 1, "user")
    assert (event["tools_used"], event["tool_call_args"]) == (None, None)
    assert not {"ttft_ms", "tool_definitions"} & event.keys()


def test_latency_is_the_models(side: Side, recorded: Recorded) -> None:
    """An answer that takes 80 ms says so."""
    side.ask(extra_headers={"x-latency-ms": "80"})
    assert 80 <= recorded.one()["latency_ms"] < 10_000


def test_the_answer_is_the_clients_own(side: Side, recorded: Recorded) -> None:
    """It has the type and the content that it has without us."""
    answer = side.ask()
    assert type(answer) is ChatCompletion
    assert answer.choices[0].message.content == "".join(WORDS)
    assert answer.usage
    assert answer.usage.total_tokens == USAGE["total_tokens"]


def test_the_event_has_the_offered_and_called_tools(side: Side, recorded: Recorded) -> None:
    """The event has the tools offered, the one called, and its arguments."""
    side.ask(tools=TOOLS)
    event = recorded.one()
    assert event["tool_definitions"] == [{"name": "weather", "description": "Today's"}]
    assert (event["tools_used"], event["finish_reason"]) == (["weather"], "tool_calls")
    assert event["tool_call_args"] == '{"weather":{"city":"Paris"}}'


def test_repeated_tool_calls_have_a_list_of_arguments(side: Side, scripted: Scripted, recorded: Recorded) -> None:
    """Each tool is named once, with a list of arguments if it is called again; what is no JSON is kept as it is."""
    calls = [("a", '{"x": 1}'), ("b", "not json"), ("a", '{"x": 2}'), ("c", "[" * 5000)]
    functions = [{"name": name, "arguments": arguments} for name, arguments in calls]
    tool_calls = [{"id": str(i), "type": "function", "function": f} for i, f in enumerate(functions)]
    scripted.replies = [scripted.completion(None, tool_calls=tool_calls)]
    side.ask(tools=TOOLS)
    event = recorded.one()
    assert event["tools_used"] == ["a", "b", "c"]
    assert event["tool_call_args"].startswith('{"a":[{"x":1},{"x":2}],"b":"not json","c":"[[[')


def test_a_legacy_function_call_is_a_tool_call(side: Side, scripted: Scripted, recorded: Recorded) -> None:
    """The function call, from before there were tools, is recorded like a tool call."""
    scripted.replies = [scripted.completion(None, function_call={"name": "f", "arguments": '{"x": 1}'})]
    side.ask(functions=[{"name": "f", "parameters": {}}])
    assert (recorded.one()["tools_used"], recorded.one()["tool_call_args"]) == (["f"], '{"f":{"x":1}}')


def test_refusals_and_audio(side: Side, scripted: Scripted, recorded: Recorded) -> None:
    """Where the answer is a refusal, or is spoken, its words are the text."""
    audio = {"id": "a", "data": "AAAA", "expires_at": 1, "transcript": "Spoken."}
    scripted.replies = [scripted.completion(None, refusal="I cannot."), scripted.completion(None, audio=audio)]
    side.ask()
    side.ask()
    assert [event["completion_text"] for event in recorded.calls()] == ["I cannot.", "Spoken."]


def test_several_choices_are_a_json_list(side: Side, scripted: Scripted, recorded: Recorded) -> None:
    """Of several choices the text is a JSON list, and the tools are those of all."""
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    one = scripted.completion("one")
    one["choices"].append({"index": 1, "message": {"role": "assistant", "content": "two", "tool_calls": [call]}})
    scripted.replies = [one]
    side.ask(n=2)
    event = recorded.one()
    assert (json.loads(event["completion_text"]), event["tools_used"]) == (["one", "two"], ["f"])
    assert event["decision_rationale"] == "one"


def test_cached_tokens_are_recorded(side: Side, scripted: Scripted, recorded: Recorded) -> None:
    """Read from a cache: the SDK's field. Written to one: in the metadata. Neither, if there were none."""
    details = {"cached_tokens": 600, "cache_write_tokens": 100}
    usage: dict[str, Any] = {"prompt_tokens": 1000, "completion_tokens": 10, "total_tokens": 1010}
    usage["prompt_tokens_details"] = details
    scripted.replies = [{**scripted.completion(), "usage": usage}, scripted.completion()]
    side.ask()
    side.ask()
    cached, plain = recorded.calls()
    assert (cached["input_tokens"], cached["cached_tokens"]) == (1000, 600)
    assert cached["metadata"] == {"gen_ai.usage.cache_write.input_tokens": 100}
    assert not {"cached_tokens", "metadata"} & plain.keys()


def test_tokens_of_sound_and_images(side: Side, scripted: Scripted, recorded: Recorded) -> None:
    """Are in the metadata, by OpenTelemetry's names, without those that are none."""
    usage = {
        "prompt_tokens": 60,
        "completion_tokens": 50,
        "total_tokens": 110,
        "prompt_tokens_details": {"audio_tokens": 20, "image_tokens": 30, "text_tokens": 10, "cached_tokens": 0},
        "completion_tokens_details": {"audio_tokens": 40, "text_tokens": 10, "reasoning_tokens": 0},
    }
    scripted.replies = [{**scripted.completion(), "usage": usage}]
    side.ask()
    event = recorded.one()
    assert (event["input_tokens"], event["output_tokens"], event["cost_usd"]) == (60, 50, None)
    assert event["metadata"] == {
        "gen_ai.usage.text.input_tokens": 10,
        "gen_ai.usage.image.input_tokens": 30,
        "gen_ai.usage.audio.input_tokens": 20,
        "gen_ai.usage.text.output_tokens": 10,
        "gen_ai.usage.audio.output_tokens": 40,
    }


def test_an_answer_of_dicts() -> None:
    """Is read as one of the client's objects is."""
    function = {"name": "f", "arguments": "{}"}
    message = {"content": "Hi", "tool_calls": [{"id": "1", "type": "function", "function": function}]}
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "completion_tokens_details": {"reasoning_tokens": 1}}
    choice = {"index": 0, "finish_reason": "stop", "message": message}
    answer = CHAT.answer({"model": "m", "usage": usage, "choices": [choice]})
    assert (answer.model, answer.text, answer.finish_reason, answer.tools) == ("m", "Hi", "stop", {"f": {}})
    assert (answer.input_tokens, answer.output_tokens, answer.reasoning_tokens) == (1, 2, 1)
    for odd in (None, {}, {"choices": None}, {"choices": [None]}, {"choices": [{"message": 5}]}, {"usage": 5}, "x"):
        assert CHAT.answer(odd).text == ""


def test_a_custom_tool_has_a_name_and_an_input(side: Side, scripted: Scripted, recorded: Recorded) -> None:
    """A tool of the type `custom` has a name and an input, in words of its own."""
    call = {"id": "1", "type": "custom", "custom": {"name": "sql", "input": "select 1"}}
    scripted.replies = [scripted.completion(None, tool_calls=[call])]
    side.ask(tools=[{"type": "custom", "custom": {"name": "sql", "description": "Asks"}}])
    event = recorded.one()
    assert event["tool_definitions"] == [{"name": "sql", "description": "Asks"}]
    assert (event["tools_used"], event["tool_call_args"]) == (["sql"], '{"sql":"select 1"}')


def test_an_answer_without_the_usual(side: Side, scripted: Scripted, recorded: Recorded) -> None:
    """A backend that leaves out usage, choices and the model's name still makes an event."""
    scripted.replies = [{"id": "c", "object": "chat.completion", "created": 1}]
    side.ask(model="mine")
    event = recorded.one()
    assert (event["model"], event["input_tokens"], event["finish_reason"], event["cost_usd"]) == (
        "mine",
        None,
        "",
        None,
    )


def test_invalid_usage_loses_only_the_numbers(side: Side, scripted: Scripted, recorded: Recorded) -> None:
    """Invalid usage loses the numbers, not the event."""
    scripted.replies = [scripted.completion() | {"usage": {"prompt_tokens": "many", "completion_tokens": [1]}}]
    assert side.ask().choices[0].message.content == "Hello"
    assert recorded.one()["input_tokens"] is None


@pytest.mark.parametrize("status", [400, 429, 500])
def test_an_error_is_an_event(side: Side, recorded: Recorded, status: int) -> None:
    """It has the status and the text of the exception that the user gets, no tokens, and no costs that are known."""
    with pytest.raises(openai.APIStatusError) as caught:
        side.ask(model=f"error-{status}", messages=MESSAGES)
    event = recorded.one()
    assert (event["status"], event["error_message"]) == ("error", str(caught.value))
    assert (event["model"], event["finish_reason"], event["cost_usd"]) == (f"error-{status}", "", None)
    assert event["message_role"] == "user"


def test_the_exception_is_untouched(side: Side, recorded: Recorded) -> None:
    """The same one as without us: type, text, cause and context."""

    def failure() -> openai.APIStatusError:
        with pytest.raises(openai.APIStatusError) as caught:
            side.ask(model="error-500")
        return caught.value

    ours = failure()
    with testing.recording(enabled=False):
        theirs = failure()
    assert (type(ours), str(ours), ours.body) == (type(theirs), str(theirs), theirs.body)
    assert (repr(ours.__cause__), repr(ours.__context__)) == (repr(theirs.__cause__), repr(theirs.__context__))


def test_a_backend_that_is_not_there(side: Side, recorded: Recorded) -> None:
    """An exception with no text still has a name."""
    side.client = side.connect("http://127.0.0.1:9")
    with pytest.raises(openai.APIConnectionError) as caught:
        side.ask()
    assert recorded.one()["error_message"] == str(caught.value) == "Connection error."


def test_what_is_no_exception_passes_too(recorded: Recorded, model: ModelEndpoint) -> None:
    """KeyboardInterrupt in the middle of a call is an event, and goes on its way."""

    def interrupt(request: object) -> None:
        raise KeyboardInterrupt

    transport = openai.DefaultHttpxClient(event_hooks={"request": [interrupt]})
    client = openai.OpenAI(base_url=model.url, api_key="k", max_retries=0, http_client=transport)
    with client, pytest.raises(KeyboardInterrupt):
        client.chat.completions.create(model="m", messages=[])
    assert recorded.one()["error_message"] == "KeyboardInterrupt"


def test_retries_are_the_clients(side: Side, scripted: Scripted, recorded: Recorded) -> None:
    """Two requests, of which the first fails, are one call and one event."""
    scripted.replies = [500, scripted.completion()]
    side.client.max_retries = 1
    side.ask()
    assert len(scripted.bodies) == 2
    assert recorded.one()["status"] == "success"


def test_a_missing_argument(side: Side, recorded: Recorded) -> None:
    """The client's own TypeError comes through."""
    with pytest.raises(TypeError, match="messages"):
        side.run(side.client.chat.completions.create(model="m"))


def test_messages_may_be_an_iterator(side: Side, recorded: Recorded, model: ModelEndpoint) -> None:
    """It is the client's to read: the model gets all of it, the event has none of it."""

    def messages() -> Iterator[dict[str, str]]:
        yield {"role": "user", "content": "only once"}

    side.ask(messages=messages())
    assert model.requests[-1].body["messages"] == [{"role": "user", "content": "only once"}]
    assert (recorded.one()["prompt_text"], recorded.one()["conversation_turn"]) == ("[]", 0)


def test_the_request_is_the_users(side: Side, recorded: Recorded, model: ModelEndpoint) -> None:
    """Nothing is added to it or taken away."""
    request: dict[str, Any] = {"messages": MESSAGES, "tools": TOOLS, "temperature": 0.5, "extra_body": {"mine": 1}}
    side.ask(**request)
    with testing.recording(enabled=False):
        side.ask(**request)
    ours, theirs = model.requests[-2:]
    assert ours.body == theirs.body
    assert ours.headers == theirs.headers


def test_structured_output_is_one_event(side: Side, scripted: Scripted, recorded: Recorded) -> None:
    """Structured output is parsed as usual, and is one event."""
    pydantic = pytest.importorskip("pydantic")
    city = pydantic.create_model("City", name=(str, ...))
    scripted.replies = [scripted.completion('{"name": "Paris"}')]
    answer = side.parse(model="gpt-4o-mini", messages=MESSAGES, response_format=city)
    assert answer.choices[0].message.parsed == city(name="Paris")
    event = recorded.one()
    assert (event["model"], json.loads(event["completion_text"])) == ("gpt-4o-mini", {"name": "Paris"})


def test_parse_of_what_cannot_be_parsed(side: Side, scripted: Scripted, recorded: Recorded) -> None:
    """The parser's exception is the user's, and the event's."""
    pydantic = pytest.importorskip("pydantic")
    scripted.replies = [scripted.completion("no city")]
    with pytest.raises(pydantic.ValidationError) as caught:
        side.parse(model="m", messages=MESSAGES, response_format=pydantic.create_model("City", name=(str, ...)))
    assert recorded.one()["error_message"] == str(caught.value)[:500]


@pytest.mark.parametrize("finish", ["length", "content_filter", "stop"])
def test_a_parsed_answer_that_cannot_be_used(side: Side, scripted: Scripted, recorded: Recorded, finish: str) -> None:
    """The call was answered and is billed, whatever `parse` makes of that: the event has its tokens, text and cost."""
    pydantic = pytest.importorskip("pydantic")
    answer = scripted.completion('{"name": ')
    answer["choices"][0]["finish_reason"] = finish
    answer["usage"] = {"prompt_tokens": 1000, "completion_tokens": 10, "total_tokens": 1010}
    scripted.replies = [answer]
    with pytest.raises((openai.OpenAIError, pydantic.ValidationError)):
        side.parse(model="m", messages=MESSAGES, response_format=pydantic.create_model("City", name=(str, ...)))
    event = recorded.one()
    assert (event["status"], event["input_tokens"], event["output_tokens"]) == ("error", 1000, 10)
    assert (event["completion_text"], event["finish_reason"]) == ('{"name": ', finish)
    assert event["cost_usd"] == pytest.approx(0.000156)


def test_a_raw_response_is_parsed_once(side: Side, recorded: Recorded, model: ModelEndpoint) -> None:
    """with_raw_response gives its own object, which parses once for the user and us."""
    raw = side.run(side.client.chat.completions.with_raw_response.create(model="gpt-4o-mini", messages=MESSAGES))
    assert raw.headers["x-request-id"].startswith("req_")
    assert raw.parse() is raw.parse()
    assert raw.parse().choices[0].message.content == "".join(WORDS)
    event = recorded.one()
    assert (event["output_tokens"], event["completion_text"]) == (len(WORDS), "".join(WORDS))


def test_a_streaming_response_is_recorded_when_it_is_parsed(side: Side, recorded: Recorded) -> None:
    """with_streaming_response: the event comes when the user has the body parsed, with what is in it."""
    create = side.client.chat.completions.with_streaming_response.create
    manager = create(model="gpt-4o-mini", messages=MESSAGES)
    response = side.enter(manager)
    assert recorded.calls() == []
    answer = side.run(response.parse())
    assert answer.choices[0].message.content == "".join(WORDS)
    assert side.run(response.parse()) is answer
    side.leave(manager)
    assert recorded.one()["output_tokens"] == len(WORDS)


def test_streaming_response_that_is_not_parsed(side: Side, recorded: Recorded) -> None:
    """Then the event comes when the response is closed, and knows of no usage."""
    create = side.client.chat.completions.with_streaming_response.create
    manager = create(model="gpt-4o-mini", messages=MESSAGES)
    text = side.run(side.enter(manager).text())
    assert "serverless" in text
    side.leave(manager)
    event = recorded.one()
    assert (event["model"], event["status"], event["output_tokens"]) == ("gpt-4o-mini", "success", None)


def test_streaming_response_that_breaks_off(side: Side, recorded: Recorded, scripted: Scripted) -> None:
    """A body that cannot be parsed is the user's exception, and the event's."""
    scripted.replies = [scripted.completion("no city")]
    pydantic = pytest.importorskip("pydantic")
    if not hasattr(side.client.chat.completions, "parse"):
        pytest.skip("no raw parse() before openai 1.92")
    create = side.client.chat.completions.with_streaming_response.parse
    manager = create(model="m", messages=MESSAGES, response_format=pydantic.create_model("City", name=(str, ...)))
    response = side.enter(manager)
    with pytest.raises(pydantic.ValidationError):
        side.run(response.parse())
    side.leave(manager)
    assert recorded.one()["status"] == "error"


def test_a_client_made_with_options_is_traced(side: Side, recorded: Recorded) -> None:
    """A client made from another one is traced like any other."""
    side.run(side.client.with_options(timeout=5).chat.completions.create(model="m", messages=MESSAGES))
    assert recorded.one()["model"] == "m"


def test_openrouter_is_recognized_by_its_address(recorded: Recorded) -> None:
    """OpenRouter's models are known by the address, as in the SDK."""
    client = openai.OpenAI(base_url="http://127.0.0.1:9/openrouter.ai", api_key="k", max_retries=0)
    with client, pytest.raises(openai.APIConnectionError):
        client.chat.completions.create(model="openai/gpt-4o", messages=[])
    assert recorded.one()["provider"] == "openrouter"


@pytest.mark.parametrize(
    ("model", "cost"),
    [
        ("gpt-4o", 12.5),
        ("gpt-4o-2024-08-06", 12.5),
        ("gpt-4o-mini-2024-07-18", 0.75),
        ("openai/gpt-4o-mini", 0.75),
        ("gpt-4o-2024-05-13", 20.0),  # had another price
        ("claude-sonnet-4-6", None),
        ("", None),
    ],
)
def test_the_cost_of_a_million_tokens(model: str, cost: float | None) -> None:
    """The cost of a million tokens in each direction is right, and None for a model of unknown price."""
    answer = CHAT.answer({"usage": {"prompt_tokens": 1_000_000, "completion_tokens": 1_000_000}})
    assert cost_of("openai", model, answer) == (cost and pytest.approx(cost))


@pytest.mark.parametrize(
    ("usage", "cost"),
    [
        (
            {"prompt_tokens": 1_000_000, "completion_tokens": 0, "prompt_tokens_details": {"cached_tokens": 600_000}},
            1.75,
        ),
        ({"prompt_tokens": 1_000_000, "completion_tokens": 0, "prompt_cache_hit_tokens": 1_000_000}, 1.25),
        ({"prompt_tokens": 0, "completion_tokens": 0}, 0.0),
        ({"prompt_tokens": 5, "completion_tokens": 5, "cost": 0.25}, 0.25),  # OpenRouter says it
        ({"prompt_tokens": 5, "completion_tokens": 5, "prompt_tokens_details": {"audio_tokens": 3}}, None),
        ({"prompt_tokens": 5}, None),
        ({"prompt_tokens": 10**5000, "completion_tokens": 1}, None),
        ({"prompt_tokens": 5, "completion_tokens": 5, "cost": float("nan")}, pytest.approx(62.5e-6)),
        ({}, None),
        (None, None),
    ],
)
def test_costs_of_odd_tokens(usage: Any, cost: Any) -> None:
    """Cached input costs half; what cannot be computed is not made up."""
    assert cost_of("openai", "gpt-4o", CHAT.answer({"usage": usage})) == cost


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://api.openai.com/v1/", "openai"),
        ("https://eu.api.openai.com/v1/", "openai"),
        ("", "openai"),
        ("https://res.openai.azure.com/openai/", "azure.ai.openai"),
        ("https://openrouter.ai/api/v1", "openrouter"),
        ("https://api.deepseek.com", "deepseek"),
        ("https://api.groq.com/openai/v1", "groq"),
        ("https://api.mistral.ai/v1", "mistral_ai"),
        ("https://api.together.xyz/v1", "together"),
        ("https://api.cerebras.ai/v1", "cerebras"),
        ("https://api.x.ai/v1", "x_ai"),
        ("https://generativelanguage.googleapis.com/v1beta/openai/", "gcp.gemini"),
        ("https://bedrock-runtime.us-east-1.amazonaws.com/openai/v1", "aws.bedrock"),
        ("https://user:pw@llm.example.co.uk:8443/v1", "example"),
        ("https://notopenai.com/v1", "notopenai"),
        ("http://localhost:11434/v1", "openai"),
        ("http://127.0.0.1:8000/v1", "openai"),
        ("http://[::1]:8000/v1", "openai"),
        ("http://vllm:8000/v1", "openai"),
        ("http://vllm.default.svc.cluster.local/v1", "openai"),
    ],
)
def test_the_provider_is_recognized_by_its_address(url: str, name: str) -> None:
    """Who answers is told by the address, in OpenTelemetry's words; where that says nothing, it is not `openai`."""
    assert provider_at(url) == name
    assert provider_at("http://127.0.0.1:8000", "AsyncAzureOpenAI") == "azure.ai.openai"


@pytest.mark.slow
def test_the_provider_is_recognized_again_when_an_address_changes() -> None:
    """A client that gets another address, and clients of which there are more than are remembered."""
    client = openai.OpenAI(api_key="k", base_url="https://api.deepseek.com")
    assert [provider_of(client), provider_of(client)] == ["deepseek", "deepseek"]
    client.base_url = "https://api.groq.com/openai/v1"
    assert provider_of(client) == "groq"
    clients = [openai.OpenAI(api_key="k", base_url=f"https://host{n}.provider{n}.io") for n in range(100)]
    for _ in range(2):
        assert [provider_of(one) for one in clients] == [f"provider{n}" for n in range(100)]


def test_calls_outside_an_invocation_have_traces_of_their_own(side: Side, recorded: Recorded) -> None:
    """Two calls, two traces, and no parents."""
    side.ask()
    side.ask()
    first, second = recorded.calls()
    assert first["trace_id"] != second["trace_id"]
    assert first["parent_span_id"] is second["parent_span_id"] is None
    assert re.fullmatch(r"[0-9a-f]{32}", first["trace_id"])
    assert re.fullmatch(r"[0-9a-f]{16}", first["span_id"])


def test_calls_inside_an_invocation_belong_to_it(side: Side, recorded: Recorded, invoke: Invoke) -> None:
    """Its trace, and its root span or the step around them for a parent."""

    def body() -> None:
        side.ask()
        with span("step"):
            side.ask()

    invoke(body)
    direct, inside, step, root = recorded.all()
    assert {event["trace_id"] for event in recorded.all()} == {root["trace_id"]}
    assert direct["parent_span_id"] == root["span_id"]
    assert inside["parent_span_id"] == step["span_id"]


def test_calls_from_threads_belong_to_the_invocation(recorded: Recorded, invoke: Invoke, model: ModelEndpoint) -> None:
    """A ThreadPoolExecutor's threads have an empty context, and are the invocation's all the same."""
    with openai.OpenAI(base_url=model.url, api_key="k", max_retries=0) as client, ThreadPoolExecutor(2) as pool:

        def ask(name: str) -> None:
            client.chat.completions.create(model=name, messages=[])

        invoke(lambda: list(pool.map(ask, ["a", "b", "c"])))
    *calls, root = recorded.all()
    assert {event["model"] for event in calls} == {"a", "b", "c"}
    assert {event["trace_id"] for event in calls} == {root["trace_id"]}
    assert {event["parent_span_id"] for event in calls} == {root["span_id"]}


def test_calls_are_for_whom_the_context_says(side: Side, recorded: Recorded) -> None:
    """with_context's user, session and tags are on the event."""
    with with_context(user_id="u", session_id="s", tags={"a": "b"}):
        side.ask()
    event = recorded.one()
    assert (event["user_id"], event["session_id"], event["tags"]) == ("u", "s", {"a": "b"})


@pytest.mark.parametrize("settings", [{"enabled": False}, {"sample_rate": 0.0}], ids=str)
def test_no_event_is_made_without_telemetry_or_sampling(side: Side, settings: dict[str, Any]) -> None:
    """Without telemetry, or a trace that is not sampled: the call works and no event is made."""
    with testing.recording(**settings) as events:
        assert side.ask().choices[0].message.content == "".join(WORDS)
        assert "".join(c.choices[0].delta.content or "" for c in side.take(side.ask(stream=True))) == "".join(WORDS)
        zespan_serverless.flush()
    assert events == []


def test_before_anything_is_configured(side: Side, recorded: Recorded) -> None:
    """A patched client without a container is the plain client."""
    testing.reset()
    assert side.ask().choices[0].message.content == "".join(WORDS)
    assert recorded.all() == []
