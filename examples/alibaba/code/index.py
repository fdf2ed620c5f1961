"""An event handler for Function Compute. docs/hosts/alibaba.md explains it."""

import json

from openai import OpenAI

from zespan_serverless import zespan_alibaba

client = OpenAI()


@zespan_alibaba
def handler(event, context):
    prompt = json.loads(json.loads(event)["body"])["prompt"]  # of an HTTP trigger
    answer = client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": prompt}])
    body = json.dumps({"answer": answer.choices[0].message.content})
    return {"statusCode": 200, "headers": {"Content-Type": "application/json"}, "body": body}
