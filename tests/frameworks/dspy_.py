"""DSPy, which calls models by LiteLLM, or by a client of its own (here those of Anthropic)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

QUESTION = "What is the weather in Bern?"


def scenarios(url: str) -> dict[str, Callable[[], Any]]:
    import dspy

    models: dict[str, Callable[[str], Any]] = {
        "openai": lambda name: dspy.LM(f"openai/{name or 'gpt-5-mini'}", cache=False, num_retries=0),
        "openai responses": lambda name: dspy.LM(
            f"openai/{name or 'gpt-5-mini'}", cache=False, num_retries=0, model_type="responses"
        ),
        "anthropic": lambda name: dspy.LM(
            f"anthropic/{name or 'claude-sonnet-4-5'}", cache=False, num_retries=0, api_base=url
        ),
    }

    def predict(model: Any) -> Any:
        with dspy.context(lm=model):
            return model(QUESTION)

    async def apredict(model: Any) -> Any:
        with dspy.context(lm=model):
            return await model.acall(QUESTION)

    def calls(kind: str, make: Callable[..., Any]) -> dict[str, Callable[[], Any]]:
        return {
            f"{kind} call": lambda: predict(make("")),
            f"{kind} acall": lambda: apredict(make("")),
            f"{kind} fails": lambda: predict(make("broken")),
        }

    found: dict[str, Callable[[], Any]] = {}
    for kind, make in models.items():
        found |= calls(kind, make)
    return found
