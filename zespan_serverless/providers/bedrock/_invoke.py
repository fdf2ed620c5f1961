"""InvokeModel and InvokeModelWithResponseStream: what is sent and answered depends on the family of the model."""

from __future__ import annotations

import json
from typing import Any

from ..._record.model import Answer
from .._fields import field, items
from .._request import Endpoint, Request
from . import _families, _images
from ._converse import PROVIDER
from ._pieces import Pieces
from ._streams import follow_body, follow_events

_TEXTS = ("prompt", "inputText", "message")  # fields for a request that is one text
_EMBEDDED = ("inputText", "texts", "inputs")


def _asks(parameters: dict[str, Any], *, stream: bool = False) -> Request:
    body = _parsed(parameters.get("body"))
    model = parameters.get("modelId", "unknown")
    endpoint = EMBED if "embed" in str(model) else IMAGES if _images.are_asked(str(model), body) else INVOKE
    messages = field(body, "messages")
    if messages is None:
        given: Any = next((field(body, name) for name in (*_TEXTS, *_EMBEDDED) if field(body, name)), None)
        given = _images.prompts(body) if endpoint is IMAGES else given if isinstance(given, list) else [given]
        messages = [{"role": "user", "content": one} for one in given if one]
    tools = [field(tool, "toolSpec") or tool for tool in items(field(field(body, "toolConfig"), "tools"))]
    tools = tools or items(field(body, "tools"))
    return Request(
        endpoint,
        PROVIDER,
        model,
        messages=messages,
        system=field(body, "system"),
        tools=[tool for tool in tools if field(tool, "name")],
        stream=stream,
    )


def _parsed(body: Any) -> Any:
    """Return the JSON of a body; None if it is none, or a file that only the client may read."""
    if isinstance(body, (str, bytes, bytearray)):
        try:
            return json.loads(body)
        except (ValueError, RecursionError):
            return None
    return None


class Invoke(Endpoint):
    """Reads bodies: JSON of any family."""

    is_read_later = True

    def __init__(self, kind: str, operation: str) -> None:
        self.kind, self.operation = kind, operation

    def answer(self, result: Any) -> Answer:
        return _families.read(result)

    def pieces(self) -> Pieces:
        return Pieces()

    def follow(self, call: Any, stream: Any) -> Any:
        body = field(stream, "body")
        if call.request.stream:
            follow_events(call, body)
        else:
            headers = field(field(stream, "ResponseMetadata"), "HTTPHeaders")
            follow_body(call, body, lambda data: _families.complete(self.answer(_parsed(data)), headers))
        return stream


class Images(Invoke):
    """Reads bodies with images."""

    def answer(self, result: Any) -> Answer:
        return _images.read(result)


INVOKE = Invoke("llm", "chat")
EMBED = Invoke("embedding", "embeddings")
IMAGES = Images("image_gen", "generate_content")
OPERATIONS = {
    "InvokeModel": _asks,
    "InvokeModelWithResponseStream": lambda parameters: _asks(parameters, stream=True),
}
