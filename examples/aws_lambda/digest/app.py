"""A digest on a schedule: several calls of the model at a time, and one that sums them up; all in one trace."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from openai import OpenAI

from zespan_serverless import span, zespan_lambda

TOPICS = ("sales", "support", "incidents")

# One per container, for all threads. Two calls, one after the other, end within a function's timeout of 30 s.
client = OpenAI(timeout=12, max_retries=0)


@zespan_lambda(tags={"feature": "digest"})
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    day = event["time"][:10]  # when it was due: a retry is for the same day
    with ThreadPoolExecutor(len(TOPICS)) as pool:  # what its threads do belongs to the invocation
        parts = list(pool.map(partial(summarize, day), TOPICS))
    with span("digest"):
        return {"day": day, "digest": ask("Make one paragraph of these notes.", "\n\n".join(parts))}


def summarize(day: str, topic: str) -> str:
    with span("summarize", metadata={"topic": topic}):
        return ask(f"Sum up what happened in {topic}, in two sentences.", notes(day, topic))


def notes(day: str, topic: str) -> str:
    """What there is to sum up; yours would come from a table or a bucket."""
    return f"{day}: nothing unusual in {topic}."


def ask(task: str, text: str) -> str:
    answer = client.chat.completions.create(
        model="gpt-4o-mini",
        messages=[{"role": "system", "content": task}, {"role": "user", "content": text}],
    )
    return answer.choices[0].message.content or ""
