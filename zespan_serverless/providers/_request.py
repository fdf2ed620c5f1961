"""Defines what a provider's room contains: choke points, how requests are read, and how answers are read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._record.values import leaf

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Protocol

    from .._process import Container
    from .._record.model import Answer
    from ._wrap import Observer

    class Pieces(Protocol):
        """The chunks of one stream."""

        def add(self, chunk: Any) -> bool:
            """Add a chunk. Return True if it has a part of the answer: text, reasoning, or a tool call."""
            ...

        def answer(self) -> Answer:
            """Return the answer that the model would have given without a stream."""
            ...


_RAW_HEADER = "X-Stainless-Raw-Response"  # "true": with_raw_response; "stream": with_streaming_response


class Request:
    """One request, independent of providers.

    `messages` are the SDK's, dicts or objects with `role` and `content`; `system` is a text, or parts with texts, that
    the SDK passes separately; `tools` have `name` and `description`. `raw` is set for SDKs that Stainless generates, if
    the user has requested the HTTP response instead of the answer.
    """

    __slots__ = ("endpoint", "messages", "model", "provider", "raw", "stream", "system", "tools")

    def __init__(
        self,
        endpoint: Endpoint,
        provider: str,
        model: Any,
        *,
        messages: Any = None,
        system: Any = None,
        tools: Any = (),
        stream: Any = False,
        headers: Mapping[str, Any] | None = None,
    ) -> None:
        self.endpoint: Endpoint = endpoint
        self.provider: str = provider
        self.model: str = str(leaf(model))
        self.messages: Any = messages
        self.system: Any = system
        self.tools: Any = tools
        self.stream: bool = bool(stream)
        self.raw: Any | None = (headers or {}).get(_RAW_HEADER)

    def begun(self, container: Container, method: Any) -> Observer | None:
        """Begin the call that `method` makes, if it is a model call. Return its observer."""
        return None


class Choke:
    """Methods of an SDK's classes that its calls pass through."""

    classes: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    paths: tuple[str, ...] = ("",)
    """Where the objects of these classes are in a client, each as a path of attributes; "" is the client itself."""
    functions: tuple[str, ...] = ()
    """Functions of an SDK's modules, each under a decorator of the SDK's that keeps it as `original_function`."""
    is_inner = False
    """Whether another choke point may be above it: a call that has begun there does not begin again."""

    def read(self, owner: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Request | None:
        """Return the request that this call of a method of `owner` makes; None if it is not traced."""
        raise NotImplementedError

    def continues(self, outer: Request, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
        """Whether this call sends the request that `outer` was read from. Only inner choke points are asked."""
        raise NotImplementedError


class Endpoint:
    """One kind of request, and how its answer is read."""

    kind = "llm"
    """The kind of the record: `llm`, `embedding`, `image_gen`, `audio`, `moderation`, `rerank`, `retriever`, `tool`."""
    operation = "chat"
    """The name of the record, one of OpenTelemetry's `gen_ai.operation.name` where possible."""
    hint = ""
    """How to enable token counts in streams; logged once if they are missing."""
    is_relay = False
    """Whether another SDK may make the call, whose record replaces this one."""
    is_read_later = False
    """Whether the user reads the answer from the result, although it is not streamed: see `follow`."""

    def answer(self, result: Any) -> Answer:
        """Read the SDK's result."""
        raise NotImplementedError

    def charged(self, error: BaseException) -> Answer | None:
        """Return the answer of a failed call that will be billed nevertheless; None if there is none."""
        return None

    def pieces(self) -> Pieces:
        """Begin to join the chunks of a stream."""
        raise NotImplementedError

    def follow(self, call: Any, stream: Any) -> Any:
        """Read along while the user reads a stream; `call` is its ModelCall.

        Returns what the user gets: the stream itself where possible.
        """
        raise NotImplementedError
