"""What is said about prompts and answers, and what is kept back: the options are the SDK's."""

from __future__ import annotations

import datetime
import hashlib
import json
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from enum import StrEnum
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pydantic
import pytest
from zespan_serverless_dev.emulator.model import WORDS

import zespan_serverless
from tests.delivery.support import open_spans
from zespan_serverless import testing
from zespan_serverless._process import container as _container
from zespan_serverless._record.noted import to_journal
from zespan_serverless._record.values import to_json
from zespan_serverless.providers._prompt import read_prompt
from zespan_serverless.providers._request import Request
from zespan_serverless.providers.openai._chat import CHAT

if TYPE_CHECKING:
    from .conftest import Recorded, Scripted, Side

Event = dict[str, Any]
Ask = Callable[..., Event]

TEXT = "".join(WORDS)
TOOLS = [{"type": "function", "function": {"name": "weather", "parameters": {}}}]


@pytest.fixture(params=[False, True], ids=["plain", "streamed"])
def ask(request: pytest.FixtureRequest, side: Side) -> Ask:
    """Makes one call, plain or streamed, under certain settings, and gives its event."""

    def ask(settings: dict[str, Any] | None = None, **call: Any) -> Event:
        given: dict[str, Any] = settings or {}
        with testing.recording(**given) as events:
            answer = side.ask(**call, stream=request.param)
            if request.param:
                side.take(answer)
            zespan_serverless.flush(5)
        (event,) = events
        return event

    return ask


def answer_of(scripted: Scripted, content: str | None, tool: tuple[str, str] | None = None) -> None:
    """Have the model give this answer, as a completion to the first request or as a stream."""
    call = {"index": 0, "id": "1", "type": "function"}
    calls = [{**call, "function": {"name": tool[0], "arguments": tool[1]}}] if tool else None
    completion, chunk = scripted.completion(content, tool_calls=calls), scripted.chunk(content, tool_calls=calls)

    class Either(list[Any]):
        """The reply to the one request that there will be."""

        def __getitem__(self, index: Any) -> Any:
            return [chunk, "[DONE]"] if scripted.bodies[-1].get("stream") else completion

    scripted.replies = Either([None])


def test_prompts_and_answers_are_sent_by_default(ask: Ask) -> None:
    """By default the conversation, the system prompt and the answer are sent, each in a field of its own."""
    system = {"role": "system", "content": [{"type": "text", "text": "Be"}, {"type": "text", "text": "brief."}]}
    user = {"role": "user", "content": "Grüße 😀"}
    event = ask(messages=[system, user, {"role": "system", "content": "Please."}])
    assert json.loads(event["prompt_text"]) == [user]
    assert event["system_prompt"] == "Be\nbrief.\nPlease."
    assert event["completion_text"] == TEXT


def test_no_system_prompt(ask: Ask) -> None:
    """Then the event has none."""
    assert "system_prompt" not in ask()


def test_store_prompts_false_sends_no_content(ask: Ask) -> None:
    """store_prompts=False keeps back everything anybody has said, but not how long it was and which tool it was for."""
    secret = [{"role": "system", "content": "word-1"}, {"role": "user", "content": "word-2"}]
    event = ask({"store_prompts": False}, messages=secret, tools=TOOLS, stream_options={"include_usage": True})
    assert not {"prompt_text", "completion_text", "system_prompt", "decision_rationale"} & event.keys()
    assert (event["tools_used"], event["tool_call_args"]) == (["weather"], None)
    assert (event["input_tokens"], event["conversation_turn"]) == (12, 1)
    assert not any(word in json.dumps(event) for word in ("word-1", "word-2", "Paris"))


def test_values_under_secret_keys_are_replaced(ask: Ask, scripted: Scripted) -> None:
    """Values under the keys are replaced at any depth: in messages, and wherever a text is JSON."""
    answer_of(scripted, '{"a": [{"Api-Key": "hidden"}], "b": 1}', ("login", '{"user": "u", "password": "hidden"}'))
    event = ask(
        messages=[
            {"role": "system", "content": '{"token": "hidden"}'},
            {"role": "user", "content": "Hi", "extra": {"deep": [{"SECRET": "hidden"}]}},
        ]
    )
    assert "hidden" not in json.dumps(event)
    assert json.loads(event["completion_text"]) == {"a": [{"Api-Key": "[REDACTED]"}], "b": 1}
    assert json.loads(event["system_prompt"]) == {"token": "[REDACTED]"}
    assert json.loads(event["tool_call_args"]) == {"login": {"user": "u", "password": "[REDACTED]"}}
    assert json.loads(event["prompt_text"])[0]["extra"] == {"deep": [{"SECRET": "[REDACTED]"}]}


def test_redaction_of_what_agents_send(ask: Ask) -> None:
    """Tool calls in the history, their results, and what users paste: all of it is JSON in a text."""
    hidden = json.dumps({"user": "u", "password": "hidden", "inner": json.dumps({"token": "hidden"})})
    call = {"id": "1", "type": "function", "function": {"name": "login", "arguments": hidden}}
    event = ask(
        messages=[
            {"role": "system", "content": "Use this:\n```json\n" + hidden + "\n```"},
            {"role": "user", "content": [{"type": "text", "text": hidden}]},
            {"role": "user", "content": str({"secret": "hidden"})},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "1", "content": hidden},
        ]
    )
    assert "hidden" not in json.dumps(event)
    talk = json.loads(event["prompt_text"])
    assert json.loads(talk[3]["content"])["user"] == "u"
    assert json.loads(talk[2]["tool_calls"][0]["function"]["arguments"])["password"] == "[REDACTED]"


def test_no_content_in_errors(side: Side, scripted: Scripted) -> None:
    """store_prompts=False: errors of the model's and of the parser's quote nothing, in no event that they pass."""
    pydantic = pytest.importorskip("pydantic")
    city = pydantic.create_model("City", name=(str, ...))
    scripted.replies = [scripted.completion('{"name": ["word-1"]}'), {"error": 1, "choices": "word-2"}, 400]
    with testing.recording(store_prompts=False) as events:
        with suppress(Exception), zespan_serverless.span("step"):
            try:
                side.parse(model="m", messages=[{"role": "user", "content": "word-3"}], response_format=city)
            except pydantic.ValidationError as error:
                raise RuntimeError(str(error)) from error
        with suppress(Exception):
            side.ask()
        with suppress(Exception):
            side.ask()
        zespan_serverless.flush(5)
    assert "word-" not in json.dumps(events)
    assert [event["error_message"] for event in events[:2]] == ["ValidationError", "RuntimeError"]
    assert events[-1]["error_message"] == "BadRequestError: 400"


def test_what_is_on_record_is_redacted(side: Side) -> None:
    """What is written down of a call before there is an answer, in case the process does not live to see it."""
    hidden = json.dumps({"password": "hidden"})
    for store_prompts in (None, False):
        with testing.recording(tags={"token": "hidden"}, store_prompts=store_prompts):
            container = _container.current()
            assert container is not None
            container.records = True
            stream = side.ask(messages=[{"role": "user", "content": hidden}], stream=True)
            (begun,) = open_spans(container.delivery).values()
            noted = to_journal(begun).decode()
            assert "hidden" not in noted
            assert ("REDACTED" in noted) == (store_prompts is None)
            side.take(stream)


class Moody(dict[str, Any]):
    """A message that does not want to be read."""

    def get(self, *_: object) -> Any:
        raise RuntimeError("no get")


def test_messages_of_odd_types(side: Side, recorded: Recorded) -> None:
    """Roles and contents of subclasses, dicts that raise: the event says what the model got."""
    role = type("Role", (str,), {"__str__": lambda self: 1 / 0, "__eq__": lambda self, other: 1 / 0, "__hash__": None})
    with suppress(Exception):
        side.ask(messages=[Moody(role=role("user"), content="Hi")])
    assert (recorded.one()["message_role"], recorded.one()["conversation_turn"]) == ("user", 1)
    assert json.loads(recorded.one()["prompt_text"]) == [{"role": "user", "content": "Hi"}]


def test_redaction_of_other_keys(ask: Ask, scripted: Scripted) -> None:
    """redact_keys takes the place of the default keys."""
    answer_of(scripted, '{"iban": "hidden", "token": "seen"}')
    event = ask({"redact_keys": ["IBAN"]})
    assert json.loads(event["completion_text"]) == {"iban": "[REDACTED]", "token": "seen"}


def test_what_the_model_said_with_a_call(ask: Ask, scripted: Scripted) -> None:
    """Its words beside a tool call are the reason for it, cut as the SDK cuts them, but redacted before."""
    answer_of(scripted, json.dumps({"password": "hidden", "why": "x" * 3000}), ("weather", "{}"))
    event = ask(tools=TOOLS)
    assert len(event["decision_rationale"]) == 2000
    assert event["decision_rationale"] in event["completion_text"]
    assert "hidden" not in json.dumps(event)


def test_no_reason_without_words(ask: Ask) -> None:
    """A tool call without a text has no decision_rationale."""
    assert "decision_rationale" not in ask(tools=TOOLS)


def test_the_prompt_is_that_of_the_request(side: Side, recorded: Recorded) -> None:
    """What users append to their list while they read the answer is no part of it."""
    messages = [{"role": "user", "content": "Hi"}]
    stream = side.ask(messages=messages, stream=True)
    messages.append({"role": "assistant", "content": "later"})
    side.take(stream)
    event = recorded.one()
    assert "later" not in event["prompt_text"]
    assert (event["message_role"], event["conversation_turn"]) == ("user", 1)


def test_answers_put_back_as_they_came(side: Side, recorded: Recorded) -> None:
    """A message may be an object of the client's: its fields are read, and redacted."""
    messages: list[Any] = [{"role": "user", "content": "Hi"}]
    answer = side.ask(messages=messages, tools=TOOLS).choices[0].message
    result = {"role": "tool", "tool_call_id": answer.tool_calls[0].id, "content": "sun"}
    side.ask(messages=[*messages, answer, result], tools=TOOLS)
    event = recorded.calls()[-1]
    _, said, _ = json.loads(event["prompt_text"])
    assert (said["role"], said["tool_calls"][0]["function"]["name"]) == ("assistant", "weather")
    assert (event["message_role"], event["tools_used"]) == ("tool", None)
    assert len(event["prompt_hash"]) == 64


def test_redaction_of_answers_put_back(side: Side, scripted: Scripted, recorded: Recorded) -> None:
    """Fields of such an object that OpenAI has no name for are fields all the same."""
    scripted.replies = [scripted.completion("Hi", token="hidden", seen=1)]
    side.ask(messages=[side.ask().choices[0].message])
    assert scripted.bodies[-1]["messages"][0]["token"] == "hidden"
    (said,) = json.loads(recorded.calls()[-1]["prompt_text"])
    assert (said["token"], said["seen"], said["content"]) == ("[REDACTED]", 1, "Hi")


def test_prompt_hash_equals_the_sdk_s(ask: Ask) -> None:
    """The SDK's: SHA-256 of json.dumps of all the messages, so that both see the same prompts."""
    messages = [{"role": "system", "content": "Ä"}, {"role": "user", "content": "Hi"}]
    assert ask(messages=messages)["prompt_hash"] == hashlib.sha256(json.dumps(messages).encode()).hexdigest()


def test_prompt_hash_of_pictures(ask: Ask) -> None:
    """The same for texts that are hashed in pieces: of ASCII, of quotes, of pairs of surrogates and of halves."""
    texts = ["A" * 200_000, 'x"\\\n' * 40_000, "\U0001f600ä" * 50_000, "short", "\0" * 70_000]
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "QUJD" * 50_000}}
    messages = [{"role": "user", "content": [picture, *({"type": "text", "text": text} for text in texts)]}]
    event = ask(messages=messages)
    assert event["prompt_hash"] == hashlib.sha256(json.dumps(messages).encode()).hexdigest()
    assert "QUJD" * 100 not in event["prompt_text"]


def test_memory_for_a_picture(side: Side) -> None:
    """A picture of some megabytes is not copied."""
    messages = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:," + "A" * 20_000_000}}]}]
    with testing.recording():
        container = _container.current()
        assert container is not None
        tracemalloc.start()
        try:
            read_prompt(Request(CHAT, "openai", "m", messages=messages), container)
            assert tracemalloc.get_traced_memory()[1] < 1_000_000
        finally:
            tracemalloc.stop()


@pytest.mark.parametrize(
    ("text", "name", "role"),
    [
        ("You are the BillingAgent of a shop.", "Billing", None),
        ("you are the billingagent. Role: Planner", "billing", "planner"),
        ("Agent Name: Ada\nRole: critic", "Ada", "critic"),
        ("You are an agent. Role: king", None, None),
        ("Be brief.", None, None),
    ],
)
def test_agents_are_recognized_as_in_the_sdk(ask: Ask, text: str, name: str | None, role: str | None) -> None:
    """An agent in a system prompt is recognized as in the SDK."""
    event = ask(messages=[{"role": "system", "content": text}, {"role": "user", "content": "You are the OtherAgent"}])
    assert (event["agent_name"], event["agent_role"]) == (name, role)


def test_memory_and_planning(ask: Ask) -> None:
    """A conversation of more than ten messages has a memory; certain words anywhere are planning."""
    hi = {"role": "user", "content": "Hi"}
    short, long = (
        ask(messages=[hi] * 10),
        ask(messages=[*[hi] * 10, {"role": "user", "content": "Think Step By Step."}]),
    )
    assert (short["has_memory"], short["has_planning"]) == (False, False)
    assert (long["has_memory"], long["has_planning"]) == (True, True)


@pytest.mark.parametrize(
    "message",
    [
        {"role": "user", "content": None},
        {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,"}}, None, 5]},
        {"role": None},
        {},
        {"role": "user", "content": 5},
    ],
    ids=str,
)
def test_unusual_messages_are_recorded(ask: Ask, message: dict[str, Any]) -> None:
    """Any message that the client accepts is in the event."""
    assert json.loads(ask(messages=[message])["prompt_text"]) == [message]


def test_an_error_of_a_clients_own_quotes_no_prompt() -> None:
    """Whatever its class: what has come out of a model's call may quote what was asked."""

    class Completions:
        def create(self, **request: Any) -> Any:
            raise ValueError(f"cannot send {request['messages']}")

    client = SimpleNamespace(chat=SimpleNamespace(completions=Completions()))
    wrapped: Any = zespan_serverless.wrap_openai(client)

    @zespan_serverless.zespan_lambda
    def handler(event: Any, context: Any) -> None:
        wrapped.chat.completions.create(model="m", messages=[{"role": "user", "content": "s3cret"}])

    with testing.recording(store_prompts=False) as events, pytest.raises(ValueError, match="s3cret"):
        handler({}, testing.LambdaContext())
    assert len(events) == 2
    assert "s3cret" not in str(events)


class Text(str):
    """A text of a user-defined class."""


@pytest.mark.parametrize(
    "message",
    [
        {"role": "user", "content": "Hi"},
        {"role": "user", "content": 'It\'s "me"'},
        {"role": "user", "content": '{"password": "s3cret"}'},
        {"role": "user", "content": "Hi", "password": "s3cret"},
        {"role": "user", "content": "Hi", "name": Text('{"token": "s3cret"}')},
        {"role": "user", "content": "Hi", Text("secret"): "s3cret"},
        {"role": "user", "content": "data:image/png;base64," + 70_000 * "A"},
        {"role": "user", "tool_calls": [{"function": {"name": "f", "arguments": '{"city": "Bern"}'}}]},
        {"role": "user", "tool_calls": [{"function": {"name": "f", "arguments": '{"token": "s3cret"}'}}]},
        {"role": "user", "content": [{"type": "text", "text": "Hi"}, {"secret": ["s3cret"]}]},
        {"role": "user", "content": [{"image_url": {"url": "data:image/png;base64," + 70_000 * "A"}}]},
        {"role": "user", "content": [None, True, 1, 1.5, [], {}, {"text": Text('{"token": "s3cret"}')}]},
    ],
    ids=lambda message: str(message)[:60],
)
def test_messages_are_redacted_whether_or_not_they_are_walked(message: dict[str, Any]) -> None:
    """Messages of JSON's types under keys that have been met are copied as they are; the result is the same."""
    messages = [{"role": "system", "content": "Be brief"}, message]
    with testing.recording():
        container = _container.current()
        assert container is not None
        for _ in range(2):
            prompt = read_prompt(Request(CHAT, "openai", "m", messages=messages), container)
            assert prompt.messages == [container.policy.plain(message)]
            assert "s3cret" not in prompt.text
            assert prompt.digest == hashlib.sha256(json.dumps(messages).encode()).hexdigest()
            assert (prompt.turn, prompt.last_role, prompt.system) == (1, "user", "Be brief")
            assert prompt.messages[0] is not message


class Word(StrEnum):
    """A key of a user-defined class."""

    SECRET = "role"


def _linked() -> dict[str, Any]:
    """Return a tree whose nodes know their parents: 8 in each."""
    root: dict[str, Any] = {"children": []}
    level = [root]
    for _ in range(3):
        level = [{"children": [], "parent": parent} for parent in level for _ in range(8)]
        for child in level:
            child["parent"]["children"].append(child)
    return root


def _in_lists(depth: int) -> Any:
    value: Any = "Hi"
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    "content",
    [_linked(), [1] * 1_100_000, _in_lists(24), 10**400, {Word.SECRET: "s3cret"}],
    ids=["cycle", "many", "deep", "large number", "key of a user-defined class"],
)
def test_odd_messages_are_copied_as_the_walk_copies_them(content: Any) -> None:
    """A cycle is not followed: it would take seconds, and make an event of 45 MB."""
    messages = [{"role": "user", "content": content}]
    with testing.recording():
        container = _container.current()
        assert container is not None
        for _ in range(2):
            prompt = read_prompt(Request(CHAT, "openai", "m", messages=messages), container)
            assert prompt.text == to_json(container.policy.plain(messages))
            assert len(prompt.text) < 100_000


class Said(pydantic.BaseModel):
    """A message of a user-defined class."""

    role: str = "user"
    content: Any = None
    at: datetime.date = datetime.date(2026, 1, 31)
    kept: str = pydantic.Field("s3cret", exclude=True)
    unset: int = 1


@pytest.mark.parametrize(
    "content",
    ["Hi", '{"token": "s3cret"}', {"token": "s3cret"}, 70_000 * "A"],
    ids=["text", "in a text", "under a key", "long"],
)
def test_models_are_copied_as_the_walk_copies_them(content: Any) -> None:
    """A model's fields are in the prompt and in its hash as if the policy had copied the model."""
    day = datetime.date(2026, 2, 1)
    messages = [
        Said(role="user", content=content, kept="x"),
        {"role": "user", "content": [Said(content="Hi", at=day, kept="x")]},
    ]
    with testing.recording():
        container = _container.current()
        assert container is not None
        for _ in range(2):
            prompt = read_prompt(Request(CHAT, "openai", "m", messages=messages), container)
            assert prompt.messages == container.policy.plain(messages)
            assert prompt.messages[0].keys() == {"role", "content"}
            assert "s3cret" not in prompt.text
            assert prompt.digest == hashlib.sha256(to_json(messages).encode()).hexdigest()
