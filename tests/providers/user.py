"""What the user of an SDK does: makes a call, and reads its result."""

from __future__ import annotations

import inspect
from contextlib import AsyncExitStack
from typing import Any

from .apis.api import Api


class Raw:
    """A client whose methods return HTTP responses: `Raw(client).messages.create(...)`."""

    def __init__(self, owner: Any) -> None:
        self._owner = owner

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._owner, name)
        return getattr(self._owner.with_raw_response, name) if inspect.isroutine(value) else Raw(value)


def _shown(value: Any) -> str:
    """Return a result, without what differs from run to run."""
    if isinstance(value, dict):
        value = {name: _shown(one) for name, one in value.items() if name != "ResponseMetadata"}
    return f"{type(value).__name__} {value!r}" if not hasattr(value, "read") else _kind(value)


def _kind(value: Any) -> str:
    """Return the type that `isinstance` knows: a proxy has that of what is inside."""
    return f"type {value.__class__.__name__}"


async def _value(result: Any) -> Any:
    return await result if inspect.isawaitable(result) else result


async def use(client: Any, api: Api, what: str, seen: list[str], is_async: bool) -> None:
    """Make one call and read its result: `ask`, `read` a stream, or `leave` it after its first piece."""
    try:
        async with AsyncExitStack() as stack:
            result = await _result(client, api, what, seen)
            if what == "ask":
                return
            if api.is_entered:
                result = await stack.enter_async_context(result) if is_async else stack.enter_context(result)
            await _read(result, what, seen, is_async)
    except Exception as error:
        seen.append(f"raised {type(error).__name__}")


async def _result(client: Any, api: Api, what: str, seen: list[str]) -> Any:
    call: Any = api.ask if what == "ask" else api.stream
    result = await _value(call(client))
    if isinstance(client, Raw):
        seen.append(_kind(result))
        result = await _value(result.parse())
    body: Any = result.get("body") if isinstance(result, dict) else None
    if what != "ask":
        result = body or result["stream"] if isinstance(result, dict) else result
        seen.append(_kind(result))
        return result
    seen.append(_shown(result))
    if hasattr(body, "read"):
        seen.append(_shown(await _value(body.read())))
    return result


async def _read(stream: Any, what: str, seen: list[str], is_async: bool) -> None:
    if is_async:
        async for piece in stream:
            seen.append(_shown(piece))
            if what == "leave":
                break
    else:
        for piece in stream:
            seen.append(_shown(piece))
            if what == "leave":
                break


async def close(client: Any) -> None:
    """Close a client that has to be closed."""
    close = getattr(client, "aclose", None) or getattr(client, "close", None)
    if close is not None and "aiobotocore" not in type(client).__module__:
        await _value(close())


def insist(client: Any, first_ms: int, longest_ms: int, exponent: float, total_ms: int) -> None:
    """Have a client try again twice; the numbers are those of mistralai's pauses, which makes none by default."""
    if hasattr(client, "max_retries"):
        client.max_retries = 2
    inner = getattr(client, "client", client)
    if hasattr(inner, "sdk_configuration"):
        from mistralai.client.utils import BackoffStrategy, RetryConfig

        pauses = BackoffStrategy(first_ms, longest_ms, exponent, total_ms)
        inner.sdk_configuration.retry_config = RetryConfig("backoff", pauses, True)
