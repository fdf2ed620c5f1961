"""What decorating does, and refuses, where there is no worker."""

from __future__ import annotations

import asyncio
import functools
import inspect
import subprocess
import sys
import typing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import azure.functions as func
import pytest

from tests.support import ROOT, until
from zespan_serverless import ConfigurationError, testing, zespan_azure
from zespan_serverless._observe.bodies import AsyncBody
from zespan_serverless._platforms import azure
from zespan_serverless.azure_functions import _triggers


class Context:
    """What the worker passes as `context`."""

    invocation_id = "id-1"
    function_name = "hello"
    function_directory = "/nowhere"

    class trace_context:  # noqa: N801
        trace_parent = f"00-{'1' * 32}-{'2' * 16}-01"


def request(url: str = "https://myapp.azurewebsites.net/api/hello") -> func.HttpRequest:
    return func.HttpRequest(method="GET", url=url, body=b"")


def test_signature_and_annotations() -> None:
    """The worker sees one parameter more, by keyword only; names, annotations and asyncness are the function's."""

    def hello(req: func.HttpRequest) -> str:
        """Says it."""
        return "hello"

    async def ahello(req: func.HttpRequest, context: func.Context, **more: int) -> str:
        return "hello"

    wrapped, awrapped = zespan_azure(hello), zespan_azure(ahello)
    parameters = inspect.signature(wrapped).parameters
    assert list(parameters) == ["req", "context"]
    assert parameters["context"].kind is inspect.Parameter.KEYWORD_ONLY
    assert inspect.signature(awrapped) == inspect.signature(ahello)
    assert typing.get_type_hints(wrapped) == typing.get_type_hints(hello)
    assert (wrapped.__name__, wrapped.__doc__, wrapped.__module__) == ("hello", "Says it.", hello.__module__)
    assert (inspect.iscoroutinefunction(wrapped), inspect.iscoroutinefunction(awrapped)) == (False, True)
    assert inspect.getfile(wrapped) == __file__


def test_context_comes_before_further_keywords() -> None:
    """`**more` stays the last parameter, as Python wants it."""

    @zespan_azure
    def hello(req: func.HttpRequest, **more: int) -> str:
        return "hello"

    assert list(inspect.signature(hello).parameters) == ["req", "context", "more"]


def test_called_by_hand() -> None:
    """A user's test may call it by position or keyword, with or without a context, in an event loop or not."""

    @zespan_azure
    def hello(req: func.HttpRequest) -> str:
        return "hello"

    @zespan_azure
    async def ahello(req: func.HttpRequest, context: Any = None) -> Any:
        return context

    with testing.recording() as events:
        assert hello(request()) == "hello"
        assert hello(req=request(), context=Context()) == "hello"  # type: ignore[call-arg]
        context = Context()
        assert asyncio.run(ahello(request(), context)) is context
        assert asyncio.run(ahello(req=request(), context=context)) is context
    assert [event["metadata"].get("faas.invocation_id") for event in events] == [None, "id-1", "id-1", "id-1"]
    assert {event["metadata"]["url.path"] for event in events} == {"/api/hello"}
    assert events[0]["trace_id"] != "1" * 32
    assert {event["trace_id"] for event in events[1:]} == {"1" * 32}


def test_a_builder_can_be_called_by_hand() -> None:
    """Above Azure's decorators, too, what one gets is the builder that Azure's app made, and calling it is traced."""
    app = func.FunctionApp()

    @zespan_azure
    @app.route(route="hello")
    def hello(req: func.HttpRequest) -> str:
        return "hello"

    assert type(hello).__name__ == "FunctionBuilder"
    with testing.recording() as events:
        assert hello(request()) == "hello"
    assert [event["operation"] for event in events] == ["hello"]


def test_functions_that_call_each_other_are_one_invocation() -> None:
    """A decorated function called by another one is part of its invocation."""

    @zespan_azure
    def inner(req: func.HttpRequest) -> str:
        return "inner"

    @zespan_azure
    def outer(req: func.HttpRequest) -> str:
        return inner(req)

    with testing.recording() as events:
        assert outer(request()) == "inner"
    assert [event["operation"] for event in events] == ["outer"]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3), asyncio.CancelledError()])
@pytest.mark.parametrize("is_async", [False, True])
def test_exceptions_that_are_no_errors_pass(error: BaseException, is_async: bool) -> None:
    """Whatever ends a function comes out as it is, after one event."""

    @zespan_azure
    def fails(req: func.HttpRequest) -> str:
        raise error

    @zespan_azure
    async def afails(req: func.HttpRequest) -> str:
        raise error

    def run() -> None:
        if not is_async:
            fails(request())
        with pytest.raises(StopIteration):
            afails(request()).send(None)

    with testing.recording() as events:
        with pytest.raises(type(error)) as caught:
            run()
        assert caught.value is error
        until(lambda: events)  # a cancelled task does not wait for it
        assert [event["status"] for event in events] == ["error"]


@pytest.mark.parametrize("wrong", [7, "hello", object])
def test_what_is_no_function_is_refused(wrong: object) -> None:
    """Said while decorating, as is a setting that does not exist."""
    with pytest.raises(ConfigurationError, match="decorates a function"):
        zespan_azure(wrong)
    with pytest.raises(ConfigurationError, match="flush_timeout"):
        zespan_azure(flush_timeot=1)  # type: ignore[call-overload]


def test_generators_are_refused() -> None:
    """A durable orchestrator is replayed: the error says what to decorate instead."""

    def orchestrator(context: Any) -> Any:
        yield

    async def stream(req: func.HttpRequest) -> Any:
        yield

    for wrong in (orchestrator, stream):
        with pytest.raises(ConfigurationError, match="activities"):
            zespan_azure(wrong)


def test_an_orchestrator_that_cannot_be_told_apart_is_called_without_a_trace() -> None:
    """It has no event, and does not take the cold start from the first function that has one."""

    class DurableOrchestrationContext(Context):
        pass

    @zespan_azure
    def orchestrator(context: Any) -> str:
        return "done"

    @zespan_azure
    def activity(word: str) -> str:
        return word

    with testing.recording() as events:
        assert orchestrator(DurableOrchestrationContext()) == "done"
        assert [activity("a"), activity("b")] == ["a", "b"]
    assert [event["metadata"]["faas.coldstart"] for event in events] == [True, False]


@pytest.mark.parametrize(
    ("kind", "told"),
    [("orchestrationTrigger", "decorate its activities"), ("entityTrigger", "below @app.entity_trigger")],
)
def test_durable_functions_are_refused_from_above(kind: str, told: str) -> None:
    """Above the decorators of durable functions the function is not to be seen, but the trigger is. The error says what
    to decorate."""
    app = func.FunctionApp()

    @app.generic_trigger(arg_name="context", type=kind)
    def handle(context: str) -> str:
        return ""

    with pytest.raises(ConfigurationError, match=told):
        zespan_azure(handle)


def test_a_builder_that_keeps_its_function_to_itself() -> None:
    """Never silently nothing: if the function in there cannot be found, the error says where to put the decorator."""
    with pytest.raises(ConfigurationError, match="below Azure's decorators"):
        zespan_azure(type("FunctionBuilder", (), {})())


def test_tools_have_no_additional_parameter() -> None:
    """`@app.mcp_tool` makes a tool's properties of the parameters it sees: `context` is not one of them."""
    app = func.FunctionApp()
    if not hasattr(app, "mcp_tool"):
        pytest.skip("this version of azure-functions has no MCP tools")

    @app.mcp_tool()  # type: ignore[untyped-decorator]
    @zespan_azure
    def look_up(city: str) -> str:
        """Looks a city up."""
        return f"{city} is nice"

    built: Any = look_up
    properties = str(built._function.get_trigger().get_dict_repr())
    assert ("city" in properties, '"context"' in properties) == (True, False)
    with testing.recording() as events:
        answer = asyncio.run(built(context='{"arguments": {"city": "Paris"}}'))
    assert "Paris is nice" in str(answer)
    assert [event["operation"] for event in events] == ["look_up"]


def test_importing_starts_nothing() -> None:
    """Outside of a worker a decorated module starts no thread, sets no handler, and does not need azure.functions."""
    code = (
        "import signal, sys, threading\n"
        "from zespan_serverless import zespan_azure\n"
        "@zespan_azure(api_key='zsp_x')\n"
        "def hello(req): return 'hello'\n"
        "assert threading.active_count() == 1\n"
        "assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL\n"
        "assert not [name for name in sys.modules if name.startswith(('azure', 'http.client', 'ssl'))]\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("00:05:00", 300),
        ("1.00:00:01", 86_401),
        ("00:10", 600),
        ("00:00:00.5", 0.5),
        ("-1", None),
        ("00:00:00", None),
        ("five minutes", None),
        ("a:b:c", None),
        ("1:2:3:4", None),
        (None, None),
        (300, None),
    ],
)
def test_dotnet_time_spans_are_parsed(text: object, seconds: float | None) -> None:
    """.NET's format is converted to seconds; anything else, and no limit, becomes None."""
    assert azure.seconds(text) == seconds


def test_host_json_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Above the function's file, or where Azure says that the app is; with comments in it, it is not read."""
    deep = tmp_path / "app" / "chat" / "functions"
    deep.mkdir(parents=True)
    file = tmp_path / "app" / "host.json"
    file.write_text('\ufeff{"functionTimeout": "00:01:00", "extensions": {"http": {"routePrefix": ""}}}')
    assert azure.app(str(deep)) == azure.App(60, "")
    monkeypatch.setenv("AzureWebJobsScriptRoot", str(tmp_path / "app"))
    assert azure.app("/") == azure.App(60, "")
    file.write_text('{"functionTimeout": "00:01:00"} // a minute')
    assert azure.app(str(deep)) == azure.App(None, "api")
    file.write_text("[]")
    assert azure.app(str(deep)) == azure.App(None, "api")


def test_a_resource_is_named_only_if_it_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the group there is no resource id; without the app, as on your machine, the function's name is all."""
    monkeypatch.setenv("WEBSITE_OWNER_NAME", "sub+rg-westeuropewebspace")
    assert (azure.full_name("f"), azure.attributes("f")["cloud.resource_id"]) == ("f", None)
    monkeypatch.setenv("WEBSITE_SITE_NAME", "app")
    assert (azure.full_name("f"), azure.attributes("f")["cloud.resource_id"]) == ("app/f", None)
    assert azure.attributes("f")["cloud.account.id"] == "sub"


def test_a_response_that_takes_no_other_body() -> None:
    """If a stream cannot be followed, it is left alone, and the invocation ends with the function."""

    class Fixed:
        status_code = 200

        @property
        def body_iterator(self) -> Any:
            return functools.partial(_pieces)()

    response = Fixed()

    @zespan_azure
    async def stream(req: func.HttpRequest) -> Any:
        return response

    with testing.recording() as events:
        assert asyncio.run(stream(request())) is response
    assert [event["operation"] for event in events] == ["stream"]


async def _pieces() -> Any:
    yield b"one"


def test_a_body_is_as_it_was_but_for_its_pieces() -> None:
    """Closing it closes the function's own, and what else it has is still to be had."""
    closed = []

    class Body:
        media = "text/plain"

        def __aiter__(self) -> Any:
            return self

        async def __anext__(self) -> bytes:
            return b"one"

        async def aclose(self) -> None:
            closed.append(True)

    class Response:
        body_iterator: Any = Body()

    @zespan_azure
    async def stream(req: func.HttpRequest) -> Any:
        return Response()

    async def run() -> None:
        body = (await stream(request())).body_iterator
        assert isinstance(body, AsyncBody)
        assert (await anext(aiter(body)), body.media) == (b"one", "text/plain")
        await body.aclose()

    with testing.recording() as events:
        asyncio.run(run())
        until(lambda: events)
    assert (closed, [event["operation"] for event in events]) == ([True], ["stream"])


def test_a_trigger_without_a_known_binding_is_recognized_by_its_class() -> None:
    """Called by hand there is no binding: a message is a message, and comes before what may be further inputs."""
    inputs = {"template": type("InputStream", (), {})(), "msg": func.QueueMessage(id="m", body="hi")}
    said = _triggers.describe({}, inputs, "api")
    assert (said["azure.functions.trigger"], said["messaging.message.id"]) == ("queue", "m")
    assert _triggers.describe({}, {"text": "hi"}, "api")["faas.trigger"] == "other"


@pytest.mark.parametrize(("count", "most", "told"), [(0, 0, False), (0, 3, True), (2, 3, True)])
def test_retries_are_recorded(count: int, most: int, told: bool) -> None:
    """The worker gives every function a count; without a retry policy both are 0."""
    retries = SimpleNamespace(retry_count=count, max_retry_count=most)
    context = SimpleNamespace(function_name="f", invocation_id="i", trace_context=None, retry_context=retries)

    @zespan_azure
    def function(req: func.HttpRequest) -> str:
        return "done"

    with testing.recording() as events:
        function(req=request(), context=context)  # type: ignore[call-arg]
    metadata = events[0]["metadata"]
    expected = (count, most) if told else (None, None)
    assert (metadata.get("azure.functions.retry_count"), metadata.get("azure.functions.max_retry_count")) == expected
