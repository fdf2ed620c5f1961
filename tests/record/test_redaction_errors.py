"""No secret leaves in the text of an error, and without `store_prompts` no content does."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

import pydantic
import pytest

import zespan_serverless
from tests.record.redacted import POLICY, SECRET, UNSAID, redact
from tests.record.test_values import Model
from zespan_serverless import span, testing
from zespan_serverless._record.policy import ERROR_TEXT_MAX
from zespan_serverless._record.values import to_json


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
