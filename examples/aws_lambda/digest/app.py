"""A scheduled digest: several concurrent model calls, and one that summarizes them, in one trace."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from openai import OpenAI

from zespan_serverless import span, zespan_lambda

TOPICS = ("sales", "support", "incidents")

# One client per container, for all threads. Two calls in a row end within a function's timeout of 30 s.
client = OpenAI(timeout=12, max_retries=0)


@zespan_lambda(tags={"feature": "digest"})
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    day = event["time"][:10]  # the scheduled day, also for a retry
    with ThreadPoolExecutor(len(TOPICS)) as pool:  # its threads belong to the trace of the invocation
        parts = list(pool.map(partial(summarize, day), TOPICS))
    with span("digest"):
        return {"day": day, "digest": ask("Make one paragraph of these notes.", "\n\n".join(parts))}


def summarize(day: str, topic: str) -> str:
    with span("summarize", metadata={"topic": topic}):
        return ask(f"Sum up what happened in {topic}, in two sentences.", notes(day, topic))


def notes(day: str, topic: str) -> str:
    """The texts to summarize. Yours would come from a table or a bucket."""
    return f"{day}: nothing unusual in {topic}."


def ask(task: str, text: str) -> str:
    answer = client.chat.completions.create(
        model="gpt-4o-mini",
        messages=[{"role": "system", "content": task}, {"role": "user", "content": text}],
    )
    return answer.choices[0].message.content or ""
