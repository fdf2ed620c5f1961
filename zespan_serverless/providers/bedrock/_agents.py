"""Agents and knowledge bases: calls that run models, whose tokens the answer does not have."""

from __future__ import annotations

from typing import Any

from ..._record.model import Answer
from .._fields import count_of, field, items, text_of
from .._request import Endpoint, Request
from ._converse import PROVIDER
from ._streams import follow_events


class Agent(Endpoint):
    """Reads the completion of an agent, which is always a stream."""

    kind, operation = "agent", "invoke_agent"

    def pieces(self) -> Completion:
        return Completion()

    def follow(self, call: Any, stream: Any) -> Any:
        follow_events(call, field(stream, "completion"))
        return stream


class Completion:
    """The events of a completion: pieces of its text and, where it is traced, tokens of the models that it called."""

    def __init__(self) -> None:
        self._answer = Answer()

    def add(self, chunk: Any) -> bool:
        text = field(field(chunk, "chunk"), "bytes")
        if isinstance(text, bytes):
            self._answer.text += text.decode("utf-8", "replace")
        orchestration = field(field(field(chunk, "trace"), "trace"), "orchestrationTrace")
        usage = field(field(field(orchestration, "modelInvocationOutput"), "metadata"), "usage")
        if usage is not None:
            self._answer.known = True
            self._answer.input_tokens += count_of(usage, "inputTokens")
            self._answer.output_tokens += count_of(usage, "outputTokens")
        return bool(text)

    def answer(self) -> Answer:
        return self._answer


class Generated(Endpoint):
    """Reads an answer that was generated from a knowledge base, whole or as a stream."""

    operation = "retrieve_and_generate"

    def answer(self, result: Any) -> Answer:
        answer = Answer()
        answer.text = text_of(field(result, "output"), "text")
        answer.finish_reason = text_of(result, "guardrailAction")
        return answer

    def pieces(self) -> Output:
        return Output()

    def follow(self, call: Any, stream: Any) -> Any:
        follow_events(call, field(stream, "stream"))
        return stream


class Output:
    """The events of a generated answer."""

    def __init__(self) -> None:
        self._answer = Answer()

    def add(self, chunk: Any) -> bool:
        text = text_of(field(chunk, "output"), "text")
        self._answer.text += text
        return bool(text)

    def answer(self) -> Answer:
        return self._answer


class Retrieve(Endpoint):
    """Reads what a knowledge base has found."""

    kind, operation = "retriever", "retrieval"

    def answer(self, result: Any) -> Answer:
        answer = Answer()
        texts = [text_of(field(found, "content"), "text") for found in items(field(result, "retrievalResults"))]
        answer.text, answer.others = "".join(texts[:1]), texts[1:]
        return answer


AGENT, GENERATED, RETRIEVE = Agent(), Generated(), Retrieve()


def _asks_agent(parameters: dict[str, Any]) -> Request:
    name = parameters.get("agentId") or parameters.get("foundationModel", "unknown")
    return _request(AGENT, name, parameters.get("inputText"), stream=True)


def _asks_generated(parameters: dict[str, Any], *, stream: bool = False) -> Request:
    configured = parameters.get("retrieveAndGenerateConfiguration")
    base = field(configured, "knowledgeBaseConfiguration") or field(configured, "externalSourcesConfiguration")
    return _request(GENERATED, field(base, "modelArn"), field(parameters.get("input"), "text"), stream=stream)


def _asks_retrieve(parameters: dict[str, Any]) -> Request:
    return _request(RETRIEVE, "", field(parameters.get("retrievalQuery"), "text"))


def _request(endpoint: Endpoint, model: Any, text: Any, *, stream: bool = False) -> Request:
    return Request(endpoint, PROVIDER, model or "", messages=[{"role": "user", "content": text}], stream=stream)


OPERATIONS = {
    "InvokeAgent": _asks_agent,
    "InvokeInlineAgent": _asks_agent,
    "RetrieveAndGenerate": _asks_generated,
    "RetrieveAndGenerateStream": lambda parameters: _asks_generated(parameters, stream=True),
    "Retrieve": _asks_retrieve,
}
