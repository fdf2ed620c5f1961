"""What the SDK `zespan` 1.6.1 does alone, and no longer does in a function that has our decorator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.sdks.guide import ASK, play

if TYPE_CHECKING:
    from zespan_serverless_dev.emulator.model import ModelEndpoint

pytestmark = pytest.mark.slow

STREAM = ASK.replace("model=", "stream=True, model=")
FLUSH = "began = time.monotonic(); zespan.flush(); assert time.monotonic() - began < 5"


def llm(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [event for event in events if event["span_kind"] == "llm"]


@pytest.mark.parametrize(
    ("mode", "retry_after"), [("hang", None), (500, None), (429, "60"), (429, "Fri, 31 Dec 2100 23:59:59 GMT")]
)
def test_flush_does_not_block(mode: Any, retry_after: str | None, model: ModelEndpoint) -> None:
    """It retries for 7 s, for 27 s if the backend hangs, and for as long as a Retry-After says."""
    play(model, f"{ASK}\n{FLUSH}", mode=mode, retry_after=retry_after)


def test_events_of_a_failed_flush_are_kept(model: ModelEndpoint) -> None:
    """It drops a batch that has failed, and one of four attempts is the last."""
    body = f"""
        {ASK}
        import http.server
        {FLUSH}
        from zespan_serverless import flush
        report = flush(0)
        assert report.pending == 1 and not report.dropped, report
    """
    play(model, body, mode=500)


def test_flush_waits_for_what_another_thread_sends(model: ModelEndpoint) -> None:
    """It returns at once with events queued, if another thread is sending."""
    body = f"""
        {ASK}
        threads = [threading.Thread(target=zespan.flush) for _ in range(4)]
        [thread.start() for thread in threads]
        {ASK}
        zespan.flush()
        from zespan_serverless import flush
        assert flush(0).pending == 0
        [thread.join() for thread in threads]
    """
    events, _, _ = play(model, body)
    assert len(llm(events)) == 2


def test_a_full_batch_is_not_sent_by_the_call(model: ModelEndpoint) -> None:
    """It sends in the middle of the call that fills a batch, with all retries."""
    body = """
        began = time.monotonic()
        for number in range(120):
            zespan.start_span("step").end()
        assert time.monotonic() - began < 5
    """
    play(model, body, mode="hang")


def test_an_event_that_is_no_json(model: ModelEndpoint) -> None:
    """It loses the whole batch, ends its thread, and raises in the function; here the event arrives as text."""
    body = f"""
        zespan.start_span("odd").end(metadata={{"value": object(), "cycle": threading.Lock()}})
        {ASK}
    """
    events, _, _ = play(model, body)
    assert len(llm(events)) == 1
    assert any("object object" in str(event.get("metadata")) for event in events)


def test_messages_that_are_no_dicts(model: ModelEndpoint) -> None:
    """Its json.dumps of an answer that is passed back fails before the call is made."""
    body = f"""
        answer = {ASK}.choices[0].message
        history = [{{"role": "user", "content": "Hi"}}, answer, {{"role": "user", "content": "And?"}}]
        client.chat.completions.create(model="gpt-4o", messages=history)
    """
    events, _, _ = play(model, body)
    assert len(llm(events)) == 2


def test_telemetry_that_fails_does_not_break_the_call(model: ModelEndpoint) -> None:
    """What its `enqueue` raises comes out of the model call."""
    body = f"""
        def broken(*args):
            raise RuntimeError("telemetry")
        zespan.get_client()._batch_engine.push = broken
        {ASK}
    """
    events, _, _ = play(model, body)
    assert len(llm(events)) == 1


def test_a_tool_that_returns_no_json(model: ModelEndpoint) -> None:
    """Its `trace_tool` raises for a result that json.dumps refuses, although the tool has succeeded."""
    body = """
        with zespan.with_agent("A") as agent:
            assert agent.trace_tool("t", {}, lambda: {1, 2}) == {1, 2}
    """
    events, _, _ = play(model, body)
    (tool,) = [event for event in events if event["span_kind"] == "tool"]
    assert tool["status"] == "success"


def test_many_starts_are_one(model: ModelEndpoint) -> None:
    """Each `init` adds a client, a thread and an exit handler, and `autopatch` reports each call once more."""
    body = f"""
        before = zespan.get_client()
        for _ in range(5):
            zespan.init(api_key="zsp_guide", endpoint=backend + "/v1/ingest", environment="staging")
            zespan.autopatch()
        assert zespan.get_client() is before
        {ASK}
    """
    events, printed, _ = play(model, body, calls=2)
    assert len(llm(events)) == 2
    assert printed.splitlines()[0] == "[]"


def test_autopatch_imports_nothing(model: ModelEndpoint) -> None:
    """It imports every provider that is installed, and raises for a package whose classes have moved."""
    body = """
        before = len(sys.modules)
        assert "boto3" in zespan.autopatch()
        assert "boto3" not in sys.modules and len(sys.modules) - before < 5, len(sys.modules) - before
        import types
        sys.modules["mistralai"] = types.ModuleType("mistralai")
        zespan.patch_mistral()
        zespan.autopatch()
    """
    play(model, body, patch="")


def test_async_clients_and_responses_are_traced(model: ModelEndpoint) -> None:
    """It traces the sync client's chat completions only."""
    body = """
        import asyncio
        async def ask():
            async with openai.AsyncOpenAI(base_url=model, api_key="k") as client:
                await client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "Hi"}])
        asyncio.run(ask())
    """
    events, _, _ = play(model, body)
    assert len(llm(events)) == 1


def test_a_stream_is_the_users_own(model: ModelEndpoint) -> None:
    """Its stream cannot be read by `next`, has neither `response` nor `close`, and one that is left has no end."""
    body = f"""
        stream = {STREAM}
        assert type(stream) is openai.Stream
        next(stream)
        assert stream.response.status_code == 200
        stream.close()
        for chunk in {STREAM}:
            break
        list({STREAM.replace("stream=True", "stream_options={'include_usage': True}, stream=True")})
    """
    events, _, _ = play(model, body)
    assert len(llm(events)) == 3
    assert [event["output_tokens"] for event in llm(events)] == [None, None, 5]
    assert llm(events)[2]["ttft_ms"] > 0


def test_a_forked_child_delivers(model: ModelEndpoint) -> None:
    """A child of its process has no thread that sends, and a pool of connections that is its parent's."""
    body = f"""
        child = os.fork()
        if child == 0:
            {ASK}
            zespan.flush()
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        {ASK}
    """
    events, _, _ = play(model, body)
    assert len(llm(events)) == 2
    assert len({event["event_id"] for event in events}) == len(events)


def test_spans_as_the_readme_has_them(model: ModelEndpoint) -> None:
    """`with start_span(...)` raises TypeError in 1.6.1. A span that fails has the error, and is ended once."""
    body = """
        with zespan.start_span(name="retrieval", span_kind="retriever") as span:
            span.end(status="success")
        try:
            with zespan.start_span("step", span_kind="tool"):
                raise LookupError("mine")
        except LookupError:
            pass
    """
    events, _, _ = play(model, body)
    steps = [event for event in events if event["span_kind"] in ("retriever", "tool")]
    assert [(step["status"], step["error_message"]) for step in steps] == [("success", None), ("error", "mine")]


def test_more_events_than_its_queue_has_room_for(model: ModelEndpoint) -> None:
    """Its queue holds 1,000 events, and drops the oldest without a word."""
    body = """
        for number in range(1500):
            zespan.start_span("step").end()
        zespan.flush()
    """
    events, _, _ = play(model, body, ZESPAN_MAX_EVENTS="5000")
    assert len(events) == 1501


def test_base_url_is_where_events_go(model: ModelEndpoint) -> None:
    """Its `base_url` does not change the address of events."""
    body = """
        from zespan_serverless import _process
        assert _process.current().settings.base_url == backend
    """
    patch = 'zespan.client._client = None; zespan.init(api_key="zsp_guide", base_url=backend, autopatch=False)'
    play(model, body, patch=patch)


def test_guardrails_of_the_sdk_stay(model: ModelEndpoint) -> None:
    """A patch that does more than trace does its work: a blocked prompt is not sent. The events are this package's,
    once each."""
    body = f"""
        zespan.get_client().check_guardrails = lambda **kwargs: {{"allowed": True, "results": [], "modifiedText": None}}
        {ASK}
        blocked = {{"allowed": False, "results": [{{"action": "block", "ruleName": "r"}}], "modifiedText": None}}
        zespan.get_client().check_guardrails = lambda **kwargs: blocked
        try:
            {ASK}
        except zespan.GuardrailBlockedError:
            pass
        else:
            raise AssertionError
    """
    events, _, _ = play(model, body, patch="zespan.patch_openai(guardrails=True)")
    assert [(event["sdk_name"], event["status"]) for event in llm(events)] == [
        ("zespan-serverless-python", "success"),
        ("zespan-serverless-python", "error"),
    ]


def test_personal_data_is_removed(model: ModelEndpoint) -> None:
    """`redact_pii=True` of the SDK's client holds for our events, too."""
    ask = ASK.replace('"Hi"', '"I am ada@example.com"')
    body = f'{ask}\nzespan.start_span("step").end(metadata={{"who": "bob@example.com"}})'
    events, _, _ = play(model, body, init=", redact_pii=True")
    assert "example.com" not in str([event.get("prompt_text") for event in events])
    assert "example.com" not in str([event.get("metadata") for event in events])
    assert llm(events)[0]["model"].startswith("gpt-4o")


def test_personal_data_is_removed_from_steps(model: ModelEndpoint) -> None:
    """`redact_pii=True` also applies to this package's tools and searches."""
    body = """
        from zespan_serverless import span
        with span("t", kind="tool", arguments={"who": "ada@example.com"}) as tool:
            tool.result("bob@example.com")
        with span("s", kind="retriever", query="ada@example.com") as search:
            search.documents(["bob@example.com"])
    """
    events, _, _ = play(model, body, init=", redact_pii=True")
    assert len(events) == 3
    assert "example.com" not in str(events)


def test_an_error_in_a_block_of_the_sdk_that_has_no_text(model: ModelEndpoint) -> None:
    """The function gets its own exception."""
    body = """
        class Mute(Exception):
            def __str__(self):
                raise RuntimeError("no words")
        try:
            with zespan.start_span("step"):
                raise Mute
        except Mute:
            pass
    """
    events, _, _ = play(model, body)
    assert "error" in [event["status"] for event in events]
