"""What an event may not say does not leave, wherever it stands: `redact_keys`, `store_prompts`, the longest texts."""

from __future__ import annotations

import argparse
import collections
import collections.abc
import dataclasses
import enum
import json
import logging
import os
import re
import signal
import sys
import threading
import types
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypedDict
from unittest import mock

import pydantic
import pydantic.v1
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from zespan.redact import redact_for_storage

import zespan_serverless
from zespan_serverless import span, testing, with_context
from zespan_serverless._record import redaction
from zespan_serverless._record.policy import ERROR_TEXT_MAX, Policy, normalized
from zespan_serverless._record.redaction import normal
from zespan_serverless._record.values import encode, to_json
from zespan_serverless.settings import Settings

from .test_values import PLAIN, Model, Record

SECRET = "5up3r-hidden"
POLICY = Policy(Settings())
NO_KEYS = Policy(Settings(redact_keys=()))
UNSAID = Policy(Settings(store_prompts=False))


def redact(value: Any) -> Any:
    return POLICY.plain(value)


# ---------------------------------------------------------------------- structures


def test_redact_at_any_depth() -> None:
    """In dicts, lists and tuples, whatever the value is; everything else stays."""
    value = {
        "password": "p",
        "user": {"token": {"a": 1}, "name": "n", "items": [{"secret": None}, ({"api_key": 1}, "x")]},
        "n": 5,
    }
    assert redact(value) == {
        "password": "[REDACTED]",
        "user": {
            "token": "[REDACTED]",
            "name": "n",
            "items": [{"secret": "[REDACTED]"}, [{"api_key": "[REDACTED]"}, "x"]],
        },
        "n": 5,
    }
    assert value["password"] == "p"  # a copy


SPELLINGS = ["API_KEY", "apiKey", "Api-Key", "api key", "API.KEY", "_api_key_", "api\nkey", 'api"key', "api\u200bkey"]


@pytest.mark.parametrize("key", [*SPELLINGS, "AP\u0130_KEY", "API_\u212aEY"])
def test_redact_whatever_the_spelling(key: str) -> None:
    """Case, punctuation, and letters that are no ASCII do not matter: in a structure, and in a text of JSON."""
    value = {key: SECRET}
    assert redact(value) == {key: "[REDACTED]"}
    for ascii_only in (True, False):
        text = json.dumps(value, ensure_ascii=ascii_only)
        for _ in range(3):
            assert SECRET not in POLICY.text(text)
            text = json.dumps({"inner": text}, ensure_ascii=ascii_only)


@pytest.mark.parametrize("key", ["api_keys", "my_api_key", "pass", 5, None, ""])
def test_redact_no_other_keys(key: object) -> None:
    """Only whole names, as in the SDK."""
    assert [*redact({key: "x"}).values()] == ["x"]


class Key(enum.Enum):
    """Whose text is `Key.PASSWORD`."""

    PASSWORD = "p"
    OTHER = "token"


class Text(enum.StrEnum):
    PASSWORD = "password"


@pytest.mark.parametrize("key", [b"password", bytearray(b"x") and b"Pass-Word", Key.PASSWORD, Key.OTHER, Text.PASSWORD])
def test_keys_that_are_no_texts(key: Any) -> None:
    """They are redacted by what JSON will call them, and by an enum's name and value."""
    assert SECRET not in to_json(redact({key: SECRET, "b": [{key: SECRET}]}))


@dataclasses.dataclass(slots=True)
class Slots:
    token: str


class Pair(NamedTuple):
    name: str
    password: str


class Typed(TypedDict):
    secret: str


class Old(pydantic.v1.BaseModel):
    password: str
    name: str = "n"


class Loud:
    """Tells everything in its repr, as many classes do."""

    def __init__(self, password: str) -> None:
        self.password = password

    def __repr__(self) -> str:
        return f"Loud(name='n', password={self.password!r}, token=<Token {self.password}>)"


class Plainly:
    def __init__(self, text: str) -> None:
        self._text = text

    def __str__(self) -> str:
        return self._text


class Items(collections.abc.Mapping[str, str]):
    """A third-party mapping."""

    def __getitem__(self, key: str) -> str:
        return SECRET

    def __iter__(self) -> Iterator[str]:
        return iter(["password"])

    def __len__(self) -> int:
        return 1


class Lying(dict[str, Any]):
    """A dict that hides what it holds from everybody who asks."""

    def items(self) -> Any:
        raise RuntimeError("no items")

    def __iter__(self) -> Any:
        raise RuntimeError("no iteration")


def _attrs() -> Any:
    attrs = pytest.importorskip("attrs")
    return attrs.make_class("Attrs", ["password"])(SECRET)


HELD: dict[str, Callable[[], Any]] = {
    "dict": lambda: {"password": SECRET},
    "typed dict": lambda: Typed(secret=SECRET),
    "default dict": lambda: collections.defaultdict(str, token=SECRET),
    "proxy": lambda: types.MappingProxyType({"password": SECRET}),
    "user dict": lambda: collections.UserDict({"password": SECRET}),
    "user list": lambda: collections.UserList([{"password": SECRET}]),
    "user string": lambda: collections.UserString(json.dumps({"password": SECRET})),
    "chain": lambda: collections.ChainMap({}, {"password": SECRET}),
    "mapping": Items,
    "lying": lambda: Lying(password=SECRET),
    "items": lambda: {"password": SECRET}.items(),
    "values": lambda: {"a": {"password": SECRET}}.values(),
    "namespace": lambda: types.SimpleNamespace(password=SECRET),
    "arguments": lambda: argparse.Namespace(password=SECRET, name="n"),
    "named tuple": lambda: Pair("n", SECRET),
    "deque": lambda: collections.deque([{"password": SECRET}]),
    "set": lambda: {Pair("n", SECRET)},
    "frozen set": lambda: frozenset({Pair("n", SECRET)}),
    "data class": lambda: Record("n", token=SECRET),
    "slots": lambda: Slots(SECRET),
    "attrs": _attrs,
    "model": lambda: Model(password=SECRET),
    "old model": lambda: Old(password=SECRET),
    "root model": lambda: pydantic.RootModel[dict[str, str]]({"password": SECRET}),
    "bytes": lambda: json.dumps({"password": SECRET}).encode(),
    "bytearray": lambda: bytearray(json.dumps({"password": SECRET}).encode()),
    "memory": lambda: memoryview(json.dumps({"password": SECRET}).encode()),
    "text": lambda: str({"password": SECRET}),
    "text of a subclass": lambda: type("Text", (str,), {})(json.dumps({"password": SECRET})),
    "repr": lambda: Loud(SECRET),
    "protobuf": lambda: Plainly(f'name: "n"\npassword: "{SECRET}"\n'),
    "header": lambda: Plainly(f"name: n\r\nPassword: {SECRET}\r\n"),
    "exception": lambda: ValueError(f"cannot log in with password={SECRET}"),
    "partial": lambda: __import__("functools").partial(print, password=SECRET),
    "repeat": lambda: __import__("itertools").repeat({"password": SECRET}),
    "generator": lambda: ({"password": SECRET} for _ in range(1)),
    "key view": lambda: {Pair("n", SECRET): 1}.keys(),
}


@pytest.mark.parametrize("name", HELD)
def test_no_container_shows_a_secret(name: str) -> None:
    """Nor a record, a model, a view, or an object that tells what it holds; alone, nested, and as text within JSON."""
    for wrap in (lambda v: v, lambda v: {"a": [v]}, lambda v: [Record("r", v)]):
        assert SECRET not in to_json(redact(wrap(HELD[name]())))


def test_os_environ_is_redacted_like_any_mapping() -> None:
    """os.environ is redacted like any other mapping."""
    with mock.patch.dict(os.environ, {"PASSWORD": SECRET, "SEEN": "seen"}):
        said = redact(os.environ)
    assert (said["PASSWORD"], said["SEEN"]) == ("[REDACTED]", "seen")


def test_names_are_kept() -> None:
    """Of named tuples, namespaces, mappings and models: they are what redaction goes by, and what people look for."""
    assert redact(Pair("n", "p")) == {"name": "n", "password": "[REDACTED]"}
    assert redact(types.SimpleNamespace(a=1, token=2)) == {"a": 1, "token": "[REDACTED]"}
    assert redact(types.MappingProxyType({"a": Old(password="p")})) == {"a": {"password": "[REDACTED]"}}
    assert redact(Model(name="x")) == {"name": "x"}
    assert redact({"a": 1}.items()) == {"a": 1}


def test_the_user_s_objects_are_unchanged() -> None:
    """Iterators are not read, and a mock does not learn that it has been looked at."""
    generator = (n for n in range(3))
    numbers = iter([1, 2])
    spied, magic = mock.Mock(), mock.MagicMock()
    given_away = redact(
        {"a": generator, "b": numbers, "c": spied, "d": magic, "e": map(str, [1]), "f": Model(name="x")}
    )
    assert (list(generator), list(numbers)) == ([0, 1, 2], [1, 2])
    assert spied.mock_calls == magic.mock_calls == []
    assert (given_away["a"], given_away["b"]) == ("<generator>", "<list_iterator>")


def test_a_field_that_a_model_leaves_out_is_left_out() -> None:
    """`exclude` is the model's own decision on its visible fields."""

    class Careful(pydantic.BaseModel):
        shown: int
        hidden: str = pydantic.Field(exclude=True)

    assert redact(Careful(shown=1, hidden="h")) == {"shown": 1}


def test_redact_cycles_and_depth() -> None:
    """What has no end gets one, and nothing below it is let through."""
    loop: dict[str, Any] = {"token": "t"}
    loop["self"] = loop
    assert redact(loop) == {"token": "[REDACTED]", "self": "[REDACTED_DEPTH_LIMIT]"}
    record = Record("r")
    record.token = {"of": record}
    assert redact([record, record]) == [{"name": "r", "token": "[REDACTED]"}] * 2  # twice is no cycle
    deep: Any = {"password": "hidden"}
    for _ in range(100):
        deep = [deep]
    assert "hidden" not in to_json(redact(deep))


def test_what_multiplies_has_an_end() -> None:
    """A few lists that hold each other twice would be a million."""
    bomb: Any = ["x"] * 100
    for _ in range(18):
        bomb = [bomb, bomb]
    assert len(to_json(redact(bomb))) < 60_000_000


def test_a_mapping_without_end() -> None:
    """Is read as far as an event could be long."""

    class Endless(collections.abc.Mapping[int, int]):
        def __getitem__(self, key: int) -> int:
            return key

        def __iter__(self) -> Iterator[int]:
            n = 0
            while True:
                yield (n := n + 1)

        def __len__(self) -> int:
            return sys.maxsize

    assert len(redact(Endless())) == 100_000


@pytest.mark.slow
@given(PLAIN)
def test_redact_changes_nothing_else(value: Any) -> None:
    """What JSON can say, and holds no secret, comes out as it went in."""
    assert Policy(Settings(redact_keys=("never a key of that name",))).plain(value) == value
    assert NO_KEYS.plain(value) == value


@given(PLAIN)
def test_redact_as_the_sdk_does(value: Any) -> None:
    """The same keys, the same result, for what both can handle."""
    keys = ("a", "B-c", "0")
    sdk = redact_for_storage(value, list(keys))
    if isinstance(value, (dict, list)) and "DEPTH" not in sdk and "Circular" not in sdk and '\\"' not in sdk:
        assert Policy(Settings(redact_keys=keys)).plain(value) == json.loads(sdk)


def test_memory_for_keys_has_its_bounds() -> None:
    """Long keys are compared, but not kept."""
    policy = Policy(Settings())
    policy.plain({"x" * 100_000: 1, "pass_word" + "_" * 1000: 2, "short": 3})
    assert policy.plain({"Pass-word" + "_" * 1000: 2}) != {"Pass-word" + "_" * 1000: 2}
    assert policy.shown == {"short"}
    policy.plain({str(n): n for n in range(10_000)})
    assert len(policy.shown) == 1024
    assert normal("Pass-word" + "_" * 1000) == "password"


# ---------------------------------------------------------------------- texts


def test_json_in_a_text_is_redacted() -> None:
    """Inside a text that is JSON; then it is JSON again, spelled as before."""
    text = POLICY.text(' {"password": "p", "b": [1.50, {"token": ["t", {"a": 1}]}]}')
    assert text == ' {"password": "[REDACTED]", "b": [1.50, {"token": "[REDACTED]"}]}'
    assert POLICY.text('[{"secret": NaN}, NaN]') == '[{"secret": "[REDACTED]"}, NaN]'


@pytest.mark.parametrize(
    "text",
    [
        "",
        "The password is in the drawer",
        "{password: p}",
        '"password"',
        "5",
        '{"a":  1,\n "a": 2, "b": [1.50, true]}',  # nothing to replace: not even its spelling changes
        '{"a": ' + "9" * 5000 + "}",
        '"password", "token": none of these',
        '{"tokens": 5, "max_token_s": 1}',
        r'{"a": "\u0022", "b\n": "\\\""}',
    ],
    ids=lambda text: text[:12],
)
def test_a_text_with_nothing_to_redact_stays_as_it_is(text: str) -> None:
    """To the last blank."""
    if '"token": none' not in text:
        assert POLICY.text(text) == text


@pytest.mark.parametrize(
    "text",
    [
        'Result:\n```json\n{"user": "u", "password": "%s"}\n```\nDone.',
        '{"user": "u", "password": "%s"}\n{"user": "v"}\n',  # a line each
        'data: {"choices": [{"token": "%s"}]}\n\n',
        "Error code: 400 - {'error': {'message': 'm', 'api_key': '%s'}}",
        "{'password': b'%s', 'user': \"it's\"}",
        "{'user': \"it's\", 'password': \"%s's\"}",
        '{"password": "%s',  # cut off
        '{"a": {"password": "x"}, "a": 1, "b": {"token": "%s"}}',
        '{"a": {"password": "%s"}, "a": 1}',  # a parser forgets the first
        '{"password": ["a", {"b": "%s"}]}',
        '{"password"  \n:\t "%s"}',
        '{"token": {"a": "}", "b": "%s"}}',
        '{"password": "\\"%s"}',
        '{"password": "\\\\", "token": "%s"}',
        '{"\\u0070assword": "%s"}',
        "[" * 100_000 + '{"password": "%s"}',
        '{"Pass\\"Word": "%s"}',
        '{"password' + "_" * 2000 + '": "%s"}',
        '{"a": "{\\u0022password\\u0022: \\u0022%s\\u0022}"}',  # as .NET writes JSON in JSON
        '{"token" => "%s"}',
        "{'token': Secret(value='%s', n=1), 'b': 2}",
        "{'token': <Secret %s>, 'b': 2}",
    ],
    ids=lambda text: text[:20],
)
def test_a_secret_in_a_text(text: str) -> None:
    """In fences, in lines, behind words, in Python's words, cut off, with odd escapes; and as JSON in JSON in JSON."""
    text = text.replace("%s", SECRET)
    for _ in range(4):
        said = POLICY.text(text)
        assert SECRET not in said
        assert POLICY.text(said) == said
        assert SECRET not in POLICY.text(repr(text))
        assert SECRET not in POLICY.text("It said: " + text)
        text = json.dumps({"content": text, "n": 1})
        assert json.loads(POLICY.text(text))["n"] == 1


def test_what_stands_beside_a_secret_stays() -> None:
    """Only the value goes."""
    assert (
        POLICY.text("""{'a': 1, 'token': "x", 'b': [2]}, 'c'""") == """{'a': 1, 'token': '[REDACTED]', 'b': [2]}, 'c'"""
    )
    assert POLICY.text('{"token": 5, "b": 1}') == '{"token": "[REDACTED]", "b": 1}'
    assert POLICY.text('{"a": "{\\"token\\": 5, \\"b\\": 1}"}') == (
        '{"a": "{\\"token\\": \\"[REDACTED]\\", \\"b\\": 1}"}'
    )


def test_a_secret_that_is_json_itself_in_json_that_python_quotes() -> None:
    """A service account's key in the body of a request, in an exception's words for that request."""
    account = json.dumps({"type": "service_account", "private_key": SECRET, "scopes": ["a", SECRET]})
    request: Any = {"body": json.dumps({"secret": account, "x": 1})}
    for _ in range(3):
        assert SECRET not in POLICY.error(ValueError(request))
        assert SECRET not in POLICY.text(f"got {request!r}")
        assert SECRET not in POLICY.text(str([request]))
        request = {"body": json.dumps(request)}
    assert POLICY.text(str({"body": json.dumps({"secret": account, "x": 1})})) == (
        """{'body': '{"secret": "[REDACTED]", "x": 1}'}"""
    )


@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize(
    "value",
    [
        {"api_key": {"x\\": f"){SECRET}"}, "answer": "kept?"},
        {"a": 1, "token": {"C:\\": 1, "d": "x"}, "answer": "kept?"},
        {"token": [f"{SECRET}\\", f"{SECRET}\\"], "answer": "kept?"},
        {"token": {"x": ["\\", f"](,{SECRET}"]}, "answer": "kept?"},
    ],
)
def test_backslashes_at_the_end_of_a_text(value: dict[str, Any], indent: int | None) -> None:
    """Of a key or of a value below a secret: neither the secret leaves nor does what follows it get lost."""
    text = json.dumps(value, indent=indent)
    for _ in range(4):
        said = POLICY.text(text)
        assert SECRET not in said
        assert "kept?" in said
        text = json.dumps({"content": text}, indent=indent)


def test_backslashes_that_python_has_doubled() -> None:
    """JSON in JSON, in Python's words: texts that end in a backslash end where they did."""
    value = {"secret": [SECRET + "\\", [SECRET + "\\", SECRET], SECRET], "answer": "kept?"}
    for text in (json.dumps(value), json.dumps(value, indent=1), json.dumps({"m": json.dumps(value)})):
        said = POLICY.text(str({"body": json.dumps({"m": text, "z": 1}), "z": 1}))
        assert SECRET not in said
        assert "kept?" in said


ANY_KEY = st.sampled_from(["password", "secret", "token", "api_key"]).flatmap(
    lambda key: st.tuples(
        *(
            st.tuples(st.sampled_from([c, c.upper()]), st.sampled_from(["", "", "", "_", "-", " ", ".", "é"]))
            for c in key
        )
    ).map(lambda pairs: "".join(a + b for a, b in pairs))
)
WORDS = st.one_of(st.text(max_size=8), st.sampled_from(['"', "'", "\\", '":', "{", "}", "it's", '\\"', "\n", "token"]))
HIDDEN = st.recursive(
    st.tuples(WORDS, WORDS).map(lambda around: SECRET.join(around)),
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=2), st.dictionaries(st.sampled_from("abc"), inner, min_size=1, max_size=2)
    ),
    max_leaves=3,
)
LAYERS: list[Callable[[Any], Any]] = [
    lambda v: {"a": v},
    lambda v: ["x", v, "y"],
    lambda v: (v,),
    lambda v: json.dumps(v, default=str),
    lambda v: json.dumps(v, ensure_ascii=False, indent=1, default=str),
    lambda v: {"text": json.dumps({"deep": v}, default=str)},
    lambda v: [{"type": "text", "text": json.dumps([v], default=str)}],
    lambda v: "```json\n" + json.dumps(v, default=str) + "\n```",
    lambda v: json.dumps(v, default=str).encode("utf-8", "surrogatepass"),
    lambda v: types.SimpleNamespace(v=v),
    lambda v: types.MappingProxyType({"v": v}),
    lambda v: collections.deque([v]),
    lambda v: Pair(v, "p"),
]


@given(ANY_KEY, HIDDEN, st.lists(st.sampled_from(LAYERS), max_size=4), st.dictionaries(WORDS, WORDS, max_size=3))
@example("password", SECRET, [LAYERS[3], LAYERS[3], LAYERS[3]], {})
@example("password", SECRET + "\\", [LAYERS[3]], {'"': "'"})
def test_no_secret_leaves_in_any_field(
    key: str, hidden: Any, layers: list[Callable[[Any], Any]], beside: dict[str, str]
) -> None:
    """Whatever stands under a key, however that is spelled and whatever it is wrapped in."""
    value: Any = {**beside, key: hidden, "z": 1}
    for layer in layers:
        value = layer(value)
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    event = {
        "prompt_text": value,
        "completion_text": text,
        "system_prompt": text,
        "tool_call_args": {"f": value},
        "decision_rationale": text,
        "error_message": text,
        "tags": {"t": value},
        "metadata": {"m": value, "text": text},
        "operation": text,
        "user_id": text,
    }
    said = POLICY.fields(event)
    assert SECRET not in encode(said).decode()
    assert encode(POLICY.fields(said)) == encode(said)


@given(st.text(), st.text(st.sampled_from("\\\"'{}[]:,=u0022ntoken ")))
def test_redact_text_takes_any_text(text: str, odd: str) -> None:
    """And never raises; what it does not change it gives back."""
    for one in (text, "{" + text, "[" + text + "]", odd, '"token": ' + odd, odd + '"token": ' + text):
        POLICY.text(one)
        POLICY.error(one)


@pytest.mark.parametrize(
    "piece", ["\\", '"', "'", '":', '\\":', '"token":', "{", "[{", "token=", "a ", "\\u", '\\\\":']
)
def test_no_text_takes_long(piece: str) -> None:
    """Ten times the text takes about ten times as long, not a hundred times."""
    for text in (piece * 20_000, "token " + piece * 20_000):
        POLICY.text(text)
        POLICY.plain(Plainly(text))


# ---------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    "text",
    [
        f"Error code: 401 - {{'error': {{'message': 'bad', 'api_key': '{SECRET}'}}}}",
        f'HTTP 400: {{"token": "{SECRET}"}}',
        f"connect failed: host=db user=u password={SECRET} port=5",
        f"GET https://example.com/?a=1&token={SECRET}&b=2 failed",
        f"api key: {SECRET}",
        f"API-Key = '{SECRET}'",
        f"Authorization: Bearer {SECRET}",
        f'1 validation error\ninput_value=\'{{"password": "{SECRET}',
        f"invalid: Login(user='u', password='{SECRET}')",
        "x" * 450 + f'{{"password": "{SECRET * 20}"}}',  # the cut comes after
    ],
    ids=lambda text: text[:20],
)
def test_a_secret_in_an_error(text: str) -> None:
    """Nor does an error's text have one: JSON, Python, `key=value`, URLs, headers."""
    for error in (ValueError(text), text):
        said = POLICY.error(error)
        assert SECRET[:6] not in said
        assert len(said) <= ERROR_TEXT_MAX
    assert str(POLICY.error(ValueError(f"{text[:5]} and no more"))) == f"{text[:5]} and no more"


def test_error_texts_are_cut_like_the_sdk_s() -> None:
    """Error texts are cut as in the SDK; an exception without a text becomes its kind."""
    assert POLICY.error(ValueError("x" * 1000)) == "x" * 500
    assert POLICY.error(KeyError()) == "KeyError"
    assert POLICY.fields({"error_message": None}) == {"error_message": None}


@pytest.mark.parametrize("text", [RuntimeError("no text"), 5])
def test_an_exception_without_words(text: Any) -> None:
    """A `__str__` that raises, or that gives no text, is not our problem."""

    class Mute(Exception):
        def __str__(self) -> Any:
            if isinstance(text, Exception):
                raise text
            return text

    assert POLICY.error(Mute()) == "<text not available>"


def _validation_error() -> pydantic.ValidationError:
    with pytest.raises(pydantic.ValidationError) as caught:
        Model.model_validate_json(json.dumps({"name": [SECRET]}))
    assert SECRET in str(caught.value)
    return caught.value


def test_without_prompts_errors_quote_nothing() -> None:
    """Not those of pydantic, nor what is raised because of them, alone or in a group; others keep their words."""
    quoting = _validation_error()
    assert UNSAID.error(quoting) == "ValidationError"
    try:
        raise quoting
    except pydantic.ValidationError as error:
        because = RuntimeError(f"no city: {error}")
        because.__cause__ = error
    assert UNSAID.error(because) == "RuntimeError"
    assert SECRET in POLICY.error(because)
    assert UNSAID.error(ExceptionGroup("all", [KeyError("k"), because])) == "ExceptionGroup"
    assert UNSAID.error(ValueError("no such order")) == "no such order"


def test_without_prompts_an_exception_among_values_quotes_nothing() -> None:
    """It may stand anywhere: in metadata, below it, in another exception."""
    quoting = _validation_error()
    other = ValueError("no such order")
    with testing.recording(store_prompts=False) as events:
        with span("step", metadata={"e": quoting}) as details:
            details["more"] = [{"e": quoting, "other": other}]
        zespan_serverless.capture({"metadata": {"e": quoting}, "error_message": RuntimeError("failed", quoting)})
        zespan_serverless.flush(5)
    assert SECRET not in json.dumps(events)
    assert events[0]["metadata"]["more"] == [{"e": "ValidationError", "other": "no such order"}]
    assert events[1]["error_message"] == "RuntimeError"
    assert SECRET in to_json(redact({"e": quoting}))


def test_without_prompts_an_exit_quotes_nothing() -> None:
    """A script that ends with the words of a model's error, or with the error itself, in one word or many."""

    def fail(made: Callable[[Exception], Any]) -> None:
        try:
            raise _validation_error()
        except pydantic.ValidationError as error:
            sys.exit(made(error))

    ways: list[Callable[[Exception], Any]] = [lambda e: SECRET.replace("-", ""), lambda e: f"bad: {e}", lambda e: e]
    for made in ways:
        with testing.recording(store_prompts=False) as events:
            with pytest.raises(SystemExit), zespan_serverless.run("job"):
                fail(made)
            with pytest.raises(SystemExit), zespan_serverless.run("job"):
                sys.exit("no input")
        assert [event["error_message"] for event in events] == ["SystemExit", "no input"]
        assert events[0]["metadata"]["process.exit.code"] == 1


def test_without_prompts_the_error_code_is_sent() -> None:
    """Status and code of a refusal say what to do, and contain no quotes."""
    openai = pytest.importorskip("openai")
    error = openai.BadRequestError.__new__(openai.BadRequestError, SECRET)
    error.status_code, error.code = 400, "context_length_exceeded"
    assert UNSAID.error(error) == "BadRequestError: 400, context_length_exceeded"


def test_without_prompts_nothing_that_was_said_is_sent() -> None:
    """The policy applies to every kind of event."""
    content = ("prompt_text", "completion_text", "system_prompt", "decision_rationale")
    said = UNSAID.fields({**dict.fromkeys(content, SECRET), "tool_call_args": {"a": SECRET}, "tools_used": ["a"]})
    assert said == {"tool_call_args": None, "tools_used": ["a"]}


# ---------------------------------------------------------------------- whole events


def test_every_way_in() -> None:
    """Steps, their tags, captured events and the settings' tags are all redacted."""
    with testing.recording(tags={"token": SECRET, "team": "t"}) as events:
        with with_context(tags={"Api-Key": SECRET}), span("step", metadata={"a": json.dumps({"secret": SECRET})}):
            pass
        with pytest.raises(ValueError, match="5up3r"), span(f'{{"token": "{SECRET}"}}'):
            raise ValueError(f"password={SECRET}")
        event: Any = {"tags": {"password": SECRET}, "error_message": f"token={SECRET}", "token": SECRET}
        zespan_serverless.capture(event)
        zespan_serverless.flush(5)
    assert len(events) == 3
    assert SECRET not in json.dumps(events)
    assert events[0]["tags"] == {"token": "[REDACTED]", "team": "t", "Api-Key": "[REDACTED]"}


def test_an_event_is_an_event_whatever_the_keys() -> None:
    """What the backend knows events by is not redacted; what stands in other fields is."""
    with testing.recording(redact_keys=["trace_id", "user_id", "status"]) as events:
        with with_context(user_id=SECRET), span("step"):
            pass
        zespan_serverless.flush(5)
    (event,) = events
    assert re.fullmatch("[0-9a-f]{32}", event["trace_id"])
    assert (event["status"], event["user_id"]) == ("success", "[REDACTED]")


ODD: dict[str, Callable[[], Any]] = {
    "lying dict": lambda: Lying(a=1),
    "raising list": lambda: type("L", (list,), {"__iter__": lambda self: 1 / 0, "__len__": lambda self: 1 / 0})([1]),
    "spec str": lambda: mock.Mock(spec=str),
    "spec dict": lambda: mock.Mock(spec=dict),
    "spec list": lambda: mock.MagicMock(spec=list),
    "huge": lambda: 10**6000,
    "loud str": lambda: type(
        "S", (str,), {n: lambda *_: 1 / 0 for n in ("lower", "__str__", "__len__", "__eq__", "__hash__")}
    )("x"),
    "loud int": lambda: type("I", (int,), {"__int__": lambda self: 1 / 0, "bit_length": lambda self: 1 / 0})(5),
}


@pytest.mark.parametrize("name", ODD)
def test_every_event_arrives_or_is_counted(name: str) -> None:
    """Whatever its values do when they are looked at."""
    with testing.recording() as events:
        value: Any
        for value in (ODD[name](), [ODD[name]()], {"a": ODD[name]()}):
            with span("step", metadata={"v": value}), with_context(tags={"a": value}), span(value):
                pass
            zespan_serverless.capture({"metadata": value, "trace_id": value})
        report = zespan_serverless.flush(5)
    assert report.pending == 0
    assert len(events) == 9


@pytest.mark.parametrize("event", [None, 5, [], mock.Mock(spec=dict), {"a": 1}.items()])
def test_what_is_no_event_is_counted(event: Any) -> None:
    """And said, as any event that is dropped."""
    with testing.recording(on_error=lambda dropped: seen.append(dropped)) as events:
        seen: list[Any] = []
        zespan_serverless.capture(event)
        zespan_serverless.flush(5)
    assert events == []
    assert [(dropped.events, dropped.reason) for dropped in seen] == [(1, "unencodable")]


def test_details_that_another_thread_changes() -> None:
    """No event is lost to that."""
    shared: dict[Any, Any] = {}
    stop = threading.Event()

    def change() -> None:
        n = 0
        while not stop.is_set():
            n += 1
            shared[f"k{n % 500}"] = n
            shared.pop(f"k{(n + 250) % 500}", None)

    thread = threading.Thread(target=change)
    thread.start()
    try:
        with testing.recording() as events:
            for _ in range(200):
                with span("step", metadata={"shared": shared, "set": shared.keys()}) as details:
                    details["again"] = shared
            zespan_serverless.flush(5)
    finally:
        stop.set()
        thread.join()
    assert len(events) == 200


class Timeout(Exception):
    """What a SIGALRM handler of the user's raises, wherever it strikes."""


class Slow:
    """Strikes while it is looked at, the first time."""

    def __init__(self) -> None:
        self.struck = False

    def __str__(self) -> str:
        if not self.struck:
            self.struck = True
            signal.raise_signal(signal.SIGALRM)
        return "slow"


@pytest.mark.skipif(not hasattr(signal, "SIGALRM"), reason="POSIX")
def test_what_a_signal_handler_raises_passes_and_the_event_is_made() -> None:
    """The user's timeout propagates, and no event is lost."""

    def ring(*_: object) -> None:
        raise Timeout

    before = signal.signal(signal.SIGALRM, ring)
    try:
        with testing.recording() as events:
            with pytest.raises(Timeout), span("step", metadata={"a": Slow()}):
                pass
            with pytest.raises(Timeout):
                zespan_serverless.capture({"metadata": {"a": [Slow()]}})
            zespan_serverless.flush(5)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert [event["metadata"] for event in events] == [{"a": "slow"}, {"a": ["slow"]}]


def test_a_source_that_cannot_be_compared() -> None:
    """The records of an event are the user's to work on, whatever our look at them raises."""

    class Array:
        def __bool__(self) -> bool:
            raise ValueError("ambiguous")

        __eq__ = __len__ = __bool__  # type: ignore[assignment]

    with testing.recording():
        for value in (Array(), type("Source", (str,), {"__hash__": lambda self: 1 / 0})("aws:sqs")):
            records = [{"eventSource": value, "eventSourceARN": value, "messageId": value}]
            assert list(zespan_serverless.traced_records({"Records": records})) == records
            with zespan_serverless.traced_record(records[0]):
                pass


@pytest.mark.parametrize("moment", [-1e18, 1e18, float("nan"), float("inf"), -5.0])
def test_a_time_of_no_calendar(moment: float) -> None:
    """Costs the time, not the event."""
    with testing.recording() as events:
        with mock.patch("time.time", return_value=moment), span("step"):
            pass
        zespan_serverless.flush(5)
    assert re.fullmatch(r"(1970|9999)-.*Z", events[0]["timestamp"])


def test_pictures_are_left_out() -> None:
    """Of a data URL that is longer than 65,536 characters the beginning is kept, and how long it was is said."""
    url = "data:image/png;base64," + "A" * 100_000
    said = redact([{"type": "image_url", "image_url": {"url": url}}])[0]["image_url"]["url"]
    assert said == url[:100] + "... [99922 of 100022 characters left out]"
    assert redact("data:" + "A" * 65_000) == "data:" + "A" * 65_000


def test_no_key_no_look() -> None:
    """Without keys nothing is looked for."""
    text = '{"password": "p"}'
    assert Policy(Settings(redact_keys=("", "--"))).text(text) == text
    assert NO_KEYS.error("password=5") == "password=5"
    assert normalized(["", "--"]) == frozenset()


def test_nothing_is_logged_of_a_secret(caplog: pytest.LogCaptureFixture) -> None:
    """Not even when an event fails."""
    caplog.set_level(logging.DEBUG)
    with testing.recording():
        event: Any = Lying(password=SECRET)
        zespan_serverless.capture(event)
        zespan_serverless.flush(5)
    assert SECRET not in caplog.text


_SCRAPS = (
    '"',
    "'",
    ":",
    "=",
    ">",
    " ",
    "\\",
    "n",
    "\n",
    "password",
    "Api-Key",
    "x",
    "1",
    "{",
    ",",
    "\\u0022",
    "\u2028",
)


@given(st.lists(st.sampled_from(_SCRAPS), max_size=14).map("".join))
def test_the_check_for_signs_misses_no_key(text: str) -> None:
    """What is left unsearched, because no sign follows a quote, has no key that the search would find."""
    found = POLICY.text(text)
    with mock.patch.object(redaction, "_may_have_keys", return_value=True):
        assert POLICY.text(text) == found
