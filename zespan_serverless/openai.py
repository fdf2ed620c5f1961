"""OpenAI chat completions as events: sync, async, streamed, parsed, raw; one event a call, whatever becomes of it.

Two places are touched: the methods of the `Completions` classes (or of one client), and the iterator inside a
`Stream` object, so that users keep the real thing with everything it can do.
"""

from __future__ import annotations

import functools
import json
import re
import sys
import threading
import time
import weakref
from typing import TYPE_CHECKING, Any, TypeVar

from . import _container, _trace
from ._event import Event, failed, new_event, redact, redact_text, to_json
from ._log import warn_once

if TYPE_CHECKING:
    from collections.abc import Callable
    from importlib.machinery import ModuleSpec
    from types import ModuleType

    Client = TypeVar("Client")
    Done = Callable[[Any, BaseException | None], None]

__all__ = ["patch_openai", "wrap_openai"]

_MODULES = (
    "openai.resources.chat.completions.completions",
    "openai.resources.chat.completions",  # once a module itself
    "openai.resources.beta.chat.completions",  # once the home of `parse`
)
_CLASSES = ("Completions", "AsyncCompletions")
_METHODS = ("create", "parse")
_ON_RECORD_MAX = 65_536  # characters of a prompt that are put on record before there is an answer
_RATIONALE_MAX = 2000  # characters, as the SDK cuts it
_RAW_HEADER = "X-Stainless-Raw-Response"  # "true": with_raw_response; "stream": with_streaming_response

# US dollars per million (input, output) tokens: the models that the SDK `zespan` 1.6.1 prices, also by the dated names
# in which OpenAI answers; 0.0 for any other.
_GPT_4O, _GPT_4O_MINI = (2.50, 10.00), (0.15, 0.60)
_PRICES = {
    "gpt-4o": _GPT_4O,
    "gpt-4o-2024-08-06": _GPT_4O,
    "gpt-4o-2024-11-20": _GPT_4O,
    "gpt-4o-mini": _GPT_4O_MINI,
    "gpt-4o-mini-2024-07-18": _GPT_4O_MINI,
}

# What the SDK takes for an agent's name and role in a system prompt.
_AGENT_NAME = (r"You are the (\w+)Agent", r"Agent Name:\s*(\w+)")
_AGENT_ROLE = (r"Role:\s*(orchestrator|specialist|planner|executor|critic)",)
_MEMORY = 10  # messages; more, and the conversation counts as remembered


def patch_openai() -> None:
    """Trace every chat completion of every client from now on. Idempotent; the decorators call it by themselves.

    If `openai` has not been imported yet, its methods are patched when it is: this never imports it.
    """
    if not any(isinstance(finder, _WhenImported) for finder in sys.meta_path):
        sys.meta_path.insert(0, _WhenImported())  # first: another thread may begin to import it right now
    from importlib import import_module

    for name in _MODULES:
        if name in sys.modules:
            _patch(import_module(name))  # waits for a thread that is in the middle of it


def wrap_openai(client: Client) -> Client:
    """Trace the chat completions of one client, and return it: one that `patch_openai` does not reach, of another make
    with the same methods. Sync or async; idempotent."""
    completions = client.chat.completions  # type: ignore[attr-defined]
    _wrap(completions, {name: getattr(completions, name, None) for name in _METHODS})
    if not hasattr(completions, "parse"):  # older clients
        parser = client.beta.chat.completions  # type: ignore[attr-defined]
        _wrap(parser, {"parse": parser.parse})
    return client


def _patch(module: ModuleType) -> None:
    for name in _CLASSES:
        owner = vars(module).get(name)  # not getattr: that would import what the package imports lazily
        if owner is not None:
            _wrap(owner, {method: vars(owner).get(method) for method in _METHODS})


def _wrap(owner: Any, methods: dict[str, Any]) -> None:
    """Have `owner`, a class or one object, use observed `methods`, except where they are observed already."""
    for name, method in methods.items():
        if method is not None and not hasattr(method, "__zespan_original__"):
            observed = functools.update_wrapper(_observed(method, functools.partial(_begin, method)), method)
            observed.__zespan_original__ = method  # type: ignore[attr-defined]
            setattr(owner, name, observed)


class _WhenImported:
    """An import hook for the few modules that hold the methods; openai imports them late, at first use."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if name not in _MODULES:
            return None
        try:
            others = (finder for finder in sys.meta_path if finder is not self and hasattr(finder, "find_spec"))
            spec = next(filter(None, (finder.find_spec(name, path, target) for finder in others)), None)
            if spec is not None:
                _patch_once_loaded(spec.loader)
            return spec
        except Exception as error:
            warn_once("openai calls are not traced: %r", error)
            return None


def _patch_once_loaded(loader: Any) -> None:
    load = loader.exec_module

    def exec_module(module: ModuleType) -> None:
        vars(loader).pop("exec_module", None)  # the modules of a zip file share their loader
        load(module)
        try:
            _patch(module)
        except Exception as error:
            warn_once("openai calls are not traced: %r", error)

    loader.exec_module = exec_module


def _is_async(method: Callable[..., Any]) -> bool:
    import inspect

    return inspect.iscoroutinefunction(inspect.unwrap(method))


def _observed(method: Callable[..., Any], begin: Callable[..., Done | None]) -> Callable[..., Any]:
    """`method`, whose result or exception passes through; what `begin(args, kwargs)` returned is told of it first."""
    if _is_async(method):

        async def observed_async(*args: Any, **kwargs: Any) -> Any:
            done = begin(args, kwargs)
            try:
                result = await method(*args, **kwargs)
            except BaseException as error:
                if done:
                    done(None, error)
                raise
            if done:
                done(result, None)
            return result

        return observed_async

    def observed(*args: Any, **kwargs: Any) -> Any:
        done = begin(args, kwargs)
        try:
            result = method(*args, **kwargs)
        except BaseException as error:
            if done:
                done(None, error)
            raise
        if done:
            done(result, None)
        return result

    return observed


def _once(owner: Any, name: str, begin: Callable[[], Done | None]) -> None:
    """Observe the next call of one object's method; nothing stays behind."""

    def first(*_: object) -> Done | None:
        vars(owner).pop(name, None)
        return begin()

    setattr(owner, name, _observed(getattr(owner, name), first))


def _begin(method: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Done | None:
    container = _container.current()
    if container is None:
        return None
    try:
        owner = args[0] if args else getattr(method, "__self__", None)
        return _Call(container, owner, kwargs).done
    except Exception as error:
        warn_once("an openai call was not traced: %r", error)
        return None


class _Call:
    """One call, from its start to the one event that it ends in."""

    def __init__(self, container: _container.Container, completions: Any, request: dict[str, Any]) -> None:
        self.container, self.request = container, request
        base_url = str(getattr(getattr(completions, "_client", None), "base_url", ""))
        self.provider = "openrouter" if "openrouter.ai" in base_url else "openai"
        self.stream = bool(request.get("stream"))
        self.raw = (request.get("extra_headers") or {}).get(_RAW_HEADER)
        self.span = _trace.new_span(_trace.current())
        self.once = threading.Lock()  # taken when the event is made
        # Taken now: by the time the call ends the user may have appended the answer to the same list.
        self.prompt = _Prompt(request.get("messages"), request.get("tools"), container)
        self._on_record()
        self.began = time.perf_counter()

    def _on_record(self) -> None:
        """The process may not live to see the answer."""
        if not self.container.records:
            return
        known: dict[str, Any] = {
            "provider": self.provider,
            "model": str(self.request.get("model", "unknown")),
            "stream": self.stream,
        }
        if self.container.settings.store_prompts:
            known["prompt_text"] = self.prompt.text[:_ON_RECORD_MAX]
        self.container.opened(self.span, "llm", "chat", **known)

    def done(self, result: Any, error: BaseException | None) -> None:
        """The method has returned: an answer, a stream to be read, or a raw response of either. Never raises."""
        if error is not None:
            self.end(None, error)
            return
        try:
            if self.raw == "stream":
                self._await(result)
            else:
                # parse() keeps what it has made: the user's own call of it will get the same object.
                self._read(result.parse() if self.raw else result)
        except Exception as problem:
            warn_once("an openai answer was not read: %r", problem)
            self.end()

    def end(self, answer: _Answer | None = None, error: BaseException | None = None) -> None:
        """Make the event; the second time does nothing, in whichever thread. Never raises."""
        if not self.once.acquire(blocking=False):
            return
        self.span.ends.pop(id(self), None)
        try:
            self.container.capture(self._event(answer or _Answer(), error))
        except Exception as problem:
            warn_once("an openai call was not captured: %r", problem)

    def _read(self, result: Any) -> None:
        if self.stream:
            _Reading(self, result)
        else:
            self.end(_Answer.of(result))

    def _await(self, response: Any) -> None:
        """The body is still to come. Users may have it parsed; then, or without that, they close the response."""
        self.raw = None
        self.span.ends[id(self)] = self.end  # the invocation may end first
        _once(response, "parse", lambda: self.done)
        _once(response, "close", lambda: self.end)

    def _event(self, answer: _Answer, error: BaseException | None) -> Event:
        container, prompt = self.container, self.prompt
        took = (time.perf_counter() - self.began) * 1000
        event = new_event(self.span, container.settings, took, kind="llm", operation="chat")
        model = answer.model or str(self.request.get("model", "unknown"))
        event.update(
            provider=self.provider,
            model=model,
            stream=self.stream,
            input_tokens=answer.input_tokens,
            output_tokens=answer.output_tokens,
            reasoning_tokens=answer.reasoning_tokens,
            cost_usd=_cost(model, answer.input_tokens, answer.output_tokens),
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
            tool_call_args=None,
        )
        if answer.first_token_ms is not None:
            event["ttft_ms"] = answer.first_token_ms
        if prompt.tools:
            event["tool_definitions"] = prompt.tools
        if container.settings.store_prompts:
            keys = container.redact_keys
            event["prompt_text"] = prompt.text
            event["completion_text"] = redact_text(answer.text, keys)
            if prompt.system:
                event["system_prompt"] = redact_text(prompt.system, keys)
            if answer.tools:
                event["tool_call_args"] = to_json(redact(answer.tools, keys))
                if answer.text:
                    event["decision_rationale"] = event["completion_text"][:_RATIONALE_MAX]
        if error is not None:
            failed(event, error)
        return event


class _Prompt:
    """What an event says about the request's messages and tools."""

    def __init__(self, messages: Any, tools: Any, container: _container.Container) -> None:
        messages = list(messages) if isinstance(messages, (list, tuple)) else []  # an iterator is openai's to read
        roles: list[Any] = []
        talk: list[Any] = []  # without system prompts
        system: list[str] = []
        texts: list[str] = []
        for message in messages:
            role, said = _field(message, "role"), _texts(message)
            roles.append(role)
            texts += said
            if role == "system":
                system += said
            else:
                talk.append(message)
        self.turn = roles.count("user")
        self.last_role = str(roles[-1]) if roles else "user"
        self.digest = _digest(messages)
        words = "\n".join(texts).lower()
        self.planning = "think step by step" in words or "let's reason" in words or "step 1" in words
        self.memory = len(messages) > _MEMORY
        # Few prompts have these words, and to look for one takes a tenth of what a pattern takes.
        self.agent_name = _found(_AGENT_NAME, system) if "agent" in words else None
        self.agent_role = _found(_AGENT_ROLE, system) if "role:" in words else None
        self.system = "\n".join(system)
        self.text = to_json(redact(talk, container.redact_keys)) if container.settings.store_prompts else ""
        functions = [_function(t) for t in tools] if isinstance(tools, (list, tuple)) else []
        self.tools = [{"name": str(_field(f, "name")), "description": _field(f, "description")} for f in functions if f]


class _Answer:
    """What an event says about the response."""

    def __init__(self) -> None:
        self.model = self.text = self.finish_reason = ""
        self.input_tokens = self.output_tokens = self.reasoning_tokens = 0
        self.first_token_ms: float | None = None
        self.tools: dict[str, Any] = {}

    @classmethod
    def of(cls, completion: Any) -> _Answer:
        answer = cls()
        answer.model = _text(completion, "model")
        answer.count(getattr(completion, "usage", None))
        choices = getattr(completion, "choices", None)
        if choices:
            answer.finish_reason = _text(choices[0], "finish_reason")
            message = choices[0].message
            answer.text = _text(message, "content")
            for call in getattr(message, "tool_calls", None) or ():
                function = _function(call)
                answer.tool(_text(function, "name"), _arguments(function))
        return answer

    def count(self, usage: Any) -> None:
        if usage is not None:
            self.input_tokens = int(getattr(usage, "prompt_tokens", 0) or 0)
            self.output_tokens = int(getattr(usage, "completion_tokens", 0) or 0)
            details = getattr(usage, "completion_tokens_details", None)
            self.reasoning_tokens = int(getattr(details, "reasoning_tokens", 0) or 0)

    def tool(self, name: str, arguments: str) -> None:
        if name and name not in self.tools:
            try:
                self.tools[name] = json.loads(arguments)
            except (ValueError, RecursionError):
                self.tools[name] = arguments


class _Reading:
    """A stream's iterator, while the user reads. Ends in one event: read to its end, failed, closed, dropped, or left.

    Nothing that it holds leads back to the stream. In openai's own iterator something does, and so a dropped stream
    keeps its connection until the garbage collector comes round; ours reads on from a copy of the stream.
    """

    def __init__(self, call: _Call, stream: Any) -> None:
        self.call = call
        self.answer = _Answer()
        self.parts: list[str] = []
        self.calls: dict[int, list[str]] = {}
        self.busy = False
        from copy import copy  # not above: openai has it by now, and a cold start is spared what it may not need

        twin = copy(stream)
        del twin._iterator
        self.chunks = twin.__stream__()
        close = "aclose" if hasattr(self.chunks, "__anext__") else "close"
        _once(stream.response, close, _weakly(self.closed))  # which is what the helper `.stream()` closes
        call.span.ends[id(call)] = _weakly(self.end)  # the invocation may end first
        stream._iterator = self

    def __iter__(self) -> _Reading:
        return self

    def __aiter__(self) -> _Reading:
        return self

    def __next__(self) -> Any:
        self.busy = True
        try:
            chunk = next(self.chunks)
        except BaseException as error:
            self.end(error)
            raise
        finally:
            self.busy = False
        self.see(chunk)
        return chunk

    async def __anext__(self) -> Any:
        self.busy = True
        try:
            chunk = await anext(self.chunks)
        except BaseException as error:
            self.end(error)
            raise
        finally:
            self.busy = False
        self.see(chunk)
        return chunk

    def see(self, chunk: Any) -> None:
        try:
            answer = self.answer
            if answer.first_token_ms is None:
                answer.first_token_ms = round((time.perf_counter() - self.call.began) * 1000, 3)
            answer.model = _text(chunk, "model") or answer.model
            answer.count(getattr(chunk, "usage", None))
            for choice in getattr(chunk, "choices", None) or ():
                if not choice.index:  # the first of `n`
                    answer.finish_reason = _text(choice, "finish_reason") or answer.finish_reason
                    self.parts.append(_text(choice.delta, "content"))
                    for piece in getattr(choice.delta, "tool_calls", None) or ():
                        self.see_call(piece)
        except Exception as error:
            warn_once("a chunk was not read: %r", error)

    def see_call(self, piece: Any) -> None:
        function = _function(piece)
        call = self.calls.setdefault(piece.index, ["", ""])
        call[0] = _text(function, "name") or call[0]
        call[1] += _arguments(function)

    def closed(self) -> None:
        if not self.busy:  # else the stream closes by itself, at its end or for an error
            self.end()

    def end(self, error: BaseException | None = None) -> None:
        if self.call.once.locked():
            return
        try:
            self.answer.text = "".join(self.parts)
            for name, arguments in self.calls.values():
                self.answer.tool(name, arguments)
        except Exception as problem:
            warn_once("a stream was not read: %r", problem)
        # Leaving early is not an error; the event then has no finish_reason.
        self.call.end(self.answer, None if isinstance(error, (StopIteration, StopAsyncIteration)) else error)

    def __del__(self, exiting: Callable[[], bool] = sys.is_finalizing) -> None:
        if not exiting():  # else there is nobody left to send an event, and perhaps not even a module `sys`
            self.end()


def _weakly(method: Callable[[], None]) -> Callable[[], None]:
    """`method`, for as long as its object lives: whoever is to call it does not keep that alive."""
    alive = weakref.WeakMethod(method)

    def call() -> None:
        bound = alive()
        if bound is not None:
            bound()

    return call


def _cost(model: str, input_tokens: int, output_tokens: int) -> float:
    input_price, output_price = _PRICES.get(model.rsplit("/", 1)[-1], (0.0, 0.0))  # OpenRouter: openai/gpt-4o
    return (input_tokens * input_price + output_tokens * output_price) / 1_000_000


def _digest(messages: list[Any]) -> str:
    """The SDK's prompt_hash: SHA-256 of what json.dumps makes of the messages as they were passed."""
    import hashlib

    try:
        text = json.dumps(messages)
    except (TypeError, ValueError, RecursionError):
        text = to_json(messages)
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()


def _field(value: Any, name: str) -> Any:
    """A field of a dict or of an object: messages and tools may be either."""
    return value.get(name) if isinstance(value, dict) else getattr(value, name, None)


def _text(value: Any, name: str) -> str:
    text = _field(value, name)
    return text if isinstance(text, str) else ""


def _function(value: Any) -> Any:
    """What a tool or a call of one says about the function: custom tools have their own word for it."""
    return _field(value, "function") or _field(value, "custom")


def _arguments(function: Any) -> str:
    return _text(function, "arguments") or _text(function, "input")


def _found(patterns: tuple[str, ...], texts: list[str]) -> str | None:
    """The first match in the first text that has one."""
    matches = (re.search(pattern, text, re.IGNORECASE) for text in texts for pattern in patterns)
    return next((match[1] for match in matches if match), None)


def _texts(message: Any) -> list[str]:
    """The text parts of a message's content."""
    content = _field(message, "content")
    if isinstance(content, str):
        return [content] if content else []
    parts = content if isinstance(content, (list, tuple)) else []
    texts = (part if isinstance(part, str) else _field(part, "text") for part in parts)
    return [text for text in texts if isinstance(text, str)]
