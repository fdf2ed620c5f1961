"""Reads the answers of Bedrock's model families, each of which is recognized by the fields of its body.

https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters.html
"""

from __future__ import annotations

from typing import Any

from ..._record.model import Answer
from .._fields import count_of, field, items, text_of, whole
from ..anthropic._messages import MESSAGES
from ..openai._chat import CHAT
from ..openai._others import TEXTS
from . import _converse

_TOKENS = "x-amzn-bedrock-{}-token-count"


def read(body: Any) -> Answer:
    """Read a body of any family."""
    choices = items(field(body, "choices"))
    if choices:  # OpenAI's models, Mistral's newer ones, AI21's Jamba
        return CHAT.answer(body) if field(choices[0], "message") is not None else TEXTS.answer(body)
    if field(body, "role") is not None or field(body, "completion") is not None:  # Anthropic's Claude
        return MESSAGES.answer(body)
    answer = Answer()
    if field(field(body, "output"), "message") is not None:  # Amazon's Nova
        answer.finish_reason = text_of(body, "stopReason")
        _converse.count(answer, field(body, "usage"))
        _converse.read_blocks(answer, field(field(field(body, "output"), "message"), "content"))
        return answer
    _read_text(answer, body)
    _count(answer, body)
    return answer


def complete(answer: Answer, headers: Any) -> Answer:
    """Take the numbers of tokens that the body does not have, or a guardrail has taken out of it, from the headers."""
    given, produced = (whole(field(headers, _TOKENS.format(name))) for name in ("input", "output"))
    answer.known = answer.known or given is not None
    answer.input_tokens = answer.input_tokens or given or 0
    answer.output_tokens = answer.output_tokens or produced or 0
    return answer


def _read_text(answer: Answer, body: Any) -> None:
    """Read the text of families whose answer is nothing else."""
    first = next(
        (
            found[0]
            for name in ("results", "generations", "outputs", "completions")
            if (found := items(field(body, name)))
        ),
        body,
    )
    data = field(first, "data")  # AI21's Jurassic
    answer.text = next(
        (
            text
            for name in ("outputText", "generation", "text")
            if (text := text_of(data if data is not None else first, name))
        ),
        "",
    )
    answer.finish_reason = next(
        (text for name in ("completionReason", "stop_reason", "finish_reason") if (text := text_of(first, name))), ""
    ) or text_of(field(first, "finishReason"), "reason")


def _count(answer: Answer, body: Any) -> None:
    """Read the numbers of tokens of Amazon's Titan and Meta's Llama."""
    titan = next(iter(items(field(body, "results"))), None)
    answer.input_tokens = count_of(body, "inputTextTokenCount") or count_of(body, "prompt_token_count")
    answer.output_tokens = count_of(titan, "tokenCount") or count_of(body, "generation_token_count")
    answer.known = bool(answer.input_tokens)
