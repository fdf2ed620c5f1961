"""Reads along in the streams of the raw clients: context managers whose response has a generator of events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._stream import follow_generator

if TYPE_CHECKING:
    from .._call import ModelCall


class Entering:
    """In place of a context manager of the SDK, synchronous or not: what it gives has our generator of events."""

    def __init__(self, call: ModelCall, theirs: Any) -> None:
        self._call, self._theirs = call, theirs

    def __enter__(self) -> Any:
        try:
            return self._followed(self._theirs.__enter__())
        except BaseException as error:
            self._call.end(None, error)
            raise

    def __exit__(self, *problem: Any) -> Any:
        return self._theirs.__exit__(*problem)

    async def __aenter__(self) -> Any:
        try:
            return self._followed(await self._theirs.__aenter__())
        except BaseException as error:
            self._call.end(None, error)
            raise

    async def __aexit__(self, *problem: Any) -> Any:
        return await self._theirs.__aexit__(*problem)

    def _followed(self, response: Any) -> Any:
        response._data = follow_generator(self._call, response._data)
        return response
