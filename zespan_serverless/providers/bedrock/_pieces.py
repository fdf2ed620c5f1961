"""The streams of the families of models that Bedrock has, joined to an answer."""

from __future__ import annotations

import json
from typing import Any

from ..._record.model import Answer
from .._fields import count_of, field, items, text_of, whole
from ..anthropic._events import Events
from ._converse import Blocks

_METRICS = "amazon-bedrock-invocationMetrics"
_NOVA = ("contentBlockStart", "contentBlockDelta", "contentBlockStop", "messageStart", "messageStop", "metadata")


class Pieces:
    """The chunks of one stream: bytes of JSON, of one of the families."""

    def __init__(self) -> None:
        self._joined: Any = None  # of a family whose stream has a form of its own
        self._texts: list[str] = []
        self._finish_reason = ""
        self._metrics: Any = None

    def add(self, chunk: Any) -> bool:
        data = _parsed(field(field(chunk, "chunk"), "bytes"))
        self._metrics = field(data, _METRICS) or self._metrics
        if isinstance(field(data, "type"), str):  # Anthropic's Claude
            return self._join(Events, data)
        if any(field(data, name) is not None for name in _NOVA):  # Amazon's Nova
            return self._join(Blocks, data)
        first = next(iter(items(field(data, "outputs"))), data)  # Mistral
        text = next(
            (found for name in ("outputText", "generation", "completion", "text") if (found := text_of(first, name))),
            "",
        )
        if not (field(data, "is_finished") and self._texts):  # Cohere's last chunk has the whole text again
            self._texts.append(text)
        reasons = (text_of(first, name) for name in ("completionReason", "stop_reason", "finish_reason"))
        self._finish_reason = next(filter(None, reasons), "") or self._finish_reason
        return bool(text)

    def answer(self) -> Answer:
        answer: Answer = self._joined.answer() if self._joined is not None else Answer()
        answer.text = answer.text or "".join(self._texts)
        answer.finish_reason = answer.finish_reason or self._finish_reason
        if not answer.known and self._metrics is not None:
            answer.known = whole(field(self._metrics, "inputTokenCount")) is not None
            answer.input_tokens = count_of(self._metrics, "inputTokenCount")
            answer.output_tokens = count_of(self._metrics, "outputTokenCount")
        return answer

    def _join(self, kind: type[Any], data: Any) -> bool:
        if self._joined is None:
            self._joined = kind()
        has_content: bool = self._joined.add(data)
        return has_content


def _parsed(data: Any) -> Any:
    try:
        return json.loads(data)
    except (TypeError, ValueError, RecursionError):
        return None
