"""An event handler for Function Compute. docs/hosts/alibaba.md explains it."""

import base64
import json

from openai import OpenAI

from zespan_serverless import zespan_alibaba

client = OpenAI()


@zespan_alibaba
def handler(event, context):
    request = json.loads(event)  # of an HTTP trigger
    asked = base64.b64decode(request["body"]) if request.get("isBase64Encoded") else request["body"]
    question = {"role": "user", "content": json.loads(asked)["prompt"]}
    answer = client.chat.completions.create(model="gpt-4o", messages=[question])
    body = json.dumps({"answer": answer.choices[0].message.content})
    return {"statusCode": 200, "headers": {"Content-Type": "application/json"}, "body": body}
