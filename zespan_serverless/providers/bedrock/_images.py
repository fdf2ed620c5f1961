"""Images by InvokeModel: Amazon's Titan and Nova Canvas, and Stability AI's models.

https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters.html
"""

from __future__ import annotations

from typing import Any

from ..._record.model import Answer
from .._fields import field, items, text_of

_MODELS = ("titan-image", "nova-canvas", "stability.")


def are_asked(model: str, body: Any) -> bool:
    """Whether a request is for images. The name of a customized or provisioned model does not tell."""
    is_task = text_of(body, "taskType") or field(body, "text_prompts") is not None
    return bool(is_task) or any(name in model for name in _MODELS)


def prompts(body: Any) -> list[str]:
    """Return the texts that say what is to be seen."""
    given = [body, *items(field(body, "text_prompts"))]  # the latter are of Stability AI's first models
    if text_of(body, "taskType"):  # whose parameters are an object with a name of its own
        given = [one for one in body.values() if isinstance(one, dict)]
    return [text for one in given for name in ("text", "prompt") if (text := text_of(one, name))]


def read(body: Any) -> Answer:
    """Count the images. An answer without any says why."""
    answer = Answer()
    images = items(field(body, "images")) or items(field(body, "artifacts"))
    reasons = [*items(field(body, "finish_reasons")), *(field(one, "finishReason") for one in images)]
    said = [field(body, "error"), *reasons]
    answer.finish_reason = next((reason for reason in said if isinstance(reason, str)), "")
    answer.count("images", len(images))
    if not images:
        answer.error = answer.finish_reason
    return answer
