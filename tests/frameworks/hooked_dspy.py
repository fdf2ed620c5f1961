"""DSPy with our callback."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from zespan_serverless.frameworks import dspy_callback

QUESTION = "What is the weather in Bern?"


def scenarios(url: str) -> dict[str, Callable[[], Any]]:
    import dspy

    model = dspy.LM("anthropic/claude-sonnet-4-5", cache=False, num_retries=0, api_base=url)
    dspy.configure(lm=model, callbacks=[dspy_callback()])

    class Ask(dspy.Module):  # type: ignore[misc]
        def forward(self, question: str) -> Any:
            return dspy.Prediction(answer=dspy.settings.lm(question)[0])

    def weather(city: str) -> str:
        """Return the weather in a city."""
        return f"It is sunny in {city}."

    def parallel() -> Any:
        examples = [dspy.Example(question=QUESTION).with_inputs("question") for _ in range(3)]
        return len(Outer()(examples=examples))

    class Outer(dspy.Module):  # type: ignore[misc]
        def forward(self, examples: Any) -> Any:
            return Ask().batch(examples)

    return {
        "module": lambda: Ask()(question=QUESTION).answer,
        "parallel": parallel,
        "tool": lambda: dspy.Tool(weather)(city="Bern"),
    }
