"""Everything else that a model is called for: completions, embeddings, images, audio, moderations."""

from __future__ import annotations

from typing import Any

from ..._record.model import Answer
from .._fields import field, items, text_of
from .._request import Request
from .._stainless import StainlessEndpoint
from ._addresses import provider_of
from ._usage import count


class Other(StainlessEndpoint):
    """An endpoint whose request has one input, in the field `given`, and whose answer has tokens at most."""

    def __init__(self, kind: str, operation: str, given: str = "input") -> None:
        self.kind: str = kind
        self.operation: str = operation
        self._given = given

    def request_of(self, client: Any, body: dict[str, Any], headers: Any) -> Request:
        """Return the request. Its input becomes one user message, or one for each item."""
        given = body.get(self._given)
        inputs = given if isinstance(given, list) and all(isinstance(one, str) for one in given) else [given]
        return Request(
            self,
            provider_of(client),
            body.get("model", "unknown"),
            messages=[{"role": "user", "content": one} for one in inputs if one is not None],
            stream=body.get("stream") or body.get("stream_format") == "sse",
            headers=headers,
        )

    def answer(self, result: Any) -> Answer:
        answer = Answer()
        answer.model = text_of(result, "model")
        count(answer, field(result, "usage"))
        answer.text = result if isinstance(result, str) else text_of(result, "text")  # transcripts
        return answer

    def pieces(self) -> Parts:
        return Parts(self)


class Completions(Other):
    """The first API for texts."""

    def answer(self, result: Any) -> Answer:
        answer = Other.answer(self, result)
        choices = items(field(result, "choices"))
        texts = [text_of(choice, "text") for choice in choices]
        answer.text, answer.others = "".join(texts[:1]), texts[1:]
        answer.finish_reason = text_of(choices[0], "finish_reason") if choices else ""
        return answer


class Parts:
    """The chunks of a stream: each is like an answer with a piece of its text."""

    def __init__(self, endpoint: Other) -> None:
        self._endpoint = endpoint
        self._whole = Answer()
        self._texts: list[str] = []

    def add(self, chunk: Any) -> bool:
        part = self._endpoint.answer(chunk)
        text = part.text or text_of(chunk, "delta")
        if part.known or part.model or part.finish_reason:
            part.model = part.model or self._whole.model
            part.finish_reason = part.finish_reason or self._whole.finish_reason
            self._whole = part
        if text and not text_of(chunk, "type").endswith(".done"):
            self._texts.append(text)
        return bool(text) or "partial_image" in text_of(chunk, "type")

    def answer(self) -> Answer:
        self._whole.text = "".join(self._texts)
        return self._whole


TEXTS = Completions("llm", "text_completion", "prompt")
ENDPOINTS: dict[str, StainlessEndpoint] = {
    "/completions": TEXTS,
    "/embeddings": Other("embedding", "embeddings"),
    "/images/generations": Other("image_gen", "generate_content", "prompt"),
    "/images/edits": Other("image_gen", "generate_content", "prompt"),
    "/images/variations": Other("image_gen", "generate_content", "prompt"),
    "/audio/speech": Other("audio", "generate_content"),
    "/audio/transcriptions": Other("audio", "generate_content", "prompt"),
    "/audio/translations": Other("audio", "generate_content", "prompt"),
    "/moderations": Other("moderation", "moderation"),
}
