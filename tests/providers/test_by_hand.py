"""`patch` and `wrap`: SDKs and single clients are traced without a decorator's doing."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from importlib import import_module
from types import SimpleNamespace
from typing import Any, get_args

import pytest

from zespan_serverless import ConfigurationError, flush, patch, providers, testing, wrap, zespan_lambda
from zespan_serverless._base.hook import WhenImported
from zespan_serverless.providers import _by_hand

from .apis import APIS
from .apis.api import Api
from .endpoint import serving
from .test_apis import IGNORED, play

ONE_OF_EACH = (
    *("openai responses", "anthropic messages", "groq chat", "mistral chat", "cohere chat"),
    *("google generate_content", "bedrock converse", "bedrock invoke_model"),
)
pytestmark = [pytest.mark.filterwarnings(f"ignore::{name}") for name in IGNORED]


@pytest.fixture
def unpatched(monkeypatch: pytest.MonkeyPatch) -> None:
    """The methods of all SDKs are their own, and starting a container leaves them so."""
    monkeypatch.setattr(providers, "watch", lambda *rooms: None)
    others = [finder for finder in sys.meta_path if not isinstance(finder, WhenImported)]
    monkeypatch.setattr(sys, "meta_path", others)  # an SDK may be imported in the test for the first time
    for module, room in providers.ROOMS.items():
        for choke in import_module(f"{providers.__name__}.{room}").CHOKES:
            for owner in (vars(sys.modules.get(module, SimpleNamespace())).get(name) for name in choke.classes):
                for method in choke.methods if owner is not None else ():
                    original = getattr(vars(owner).get(method), "__zespan_original__", None)
                    if original is not None:
                        monkeypatch.setattr(owner, method, original)


def _wrapped(api: Api) -> Api:
    """Return the same API, called by a client that has been wrapped, and wrapped again."""

    def wrapped(client: Any) -> Any:
        inner = vars(client).get("client", client) if type(client).__name__ == "_Async" else client
        assert wrap(wrap(inner)) is inner
        return client

    stream = api.stream
    assert stream is not None
    return replace(api, ask=lambda client: api.ask(wrapped(client)), stream=lambda client: stream(wrapped(client)))


@pytest.fixture(params=["sync", "async"])
def is_async(request: pytest.FixtureRequest) -> bool:
    return bool(request.param == "async")


@pytest.mark.slow
@pytest.mark.usefixtures("unpatched")
@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_one_client_is_traced(name: str, is_async: bool) -> None:
    """Of any SDK: its answers and its streams are one event each; those of other clients are none."""
    api = APIS[name]
    with serving(api.reply) as endpoint:
        bare = [play(api, endpoint, what, is_async=is_async) for what in ("ask", "read")]
        ours = [play(_wrapped(api), endpoint, what, is_async=is_async) for what in ("ask", "read")]
    assert [one.calls for one in bare] == [[], []]
    assert [one.seen for one in ours] == [one.seen for one in bare]
    expected = [api.event, {**api.event, **api.later}]
    for one, fields in zip(ours, expected, strict=True):
        event = one.only()
        assert {field: event.get(field) for field in fields} == fields


@pytest.mark.slow
@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_a_client_of_a_patched_sdk_that_is_wrapped(name: str, is_async: bool) -> None:
    """A call is one event all the same."""
    api = APIS[name]
    with serving(api.reply) as endpoint:
        play(api, endpoint, "ask", is_async=is_async)  # imports the SDK, which is patched then
        for what in ("ask", "read"):
            event = play(_wrapped(api), endpoint, what, is_async=is_async).only()
            assert (event["status"], event["input_tokens"]) == ("success", api.event["input_tokens"])


def test_a_client_that_is_like_anthropics() -> None:
    """Another make with the same methods."""

    class Messages:
        def create(self, **request: Any) -> Any:
            usage = {"input_tokens": 3, "output_tokens": 4}
            return {"model": "theirs", "usage": usage, "content": [{"type": "text", "text": "Hi"}]}

    client = wrap(SimpleNamespace(messages=Messages()))

    @zespan_lambda
    def handler(event: object, context: object) -> Any:
        return client.messages.create(model="m", messages=[{"role": "user", "content": "?"}])["model"]

    with testing.recording() as events:
        assert handler({}, testing.LambdaContext()) == "theirs"
        flush(5)
    (call,) = [event for event in events if event["span_kind"] == "llm"]
    assert (call["model"], call["input_tokens"], call["completion_text"]) == ("theirs", 3, "Hi")


def test_a_class_is_not_wrapped(caplog: pytest.LogCaptureFixture) -> None:
    """It stays as it is, and the log says what `wrap` takes."""

    class Client:
        messages = SimpleNamespace(create=print)

    assert wrap(Client) is Client
    assert Client.messages.create is print
    assert "wrap() takes a client, not the class Client" in caplog.text


def test_an_sdk_that_is_not_known() -> None:
    """The error says which are."""
    with pytest.raises(ConfigurationError, match=r"does not know 'boto3': pass some of \"anthropic\", \"bedrock\""):
        patch("boto3")  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match=r"does not know \['openai'\]"):
        patch(["openai"])  # type: ignore[arg-type]
    assert set(get_args(_by_hand.Sdk)) == set(providers.ROOMS.values())


@pytest.mark.slow
def test_only_some_sdks_are_patched() -> None:
    """Those that are named, whether they are imported before or after; none is imported."""
    script = """
import sys, groq
from zespan_serverless import patch
patch("groq", "openai")
patch("groq")
assert "openai" not in sys.modules and "anthropic" not in sys.modules
import anthropic, openai
kinds = (groq, openai, anthropic)
print(*(hasattr(kind._base_client.AsyncAPIClient.request, "__zespan_original__") for kind in kinds))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=100)
    assert done.stdout.split() == ["True", "True", "False"]
