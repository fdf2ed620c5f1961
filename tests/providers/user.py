"""What the user of an SDK does: makes a call, and reads its result."""

from __future__ import annotations

import inspect
from typing import Any

from .apis import Api


def _shown(value: Any) -> str:
    """A result, without what differs from run to run."""
    if isinstance(value, dict):
        value = {name: _shown(one) for name, one in value.items() if name != "ResponseMetadata"}
    return f"{type(value).__name__} {value!r}" if not hasattr(value, "read") else type(value).__name__


async def use(client: Any, api: Api, what: str, seen: list[str], is_async: bool) -> None:
    """Make one call and read its result as a user would."""
    call: Any = api.ask if what == "ask" else api.stream
    try:
        result: Any = call(client)
        result = await result if inspect.isawaitable(result) else result
        body: Any = result.get("body") if isinstance(result, dict) else None
        if what == "ask":
            seen.append(_shown(result))
            if hasattr(body, "read"):
                data = body.read()
                seen.append(_shown(await data if inspect.isawaitable(data) else data))
            return
        if isinstance(result, dict):
            result = body or result["stream"]
        seen.append(type(result).__name__)
        if hasattr(result, "__aiter__"):
            async for piece in result:
                seen.append(_shown(piece))
                if what == "leave":
                    break
        else:
            for piece in result:
                seen.append(_shown(piece))
                if what == "leave":
                    break
    except Exception as error:
        seen.append(f"raised {type(error).__name__}")


async def close(client: Any) -> None:
    close = getattr(client, "aclose", None) or getattr(client, "close", None)
    if close is not None and "aiobotocore" not in type(client).__module__:
        closed = close()
        if inspect.isawaitable(closed):
            await closed
