"""A Celery application whose tasks are traced: celery -A celery_tasks worker."""

import os

from celery import Celery
from openai import OpenAI

from zespan_serverless import zespan_celery

app = zespan_celery(Celery("tasks", broker=os.environ["CELERY_BROKER_URL"]))


@app.task(max_retries=3)
def summarize(text: str) -> str:
    client = OpenAI(max_retries=0)
    answer = client.chat.completions.create(
        model="gpt-4o-mini", messages=[{"role": "user", "content": f"Summarize: {text}"}]
    )
    return answer.choices[0].message.content or ""
