"""No secret leaves in a structure: values of `redact_keys`, at any depth and of any type."""

from __future__ import annotations

import argparse
import collections
import collections.abc
import dataclasses
import enum
import json
import logging
import os
import sys
import types
from collections.abc import Callable, Iterator
from typing import Any, TypedDict
from unittest import mock

import pydantic
import pydantic.v1
import pytest
from hypothesis import given
from zespan.redact import redact_for_storage

import zespan_serverless
from tests.record.redacted import NO_KEYS, POLICY, SECRET, Lying, Pair, Plainly, redact
from tests.record.test_values import PLAIN, Model, Record
from zespan_serverless import testing
from zespan_serverless._record.policy import Policy, normalized
from zespan_serverless._record.secret_keys import normal
from zespan_serverless._record.values import to_json
from zespan_serverless.settings import Settings


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


class Items(collections.abc.Mapping[str, str]):
    """A third-party mapping."""

    def __getitem__(self, key: str) -> str:
        return SECRET

    def __iter__(self) -> Iterator[str]:
        return iter(["password"])

    def __len__(self) -> int:
        return 1


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
