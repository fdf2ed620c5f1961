"""A RunPod worker. docs/hosts/runpod.md explains it."""

import runpod
from openai import OpenAI

from zespan_serverless import zespan_runpod

client = OpenAI()


@zespan_runpod
def handler(job):
    question = {"role": "user", "content": job["input"]["prompt"]}
    chat = client.chat.completions.create(model="gpt-4o", messages=[question])
    return {"answer": chat.choices[0].message.content}


if __name__ == "__main__":
    runpod.serverless.start({"handler": handler})
