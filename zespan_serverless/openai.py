"""OpenAI chat completions as events: sync, async, streamed, parsed, raw; one event a call, whatever becomes of it.

Two places are touched: the methods of the `Completions` classes (or of one client), and the iterator inside a
`Stream` object, so that users keep the real thing with everything it can do.
"""

from __future__ import annotations

import functools
import hashlib
import json
import sys
import time
import weakref
from typing import TYPE_CHECKING, Any, TypeVar

from . import _container, _trace
from ._event import Event, failed, new_event, redact, redact_text, to_json
from ._log import warn_once

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from importlib.machinery import ModuleSpec
    from types import ModuleType

    Client = TypeVar("Client")

__all__ = ["patch_openai", "wrap_openai"]

_MODULE = "openai.resources.chat.completions.completions"
_METHODS = ("create", "parse")
_RATIONALE_MAX = 2000  # characters, as the SDK cuts it
_RAW_HEADER = "X-Stainless-Raw-Response"

# US dollars per million (input, output) tokens: the models that the SDK `zespan` 1.6.1 prices; 0.0 for any other.
_PRICES = {"gpt-4o": (2.50, 10.00), "gpt-4o-mini": (0.15, 0.60)}


def patch_openai() -> None:
    """Trace every chat completion of every client from now on. Idempotent; the decorators call it by themselves.

    If `openai` has not been imported yet, its methods are patched when it is: this never imports it.
    """
    module = sys.modules.get(_MODULE)
    if module is not None and hasattr(module, "AsyncCompletions"):
        _patch(module)
    elif not any(isinstance(finder, _WhenImported) for finder in sys.meta_path):
        sys.meta_path.insert(0, _WhenImported())


def wrap_openai(client: Client) -> Client:
    """Trace the chat completions of this client only, and return it. For a sync or async client; idempotent."""
    completions = client.chat.completions  # type: ignore[attr-defined]
    for name in _METHODS:
        method = getattr(completions, name, None)
        if method is not None and not getattr(method, "__zespan_original__", None):
            setattr(completions, name, _observed(method, _is_async(method)))
    return client


def unpatch_openai() -> None:
    """Undo `patch_openai` (for tests)."""
    sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, _WhenImported)]
    module = sys.modules.get(_MODULE)
    for owner in (getattr(module, "Completions", None), getattr(module, "AsyncCompletions", None)):
        for name in _METHODS:
            original = getattr(getattr(owner, name, None), "__zespan_original__", None)
            if original is not None:
                setattr(owner, name, original)


def _patch(module: ModuleType) -> None:
    for owner in (module.Completions, module.AsyncCompletions):
        for name in _METHODS:
            method = getattr(owner, name, None)
            if method is not None and not hasattr(method, "__zespan_original__"):
                setattr(owner, name, _observed(method, _is_async(method)))


class _WhenImported:
    """An import hook for one module, which openai itself imports lazily. Gone once it has done its work."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if name != _MODULE:
            return None
        sys.meta_path[:] = [finder for finder in sys.meta_path if finder is not self]
        from importlib.util import find_spec

        spec = find_spec(name)
        if spec is not None and spec.loader is not None:
            load = spec.loader.exec_module

            def exec_module(module: ModuleType) -> None:
                load(module)
                try:
                    _patch(module)
                except Exception as error:
                    warn_once("openai calls are not traced: %r", error)

            spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def _is_async(method: Callable[..., Any]) -> bool:
    import inspect

    return inspect.iscoroutinefunction(inspect.unwrap(method))


def _observed(method: Callable[..., Any], is_async: bool) -> Callable[..., Any]:
    """`method` with its event. Whatever it returns or raises passes through."""
    if is_async:

        async def observed(*args: Any, **kwargs: Any) -> Any:
            call = _begin(method, args, kwargs)
            try:
                result = await method(*args, **kwargs)
            except BaseException as error:
                if call:
                    call.end(_Answer(), error)
                raise
            return call.answered(result) if call else result
    else:

        def observed(*args: Any, **kwargs: Any) -> Any:
            call = _begin(method, args, kwargs)
            try:
                result = method(*args, **kwargs)
            except BaseException as error:
                if call:
                    call.end(_Answer(), error)
                raise
            return call.answered(result) if call else result

    functools.update_wrapper(observed, method)
    observed.__zespan_original__ = method  # type: ignore[attr-defined]
    return observed


def _begin(method: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> _Call | None:
    container = _container.current()
    if container is None:
        return None
    try:
        owner = args[0] if args else getattr(method, "__self__", None)
        return _Call(container, owner, kwargs)
    except Exception as error:
        warn_once("an openai call was not traced: %r", error)
        return None


class _Call:
    """One call, from its start to the one event that it ends in."""

    def __init__(self, container: _container.Container, completions: Any, request: dict[str, Any]) -> None:
        self.container, self.request = container, request
        base_url = str(getattr(getattr(completions, "_client", None), "base_url", ""))
        self.provider = "openrouter" if "openrouter.ai" in base_url else "openai"
        self.stream = request.get("stream") is True
        self.span = _trace.new_span(_trace.current())
        self.ended = False
        # Taken now: by the time the call ends the user may have appended the answer to the same list.
        self.prompt = _Prompt(request.get("messages"), request.get("tools"), container)
        self.began = time.perf_counter()

    def answered(self, result: Any) -> Any:
        """The method has returned: an answer, a stream to be read, or a raw response of either."""
        try:
            raw = (self.request.get("extra_headers") or {}).get(_RAW_HEADER)
            if raw == "true" and not self.stream:
                self.end(_Answer.of(result.parse()))  # cached: the user's own parse() gets the same object
            elif raw or not self.stream:
                self.end(_Answer.of(result))
            else:
                _Reading(self, result)
        except Exception as error:
            warn_once("an openai answer was not read: %r", error)
            self.end(_Answer())
        return result

    def end(self, answer: _Answer, error: BaseException | None = None) -> None:
        """Make the event; the second time does nothing. Never raises."""
        if self.ended:
            return
        self.ended = True
        try:
            self.container.capture(self._event(answer, error))
        except Exception as problem:
            warn_once("an openai call was not captured: %r", problem)

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
            agent_name=None,
            agent_role=None,
            agent_framework=None,
            parent_agent_id=None,
            conversation_turn=prompt.turn,
            message_role=prompt.last_role,
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
                    event["decision_rationale"] = redact_text(answer.text[:_RATIONALE_MAX], keys)
        if error is not None:
            failed(event, error)
        return event


class _Prompt:
    """What an event says about the request's messages and tools."""

    def __init__(self, messages: Any, tools: Any, container: _container.Container) -> None:
        messages = list(messages) if isinstance(messages, (list, tuple)) else []
        roles = [_field(m, "role") for m in messages]
        self.turn = roles.count("user")
        self.last_role = str(roles[-1]) if roles else "user"
        self.digest = _digest(messages)
        self.text, self.system = "", ""
        if container.settings.store_prompts:
            talk = [m for m, role in zip(messages, roles, strict=True) if role != "system"]
            self.text = to_json(redact(_as_dicts(talk), container.redact_keys))
            texts = [t for m, role in zip(messages, roles, strict=True) if role == "system" for t in _texts(m)]
            self.system = "\n".join(texts)
        functions = [_field(t, "function") for t in tools] if isinstance(tools, (list, tuple)) else []
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
                function = getattr(call, "function", None)
                answer.tool(_text(function, "name"), _text(function, "arguments"))
        return answer

    def count(self, usage: Any) -> None:
        if usage is not None:
            self.input_tokens = getattr(usage, "prompt_tokens", 0) or 0
            self.output_tokens = getattr(usage, "completion_tokens", 0) or 0
            details = getattr(usage, "completion_tokens_details", None)
            self.reasoning_tokens = getattr(details, "reasoning_tokens", 0) or 0

    def tool(self, name: str, arguments: str) -> None:
        if name and name not in self.tools:
            try:
                self.tools[name] = json.loads(arguments)
            except ValueError:
                self.tools[name] = arguments


class _Reading:
    """A stream while the user reads it. Ends in one event: read to its end, failed, closed, dropped, or left open."""

    def __init__(self, call: _Call, stream: Any) -> None:
        self.call, self.answer = call, _Answer()
        self.parts: list[str] = []
        self.calls: dict[int, list[str]] = {}
        inner = stream._iterator
        is_async = hasattr(inner, "__anext__")
        stream._iterator = self.read_async(inner) if is_async else self.read(inner)
        stream.close = _closing(stream, self.end, is_async)
        call.span.ends[id(self)] = self.end  # the invocation may end first

    def read(self, chunks: Iterator[Any]) -> Iterator[Any]:
        try:
            for chunk in chunks:
                self.see(chunk)
                yield chunk
        except BaseException as error:
            self.end(error)
            raise
        finally:
            self.end()

    async def read_async(self, chunks: AsyncIterator[Any]) -> AsyncIterator[Any]:
        try:
            async for chunk in chunks:
                self.see(chunk)
                yield chunk
        except BaseException as error:
            self.end(error)
            raise
        finally:
            self.end()

    def see(self, chunk: Any) -> None:
        try:
            if self.answer.first_token_ms is None:
                self.answer.first_token_ms = (time.perf_counter() - self.call.began) * 1000
            self.answer.model = _text(chunk, "model") or self.answer.model
            self.answer.count(getattr(chunk, "usage", None))
            for choice in (getattr(chunk, "choices", None) or ())[:1]:
                self.answer.finish_reason = _text(choice, "finish_reason") or self.answer.finish_reason
                delta = choice.delta
                self.parts.append(_text(delta, "content"))
                for piece in getattr(delta, "tool_calls", None) or ():
                    name, arguments = self.calls.setdefault(piece.index, ["", ""])
                    function = getattr(piece, "function", None)
                    self.calls[piece.index] = [name + _text(function, "name"), arguments + _text(function, "arguments")]
        except Exception as error:
            warn_once("a chunk was not read: %r", error)

    def end(self, error: BaseException | None = None) -> None:
        self.call.span.ends.pop(id(self), None)
        if self.call.ended:
            return
        answer = self.answer
        answer.text = "".join(self.parts)
        for name, arguments in self.calls.values():
            answer.tool(name, arguments)
        # Leaving a loop early is not an error; the event then has no finish_reason.
        self.call.end(answer, None if isinstance(error, GeneratorExit) else error)

    def __del__(self) -> None:
        self.end()  # a stream dropped before its first chunk


def _closing(stream: Any, end: Callable[[], None], is_async: bool) -> Callable[[], Any]:
    """The stream's own `close` with our end before it, holding no reference to the stream: a cycle would keep a
    dropped stream's connection open until the garbage collector comes round."""
    close, alive = type(stream).close, weakref.ref(stream)

    def closing() -> Any:
        end()
        return close(alive())

    async def closing_async() -> None:
        end()
        await close(alive())

    return closing_async if is_async else closing


def _cost(model: str, input_tokens: int, output_tokens: int) -> float:
    for name in (model, model.rsplit("/", 1)[-1], model[:-11]):  # as sent, "openai/gpt-4o", "gpt-4o-2024-08-06"
        if name in _PRICES:
            input_price, output_price = _PRICES[name]
            return (input_tokens * input_price + output_tokens * output_price) / 1_000_000
    return 0.0


def _digest(messages: list[Any]) -> str:
    """The SDK's prompt_hash: SHA-256 of what json.dumps makes of the messages as they were passed."""
    try:
        text = json.dumps(messages)
    except (TypeError, ValueError, RecursionError):
        text = to_json(messages)
    return hashlib.sha256(text.encode()).hexdigest()


def _field(value: Any, name: str) -> Any:
    """A field of a dict or of an object: messages and tools may be either."""
    return value.get(name) if isinstance(value, dict) else getattr(value, name, None)


def _text(value: Any, name: str) -> str:
    text = getattr(value, name, None)
    return text if isinstance(text, str) else ""


def _texts(message: Any) -> list[str]:
    """The text parts of a message's content."""
    content = _field(message, "content")
    if isinstance(content, str):
        return [content] if content else []
    parts = content if isinstance(content, (list, tuple)) else []
    return [t for t in (part if isinstance(part, str) else _field(part, "text") for part in parts) if isinstance(t, str)]


def _as_dicts(messages: list[Any]) -> list[Any]:
    """Messages with answers put back in as they came: pydantic objects, whose fields are to be redacted as well."""
    return [m if isinstance(m, dict) or not hasattr(m, "model_dump") else m.model_dump(exclude_unset=True) for m in messages]
