"""No secret leaves in a text: in JSON, in Python's and in loose forms."""

from __future__ import annotations

import collections
import json
import types
from collections.abc import Callable
from typing import Any
from unittest import mock

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.record.redacted import POLICY, SECRET, Pair, Plainly
from zespan_serverless._record import secret_keys
from zespan_serverless._record.values import encode


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
@example("token", ['x":', "}" + SECRET], [LAYERS[8], LAYERS[3]], {})
@example("token", {"a": "\\", "b": ">" + SECRET}, [LAYERS[3], LAYERS[8]], {})
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
    with mock.patch.object(secret_keys, "_may_have_keys", return_value=True):
        assert POLICY.text(text) == found
