"""A Cloud Run job whose tasks share the work: each summarizes its part of the texts."""

from __future__ import annotations

import os

from openai import OpenAI

from zespan_serverless import span, zespan_job

TEXTS = ["The parcel came late.", "The parcel was wet.", "A second parcel came, and nobody knows why."]


@zespan_job
def main() -> None:
    client = OpenAI()
    index, count = int(os.environ.get("CLOUD_RUN_TASK_INDEX", "0")), int(os.environ.get("CLOUD_RUN_TASK_COUNT", "1"))
    for text in TEXTS[index::count]:
        with span("sum up"):
            answer = client.chat.completions.create(
                model="gpt-4o-mini", messages=[{"role": "user", "content": f"In five words: {text}"}]
            )
        print(answer.choices[0].message.content)


if __name__ == "__main__":
    main()
