"""A function for OpenFaaS, which reads its keys from mounted secrets. docs/hosts/kubernetes.md explains the rest."""

import json
import os
from pathlib import Path

from openai import OpenAI

from zespan_serverless import init, task_scope

SECRETS = Path(os.environ.get("SECRETS", "/var/openfaas/secrets"))

init(api_key=(SECRETS / "zespan-api-key").read_text().strip())
client = OpenAI(api_key=(SECRETS / "openai-api-key").read_text().strip())


def handle(event, context):
    about = {"faas.trigger": "http", "http.request.method": event.method, "url.path": event.path}
    with task_scope("chat", traceparent=event.headers, metadata=about) as invocation:
        question = {"role": "user", "content": json.loads(event.body)["prompt"]}
        answer = client.chat.completions.create(model="gpt-4o", messages=[question])
        invocation["http.response.status_code"] = 200
        return {"statusCode": 200, "body": {"answer": answer.choices[0].message.content}}
