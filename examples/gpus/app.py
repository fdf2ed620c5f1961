"""A Modal app. docs/hosts/modal.md explains it."""

import modal
from openai import OpenAI

from zespan_serverless import zespan_modal

image = modal.Image.debian_slim().uv_pip_install("openai").add_local_python_source("zespan_serverless")
app = modal.App("chat", image=image, secrets=[modal.Secret.from_name("zespan"), modal.Secret.from_name("openai")])


@app.function()
@zespan_modal
def answer(question: dict) -> str:
    message = {"role": "user", "content": question["prompt"]}
    chat = OpenAI().chat.completions.create(model="gpt-4o", messages=[message])
    return chat.choices[0].message.content


@app.local_entrypoint()
def main():
    print(answer.remote({"prompt": "Hi"}))
