"""One call, from its start to the one event that it ends in."""

from __future__ import annotations

import threading
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from ... import _process, _trace
from ..._base.guard import Guarded, is_from_signal, pass_on
from ..._base.log import warn_once
from ..._record.event import Event, failed, leaf, new_event
from ..._record.redaction import Redacted
from ._messages import Answer, Prompt, cost, field, provider_at
from ._observing import once
from ._streams import Reading, waiting

if TYPE_CHECKING:
    from ._observing import Done

_ON_RECORD_MAX = 65_536  # characters of a prompt that are put on record before there is an answer
_PATH = "/chat/completions"
_RAW_HEADER = "X-Stainless-Raw-Response"  # "true": with_raw_response; "stream": with_streaming_response


def begin(owner: Any, request: dict[str, Any]) -> Done | None:
    """A method of `owner` is about to be called: who is to be told of its result. None if there is nobody to tell."""
    container = _process.current()
    if container is None:
        return None
    try:
        return Call(container, owner, request).begun()
    except Exception as error:
        pass_on(error)
        container.lost(error)
        return None


def begin_request(client: Any, options: Any) -> Done | None:
    """The client is about to send a request: the same, if it is one for a completion whose call has come past us.

    A tool that wraps one client, such as LangSmith's, keeps the method that it has found there.
    """
    if waiting.get() is not None:
        return None
    try:
        if options.url != _PATH or options.method.lower() != "post":
            return None
        request = {**options.json_data, "extra_headers": options.headers or None}
    except Exception as error:
        pass_on(error)
        return None
    return begin(SimpleNamespace(_client=client), request)


class Call:
    """One call, from its start to the one event that it ends in."""

    def __init__(self, container: _process.Container, completions: Any, request: dict[str, Any]) -> None:
        self.container, self.request = container, request
        client = getattr(completions, "_client", None)
        self.provider = provider_at(str(getattr(client, "base_url", "")), type(client).__name__)
        self.model = str(leaf(request.get("model", "unknown")))
        self.stream = bool(request.get("stream"))
        self.raw = (request.get("extra_headers") or {}).get(_RAW_HEADER)
        self.span = _trace.new_span(_trace.current())
        self.once = threading.Lock()  # taken when the event is made
        # Taken now: by the time the call ends the user may have appended the answer to the same list.
        self.prompt = Prompt(request.get("messages"), request.get("tools"), container)
        self.outer: Call | None = None
        self.streams = False  # a stream has been met, which makes the event
        self.began = time.perf_counter()

    def begun(self) -> Done:
        """The method is about to be called: who is to be told of its end."""
        try:
            self._on_record()
        except BaseException as error:
            if not isinstance(error, Exception) or is_from_signal(error):
                self.end(None, error)  # it may be on record already
                raise
            warn_once("an openai call was not put on record: %r", error)
        self.began = time.perf_counter()
        return self.opens()

    def _on_record(self) -> None:
        """The process may not live to see the answer."""
        if not self.container.records:
            return
        known: dict[str, Any] = {
            "provider": self.provider,
            "model": self.model,
            "stream": self.stream,
        }
        if self.container.settings.store_prompts:
            known["prompt_text"] = Redacted(self.prompt.text[:_ON_RECORD_MAX])
        self.container.opened(self.span, "llm", "chat", **known)

    def opens(self) -> Done:
        """From now on until `done` a stream that is made here is the one of this call."""
        self.outer = waiting.get()
        waiting.set(self)
        return self.done

    def met(self, stream: Any) -> None:
        """The stream of this call has been made. Never raises, but for what a signal handler does."""
        if not self.stream or self.streams:
            return
        try:
            Reading(self, stream)
            self.streams = True
        except Exception as problem:
            pass_on(problem)
            warn_once("an openai stream was not read: %r", problem)

    def done(self, result: Any, error: BaseException | None) -> None:
        """The method has returned: an answer, a stream to be read, or a raw response of either.

        Never raises, but for what a signal handler does.
        """
        try:
            if error is not None:
                answer = None
                with Guarded("the answer of a failed call"):
                    answer = _paid(error)
                self.end(answer, error)
            elif self.raw == "stream":
                self._await(result)
            else:
                # parse() keeps what it has made: the user's own call of it will get the same object.
                self._read(result.parse() if self.raw else result)
        except BaseException as problem:
            with Guarded("an answer of openai's"):
                self.end()
                raise problem
        finally:
            waiting.set(self.outer)
            self.outer = None

    def end(self, answer: Answer | None = None, error: BaseException | None = None) -> None:
        """Make the event; the second time does nothing, in whichever thread.

        Never raises, but for what a signal handler does; there is an event all the same.
        """
        if not self.once.acquire(blocking=False):
            return
        took = (time.perf_counter() - self.began) * 1000
        try:
            self.span.ends.pop(id(self), None)
        finally:
            with Guarded("the end of an openai call"):
                self.container.capture_made(lambda: self._event(answer or Answer(), error, took), self.span.span_id)

    def _read(self, result: Any) -> None:
        if not self.stream:
            self.end(Answer.of(result))
        elif not self.streams:  # it is of another make, or from a mock
            Reading(self, result)

    def _await(self, response: Any) -> None:
        """The body is still to come. Users may have it parsed; then, or without that, they close the response."""
        self.raw = None
        self.span.ends[id(self)] = self.end  # the invocation may end first
        once(response, "parse", self.opens)
        once(response, "close", lambda: self.end)

    def _event(self, answer: Answer, error: BaseException | None, took_ms: float) -> Event:
        prompt = self.prompt
        event = new_event(self.span, self.container.settings, took_ms, kind="llm", operation="chat")
        model = answer.model or self.model
        event.update(
            provider=self.provider,
            model=model,
            stream=self.stream,
            input_tokens=answer.input_tokens,
            output_tokens=answer.output_tokens,
            reasoning_tokens=answer.reasoning_tokens,
            cost_usd=cost(model, answer),
            finish_reason=answer.finish_reason,
            prompt_hash=prompt.digest,
            agent_id=None,
            agent_name=prompt.agent_name,
            agent_role=prompt.agent_role and prompt.agent_role.lower(),
            agent_framework=None,
            parent_agent_id=None,
            conversation_turn=prompt.turn,
            message_role=prompt.last_role,
            has_memory=prompt.memory,
            has_planning=prompt.planning,
            tools_used=list(answer.tools) or None,
            tool_call_args=answer.tools or None,
            prompt_text=prompt.text,
            completion_text=_texts(answer),
        )
        if prompt.system:
            event["system_prompt"] = prompt.system
        if answer.tools and answer.text:
            event["decision_rationale"] = answer.text
        if answer.first_token_ms is not None:
            event["ttft_ms"] = answer.first_token_ms
        if prompt.tools:
            event["tool_definitions"] = prompt.tools
        if answer.cached_tokens:
            event["cached_tokens"] = answer.cached_tokens
        if answer.cache_write_tokens:
            event["metadata"] = {"cache_write_tokens": answer.cache_write_tokens}
        if error is not None:
            failed(event, error)
        return event


def _texts(answer: Answer) -> Any:
    """The answer's text; of several choices a list, which is sent as the text of its JSON."""
    return [answer.text, *answer.others] if any(answer.others) else answer.text


def _paid(error: BaseException) -> Answer | None:
    """The answer that a failed call has had all the same: one that was cut off, or that `parse` could not read."""
    completion, traceback = field(error, "completion"), error.__traceback__
    while completion is None and traceback is not None:
        frame, traceback = traceback.tb_frame, traceback.tb_next
        if frame.f_code.co_name == "parse_chat_completion":
            completion = frame.f_locals.get("chat_completion")
    return None if completion is None else Answer.of(completion)
