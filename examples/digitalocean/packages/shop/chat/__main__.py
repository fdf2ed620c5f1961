"""A function for DigitalOcean. docs/hosts/digitalocean.md explains it."""

from openai import OpenAI

from zespan_serverless import zespan_openwhisk

client = OpenAI()


@zespan_openwhisk
def main(event, context):
    question = {"role": "user", "content": event["prompt"]}
    answer = client.chat.completions.create(model="gpt-4o", messages=[question])
    return {"body": {"answer": answer.choices[0].message.content}}
