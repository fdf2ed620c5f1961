"""What a provider's room says of its SDK: where calls pass, what a request asks, and how an answer is read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from .._record.values import leaf

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .._record.model import Answer

_RAW_HEADER = "X-Stainless-Raw-Response"  # "true": with_raw_response; "stream": with_streaming_response


class Request:
    """One request, in no provider's words.

    `messages` are the SDK's, dicts or objects with `role` and `content`; `tools` have `name` and `description`.
    `raw` tells, for the SDKs that Stainless generates, which response the user has asked for instead of the answer.
    """

    __slots__ = ("endpoint", "messages", "model", "provider", "raw", "stream", "tools")

    def __init__(
        self,
        endpoint: Endpoint,
        provider: str,
        model: Any,
        *,
        messages: Any = None,
        tools: Any = (),
        stream: Any = False,
        headers: Mapping[str, Any] | None = None,
    ) -> None:
        self.endpoint, self.provider = endpoint, provider
        self.model = str(leaf(model))
        self.messages, self.tools = messages, tools
        self.stream = bool(stream)
        self.raw = (headers or {}).get(_RAW_HEADER)


class Choke:
    """Methods of an SDK's classes that its calls pass through."""

    classes: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    is_inner = False
    """Whether another choke point may be above: what that has begun is not begun again."""

    def read(self, owner: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Request | None:
        """The request that this call of a method of `owner` makes; None if it is not one to trace."""
        raise NotImplementedError


class Endpoint:
    """One kind of request, and how its answer is read."""

    operation = "chat"

    def answer(self, result: Any) -> Answer:
        """What the SDK's result says."""
        raise NotImplementedError

    def charged(self, error: BaseException) -> Answer | None:
        """The answer that a failed call has had all the same, and that will be billed."""
        return None

    def pieces(self) -> Pieces:
        """A new stream's, before its first chunk."""
        raise NotImplementedError


class Pieces(Protocol):
    """The chunks of one stream."""

    def add(self, chunk: Any) -> bool:
        """Take in a chunk; whether there is anything of the answer in it: text, reasoning, or a part of a call."""
        ...

    def answer(self) -> Answer:
        """What the model would have answered without a stream."""
        ...
